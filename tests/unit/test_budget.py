"""Error budgets: what an objective allows, what is spent of it, how fast."""

from datetime import timedelta

import pytest

from defib.rules.availability import Uptime
from defib.rules.budget import budget

DAY = timedelta(days=1)


def up(days: float, down_s: float) -> Uptime:
    down = timedelta(seconds=down_s)
    return Uptime(up=timedelta(days=days) - down, down=down, down_lo=down, down_hi=down)


def test_three_nines_allow_43_minutes_in_30_days() -> None:
    found = budget(0.999, up(30, 1296), up(1, 0))

    assert found.allowed == timedelta(seconds=2592)
    assert found.spent == timedelta(seconds=1296)
    assert found.spent_share == pytest.approx(0.5)
    assert found.burn == 0.0


def test_a_day_that_was_down_as_long_as_it_may_be_burns_at_one() -> None:
    assert budget(0.999, up(30, 86.4), up(1, 86.4)).burn == pytest.approx(1.0)


def test_a_whole_day_down_burns_a_thousand_times_as_fast() -> None:
    found = budget(0.999, up(30, 86_400), up(1, 86_400))

    assert found.burn == pytest.approx(1000.0)
    assert found.spent_share == pytest.approx(33.333, abs=0.001)


def test_only_observed_time_gives_a_budget() -> None:
    assert budget(0.99, up(3, 0), up(1, 0)).allowed == timedelta(seconds=2592)
    nothing = budget(0.99, Uptime(), Uptime())
    assert (nothing.spent_share, nothing.burn) == (None, None)
