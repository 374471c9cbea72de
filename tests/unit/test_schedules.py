"""When runs are due: cron expressions, systemd calendars, and nights in which the clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib_plugins.schedules import Calendar, Cron, Expectation, Schedule

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def first(schedule: Schedule, after: datetime) -> Expectation:
    found = schedule.after(after)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "last", "expected"),
    [
        # The gap: half past two does not exist, so the job runs at three; the next night as usual.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T02:30:05+01:00", "2026-03-29T03:00:00+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T03:00:05+02:00", "2026-03-30T02:30:00+02:00"),
        # The fold: half past two comes twice, the job runs once.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T02:30:05+02:00", "2026-10-25T02:30:00+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T02:30:05+02:00", "2026-10-26T02:30:00+01:00"),
        ("30 1 * * *", "America/New_York", "2026-10-31T01:30:05-04:00", "2026-11-01T01:30:00-04:00"),
        ("30 1 * * *", "America/New_York", "2026-11-01T01:30:05-04:00", "2026-11-02T01:30:00-05:00"),
        ("15 2,3 * * *", "Europe/Berlin", "2026-03-28T03:15:05+01:00", "2026-03-29T03:00:00+02:00"),
        ("15 2,3 * * *", "Europe/Berlin", "2026-03-29T03:00:05+02:00", "2026-03-29T03:15:00+02:00"),
        # A job of every hour runs in both of the hours that have the same name.
        ("0 * * * *", "Europe/Berlin", "2026-10-25T01:00:05+02:00", "2026-10-25T02:00:00+02:00"),
        ("0 * * * *", "Europe/Berlin", "2026-10-25T02:00:05+02:00", "2026-10-25T02:00:00+01:00"),
        ("*/30 * * * *", "Australia/Lord_Howe", "2026-10-04T01:30:05+10:30", "2026-10-04T02:30:00+11:00"),
        ("0 0 * * *", "Australia/Brisbane", "2026-05-01T23:59:00+10:00", "2026-05-02T00:00:00+10:00"),
    ],
)
def test_a_cron_schedule_follows_its_zone(expression: str, zone: str, last: str, expected: str) -> None:
    due = first(Cron(expression, zone=ZoneInfo(zone), grace=None), instant(last))

    assert due.expected_at == instant(expected)
    assert due.expected_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("expression", "grace"),
    [
        ("* * * * *", timedelta(minutes=1)),  # a tenth would be 6 s
        ("0 * * * *", timedelta(minutes=6)),
        ("0 */5 * * *", timedelta(minutes=30)),
        ("0 9 * * *", timedelta(hours=1)),  # a tenth would be 2.4 h
        ("0 9 * * sun", timedelta(hours=1)),
    ],
)
def test_the_default_grace_is_a_tenth_of_the_period_between_a_minute_and_an_hour(
    expression: str, grace: timedelta
) -> None:
    assert first(Cron(expression, zone=UTC, grace=None), START).grace == grace


def test_the_default_grace_follows_the_next_period_where_periods_differ() -> None:
    # Between 9 and 10 o'clock an hour, between 10 and 9 o'clock a day but an hour.
    schedule = Cron("0 9,10 * * *", zone=UTC, grace=None)

    assert first(schedule, instant("2026-03-01T08:00:00+00:00")).grace == timedelta(minutes=6)
    assert first(schedule, instant("2026-03-01T09:00:01+00:00")).grace == timedelta(hours=1)


def test_a_grace_that_is_given_counts() -> None:
    due = first(Cron("0 12 * * *", zone=BERLIN, grace=timedelta(minutes=20)), START)

    assert due.deadline == instant("2026-03-02T12:20:00+01:00")


@pytest.mark.parametrize(
    ("expression", "last", "deadline"),
    [
        ("30 2 * * *", "2026-03-28T02:30:00+01:00", "2026-03-29T04:20:00+02:00"),
        ("30 2 * * *", "2026-10-24T02:30:00+02:00", "2026-10-25T02:50:00+01:00"),
        ("30 2 * * *", "2026-03-29T03:00:00+02:00", "2026-03-30T02:50:00+02:00"),
        ("0 12 * * *", "2026-03-28T12:00:00+01:00", "2026-03-29T12:20:00+02:00"),
        ("59 3 * * *", "2026-03-28T03:59:00+01:00", "2026-03-29T05:19:00+02:00"),
        ("0 4 * * *", "2026-03-28T04:00:00+01:00", "2026-03-29T04:20:00+02:00"),
    ],
)
def test_night_jobs_get_an_hour_more_when_the_clocks_change(
    expression: str, last: str, deadline: str
) -> None:
    schedule = Cron(expression, zone=BERLIN, grace=timedelta(minutes=20))

    assert first(schedule, instant(last)).deadline == instant(deadline)


def test_a_job_of_every_hour_is_up_in_the_hour_that_comes_twice() -> None:
    schedule = Cron("15 * * * *", zone=ZoneInfo("Europe/Riga"), grace=timedelta(minutes=5))

    assert first(schedule, instant("2023-10-29T00:55:00+00:00")).deadline > instant(
        "2023-10-29T01:05:00+00:00"
    )


def test_a_change_at_midnight_belongs_to_the_night_after_it() -> None:
    # Santiago: clocks go back from 24:00 to 23:00 on Saturday, 4 April 2026.
    schedule = Cron("30 1 * * *", zone=ZoneInfo("America/Santiago"), grace=timedelta(minutes=20))

    assert first(schedule, instant("2026-04-04T01:30:00-03:00")).grace == timedelta(minutes=80)


@given(
    st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2028, 1, 1)),  # noqa: DTZ001 - aware below
    st.sampled_from(["30 2 * * *", "*/15 * * * *", "0 0 1 * *", "5 4 * * sun", "0 */6 * * 1-5"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Hong_Kong"]),
)
def test_a_deadline_always_lies_after_its_beat(last: datetime, expression: str, zone: str) -> None:
    beat = last.replace(tzinfo=UTC)
    due = first(Cron(expression, zone=ZoneInfo(zone), grace=None), beat)

    assert beat < due.expected_at < due.deadline
    assert timedelta(minutes=1) <= due.grace <= timedelta(hours=2)


# --- calendars of systemd --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "zone", "last", "expected"),
    [
        # As systemd-analyze calendar (252) says: what does not exist is left out, what exists twice runs once.
        ("*-*-* 02:30:00", "Europe/Berlin", "2026-03-28T12:00:00+00:00", "2026-03-30T00:30:00+00:00"),
        ("*-*-* 02:30:00", "Europe/Berlin", "2026-10-24T12:00:00+00:00", "2026-10-25T00:30:00+00:00"),
        ("*-*-* 02:30:00", "Europe/Berlin", "2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"),
        ("hourly", "Europe/Berlin", "2026-10-24T23:30:00+00:00", "2026-10-25T00:00:00+00:00"),
        ("hourly", "Europe/Berlin", "2026-10-25T00:00:00+00:00", "2026-10-25T02:00:00+00:00"),
        ("*:00:00", "Europe/Berlin", "2026-03-29T00:00:00+00:00", "2026-03-29T01:00:00+00:00"),
        ("Mon..Fri 02:30", "Europe/Berlin", "2026-11-20T12:00:00+00:00", "2026-11-23T01:30:00+00:00"),
        ("02:30 Europe/Riga", "Europe/Berlin", "2026-11-20T12:00:00+00:00", "2026-11-21T00:30:00+00:00"),
        ("*:*:0/15", "UTC", "2026-11-20T12:00:01+00:00", "2026-11-20T12:00:15+00:00"),
    ],
)
def test_a_calendar_is_read_as_systemd_reads_it(expression: str, zone: str, last: str, expected: str) -> None:
    due = first(Calendar(expression, zone=ZoneInfo(zone), grace=None), instant(last))

    assert due.expected_at == instant(expected)
    assert due.expected_at.tzinfo is UTC


def test_a_calendar_may_come_to_an_end() -> None:
    schedule = Calendar("2030-01-01,02 00:00", zone=UTC, grace=None)

    assert first(schedule, START).grace == timedelta(hours=1)
    assert first(schedule, instant("2030-01-01T12:00:00+00:00")).grace == timedelta(hours=1)
    assert schedule.after(instant("2030-01-02T00:00:00+00:00")) is None


def test_a_nightly_calendar_gets_an_hour_more_when_the_clocks_change() -> None:
    schedule = Calendar("Sun 03:30", zone=BERLIN, grace=timedelta(minutes=20))

    assert first(schedule, instant("2026-03-28T12:00:00+01:00")).deadline == instant(
        "2026-03-29T04:50:00+02:00"
    )
