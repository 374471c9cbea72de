"""Stretches of time that come back by the clock on a wall."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from defib.model.route import Hours

_DAY = timedelta(days=1)
_WEEK = 8  #: days in which each day of the week comes, today's remainder included


def span_at(hours: Hours, now: datetime) -> tuple[datetime, datetime] | None:
    """The stretch that ``now`` is in, from and until; None when it is in none."""
    return next((span for span in _spans(hours, now, -1, 1) if span[0] <= now < span[1]), None)


def newest_end(hours: Hours, now: datetime) -> datetime | None:
    """When the newest one that is over ended."""
    return max((end for _, end in _spans(hours, now, -_WEEK, 1) if end <= now), default=None)


def next_end(hours: Hours, now: datetime) -> datetime:
    """When the present one ends, or the next one."""
    return min(end for _, end in _spans(hours, now, -1, _WEEK) if end > now)


def _spans(hours: Hours, now: datetime, first: int, last: int) -> Iterator[tuple[datetime, datetime]]:
    """Those that begin on the days around ``now``; what the clocks skip or repeat ends with them."""
    zone = ZoneInfo(hours.timezone)
    today = now.astimezone(zone).date()
    over_midnight = _DAY if hours.ends <= hours.begins else timedelta(0)
    for offset in range(first, last + 1):
        day = today + offset * _DAY
        if not hours.days or day.weekday() in hours.days:
            begins = datetime.combine(day, hours.begins, zone).astimezone(UTC)
            yield begins, datetime.combine(day + over_midnight, hours.ends, zone).astimezone(UTC)
