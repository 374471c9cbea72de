"""Times, durations and lines of text as people read them. Pure."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def human_duration(seconds: float) -> str:
    """``6.4 s``, ``1 min 12 s``, ``2 h 5 min``, ``3 d 4 h``: the two largest units that matter.

    :param seconds: a negative span (a clock stepped) reads as ``0.0 s``.
    """
    seconds = max(seconds, 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, size, rest_unit, rest_size in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // rest_size
            return f"{whole // size} {unit}" + (f" {rest} {rest_unit}" if rest else "")
    return f"{whole} s"


def zone(name: str) -> tzinfo:
    """The named time zone; UTC where this machine does not know the name, so that an alert still leaves."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def zone_name(name: str) -> str:
    """How :func:`zone` is called in texts."""
    return name if zone(name) is not UTC else "UTC"


def clock_time(instant: datetime, timezone: str, *, seen_from: datetime) -> str:
    """``22:14:07`` on the day of ``seen_from``, else ``Sat 3 Jan 22:14:07``; local to ``timezone``."""
    local, reference = instant.astimezone(zone(timezone)), seen_from.astimezone(zone(timezone))
    if local.date() == reference.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%a} {local.day} {local:%b %H:%M:%S}"


def full_time(instant: datetime, timezone: str) -> str:
    """``Sat 3 Jan 2026, 22:14:07 (Asia/Hong_Kong)``."""
    local = instant.astimezone(zone(timezone))
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M:%S} ({zone_name(timezone)})"


def one_line(text: str, limit: int = 300) -> str:
    """``text`` without line ends, control and direction characters, at most ``limit`` characters long."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def sentence(text: str) -> str:
    """``text`` with a capital first letter and one full stop; "" stays empty."""
    trimmed = text.strip().rstrip(".;,: ")
    if not trimmed:
        return ""
    end = "" if trimmed[-1] in "!?…" else "."
    return trimmed[0].upper() + trimmed[1:] + end
