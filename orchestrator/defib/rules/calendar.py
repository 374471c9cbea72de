"""Days, weeks and months of a time zone's calendar as spans of instants."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from defib.model.report import Span

_DAY = timedelta(days=1)


def first_day(span: Span, day: date) -> date:
    """The first day of the day, week (Monday) or month that ``day`` is in."""
    match span:
        case Span.DAY:
            return day
        case Span.WEEK:
            return day - day.weekday() * _DAY
        case Span.MONTH:
            return day.replace(day=1)


def days_of(span: Span, day: date) -> tuple[date, date]:
    """The first day, and the first one after it, of the day, week or month that ``day`` is in."""
    first = first_day(span, day)
    match span:
        case Span.DAY:
            return first, first + _DAY
        case Span.WEEK:
            return first, first + 7 * _DAY
        case Span.MONTH:
            return first, (first + 32 * _DAY).replace(day=1)


def bounds(span: Span, day: date, timezone: str) -> tuple[datetime, datetime]:
    """The same as instants in UTC; a local day has 23, 24 or 25 hours."""
    first, after = days_of(span, day)
    zone = ZoneInfo(timezone)
    return _midnight(first, zone), _midnight(after, zone)


def newest_complete(span: Span, today: date) -> date:
    """The first day of the newest day, week or month that is over by ``today``."""
    return first_day(span, first_day(span, today) - _DAY)


def previous(span: Span, day: date) -> date:
    """The first day of the one before that which ``day`` is in."""
    return newest_complete(span, day)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
