"""What receivers share, as far as it is pure: who may do something how often, and instants in words."""

from datetime import datetime, timedelta, timezone

import pytest

from defib_plugins.receiving import Allowance, RefusedError, instant


class Clock:
    """Stands still until it is told otherwise."""

    seconds = 0.0

    def now(self) -> datetime:
        raise AssertionError("durations follow the monotonic clock")

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits")


def spent(allowance: Allowance, who: str, times: int) -> int:
    """How many of so many tries were granted."""
    granted = 0
    for _ in range(times):
        try:
            allowance.spend(who)
        except RefusedError:
            continue
        granted += 1
    return granted


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    clock = Clock()
    allowance = Allowance(clock, per_second=2.0, at_once=5)
    assert spent(allowance, "a", 9) == 5
    clock.seconds = 1.5
    assert spent(allowance, "a", 9) == 3
    clock.seconds = 1000.0
    assert spent(allowance, "a", 9) == 5


def test_one_is_not_held_back_by_another() -> None:
    allowance = Allowance(Clock(), per_second=1.0, at_once=1)
    assert spent(allowance, "a", 3) == 1
    assert spent(allowance, "b", 3) == 1


@pytest.mark.parametrize(("per_second", "wait_s"), [(20.0, "1"), (1.0, "1"), (0.1, "10"), (0.016, "63")])
def test_whoever_is_held_back_learns_for_how_long(per_second: float, wait_s: str) -> None:
    allowance = Allowance(Clock(), per_second=per_second, at_once=1)
    allowance.spend("a")
    with pytest.raises(RefusedError) as refused:
        allowance.spend("a")
    assert refused.value.status == 429
    assert refused.value.headers == {"Retry-After": wait_s}


@pytest.mark.parametrize(
    ("offset_h", "microsecond", "said"),
    [(0, 661_999, "2025-07-27T17:47:54.661Z"), (8, 0, "2025-07-27T09:47:54.000Z")],
)
def test_an_instant_is_told_in_utc_to_the_millisecond(offset_h: int, microsecond: int, said: str) -> None:
    zone = timezone(timedelta(hours=offset_h))
    assert instant(datetime(2025, 7, 27, 17, 47, 54, microsecond, zone)) == said
