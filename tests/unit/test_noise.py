"""What a target's noise teaches about the fault threshold."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defib_strategies.noise import Echo, Noise
from defib_strategies.run_lengths import Rule

HALF_A_MINUTE = timedelta(seconds=30)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
FRESH = Noise()
LONG = NOON - 100 * DAY
"""Since when a monitor has been watched that is not new."""


def after(noise: Noise, *bursts: int, at: datetime = NOON, gap: timedelta = HALF_A_MINUTE) -> Noise:
    """With bursts of so many failures each, all at one instant."""
    for failures in bursts:
        noise = noise.after_burst(failures, gap=gap, ended=at)
    return noise


# --- the rate ------------------------------------------------------------------------------------------


def test_nothing_learned_is_one_in_ten_thousand_and_an_echo_of_one_per_cent() -> None:
    assert FRESH.rate_at(NOON) == 0.0001
    assert FRESH.echoes_at(NOON) == (0.01, 0.005, 0.0025)
    assert FRESH.rule_at(NOON, HALF_A_MINUTE) == Rule(failures=3, weight=3)
    assert FRESH.remembered() == {}


def test_a_failure_weighs_as_much_as_the_time_its_look_stands_for() -> None:
    assert after(FRESH, 1).rate_at(NOON) == pytest.approx(0.000240647, abs=1e-9)
    assert after(FRESH, 1, gap=DAY).rate_at(NOON) == 0.5
    assert after(FRESH, 1, gap=timedelta(0)).rate_at(NOON) == 0.0001


def test_the_rate_halves_each_day_down_to_its_floor() -> None:
    noise = Noise(rate=0.04, at_s=NOON.timestamp())

    assert noise.rate_at(NOON) == pytest.approx(0.04, rel=0.015)
    assert noise.rate_at(NOON + DAY) == pytest.approx(0.02, rel=0.015)
    assert noise.rate_at(NOON + 2 * DAY) == pytest.approx(0.01, rel=0.015)
    assert noise.rate_at(NOON + 400 * DAY) == 0.0001


def test_a_new_monitor_on_a_bad_line_finds_out_with_its_second_burst() -> None:
    """One look in a hundred fails: after 50 minutes, and after 100."""
    first, second = NOON + timedelta(minutes=50), NOON + timedelta(minutes=100)
    once = FRESH.since(NOON).after_burst(1, gap=HALF_A_MINUTE, ended=first)
    twice = once.after_burst(1, gap=HALF_A_MINUTE, ended=second)

    assert once.rate_at(first) == pytest.approx(0.0047, abs=1e-4)
    assert once.rule_at(first, HALF_A_MINUTE).failures == 3
    assert twice.rate_at(second) == pytest.approx(0.0078, abs=1e-4)
    assert twice.rule_at(second, HALF_A_MINUTE).failures == 4


def test_one_failure_in_the_first_minutes_raises_nothing() -> None:
    new = FRESH.since(NOON).after_burst(1, gap=HALF_A_MINUTE / 2, ended=NOON + timedelta(minutes=2))

    assert new.rule_at(NOON + timedelta(minutes=2), HALF_A_MINUTE / 2).failures == 3


def test_what_has_been_watched_for_long_is_no_guess() -> None:
    assert after(FRESH.since(LONG), 1).rate_at(NOON) == pytest.approx(0.000240647, abs=1e-9)


def test_since_when_it_is_watched_is_noted_once() -> None:
    begun = FRESH.since(NOON)

    assert begun.since(NOON + DAY) == begun
    assert Noise(rate=0.04, at_s=NOON.timestamp()).since(NOON).from_s == 0.0


def test_a_clock_that_was_set_back_fades_nothing() -> None:
    noise = Noise(rate=0.04, at_s=NOON.timestamp())

    assert noise.rate_at(NOON - DAY) == noise.rate_at(NOON)
    assert after(noise, 1, at=NOON - DAY, gap=timedelta(0)).at_s == NOON.timestamp()


@pytest.mark.parametrize(("share", "failures_then"), [(0.05, 6), (0.01, 4), (0.001, 3)])
def test_two_weeks_of_steady_loss_are_learned(share: float, failures_then: int) -> None:
    """One failure in each ``1 / share`` looks, read in the middle between two of them."""
    noise, now, gap = FRESH, NOON, HALF_A_MINUTE / share
    while now < NOON + 2 * WEEK:
        now += gap
        noise = noise.after_burst(1, gap=HALF_A_MINUTE, ended=now)

    now += gap / 2
    assert noise.rate_at(now) == pytest.approx(share, rel=0.02)
    assert noise.rule_at(now, HALF_A_MINUTE) == Rule(failures=failures_then, weight=3)


@given(st.lists(st.floats(1, 3600), min_size=1, max_size=30))
def test_reading_late_is_the_same_as_decaying_at_each_good_look(gaps_s: list[float]) -> None:
    noise = Noise(rate=0.3, at_s=NOON.timestamp())
    rate, now = 0.3, NOON
    for gap_s in gaps_s:
        rate *= 0.5 ** (gap_s / 86_400)
        now += timedelta(seconds=gap_s)

    assert noise.rate_at(now) == pytest.approx(rate, rel=0.015)


def test_time_that_taught_nothing_fades_nothing() -> None:
    noise = Noise(
        rate=0.04, echoes=(Echo(failed=10, passed=10), Echo(), Echo()), at_s=NOON.timestamp(), from_s=LONG.timestamp()
    )  # fmt: skip

    later = noise.without(DAY)

    assert later.rate_at(NOON + DAY) == noise.rate_at(NOON)
    assert later.echoes_at(NOON + DAY) == noise.echoes_at(NOON)
    assert noise.without(-DAY) == noise
    assert FRESH.without(DAY) == FRESH


# --- the echoes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bursts", "expected"),
    [
        (
            (1,),
            (0.2 / 21, 0.1 / 21, 0.05 / 21),
        ),  # the first place passed; the others are half of the one before
        ((2,), (1.2 / 21, 0.0272109, 0.0136054)),
        ((3,), (1.2 / 21, 0.0748299, 0.0356333)),
        ((5,), (1.2 / 21, 0.0748299, 0.1194913)),
        ((1,) * 50, (0.2 / 70, 0.1 / 70, 0.05 / 70)),
    ],
)
def test_each_look_after_a_failure_teaches_the_echo_of_its_place(
    bursts: tuple[int, ...], expected: tuple[float, ...]
) -> None:
    assert after(FRESH, *bursts).echoes_at(NOON) == pytest.approx(expected, rel=1e-4)


def test_an_echo_fades_to_its_prior() -> None:
    noise = after(FRESH, *(2,) * 8)

    assert noise.echoes_at(NOON)[0] == pytest.approx(8.2 / 28)
    assert noise.echoes_at(NOON + WEEK)[0] == pytest.approx(4.2 / 24)
    assert noise.echoes_at(NOON + 100 * WEEK) == pytest.approx((0.01, 0.005, 0.0025))


def test_an_echo_raises_the_threshold() -> None:
    noise = Noise(rate=0.002, at_s=NOON.timestamp())

    assert noise.rule_at(NOON, HALF_A_MINUTE).failures == 3
    assert after(noise, 2, gap=timedelta(0)).rule_at(NOON, HALF_A_MINUTE).failures == 4
    assert after(noise, *(4,) * 9, gap=timedelta(0)).rule_at(NOON, HALF_A_MINUTE).failures == 8


# --- the memory ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 7), st.floats(1, 90_000)), max_size=40))
def test_the_memory_is_flat_small_and_survives_json(bursts: list[tuple[int, float]]) -> None:
    noise, now = FRESH.since(NOON), NOON
    for failures, pause_s in bursts:
        now += timedelta(seconds=pause_s)
        noise = noise.after_burst(failures, gap=HALF_A_MINUTE, ended=now)
    memory = noise.remembered()

    assert set(memory) <= {
        "noise", "noise_at", "noise_from", "echo_1_failed", "echo_1_passed", "echo_2_failed", "echo_2_passed",
        "echo_3_failed", "echo_3_passed",
    }  # fmt: skip
    assert json.loads(json.dumps(memory)) == memory
    kept = Noise.of(memory)
    assert kept.rate_at(now) == pytest.approx(noise.rate_at(now), abs=1e-6)
    assert kept.echoes_at(now) == pytest.approx(noise.echoes_at(now), abs=1e-6)
    assert Noise.of(kept.remembered()) == kept


@pytest.mark.parametrize("value", [None, "0.5", True, -1, -0.5, math.nan, math.inf, 0])
def test_what_is_no_figure_is_nothing_learned(value: str | float | None) -> None:
    memory = {
        "noise": value,
        "noise_at": value,
        "noise_from": value,
        "echo_1_failed": value,
        "echo_3_passed": value,
    }

    assert Noise.of(memory) == FRESH


def test_a_rate_is_never_more_than_all() -> None:
    assert Noise.of({"noise": 7.5, "noise_at": NOON.timestamp()}).rate_at(NOON) == pytest.approx(
        0.99, abs=0.01
    )
    assert after(FRESH, *(1,) * 99, gap=DAY).rate_at(NOON) <= 1.0
