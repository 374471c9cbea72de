"""When a monitor flaps, and the percentages that Nagios and Icinga would show."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.health import State, Transition
from defib.model.ids import MonitorId
from defib.rules.flapping import Flapping, icinga_percent, is_swing, nagios_percent

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULE = Flapping()


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


# --- percentages ---------------------------------------------------------------------------------------


def states(drawn: str) -> list[bool]:
    """``.`` is well and ``x`` is not; oldest first."""
    return [letter == "." for letter in drawn]


VECTORS = [
    (".....................", 0.0, 0.0),
    (".x.x.x.x.x.x.x.x.x.x.", 100.0, 99.0),
    ("x....................", 3.75, 4.0),
    ("....................x", 6.25, 5.9),
    ("...................x.", 12.368421, 11.7),
    ("................x.x..", 23.684211, 22.6),
    ("..............x.x.x..", 34.736842, 33.3),
    ("...xxx...xxx...xxx...", 30.0, 29.7),
    ("..xx..xx..xx..xx..xx.", 50.657895, 50.0),
]  # fmt: skip


@pytest.mark.parametrize(("drawn", "nagios", "icinga"), VECTORS)
def test_the_percentages_are_those_of_nagios_and_icinga(drawn: str, nagios: float, icinga: float) -> None:
    assert len(drawn) == 21
    assert nagios_percent(states(drawn)) == pytest.approx(nagios, abs=5e-7)
    assert icinga_percent(states(drawn)) == pytest.approx(icinga, abs=5e-7)


def test_the_example_of_the_icinga_manual() -> None:
    """Changes at the places 2, 3, 4, 5, 9, 13, 16 and 19 of the ring."""
    assert icinga_percent(states("...x.x....xxxx...xxx.")) == pytest.approx(39.1)


@pytest.mark.parametrize("drawn", ["", ".", "x", "xxx"])
def test_what_never_changed_is_nought_per_cent(drawn: str) -> None:
    assert (nagios_percent(states(drawn)), icinga_percent(states(drawn))) == (0.0, 0.0)


def test_the_newest_change_weighs_most_however_few_looks_there_were() -> None:
    assert nagios_percent(states(".x")) == pytest.approx(6.25)
    assert icinga_percent(states(".x")) == pytest.approx(5.9)


@pytest.mark.parametrize("drawn", ["x.x.x" + "." * 21, "xxxx" + "." * 21])
def test_what_is_older_than_the_window_is_forgotten(drawn: str) -> None:
    assert (nagios_percent(states(drawn)), icinga_percent(states(drawn))) == (0.0, 0.0)


@given(st.lists(st.booleans(), max_size=40))
def test_a_percentage_is_one(history: list[bool]) -> None:
    assert 0 <= nagios_percent(history) <= 100.0000001
    assert 0 <= icinga_percent(history) <= 99.0000001
