"""The read model: what pages, the API, metrics and the command line show."""
