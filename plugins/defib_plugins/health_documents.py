"""Health documents that services publish, read natively: three dialects and their cousin.

- ``application/health+json`` (draft-inadarei-api-health-check): ``pass``, ``warn``, ``fail`` with ``checks``;
- Spring Boot actuator: ``UP``, ``DOWN``, ``OUT_OF_SERVICE``, ``UNKNOWN`` with nested ``components``;
- ASP.NET: ``Healthy``, ``Degraded``, ``Unhealthy``, as text or as JSON with ``entries``;
- MicroProfile Health: ``UP`` and ``DOWN`` with a list of ``checks``.

Outside of ``application/health+json`` only the exact words above are taken for a health document, so that
``{"status": "ok"}`` of an ordinary API is left to the user's own assertions.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from defib_plugins.phrases import phrase


class HealthDocumentError(ValueError):
    """What is announced as a health document is none."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class Level(StrEnum):
    OK = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthDocument:
    """What a service says of itself."""

    level: Level
    word: str  #: its own: ``OUT_OF_SERVICE``
    components: tuple[str, ...] = ()  #: those that are not well, as paths: ``db.replica``


HEALTH_JSON = "application/health+json"

_DRAFT = {
    "pass": Level.OK, "ok": Level.OK, "up": Level.OK, "warn": Level.WARN,
    "fail": Level.FAIL, "error": Level.FAIL, "down": Level.FAIL,
}  # fmt: skip
_EXACT = {
    "UP": Level.OK, "UNKNOWN": Level.WARN, "DOWN": Level.FAIL, "OUT_OF_SERVICE": Level.FAIL,
    "Healthy": Level.OK, "Degraded": Level.WARN, "Unhealthy": Level.FAIL,
}  # fmt: skip
_PARTS = ("components", "details", "entries", "results", "checks")
_MOST_NAMED = 10


def read_health(content_type: str, body: bytes) -> HealthDocument | None:
    """The health document in ``body``, or None where there is none.

    :param content_type: of the answer, parameters and all.
    :raises HealthDocumentError: it is announced as a health document but is none.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "text/plain":
        word = body[:32].decode("ascii", "replace").strip()
        return (
            HealthDocument(level=_EXACT[word], word=word)
            if word in ("Healthy", "Degraded", "Unhealthy")
            else None
        )
    if not media_type.endswith(("/json", "+json")):
        return None
    is_draft = media_type == HEALTH_JSON
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        if is_draft:
            raise HealthDocumentError(phrase("the health document is not JSON")) from error
        return None
    status = document.get("status") if isinstance(document, dict) else None
    level = _level(status, is_draft=is_draft)
    if level is None:
        if is_draft:
            raise HealthDocumentError(phrase("the health document has no status pass, warn or fail"))
        return None
    named = _named(document, is_draft=is_draft, levels=_BLAMED[level]) if level is not Level.OK else ()
    return HealthDocument(level=level, word=str(status), components=tuple(named)[:_MOST_NAMED])


_BLAMED = {Level.WARN: frozenset({Level.WARN, Level.FAIL}), Level.FAIL: frozenset({Level.FAIL})}


def _level(word: object, *, is_draft: bool) -> Level | None:
    if not isinstance(word, str):
        return None
    return _DRAFT.get(word.lower()) if is_draft else _EXACT.get(word)


def _named(
    document: Mapping[str, Any], *, is_draft: bool, levels: frozenset[Level], prefix: str = "", depth: int = 0
) -> Iterator[str]:
    """Paths of the innermost parts whose level is among ``levels``."""
    for name, part in _parts(document):
        if not isinstance(part, Mapping) or _level(part.get("status"), is_draft=is_draft) not in levels:
            continue
        inner = []
        if depth < 5:
            inner = list(
                _named(part, is_draft=is_draft, levels=levels, prefix=f"{prefix}{name}.", depth=depth + 1)
            )
        yield from inner or [f"{prefix}{name}"]


def _parts(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in _PARTS:
        match document.get(key):
            case dict() as named:
                for name, part in named.items():
                    # The draft allows several measurements under one name.
                    for entry in part if isinstance(part, list) else [part]:
                        yield str(name), entry
            case list() as listed:
                for part in listed:
                    if isinstance(part, dict) and "name" in part:
                        yield str(part["name"]), part
            case _:
                continue
