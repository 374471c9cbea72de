"""Forecasts: right where the past supports one, silent where it does not."""

import random

import pytest

from defib.rules.forecasting import Trend, forecast

HOURS = 14 * 24


def line(
    level: float, per_day: float, *, hours: int = HOURS, noise: float = 0.0, seed: int = 1
) -> list[tuple[float, float]]:
    """Hourly points that end at ``level``, in days before now."""
    dice = random.Random(seed)
    days = [(hour - hours + 1) / 24 for hour in range(hours)]
    return [
        (day, level + per_day * day + dice.gauss(0, noise) if noise else level + per_day * day)
        for day in days
    ]


def found(points: list[tuple[float, float]]) -> Trend:
    trend = forecast(points)
    assert trend is not None
    return trend


def test_a_straight_line_is_full_where_it_meets_the_limit() -> None:
    trend = found(line(88.0, 0.75))

    assert trend.level == pytest.approx(88.0)
    assert trend.slope == pytest.approx(0.75)
    assert trend.full_in == pytest.approx(16.0)
    assert trend.full_in_lo == pytest.approx(16.0)
    assert trend.full_in_hi == pytest.approx(16.0)


@pytest.mark.parametrize("seed", range(20))
def test_the_range_holds_the_truth_under_noise(seed: int) -> None:
    trend = found(line(80.0, 1.0, noise=1.0, seed=seed))

    assert trend.full_in == pytest.approx(20.0, abs=2.0)
    assert trend.full_in_lo < 20.5
    assert trend.full_in_hi > 19.5


def test_a_burst_and_a_clean_up_of_a_fifth_of_the_time_do_not_move_it() -> None:
    points = line(80.0, 1.0)
    spoilt = [
        (day, 99.0 if 100 <= n < 140 else 20.0 if 200 <= n < 225 else value)
        for n, (day, value) in enumerate(points)
    ]

    assert found(spoilt).full_in == pytest.approx(20.0, abs=1.0)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param([], id="nothing"),
        pytest.param(line(80.0, 1.0, hours=20), id="too few"),
        pytest.param([(n / 1000, 80.0 + n / 1000) for n in range(100)], id="too short"),
        pytest.param(line(80.0, 0.0), id="level"),
        pytest.param(line(80.0, -1.0), id="falling"),
        pytest.param(line(80.0, 0.0, noise=2.0), id="nothing but noise"),
        pytest.param(line(80.0, 0.05, noise=8.0), id="rising less than it scatters"),
        pytest.param([*line(90.0, 2.0)[:-6], *((n / 24 - 0.25, 40.0) for n in range(6))], id="emptied just now"),
        pytest.param([(day, 40.0 + (day * 24 % 24) * 2) for day, _ in line(0.0, 0.0)], id="fills and empties each day"),
        pytest.param(line(100.5, 1.0), id="full already"),
    ],
)  # fmt: skip
def test_nothing_is_said_where_the_past_does_not_support_it(points: list[tuple[float, float]]) -> None:
    assert forecast(points) is None


def test_the_less_certain_the_rise_the_wider_the_range() -> None:
    sure, unsure = (
        found(line(60.0, 0.5, hours=60, noise=0.15)),
        found(line(60.0, 0.15, hours=60, noise=0.3, seed=4)),
    )

    assert sure.full_in_hi / sure.full_in_lo < 1.4
    assert unsure.full_in_hi / unsure.full_in_lo > 5
