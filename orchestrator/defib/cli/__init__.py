"""The command line: parses, asks the engine or a running daemon, prints."""
