"""When an answer is late enough to look a second time without giving the first up."""

from collections.abc import Collection
from datetime import timedelta

_LEAST = timedelta(milliseconds=500)
_FACTOR = 4
_ENOUGH = 20  #: latencies from which a p99 means something


def soft_timeout(latencies_s: Collection[float], timeout: timedelta) -> timedelta:
    """Clamp of four times the p99 latency to 0.5 s … a third of the hard timeout.

    :param latencies_s: of recent good answers, in any order; with few of them, a fifth of the timeout holds.
    :return: never more than ``timeout``.

    A target that hangs is then found one timeout after the fault, not three: the confirming looks start
    while the first still waits.
    """
    if len(latencies_s) < _ENOUGH:
        return timeout / 5
    ascending = sorted(latencies_s)
    p99 = ascending[int(0.99 * (len(ascending) - 1))]
    return min(max(timedelta(seconds=_FACTOR * p99), _LEAST), timeout / 3)
