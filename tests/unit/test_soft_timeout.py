"""The soft timeout: four times the usual, within bounds."""

from datetime import timedelta

import pytest

from defib.rules.soft_timeout import soft_timeout

T = timedelta(seconds=6)


@pytest.mark.parametrize(
    ("latencies", "expected"),
    [
        ([], 1.2),  # a fifth: nothing is known
        ([0.01] * 19, 1.2),
        ([0.01] * 100, 0.5),  # never less than half a second
        ([0.2] * 100, 0.8),
        ([0.01] * 99 + [5.0], 0.5),  # one slow answer in a hundred is not the p99
        ([1.0] * 100, 2.0),  # never more than a third
    ],
)
def test_the_soft_timeout_is_four_times_the_p99_within_bounds(
    latencies: list[float], expected: float
) -> None:
    assert soft_timeout(latencies, T).total_seconds() == pytest.approx(expected)
