"""When windows are in force and whom they are about; when those of a configuration come back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from defib.model.alert import Severity
from defib.model.ids import IncidentId, MonitorId, WindowId
from defib.model.window import Matcher, PlannedMaintenance, Window, WindowKind
from defib.rules.windows import active, chief, covers, is_active, is_over, next_change, scheduled

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHOP = MonitorId("shop")


def window(name: str = "w", **more: Any) -> Window:
    plain: dict[str, Any] = {
        "id": WindowId(name), "kind": WindowKind.SILENCE, "matcher": Matcher(), "starts_at": NOON,
        "ends_at": NOON + HOUR, "reason": "", "made_by": "kim", "made_at": NOON,
    }  # fmt: skip
    return Window(**plain | more)


# --- when ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "holds"), [(-1, False), (0, True), (3599, True), (3600, False), (7200, False)]
)
def test_it_holds_from_its_first_instant_to_before_its_last(seconds: float, holds: bool) -> None:
    assert is_active(window(), NOON + timedelta(seconds=seconds)) is holds


def test_it_is_over_when_it_was_ended_before_its_time() -> None:
    ended = window(ended_at=NOON + timedelta(minutes=10), ended_by="kim")
    assert is_active(ended, NOON + timedelta(minutes=9))
    assert is_over(ended, NOON + timedelta(minutes=10))


def test_one_without_an_end_lasts_until_somebody_ends_it() -> None:
    endless = window(ends_at=None)
    assert is_active(endless, NOON + 10_000 * HOUR)
    assert next_change([endless], NOON) is None


def test_the_next_change_is_the_first_beginning_or_end_to_come() -> None:
    now, later = window(), window(starts_at=NOON + timedelta(minutes=30), ends_at=NOON + 2 * HOUR)
    assert next_change([now, later], NOON) == NOON + timedelta(minutes=30)
    assert next_change([now, later], NOON + timedelta(minutes=30)) == NOON + HOUR
    assert next_change([now, later], NOON + 2 * HOUR) is None


def test_those_in_force_are_told_in_the_order_in_which_they_began() -> None:
    first, second = window("a", starts_at=NOON - HOUR), window("b")
    to_come = window("c", starts_at=NOON + HOUR, ends_at=NOON + 2 * HOUR)
    assert active([second, to_come, first], NOON) == (first, second)


# --- whom ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        (Matcher(), True),
        (Matcher(monitors=frozenset({SHOP})), True),
        (Matcher(monitors=frozenset({MonitorId("db")})), False),
        (Matcher(tags=frozenset({"web", "db"})), True),
        (Matcher(tags=frozenset({"db"})), False),
        (Matcher(monitors=frozenset({SHOP}), tags=frozenset({"db"})), False),
        (Matcher(severity=frozenset({Severity.LOW})), False),
        (Matcher(severity=frozenset({Severity.HIGH, Severity.LOW})), True),
        (Matcher(incidents=frozenset({IncidentId("inc-1")})), True),
        (Matcher(incidents=frozenset({IncidentId("inc-2")})), False),
    ],
)
def test_every_field_must_fit_and_an_empty_one_fits_all(matcher: Matcher, fits: bool) -> None:
    found = covers(window(matcher=matcher), SHOP, {"web"}, Severity.HIGH, IncidentId("inc-1"))
    assert found is fits


def test_a_state_has_no_severity_and_need_not_be_of_an_incident() -> None:
    assert covers(window(matcher=Matcher(severity=frozenset({Severity.LOW}))), SHOP, ())
    assert not covers(window(matcher=Matcher(incidents=frozenset({IncidentId("inc-1")}))), SHOP, ())


def test_a_pause_goes_before_a_maintenance_and_the_longest_before_others() -> None:
    silence = window("silence", ends_at=None)
    short = window("short", kind=WindowKind.MAINTENANCE)
    long = window("long", kind=WindowKind.MAINTENANCE, ends_at=NOON + 3 * HOUR)
    pause = window("pause", kind=WindowKind.PAUSE)
    assert chief([silence]) is None
    assert chief([silence, long, short]) is long
    assert chief([pause, long]) is pause
    endless = window("endless", kind=WindowKind.MAINTENANCE, ends_at=None)
    assert chief([long, endless]) is endless


# --- of the configuration ------------------------------------------------------------------------------


def spans(cron: str, now: str, zone: str = "UTC", duration: timedelta = HOUR) -> list[tuple[str, str]]:
    """Beginnings and ends in UTC, as ``2026-03-29 01:00``."""
    plan = PlannedMaintenance(name="w", matcher=Matcher(), cron=cron, duration=duration, timezone=zone)
    found = scheduled(plan, datetime.fromisoformat(f"{now}+00:00"))
    return [(f"{w.starts_at:%Y-%m-%d %H:%M}", f"{w.ends_at:%Y-%m-%d %H:%M}") for w in found]


SUNDAY = "0 3 * * sun"


@pytest.mark.parametrize(
    ("now", "first"),
    [
        ("2026-11-21T18:59:59", "2026-11-21 19:00"),
        ("2026-11-21T19:00:00", "2026-11-21 19:00"),
        ("2026-11-21T19:59:59", "2026-11-21 19:00"),
        ("2026-11-21T20:00:00", "2026-11-28 19:00"),
    ],
)
def test_three_on_a_sunday_in_hong_kong_begins_and_ends_at_its_second(now: str, first: str) -> None:
    assert spans(SUNDAY, now, "Asia/Hong_Kong")[0][0] == first


def test_while_one_is_in_force_the_next_one_is_known_too() -> None:
    assert spans(SUNDAY, "2026-11-21T19:30:00", "Asia/Hong_Kong") == [
        ("2026-11-21 19:00", "2026-11-21 20:00"), ("2026-11-28 19:00", "2026-11-28 20:00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cron", "now", "expected"),
    [
        # 02:30 does not exist on this night: it begins when the clock goes on, and still lasts an hour
        ("30 2 * * *", "2026-03-29T00:59:59", [("2026-03-29 01:00", "2026-03-29 02:00")]),
        ("30 2 * * *", "2026-03-29T01:10:00",
         [("2026-03-29 01:00", "2026-03-29 02:00"), ("2026-03-30 00:30", "2026-03-30 01:30")]),
        # 02:45 comes twice: the first one counts, and the second does not hide it nor begin another
        ("45 2 * * *", "2026-10-25T01:10:00",
         [("2026-10-25 00:45", "2026-10-25 01:45"), ("2026-10-26 01:45", "2026-10-26 02:45")]),
        ("45 2 * * *", "2026-10-25T01:45:00", [("2026-10-26 01:45", "2026-10-26 02:45")]),
    ],
)  # fmt: skip
def test_on_the_days_on_which_clocks_change(cron: str, now: str, expected: list[tuple[str, str]]) -> None:
    assert spans(cron, now, "Europe/Berlin") == expected


def test_of_occurrences_that_overlap_the_newest_holds_for_it_lasts_longest() -> None:
    assert spans("0 * * * *", "2026-11-21T12:30:00", duration=2 * HOUR) == [
        ("2026-11-21 12:00", "2026-11-21 14:00"), ("2026-11-21 13:00", "2026-11-21 15:00"),
    ]  # fmt: skip


def test_one_that_is_due_in_a_leap_year_only_is_known_years_ahead() -> None:
    assert spans("0 0 29 2 *", "2026-11-21T12:00:00") == [("2028-02-29 00:00", "2028-02-29 01:00")]


def test_one_that_comes_once_is_known_until_it_is_over() -> None:
    plan = PlannedMaintenance(name="move", matcher=Matcher(), starts_at=NOON, ends_at=NOON + HOUR)
    [once] = scheduled(plan, NOON - HOUR)
    assert (once.id, once.reason, once.made_by) == ("move@2026-11-21T12:00Z", "move", "configuration")
    assert scheduled(plan, NOON + HOUR) == []
