"""Instants as people write them on a command line."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from defib.errors import UsageError
from defib.model.options import parse_duration

_FORMS = "write 22:00, 2026-12-01 22:00, or 2026-12-01T22:00+01:00"


def parse_moment(text: str, now: datetime, timezone: str) -> datetime:
    """An instant: a time of day is the next one, and without an offset it is by the clock of ``timezone``.

    :raises UsageError: it is none.
    """
    zone = ZoneInfo(timezone)
    try:
        at = time.fromisoformat(text)
    except ValueError:
        pass
    else:
        today = now.astimezone(zone).date()
        days = (datetime.combine(day, at, zone) for day in (today, today + timedelta(days=1)))
        return next(moment for moment in days if moment > now).astimezone(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no date and time; {_FORMS}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def parse_end(
    lasting: str | None, until: str | None, begins: datetime, now: datetime, timezone: str
) -> datetime | None:
    """When something ends that begins then; None when neither was given.

    :raises UsageError: both were given, or one that is none.
    """
    if lasting is not None and until is not None:
        raise UsageError("give either --for or --until, not both")
    if until is not None:
        return parse_moment(until, now, timezone)
    if lasting is None:
        return None
    try:
        return begins + parse_duration(lasting)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from error
