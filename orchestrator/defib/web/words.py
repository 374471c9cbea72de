"""Spans of time and numbers as pages show them. ``static/words.js`` says the same things in the browser."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from defib.rules.spans import span


def ago(seconds: float) -> str:
    """How long ago, in calm steps: seconds change by tens only."""
    if seconds < 10:
        return "just now"
    if seconds < 60:
        return f"{int(seconds) // 10 * 10} s ago"
    return f"{span(seconds)} ago"


def ahead(seconds: float) -> str:
    """How long until then, or how late it is."""
    return f"in {span(seconds)}" if seconds >= 0 else f"{span(-seconds)} late"


def latency(milliseconds: float | None) -> str:
    """``0.4 ms``, ``12 ms``, ``1.24 s``, halves rounded up; a dash where nothing was measured."""
    if milliseconds is None:
        return "–"
    if milliseconds < 0.95:
        return f"{int(milliseconds * 10 + 0.5) / 10:.1f} ms"
    if milliseconds < 999.5:
        return f"{int(milliseconds + 0.5)} ms"
    return f"{int(milliseconds / 10 + 0.5) / 100:.2f} s"


def percentage(share: float | None) -> str:
    """Availability that never rounds up to a full hundred: ``100 %``, ``99.98 %``; a dash when unknown."""
    if share is None:
        return "–"
    if share >= 1:
        return "100 %"
    return f"{int(share * 10_000) / 100:.2f} %"


def heard(seconds: float) -> str:
    """How long ago, to the second: of beats, where seconds matter."""
    return f"{span(seconds)} ago"


def load(percent: float | None) -> str:
    """``45 %``, ``7.5 %`` below ten; a dash where nothing was reported."""
    if percent is None:
        return "–"
    return f"{int(percent * 10 + 0.5) / 10:g} %" if percent < 10 else f"{int(percent + 0.5)} %"


def level(percent: float | None) -> str:
    """How full, as the bars show it: ``ok`` up to 70 %, ``warn`` up to 90 %, ``bad`` beyond; ``none`` when unknown."""
    if percent is None:
        return "none"
    return "ok" if percent <= 70 else "warn" if percent <= 90 else "bad"


GRADES = {"ok": "", "warn": "high", "bad": "very high", "none": ""}
"""Each level in words."""


def size(number: float | None) -> str:
    """Bytes in three figures, by thousands: ``0 B``, ``999 B``, ``1.5 kB``, ``16.8 GB``; a dash for none."""
    if number is None:
        return "–"
    unit = 0
    value = max(0.0, number)
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    if unit and value < 99.95:
        return f"{int(value * 10 + 0.5) / 10:g} {_UNITS[unit]}"
    return f"{int(value + 0.5)} {_UNITS[unit]}"


def rate(number: float | None) -> str:
    """Bytes per second."""
    return "–" if number is None else f"{size(number)}/s"


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def about(agent: Mapping[str, Any]) -> str:
    """Where an agent runs: its host name, unless it is called so, and its system; of twins first the id."""
    host = "" if agent["hostname"] == agent["name"] else agent["hostname"]
    return " · ".join(part for part in (agent["id"] if agent["has_twin"] else "", host, agent["os"]) if part)


def standing(agent: Mapping[str, Any]) -> str:
    """What holds for an agent beside its status: whether it is let in, and whether its monitor judges it."""
    if agent["kept_out_at"]:
        return "kept out"
    return str(agent["aside"])


def work(tasks: Sequence[Mapping[str, Any]]) -> str:
    """What an agent works on, in one line: ``plan 123 (ws-1) and 2 more``; a dash for nothing."""
    if not tasks:
        return "–"
    first = tasks[0]
    said = " ".join(part for part in (first["kind"], first["id"]) if part)
    place = f" ({first['workspace']})" if first["workspace"] else ""
    return f"{said}{place}" + (f" and {len(tasks) - 1} more" if len(tasks) > 1 else "")


def seconds_between(earlier: str, later: str) -> float:
    """Between two instants in ISO 8601."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def deliveries(items: Sequence[Mapping[str, Any]]) -> str:
    """What is worth saying about an alert's deliveries: nothing while all went well."""
    dead = ", ".join(item["channel"] for item in items if item["state"] == "dead")
    late = ", ".join(item["channel"] for item in items if item["state"] == "pending" and item["tries"])
    said = [f"not delivered through {dead}"] if dead else []
    said += [f"{late} does not take it yet"] if late else []
    return "".join(f" · {text}" for text in said)
