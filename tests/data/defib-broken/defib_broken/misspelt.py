"""Implements a hook that does not exist."""

from defib.plugin import hookimpl


@hookimpl
def defib_monitor() -> list[object]:
    return []
