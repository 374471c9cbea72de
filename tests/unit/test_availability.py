"""Uptime from transitions: the vector of the design, bounds, and time nobody watched."""

from datetime import UTC, datetime, timedelta

from defib.model.health import State, Transition
from defib.model.ids import MonitorId
from defib.rules.availability import Uptime, uptime

START = datetime(2026, 11, 20, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def change(lo: float, to: State, hi: float | None = None, before: State = State.UP) -> Transition:
    return Transition(
        monitor=MonitorId("m"), from_state=before, to_state=to, t_lo=at(lo), t_hi=at(lo if hi is None else hi),
        decided_at=at(lo if hi is None else hi), reason="",
    )  # fmt: skip


def day(
    *transitions: Transition,
    initial: State | None = State.UP,
    observed: list[tuple[datetime, datetime]] | None = None,
) -> Uptime:
    return uptime(initial, transitions, at(0), at(86400), observed)


def test_the_vector_of_the_design_to_the_last_digit() -> None:
    found = day(
        change(3600, State.FAULT), change(3690, State.UP), change(43200, State.MAINTENANCE), change(45000, State.UP),
        change(80000, State.DEGRADED), change(80600, State.UP),
        observed=[(at(0), at(10800)), (at(11100), at(86400))],
    )  # fmt: skip
    assert found.up == timedelta(seconds=84210)
    assert found.down == timedelta(seconds=90)
    assert found.availability == 0.998932384341637


def test_bounds_enclose_the_midpoint() -> None:
    found = day(change(1000, State.FAULT, hi=1030), change(1300, State.UP, hi=1310, before=State.FAULT))
    assert found.down_lo == timedelta(seconds=1300 - 1030)
    assert found.down == timedelta(seconds=1305 - 1015)
    assert found.down_hi == timedelta(seconds=1310 - 1000)


def test_a_suspicion_that_became_a_fault_counts_from_its_beginning() -> None:
    found = day(
        change(1000, State.SUSPECT, hi=1000), change(1000, State.FAULT, hi=1000, before=State.SUSPECT),
        change(1600, State.UP, before=State.FAULT),
    )  # fmt: skip
    assert found.down == timedelta(seconds=600)


def test_a_day_nobody_watched_has_no_availability() -> None:
    assert day(observed=[]).availability is None


def test_a_monitor_that_did_not_exist_yet_counts_from_its_first_transition() -> None:
    found = day(change(43200, State.UP, before=State.NEW), initial=None)
    assert found.up == timedelta(seconds=43200)
    assert found.availability == 1.0


def test_an_unreachable_monitor_is_neither_up_nor_down() -> None:
    found = day(change(0, State.UNREACHABLE), change(43200, State.UP))
    assert (found.up, found.down) == (timedelta(seconds=43200), timedelta(0))
