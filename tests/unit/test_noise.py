"""What a target's noise teaches about the fault threshold."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defib_strategies.noise import Echo, Noise, threshold

HALF_A_MINUTE = timedelta(seconds=30)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
FRESH = Noise()


def after(noise: Noise, *bursts: int, at: datetime = NOON, gap: timedelta = HALF_A_MINUTE) -> Noise:
    """With bursts of so many failures each, all at one instant."""
    for failures in bursts:
        noise = noise.after_burst(failures, gap=gap, began=at, ended=at)
    return noise


# --- the threshold -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "echo", "wanted", "clamped"),
    [
        (0.0001, 0.0001, 2, 3),
        (0.001, 0.001, 3, 3),
        (0.005, 0.005, 3, 3),
        (0.01, 0.01, 4, 4),
        (0.02, 0.02, 4, 4),
        (0.05, 0.05, 5, 5),
        (0.10, 0.10, 7, 6),
        (0.001, 0.05, 4, 4),
        (0.01, 0.05, 5, 5),
        (0.001, 0.20, 6, 6),
        (0.01, 0.20, 7, 6),
    ],
)
def test_the_threshold_at_half_a_minute(rate: float, echo: float, wanted: int, clamped: int) -> None:
    assert threshold(rate, echo, HALF_A_MINUTE, least=1, most=99) == wanted
    assert threshold(rate, echo, HALF_A_MINUTE) == clamped


@pytest.mark.parametrize(("interval_s", "expected"), [(0.2, 5), (5, 4), (30, 4), (60, 3), (300, 3)])
def test_who_looks_more_often_needs_more_failures(interval_s: float, expected: int) -> None:
    assert threshold(0.01, 0.01, timedelta(seconds=interval_s)) == expected


@given(st.floats(1e-4, 1), st.floats(1e-4, 1), st.floats(0.05, 86_400 * 400))
def test_the_threshold_is_from_three_to_six(rate: float, echo: float, interval_s: float) -> None:
    assert 3 <= threshold(rate, echo, timedelta(seconds=interval_s)) <= 6


# --- the rate ------------------------------------------------------------------------------------------


def test_nothing_learned_is_one_in_ten_thousand_and_an_echo_of_one_per_cent() -> None:
    assert FRESH.rate_at(NOON) == 0.0001
    assert FRESH.echo_at(NOON) == 0.01
    assert FRESH.stretch_at(NOON) == 1
    assert FRESH.threshold_at(NOON, HALF_A_MINUTE) == 3
    assert FRESH.remembered() == {}


def test_a_failure_weighs_as_much_as_the_time_its_look_stands_for() -> None:
    assert after(FRESH, 1).rate_at(NOON) == pytest.approx(0.000240647, abs=1e-9)
    assert after(FRESH, 1, gap=DAY).rate_at(NOON) == 0.5
    assert after(FRESH, 1, gap=timedelta(0)).rate_at(NOON) == 0.0001


def test_the_rate_halves_each_day_down_to_its_floor() -> None:
    noise = Noise(rate=0.04, at_s=NOON.timestamp())

    assert noise.rate_at(NOON) == 0.04
    assert noise.rate_at(NOON + DAY) == 0.02
    assert noise.rate_at(NOON + 2 * DAY) == 0.01
    assert noise.rate_at(NOON + 400 * DAY) == 0.0001


def test_a_clock_that_was_set_back_fades_nothing() -> None:
    noise = Noise(rate=0.04, at_s=NOON.timestamp())

    assert noise.rate_at(NOON - DAY) == 0.04
    assert after(noise, 1, at=NOON - DAY, gap=timedelta(0)).at_s == NOON.timestamp()


@pytest.mark.parametrize(("share", "threshold_then"), [(0.05, 5), (0.01, 4), (0.001, 3)])
def test_two_weeks_of_steady_loss_are_learned(share: float, threshold_then: int) -> None:
    """One failure in each ``1 / share`` looks, read in the middle between two of them."""
    noise, now, gap = FRESH, NOON, HALF_A_MINUTE / share
    while now < NOON + 2 * WEEK:
        now += gap
        noise = noise.after_burst(1, gap=HALF_A_MINUTE, began=now, ended=now)

    now += gap / 2
    assert noise.rate_at(now) == pytest.approx(share, rel=0.01)
    assert noise.threshold_at(now, HALF_A_MINUTE) == threshold_then


@given(st.lists(st.floats(1, 3600), min_size=1, max_size=30))
def test_reading_late_is_the_same_as_decaying_at_each_good_look(gaps_s: list[float]) -> None:
    noise = Noise(rate=0.3, at_s=NOON.timestamp())
    rate, now = 0.3, NOON
    for gap_s in gaps_s:
        rate *= 0.5 ** (gap_s / 86_400)
        now += timedelta(seconds=gap_s)

    assert noise.rate_at(now) == pytest.approx(rate)


def test_time_that_taught_nothing_fades_nothing() -> None:
    noise = Noise(rate=0.04, echoes=(Echo(failed=10, passed=10), Echo(), Echo()), at_s=NOON.timestamp())

    later = noise.without(DAY)

    assert later.rate_at(NOON + DAY) == 0.04
    assert later.echo_at(NOON + DAY) == noise.echo_at(NOON)
    assert noise.without(-DAY) == noise
    assert FRESH.without(DAY) == FRESH


# --- the echo ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bursts", "expected"),
    [((1,), 0.5 / 51), ((2,), 1.5 / 52), ((3,), 2.5 / 53), ((2, 2), 2.5 / 54), ((1,) * 50, 0.5 / 100)],
)
def test_the_looks_after_a_failure_make_the_echo(bursts: tuple[int, ...], expected: float) -> None:
    assert after(FRESH, *bursts).echo_at(NOON) == pytest.approx(expected)


def test_an_echo_fades_to_its_prior() -> None:
    noise = after(FRESH, *(2,) * 8)

    assert noise.echo_at(NOON) == pytest.approx(8.5 / 66)
    assert noise.echo_at(NOON + WEEK) == pytest.approx(4.5 / 58)
    assert noise.echo_at(NOON + 100 * WEEK) == pytest.approx(0.01)


def test_too_much_echo_spreads_the_looks_and_is_learned_anew_for_each_spacing() -> None:
    one_left = after(FRESH, *(2,) * 15)
    assert one_left.stretch_at(NOON) == 1
    assert one_left.echo_at(NOON) == pytest.approx(15.5 / 80)

    twice = after(one_left, 2)  # 16.5 of 82 are more than 20 %
    assert (twice.stretch_at(NOON), twice.echo_at(NOON)) == (2, 0.01)

    widest = after(twice, *(2,) * 16)
    assert (widest.stretch_at(NOON), widest.echo_at(NOON)) == (5, 0.01)
    assert after(widest, *(2,) * 16).stretch_at(NOON) == 5
    assert after(widest, *(2,) * 16).echo_at(NOON) == pytest.approx(16.5 / 82)


def test_a_spacing_is_tried_again_once_its_echo_has_faded() -> None:
    spread = after(FRESH, *(2,) * 32)

    assert spread.stretch_at(NOON + timedelta(hours=2)) == 5
    assert spread.stretch_at(NOON + timedelta(hours=3)) == 1  # 16 of each were barely too many
    assert after(FRESH, *(5,) * 12).stretch_at(NOON + WEEK) == 1


def test_an_echo_raises_the_threshold() -> None:
    noise = Noise(rate=0.01, at_s=NOON.timestamp())

    assert noise.threshold_at(NOON, HALF_A_MINUTE) == 4
    assert after(noise, *(2,) * 3, gap=timedelta(0)).threshold_at(NOON, HALF_A_MINUTE) == 5


# --- the memory ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.floats(1, 90_000)), max_size=40))
def test_the_memory_is_flat_small_and_survives_json(bursts: list[tuple[int, float]]) -> None:
    noise, now = FRESH, NOON
    for failures, pause_s in bursts:
        now += timedelta(seconds=pause_s)
        noise = noise.after_burst(failures, gap=HALF_A_MINUTE, began=now, ended=now)
    memory = noise.remembered()

    assert set(memory) <= {
        "noise", "noise_at", "echo_1_failed", "echo_1_passed", "echo_2_failed", "echo_2_passed",
        "echo_5_failed", "echo_5_passed",
    }  # fmt: skip
    assert json.loads(json.dumps(memory)) == memory
    kept = Noise.of(memory)
    assert kept.rate_at(now) == pytest.approx(noise.rate_at(now), abs=1e-8)
    assert kept.echo_at(now) == pytest.approx(noise.echo_at(now), abs=1e-8)
    assert Noise.of(kept.remembered()) == kept


@pytest.mark.parametrize("value", [None, "0.5", True, -1, -0.5, math.nan, math.inf, 0])
def test_what_is_no_figure_is_nothing_learned(value: str | float | None) -> None:
    memory = {"noise": value, "noise_at": value, "echo_1_failed": value, "echo_5_passed": value}

    assert Noise.of(memory) == FRESH


def test_a_rate_is_never_more_than_all() -> None:
    assert Noise.of({"noise": 7.5, "noise_at": NOON.timestamp()}).rate_at(NOON) == 1.0
    assert after(FRESH, *(1,) * 99, gap=DAY).rate_at(NOON) <= 1.0
