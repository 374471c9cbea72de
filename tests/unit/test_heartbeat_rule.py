"""The rule of heartbeats: what is expected after each beat, to the digit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.rules.heartbeat import (
    Due,
    Rhythm,
    due,
    find_habit,
    learn_run_limit,
    settle,
    suspicion,
    take,
)

STEADY = Rhythm(eta_s=10.0)


def beats(rhythm: Rhythm, *arrivals: float) -> Rhythm:
    """Unnumbered beats."""
    for at in arrivals:
        rhythm = take(rhythm, at)
    return rhythm


def numbered(rhythm: Rhythm, *arrivals: tuple[int, float], epoch: str | None = None) -> Rhythm:
    for number, at in arrivals:
        rhythm = take(rhythm, at, number, epoch)
    return rhythm


# --- the vectors -----------------------------------------------------------------------------------


def test_numbered_beats_follow_the_vector() -> None:
    vector = [  # number, arrival, deviation, margin, expected, suspect, fault
        (0, 0.03, 0.0, 1.0, 10.03, 11.03, 21.03),
        (1, 10.05, 0.002, 1.0, 20.04, 21.04, 31.04),
        (2, 20.02, 0.0038, 1.0, 30.03, 31.03, 41.03),
        (3, 30.50, 0.05042, 1.0, 40.04, 41.04, 51.04),
        (5, 50.04, 0.045378, 1.0, 60.04, 61.04, 71.04),
        (6, 60.03, 0.04184, 1.0, 70.035, 71.035, 81.035),
        (7, 73.00, 0.334156, 1.336625, 80.04, 81.376625, 91.376625),
        (8, 80.02, 0.302741, 1.210962, 90.035, 91.245962, 101.245962),
    ]
    rhythm = STEADY
    for number, at, *expected in vector:
        rhythm = take(rhythm, at, number)
        next_ = due(rhythm, misses=2)
        found = [rhythm.deviation_s, next_.margin_s, next_.expected, next_.suspect, next_.fault]
        assert found == pytest.approx(expected, abs=1e-6), number


def test_numbers_are_inferred_as_in_the_vector() -> None:
    rhythm, numbers, faults = Rhythm(eta_s=30.0), [], []
    for at in (0.0, 30.2, 60.1, 120.3, 150.2):
        rhythm = take(rhythm, at)
        numbers.append(rhythm.number)
        faults.append(due(rhythm, misses=2).fault)

    assert numbers == [0, 1, 2, 4, 5]
    assert faults == pytest.approx([63.0, 93.1, 123.1, 183.15, 213.2], abs=1e-9)


# --- epochs ----------------------------------------------------------------------------------------


def test_a_beat_that_came_before_is_a_sign_of_life_and_no_lesson() -> None:
    before = numbered(STEADY, (0, 0.0), (1, 10.0), (2, 20.0))

    after = take(before, 23.0, 1)

    assert (after.phases, after.number, after.last) == (before.phases, 2, 23.0)
    assert due(after, 2) == due(before, 2)


def test_a_beat_that_came_twice_without_a_number_changes_no_deadline() -> None:
    before = beats(STEADY, 0.0, 10.0, 20.0)

    assert due(take(before, 20.3), 2) == due(before, 2)


def test_a_punctual_beat_right_after_a_late_one_is_the_next_one() -> None:
    rhythm = beats(STEADY, 0.0, 10.0, 26.5, 30.0)

    assert rhythm.number == 3
    assert due(rhythm, 2).expected == 40.0


def test_a_beat_that_strays_by_an_interval_begins_another_phase() -> None:
    rhythm = numbered(STEADY, (0, 0.0), (1, 10.0), (2, 33.0))

    assert (rhythm.phases, rhythm.deviation_s) == ((13.0,), 0.0)
    assert due(rhythm, 2) == Due(expected=43.0, margin_s=1.0, suspect=44.0, fault=54.0)


def test_a_sender_that_starts_again_is_learned_anew() -> None:
    rhythm = numbered(STEADY, (0, 0.0), (1, 10.0), (2, 20.0), epoch="first")

    rhythm = take(rhythm, 24.0, 0, "second")

    assert (rhythm.number, rhythm.epoch) == (0, "second")
    assert due(rhythm, 2).fault == 45.0


def test_numbers_that_begin_afresh_without_a_word_are_a_start_too() -> None:
    rhythm = take(numbered(STEADY, (7, 70.0), (8, 80.0)), 94.0, 0)

    assert due(rhythm, 2).fault == 115.0


def test_a_clock_that_was_set_back_is_another_phase() -> None:
    rhythm = beats(STEADY, 5000.0, 5010.0, 1420.0)

    assert due(rhythm, 2).fault == 1441.0


# --- margins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eta", "misses", "grace", "fault"),
    [
        (30.0, 1, None, 33.0),
        (30.0, 2, None, 63.0),
        (5.0, 1, None, 6.0),
        (0.5, 1, None, 1.0),  # never more than an interval
        (600.0, 1, None, 660.0),
        (60.0, 3, 0.0, 180.0),
        (60.0, 1, 20.0, 80.0),
        (10.0, 1, 60.0, 70.0),  # what is asked for counts
    ],
)
def test_misses_and_grace_make_the_deadline(
    eta: float, misses: int, grace: float | None, fault: float
) -> None:
    assert due(take(Rhythm(eta_s=eta), 0.0), misses, grace).fault == fault


def test_one_late_beat_hardly_moves_what_is_expected() -> None:
    rhythm = beats(STEADY, 0.0, 10.0, 20.0, 33.0, 40.0, 50.0)

    assert due(rhythm, 2).expected == 60.0


def test_a_loop_that_is_a_second_slower_than_declared_is_never_at_fault() -> None:
    rhythm, suspected = take(Rhythm(eta_s=30.0), 0.0), []
    for n in range(1, 2000):
        next_ = due(rhythm, misses=2)
        assert next_.fault > 31.0 * n + 25
        if next_.suspect < 31.0 * n:
            suspected.append(n)
        rhythm = take(rhythm, 31.0 * n)

    assert suspected == [6]  # until the margin has widened


def test_nothing_is_due_before_the_first_beat() -> None:
    with pytest.raises(ValueError, match="before the first beat"):
        due(STEADY, 2)


@given(st.lists(st.floats(-4.0, 4.0), min_size=1, max_size=60), st.integers(1, 5))
def test_a_dead_sender_is_found_within_its_misses_and_the_jitter(jitter: list[float], misses: int) -> None:
    rhythm = STEADY
    for number, late in enumerate(jitter):
        rhythm = take(rhythm, 100.0 + 10 * number + late, number)
    last = 100.0 + 10 * (len(jitter) - 1)

    next_ = due(rhythm, misses)

    assert last + 10 * misses - 4 <= next_.fault <= last + 10 * misses + 4 + 10
    assert next_.expected < next_.suspect <= next_.fault


# --- suspicion -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "share"), [(0.0, 0.0), (90.0, 0.0), (92.0, 0.1), (100.0, 0.5), (110.0, 1.0), (500.0, 1.0)]
)
def test_suspicion_grows_from_the_expected_beat_to_the_fault(now: float, share: float) -> None:
    assert suspicion(90.0, 110.0, now) == pytest.approx(share)


def test_suspicion_without_a_margin_is_all_or_nothing() -> None:
    assert (suspicion(90.0, 90.0, 89.9), suspicion(90.0, 90.0, 90.0)) == (0.0, 1.0)


# --- undeclared intervals --------------------------------------------------------------------------


def test_eight_intervals_tell_a_habit_and_seven_do_not() -> None:
    assert find_habit([30.0] * 7) is None
    habit = find_habit([30.0] * 8)
    assert habit is not None
    assert (habit.interval_s, habit.is_regular) == (30.0, True)


def test_only_the_newest_sixteen_intervals_make_the_habit() -> None:
    habit = find_habit([10.0] * 20 + [60.0] * 16)

    assert habit is not None
    assert habit.interval_s == 60.0


@pytest.mark.parametrize(
    ("intervals", "is_regular"),
    [
        ([76.0, 124.0] * 4, True),  # median 100, deviation 24
        ([75.0, 125.0] * 4, False),  # deviation 25: a quarter is too much
        ([10.0, 300.0, 20.0, 50.0, 600.0, 5.0, 90.0, 40.0], False),
    ],
)
def test_a_habit_is_regular_while_it_varies_by_less_than_a_quarter(
    intervals: list[float], is_regular: bool
) -> None:
    habit = find_habit(intervals)

    assert habit is not None
    assert habit.is_regular is is_regular


def test_an_irregular_sender_is_given_three_medians_or_half_more_than_ever() -> None:
    long_once, never_long = find_habit([20.0] * 7 + [100.0]), find_habit([20.0] * 8)

    assert long_once is not None
    assert never_long is not None
    assert (long_once.patience_s, never_long.patience_s) == (150.0, 60.0)


def test_beats_at_one_instant_tell_no_habit() -> None:
    assert find_habit([0.0] * 8) is None


def test_a_rhythm_is_kept_until_the_habit_has_changed_by_a_tenth() -> None:
    rhythm = beats(Rhythm(eta_s=100.0), 0.0, 100.0)
    slightly, clearly = find_habit([109.0] * 8), find_habit([112.0] * 8)
    assert slightly is not None
    assert clearly is not None

    assert settle(rhythm, slightly) is rhythm
    assert settle(rhythm, clearly) == Rhythm(eta_s=112.0)
    assert settle(None, clearly) == Rhythm(eta_s=112.0)


# --- run time --------------------------------------------------------------------------------------


def test_the_run_limit_is_three_times_what_nineteen_of_twenty_runs_took() -> None:
    assert learn_run_limit([100.0] * 9) is None
    assert learn_run_limit([100.0] * 10) == 300.0
    assert learn_run_limit([100.0] * 19 + [900.0]) == 300.0
    assert learn_run_limit([100.0] * 10 + [900.0]) == 2700.0


def test_a_run_may_always_take_a_minute() -> None:
    assert learn_run_limit([0.5] * 10) == 60.0
