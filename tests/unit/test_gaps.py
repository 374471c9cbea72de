"""Unobserved time: three clocks tell what happened, and nothing is concluded from it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.ids import MonitorId
from defib.rules.gaps import (
    Clocks,
    Gap,
    GapKind,
    Response,
    Resume,
    beat_deadline,
    decide_response,
    find_gaps,
    resume_phase,
    spread,
)

BEFORE = Clocks(mono=100.0, boot=500.0, wall=1_790_000_000.0)
SUSPENDED, STALLED, STEP = GapKind
MAIN, DB = MonitorId("main"), MonitorId("db")


def later(mono: float, suspended: float = 0.0, step: float = 0.0) -> Clocks:
    """The clocks after ``mono`` seconds of running, a suspension and a step of the wall clock."""
    return Clocks(
        mono=BEFORE.mono + mono,
        boot=BEFORE.boot + mono + suspended,
        wall=BEFORE.wall + mono + suspended + step,
    )


@pytest.mark.parametrize(
    ("now", "kinds", "seconds"),
    [
        (later(0.25), [], []),
        (later(1.2), [], []),
        (later(1.3), [STALLED], [1.05]),
        (later(60.25), [STALLED], [60.0]),
        (later(0.25, suspended=0.9), [], []),
        (later(0.25, suspended=3600), [SUSPENDED], [3600.0]),
        (later(0.75, suspended=3600), [SUSPENDED], [3600.0]),
        (later(2.25, suspended=3600), [SUSPENDED], [3602.0]),
        (later(0.25, step=0.4), [], []),
        (later(0.25, step=3600), [STEP], [3600.0]),
        (later(0.25, step=-3600), [STEP], [-3600.0]),
        (later(5.25, step=-3600), [STALLED, STEP], [5.0, -3600.0]),
        (later(0.25, suspended=600, step=0.8), [SUSPENDED, STEP], [600.0, 0.8]),
    ],
)
def test_three_clocks_tell_what_happened(now: Clocks, kinds: list[GapKind], seconds: list[float]) -> None:
    gaps = find_gaps(BEFORE, now)
    assert [gap.kind for gap in gaps] == kinds
    assert [round(gap.seconds, 3) for gap in gaps] == seconds


@given(st.integers(1, 100_000), st.floats(-0.0005, 0.0005))
def test_a_slewed_clock_is_no_step(ticks: int, slew: float) -> None:
    start = BEFORE.wall + ticks * 0.25
    before = Clocks(mono=ticks * 0.25, boot=ticks * 0.25, wall=start)
    now = Clocks(mono=before.mono + 0.25, boot=before.boot + 0.25, wall=start + 0.25 * (1 + slew))
    assert find_gaps(before, now) == ()


@given(st.floats(1.5, 1e6), st.floats(1.5, 1e6))
def test_all_of_a_gap_is_counted_once(stall: float, suspension: float) -> None:
    [gap] = find_gaps(BEFORE, later(0.25 + stall, suspended=suspension))
    assert gap == Gap(kind=SUSPENDED, seconds=pytest.approx(stall + suspension, rel=1e-6))


@pytest.mark.parametrize(
    ("gap_s", "interval_s", "response"),
    [
        (0.99, 30, Response.IGNORE),
        (1.0, 30, Response.SHIFT),
        (59.9, 30, Response.SHIFT),
        (60.0, 30, Response.RESET),
        (29.9, 15, Response.SHIFT),
        (30.0, 15, Response.RESET),
        (0.9, 0.2, Response.IGNORE),
        (1.0, 0.5, Response.RESET),
    ],
)
def test_what_a_gap_means_depends_on_the_interval(
    gap_s: float, interval_s: float, response: Response
) -> None:
    assert decide_response(gap_s, timedelta(seconds=interval_s)) is response


def test_caution_lasts_one_whole_round_and_fifteen_seconds_at_least() -> None:
    seconds = timedelta(seconds=1)
    assert (spread(5 * seconds), spread(30 * seconds)) == (5.0, 10.0)
    assert resume_phase(15 * seconds, 3 * seconds) == 15.0
    assert resume_phase(30 * seconds, 5 * seconds) == 15.0
    assert resume_phase(60 * seconds, 10 * seconds) == 20.0


def test_a_fresh_look_ends_the_caution_for_its_monitor() -> None:
    resume = Resume(ends_at=115.0)
    assert resume.holds(MAIN, 100.0)
    assert not resume.see(MAIN).holds(MAIN, 100.0)
    assert resume.see(MAIN).holds(DB, 114.9)
    assert not resume.holds(DB, 115.0)


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("due_in", "every", "expected_in"),
    [
        (-61.0, 30, -61.0),  # passed before the gap
        (-60.0, 30, 6.0),
        (-1.0, 30, 6.0),
        (-1.0, 2, 3.0),
        (0.0, 30, 6.0),
        (3.0, 30, 6.0),
        (6.0, 30, 6.0),
        (25.0, 30, 25.0),
    ],
)
def test_beats_get_time_to_come_in_after_a_gap(due_in: float, every: float, expected_in: float) -> None:
    """The gap is the minute before noon, the margin one second."""
    deadline = beat_deadline(
        NOON + timedelta(seconds=due_in),
        gap=timedelta(seconds=60),
        now=NOON,
        every=timedelta(seconds=every),
        margin=timedelta(seconds=1),
    )
    assert deadline == NOON + timedelta(seconds=expected_in)


@given(st.floats(0, 86400), st.floats(-86400, 86400), st.floats(1, 3600))
def test_no_deadline_ever_comes_closer_through_a_gap(gap_s: float, due_in: float, every: float) -> None:
    deadline = NOON + timedelta(seconds=due_in)
    moved = beat_deadline(
        deadline,
        gap=timedelta(seconds=gap_s),
        now=NOON,
        every=timedelta(seconds=every),
        margin=timedelta(seconds=1),
    )
    assert moved >= deadline
