"""Instants as people write them on a command line."""

from datetime import UTC, datetime, timedelta

import pytest

from defib.cli.moments import parse_end, parse_moment
from defib.errors import UsageError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # 20:00 in Hong Kong
ZONE = "Asia/Hong_Kong"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("22:00", "2026-11-21T14:00"),
        ("20:00", "2026-11-22T12:00"),
        ("08:30", "2026-11-22T00:30"),
        ("2026-12-01 22:00", "2026-12-01T14:00"),
        ("2026-12-01T22:00+01:00", "2026-12-01T21:00"),
        ("2026-12-01T22:00Z", "2026-12-01T22:00"),
    ],
)
def test_a_time_of_day_is_the_next_one_and_a_date_is_of_the_configured_zone(text: str, utc: str) -> None:
    assert parse_moment(text, NOW, ZONE) == datetime.fromisoformat(f"{utc}+00:00")


def test_what_is_no_instant_is_refused_with_an_example() -> None:
    with pytest.raises(UsageError, match="'noon' is no date and time; write 22:00"):
        parse_moment("noon", NOW, ZONE)


def test_an_end_is_a_length_from_the_beginning_or_an_instant_and_never_both() -> None:
    begins = NOW + timedelta(days=1)
    assert parse_end("2h", None, begins, NOW, ZONE) == begins + timedelta(hours=2)
    assert parse_end(None, "22:00", begins, NOW, ZONE) == datetime(2026, 11, 21, 14, tzinfo=UTC)
    assert parse_end(None, None, begins, NOW, ZONE) is None
    with pytest.raises(UsageError, match="either --for or --until"):
        parse_end("2h", "22:00", begins, NOW, ZONE)
    with pytest.raises(UsageError, match="--for: 'long' is not a duration"):
        parse_end("long", None, begins, NOW, ZONE)
