"""Structured logs: readable lines on a terminal, JSON elsewhere; never a secret."""

import logging
import sys
from typing import Any, TextIO

import structlog

_NOWHERE = logging.NullHandler()
_SECRET_KEYS = ("password", "token", "secret", "dsn", "authorization", "api_key")


def configure(*, level: str = "info", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Set logging up for a program.

    :param json: None writes JSON unless ``stream`` is a terminal.
    :param stream: standard error when None.
    """
    stream = stream or sys.stderr
    as_json = not stream.isatty() if json is None else json
    renderer: Any = (
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask,
    ]
    if as_json:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    # libraries log requests with their addresses, and an address may hold a token
    logging.basicConfig(
        level=logging.WARNING, stream=stream, format="%(levelname)s %(name)s %(message)s", force=True
    )
    for noisy in ("httpx", "httpcore", "telegram", "urllib3", "docker"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # what it says is heard by its channel, which tells it without secrets; a level would keep it from that, too
    apprise = logging.getLogger("apprise")
    apprise.propagate = False
    apprise.addHandler(_NOWHERE)


def _mask(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    for key in event:
        if any(word in key.lower() for word in _SECRET_KEYS):
            event[key] = "***"
    return event
