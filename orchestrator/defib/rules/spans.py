"""Lengths of time as the terminal and the pages show them."""


def span(seconds: float) -> str:
    """In one or two units, rounded down: ``4 s``, ``3 min``, ``2 h 5 min``, ``3 d 4 h``; negative ones are nought."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
