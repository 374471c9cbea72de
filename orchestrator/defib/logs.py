"""Structured logs: readable lines on a terminal, JSON elsewhere; never a secret.

An event is a short text that is always the same, beside it stands what it is about:

    log = get_logger("defib.web")
    log.error("request crashed", path=path, exc_info=error)

Events are records of :mod:`logging`: what libraries say comes out in the same form.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

_OURS = "defib"  #: begins the name of every logger of ours
_NOWHERE = logging.NullHandler()
_SECRET_KEYS = ("password", "token", "secret", "dsn", "authorization", "api_key")
_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[1;31m"}
_PLAIN = "\x1b[0m"


class Log:
    """Where events of one part come from. ``exc_info`` adds the traceback of an exception."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def log(
        self, level: int, event: str, /, *, exc_info: BaseException | None = None, **fields: object
    ) -> None:
        """At a level of :mod:`logging`."""
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, exc_info=exc_info, extra={"fields": fields})

    def debug(self, event: str, /, *, exc_info: BaseException | None = None, **fields: object) -> None:
        self.log(logging.DEBUG, event, exc_info=exc_info, **fields)

    def info(self, event: str, /, *, exc_info: BaseException | None = None, **fields: object) -> None:
        self.log(logging.INFO, event, exc_info=exc_info, **fields)

    def warning(self, event: str, /, *, exc_info: BaseException | None = None, **fields: object) -> None:
        self.log(logging.WARNING, event, exc_info=exc_info, **fields)

    def error(self, event: str, /, *, exc_info: BaseException | None = None, **fields: object) -> None:
        self.log(logging.ERROR, event, exc_info=exc_info, **fields)

    def critical(self, event: str, /, *, exc_info: BaseException | None = None, **fields: object) -> None:
        self.log(logging.CRITICAL, event, exc_info=exc_info, **fields)


def get_logger(name: str) -> Log:
    """A source of events.

    :param name: ``defib.`` and the part or plugin; nothing below a warning is heard of others.
    """
    return Log(name)


def configure(*, level: str = "info", stream: TextIO | None = None) -> None:
    """Set logging up for a program.

    :param level: of what Defib itself says.
    :param stream: standard error when None; JSON is written unless it is a terminal.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines() if stream.isatty() else _Json())
    # libraries log requests with their addresses, and an address may hold a token
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "telegram", "urllib3", "docker"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # what it says is heard by its channel, which tells it without secrets; a level would keep it from that, too
    apprise = logging.getLogger("apprise")
    apprise.propagate = False
    apprise.addHandler(_NOWHERE)


def fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    """What an event is about; of a library's record, who says it."""
    fields: Mapping[str, Any] = getattr(record, "fields", {"logger": record.name})
    return {key: "***" if _is_secret(key) else value for key, value in fields.items()}


def _is_secret(key: str) -> bool:
    return any(word in key.lower() for word in _SECRET_KEYS)


class _Json(logging.Formatter):
    """One object in a line."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            **fields_of(record),
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str, ensure_ascii=False)


class _Lines(logging.Formatter):
    """For people: the local time of day, level, event, fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f"  {key}={value}" for key, value in fields_of(record).items())
        level = f"{_COLOURS.get(record.levelno, '')}{record.levelname.lower():<8}{_PLAIN}"
        line = f"{self.formatTime(record, '%H:%M:%S')} {level} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
