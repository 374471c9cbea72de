"""The rows of the overview: thousands of the same kind, which a template would take a second for.

Their markup is the template's all the same: it is rendered once, with a mark in the place of everything that differs
from row to row, and each row is the text between the marks joined with what is its own.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from defib.rules.spans import span
from defib.web import drawing, words

Json = Mapping[str, Any]

_MARK = "\x00"
_HIDDEN = " hidden"
_SLOTS = (
    "id", "state", "word", "look", "since", "name", "not_flapping", "type", "target", "tags", "says", "latency", "line",
    "day", "cells", "not_seen", "seen", "not_due", "due", "suspicion", "not_suspect", "not_recovered", "recovery",
)  # fmt: skip


class MonitorRows:
    """Fills the row of a monitor."""

    def __init__(self, markup: Callable[[Mapping[str, str]], str]) -> None:
        """:param markup: of a row, with these slots in it; what is put into them is markup, too."""
        marked = {slot: Markup(_MARK + slot + _MARK) for slot in _SLOTS}  # noqa: S704 - our own names
        parts = str(markup(marked)).split(_MARK)
        self._parts = parts
        self._slots = parts[1::2]

    def row(self, monitor: Json, now: datetime, state_words: Mapping[str, str]) -> str:
        """One row, as markup.

        :param state_words: how people read each state.
        """
        own = _own(monitor, now, state_words)
        parts = self._parts.copy()
        parts[1::2] = [own[slot] for slot in self._slots]
        return "".join(parts)

    def rows(self, monitors: Sequence[Json], now: datetime, state_words: Mapping[str, str]) -> Markup:
        """All rows, one behind the other."""
        return Markup("".join([self.row(monitor, now, state_words) for monitor in monitors]))  # noqa: S704 - escaped in _own


def _own(m: Json, now: datetime, state_words: Mapping[str, str]) -> dict[str, str]:
    """What goes into each slot, escaped."""
    state, suspicion, mode = m["state"], m["suspicion"], m["recovery"]["mode"]
    id_, name, kind, target, tags = _named(m["id"], m["name"], m["type"], m["target"], tuple(m["tags"]))
    day, cells = _drawn(tuple(m["hours"]))
    return {
        "id": id_,
        "state": state,
        "word": state_words[state],
        "look": "inconclusive" if m["inconclusive"] else "clear",
        "since": _moment(m["since"], now, "span", span),
        "name": name,
        "not_flapping": "" if m["flapping"] else _HIDDEN,
        "type": kind,
        "target": target,
        "tags": tags,
        "says": escape(m["says"]),
        "latency": words.latency(m["latency_ms"]),
        "line": drawing.line(m["latencies_ms"]),
        "day": day,
        "cells": cells,
        "not_seen": "" if m["last_seen"] else _HIDDEN,
        "seen": _moment(m["last_seen"], now, "ago", words.ago),
        "not_due": "" if m["deadline"] else _HIDDEN,
        "due": _moment(m["deadline"], now, "ahead", lambda seconds: words.ahead(-seconds)),
        "suspicion": str(suspicion or 0),
        "not_suspect": _HIDDEN if suspicion is None else "",
        "not_recovered": _HIDDEN if mode == "none" else "",
        "recovery": mode,
    }


def _moment(instant: str | None, now: datetime, say: str, told: Callable[[float], str]) -> str:
    """As the macro of the same name; ``told`` takes the seconds since then."""
    if not instant:
        return f'<time data-say="{say}"></time>'
    seconds = (now - datetime.fromisoformat(instant)).total_seconds()
    return f'<time datetime="{instant}" data-say="{say}">{told(seconds)}</time>'


@lru_cache(maxsize=16_384)
def _named(id_: str, name: str, kind: str, target: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    """What a monitor is called, which hardly ever changes."""
    marked = "".join(f'<span class="tag">{escape(tag)}</span>' for tag in tags)
    return *map(escape, (id_, name, kind, target)), marked


@lru_cache(maxsize=1024)  # most days are alike
def _drawn(hours: tuple[str, ...]) -> tuple[str, str]:
    """The cells of a day in words, and as paths."""
    paths = "".join(f'<path class="{kind}" d="{path}"/>' for kind, path in drawing.cells(hours).items())
    return drawing.day(hours), paths
