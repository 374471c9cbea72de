"""When a monitor flaps, and the percentages that Nagios and Icinga would show."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.health import Flaps, State, Transition
from defib.model.ids import MonitorId
from defib.rules.flapping import (
    Flapping,
    gaps_between,
    is_digest_due,
    is_swing,
    nagios_percent,
    scheduled,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULE = Flapping()
NONE = Flaps()


def at(*minutes: float) -> list[datetime]:
    return [NOON + timedelta(minutes=minute) for minute in minutes]


def flaps(
    was: bool, swings: tuple[float, ...], now: float, gaps: tuple[tuple[float, float], ...] = ()
) -> bool:
    (moment,) = at(now)
    return RULE.is_flapping(was, at(*swings), moment, [(at(a)[0], at(b)[0]) for a, b in gaps])


# --- Defib's rule --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("swings", "now", "expected"),
    [
        ((), 0, False),
        ((0, 1, 2, 3, 4), 4, False),
        ((0, 1, 2, 3, 4, 5), 5, True),
        ((5, 4, 3, 2, 1, 0), 5, True),
        ((0, 6, 12, 18, 24, 30), 30, True),
        ((0, 6, 12, 18, 24, 30.1), 30.1, False),
        ((0, 1, 2, 3, 4, 5), 19.9, True),
        ((0, 1, 2, 3, 4, 5), 20, False),
    ],
)
def test_six_swings_in_half_an_hour_start_it(swings: tuple[float, ...], now: float, expected: bool) -> None:
    assert flaps(False, swings, now) is expected


@pytest.mark.parametrize(
    ("swings", "now", "expected"),
    [
        ((0,), 14.9, True),
        ((0,), 15, False),
        ((0, 14), 28.9, True),
        ((0, 14), 29, False),
        ((), 0, False),
    ],
)
def test_a_quarter_of_an_hour_without_a_swing_ends_it(
    swings: tuple[float, ...], now: float, expected: bool
) -> None:
    assert flaps(True, swings, now) is expected


@pytest.mark.parametrize(
    ("was", "swings", "now", "gaps", "expected"),
    [
        (True, (0,), 20, ((2, 8),), True),
        (True, (0,), 21, ((2, 8),), False),
        (True, (0,), 20, ((-60, 5),), False),
        (True, (0,), 19, ((-60, 5),), True),
        (True, (0,), 30, ((14, 40),), True),
        (False, (0, 1, 2, 50, 51, 52), 52, (), False),
        (False, (0, 1, 2, 50, 51, 52), 52, ((3, 25),), True),
    ],
)
def test_time_that_nobody_watched_does_not_count(
    was: bool, swings: tuple[float, ...], now: float, gaps: tuple[tuple[float, float], ...], expected: bool
) -> None:
    assert flaps(was, swings, now, gaps) is expected


@given(st.lists(st.floats(0, 200), max_size=20), st.floats(0, 60))
def test_what_starts_would_also_go_on(swings: list[float], later: float) -> None:
    now = max(swings, default=0) + later
    if flaps(False, tuple(swings), now):
        assert flaps(True, tuple(swings), now)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (State.SUSPECT, State.FAULT, True),
        (State.UP, State.FAULT, True),
        (State.FAULT, State.UP, True),
        (State.FAULT, State.DEGRADED, True),
        (State.FAULT, State.PAUSED, False),
        (State.FAULT, State.MAINTENANCE, False),
        (State.UP, State.SUSPECT, False),
        (State.WATCH, State.UP, False),
        (State.SUSPECT, State.UNREACHABLE, False),
        (State.UNREACHABLE, State.UP, False),
    ],
)
def test_a_swing_is_a_fall_into_fault_or_a_return(before: State, after: State, expected: bool) -> None:
    transition = Transition(
        monitor=MonitorId("main"), from_state=before, to_state=after, t_lo=NOON, t_hi=NOON, decided_at=NOON,
        reason="because",
    )  # fmt: skip

    assert is_swing(transition) is expected


# --- what is remembered and told -----------------------------------------------------------------------


def swing(minute: float, *, fell: bool) -> Transition:
    (moment,) = at(minute)
    before, after = (State.SUSPECT, State.FAULT) if fell else (State.FAULT, State.UP)
    return Transition(
        monitor=MonitorId("main"), from_state=before, to_state=after, t_lo=moment, t_hi=moment, decided_at=moment,
        reason="because",
    )  # fmt: skip


def after(*minutes: float, flaps: Flaps = NONE, first_fell: bool = True) -> Flaps:
    """What is remembered after falls and returns in turn."""
    for number, minute in enumerate(minutes):
        flaps = RULE.after(flaps, swing(minute, fell=(number % 2 == 0) is first_fell))
    return flaps


def test_the_third_return_within_half_an_hour_makes_it_flap() -> None:
    assert after(0, 2, 4, 6, 8).since is None

    flaps = after(0, 2, 4, 6, 8, 10)

    assert flaps == Flaps(swings=tuple(at(0, 2, 4, 6, 8, 10)), since=at(0)[0], falls=3, told_at=at(10)[0])


def test_it_may_begin_to_flap_with_a_fall() -> None:
    assert after(0, 2, 4, 6, 8, 10, first_fell=False).falls == 3


def test_falls_are_counted_as_long_as_it_flaps_and_few_swings_are_remembered() -> None:
    flaps = after(*range(0, 40, 2))

    assert flaps.falls == 10
    assert flaps.swings == tuple(at(28, 30, 32, 34, 36, 38))
    assert flaps.told_at == at(10)[0]


def test_what_is_no_swing_leaves_it_as_it_was() -> None:
    paused = replace(swing(5, fell=True), to_state=State.SUSPECT, from_state=State.UP)
    assert RULE.after(after(0, 2), paused) == after(0, 2)


def test_it_settles_a_quarter_of_an_hour_after_the_last_swing() -> None:
    flaps = after(0, 2, 4, 6, 8, 10)
    assert not RULE.has_settled(flaps, at(24.9)[0])
    assert RULE.has_settled(flaps, at(25)[0])
    assert not RULE.has_settled(flaps, at(25)[0], [(at(12)[0], at(13)[0])])
    assert not RULE.has_settled(after(0, 2), at(60)[0])


@pytest.mark.parametrize(("last", "now", "expected"), [(12, 24.9, False), (12, 25, True), (10, 25, False)])
def test_a_digest_is_due_when_something_happened_since_the_last_word(
    last: float, now: float, expected: bool
) -> None:
    flaps = after(0, 2, 4, 6, 8, 10)
    if last > 10:
        flaps = after(last, flaps=flaps)
    assert is_digest_due(flaps, at(now)[0]) is expected


def test_gaps_are_what_lies_between_the_spans_of_watching() -> None:
    spans = [(at(0)[0], at(5)[0]), (at(8)[0], at(9)[0])]
    minute = timedelta(minutes=1)
    assert gaps_between(spans, at(10)[0], minute) == [(at(5)[0], at(8)[0])]
    assert gaps_between(spans, at(12)[0], minute) == [(at(5)[0], at(8)[0]), (at(9)[0], at(12)[0])]
    assert gaps_between([], at(12)[0], minute) == []


def test_gaps_are_asked_for_only_where_they_can_matter() -> None:
    assert not RULE.needs_gaps(at(0, 2, 4, 6, 8, 10), at(10)[0])
    assert not RULE.needs_gaps(at(0, 2), at(60)[0])
    assert RULE.needs_gaps(at(0, 2, 4, 6, 8, 31), at(31)[0])


# --- percentages ---------------------------------------------------------------------------------------


def states(drawn: str) -> list[bool]:
    """``.`` is well and ``x`` is not; oldest first."""
    return [letter == "." for letter in drawn]


VECTORS = [
    (".....................", 0.0),
    (".x.x.x.x.x.x.x.x.x.x.", 100.0),
    ("x....................", 3.75),
    ("....................x", 6.25),
    ("...................x.", 12.368421),
    ("................x.x..", 23.684211),
    ("..............x.x.x..", 34.736842),
    ("...xxx...xxx...xxx...", 30.0),
    ("..xx..xx..xx..xx..xx.", 50.657895),
]  # fmt: skip


@pytest.mark.parametrize(("drawn", "percent"), VECTORS)
def test_the_percentage_is_that_of_nagios(drawn: str, percent: float) -> None:
    assert len(drawn) == 21
    assert nagios_percent(states(drawn)) == pytest.approx(percent, abs=5e-7)


def test_quick_looks_after_a_failure_do_not_raise_the_percentage() -> None:
    looks = [(at(minute)[0], True) for minute in (0.0, 0.5, 1.0)]
    looks += [(at(1.5 + extra)[0], False) for extra in (0.0, 1 / 60, 3 / 60)]
    looks += [(at(2.0)[0], True)]
    assert scheduled(looks, timedelta(seconds=30)) == [True, True, True, False, True]


@pytest.mark.parametrize("drawn", ["", ".", "x", "xxx"])
def test_what_never_changed_is_nought_per_cent(drawn: str) -> None:
    assert nagios_percent(states(drawn)) == 0.0


def test_the_newest_change_weighs_most_however_few_looks_there_were() -> None:
    assert nagios_percent(states(".x")) == pytest.approx(6.25)


@pytest.mark.parametrize("drawn", ["x.x.x" + "." * 21, "xxxx" + "." * 21])
def test_what_is_older_than_the_window_is_forgotten(drawn: str) -> None:
    assert nagios_percent(states(drawn)) == 0.0


@given(st.lists(st.booleans(), max_size=40))
def test_a_percentage_is_one(history: list[bool]) -> None:
    assert 0 <= nagios_percent(history) <= 100.0000001
