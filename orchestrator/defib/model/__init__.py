"""The words of the domain as frozen values: no I/O, no behaviour beyond what a value knows of itself."""
