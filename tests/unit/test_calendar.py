"""Days, weeks and months as instants, across changes of clocks."""

from datetime import UTC, date, datetime, timedelta

import pytest

from defib.model.report import Span
from defib.rules import calendar

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("span", "day", "zone", "start", "hours"),
    [
        (Span.DAY, date(2026, 11, 20), "Asia/Hong_Kong", datetime(2026, 11, 19, 16, tzinfo=UTC), 24),
        (Span.DAY, date(2026, 3, 29), "Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        (Span.DAY, date(2026, 10, 25), "Europe/Berlin", datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
        (Span.DAY, date(2026, 4, 5), "Australia/Lord_Howe", datetime(2026, 4, 4, 13, tzinfo=UTC), 24.5),
        (Span.WEEK, date(2026, 11, 18), "UTC", datetime(2026, 11, 16, tzinfo=UTC), 168),
        (Span.WEEK, date(2026, 10, 25), "Europe/Berlin", datetime(2026, 10, 18, 22, tzinfo=UTC), 169),
        (Span.MONTH, date(2026, 2, 14), "Europe/Istanbul", datetime(2026, 1, 31, 21, tzinfo=UTC), 28 * 24),
        (Span.MONTH, date(2026, 12, 31), "UTC", datetime(2026, 12, 1, tzinfo=UTC), 31 * 24),
    ],
)
def test_a_span_is_as_long_as_the_clocks_on_its_walls_say(
    span: Span, day: date, zone: str, start: datetime, hours: float
) -> None:
    begun, ended = calendar.bounds(span, day, zone)

    assert begun == start
    assert (ended - begun) / HOUR == hours


@pytest.mark.parametrize(
    ("span", "today", "newest", "before"),
    [
        (Span.DAY, date(2026, 11, 21), date(2026, 11, 20), date(2026, 11, 19)),
        (Span.WEEK, date(2026, 11, 23), date(2026, 11, 16), date(2026, 11, 9)),  # a Monday
        (Span.WEEK, date(2026, 11, 22), date(2026, 11, 9), date(2026, 11, 2)),  # a Sunday
        (Span.MONTH, date(2026, 1, 1), date(2025, 12, 1), date(2025, 11, 1)),
        (Span.MONTH, date(2026, 3, 31), date(2026, 2, 1), date(2026, 1, 1)),
    ],
)
def test_the_newest_span_that_is_over_ends_before_today(
    span: Span, today: date, newest: date, before: date
) -> None:
    assert calendar.newest_complete(span, today) == newest
    assert calendar.previous(span, newest) == before
