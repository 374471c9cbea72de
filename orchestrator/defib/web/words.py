"""Spans of time and numbers as pages show them. ``static/words.js`` says the same things in the browser."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def span(seconds: float) -> str:
    """A length of time in one or two units, rounded down: ``4 s``, ``3 min``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


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
