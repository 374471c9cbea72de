"""An alert's times as those read them who live elsewhere."""

import re
from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from defib.model.alert import AlertFacts

_STAMPED = re.compile(r"(\d\d):(\d\d):(\d\d)(  .*)", re.DOTALL)


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
    return f"{at.astimezone(zone):%H:%M:%S}{found[4]}"
