"""What Defib logs, heard instead of written."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from defib.logs import fields_of

Hear = Callable[[Mapping[str, Any]], None]
"""Takes the fields of an event, with ``event``, ``log_level`` and perhaps ``exc_info`` among them."""


class _Ear(logging.Handler):
    def __init__(self, hear: Hear) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        error = {"exc_info": record.exc_info[1]} if record.exc_info else {}
        said = {"event": record.getMessage(), "log_level": record.levelname.lower()}
        self._hear({**fields_of(record), **error, **said})


@contextmanager
def hearing_logs(hear: Hear, level: int = logging.DEBUG) -> Iterator[None]:
    """Have every event of Defib from ``level`` on heard, and nothing of it written."""
    ours = logging.getLogger("defib")
    level_before, propagates, ear = ours.level, ours.propagate, _Ear(hear)
    ours.addHandler(ear)
    ours.setLevel(level)
    ours.propagate = False
    try:
        yield
    finally:
        ours.removeHandler(ear)
        ours.setLevel(level_before)
        ours.propagate = propagates


@contextmanager
def capture_logs() -> Iterator[list[Mapping[str, Any]]]:
    """Every event of Defib, in order."""
    events: list[Mapping[str, Any]] = []
    with hearing_logs(events.append):
        yield events


@contextmanager
def logging_kept() -> Iterator[None]:
    """Put back what a program sets up of logging."""
    root, ours = logging.getLogger(), logging.getLogger("defib")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
