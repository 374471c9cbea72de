"""An alert's times as those read them who live elsewhere."""

import re
from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from defib.model.alert import AlertFacts
from defib.model.phrase import Said, phrase

_STAMPED = re.compile(r"(\d\d):(\d\d):(\d\d)(  .*)", re.DOTALL)


def stamped(clock: str, text: str) -> str:
    """A line of evidence: ``22:15:19  connection refused by localhost:8000``.

    :param clock: the local time of day.
    """
    return phrase("{clock}  {text}", clock=clock, text=text)


def in_zone(facts: AlertFacts, timezone: str) -> AlertFacts:
    """``facts`` for readers in ``timezone``: its lines of evidence begin with the local time of day."""
    if timezone == facts.timezone:
        return facts
    old, new = ZoneInfo(facts.timezone), ZoneInfo(timezone)
    latest = facts.at.astimezone(old)
    return replace(
        facts, timezone=timezone, evidence=tuple(_moved(line, latest, new) for line in facts.evidence)
    )


def _moved(line: str, latest: datetime, zone: ZoneInfo) -> str:
    """The line with its time of day, which is the last one of that name before ``latest``, in ``zone``."""
    found = _STAMPED.fullmatch(line)
    if found is None:
        return line
    hour, minute, second = map(int, found.groups()[:3])
    at = datetime.combine(latest.date(), time(hour, minute, second), latest.tzinfo)
    if at > latest + timedelta(seconds=1):
        at = datetime.combine(latest.date() - timedelta(days=1), at.timetz())
    clock = f"{at.astimezone(zone):%H:%M:%S}"
    text = line.values.get("text") if isinstance(line, Said) else None
    return stamped(clock, text if isinstance(text, str) else found[4].lstrip())
