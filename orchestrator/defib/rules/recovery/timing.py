"""How long a recovery waits: before it acts, between attempts, and for a target to start."""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b

from defib.model.evidence import Grade
from defib.model.monitor import RecoveryPolicy
from defib.rules.backoff import next_delay

GATE_RECHECK = timedelta(seconds=1)
BACKOFF_CAP = timedelta(minutes=5)
JITTER = 0.2  #: share by which a back-off is longer or shorter, so that many do not come back together
CRASH_LOOP_SPACING = timedelta(minutes=5)  #: between two attempts at a target that keeps falling
SETTLED_AFTER = timedelta(minutes=10)
"""Well without a break for so long, a target's earlier failures count no more."""
SUPERVISED_HOLD = timedelta(seconds=10)
"""A target with a supervisor of its own, or one that ended without an error, gets this long to be restarted."""

START_TIMEOUT = timedelta(seconds=90)  #: until it is learned
_LEAST_START, _MOST_START = timedelta(seconds=10), timedelta(minutes=5)
_LEAST_BOOTS = 3  #: fewer teach nothing

_HOLD: Mapping[Grade, timedelta] = {
    Grade.AUTHORITATIVE: timedelta(0),
    Grade.STRONG: timedelta(seconds=8),
}
_LONGEST_HOLD = timedelta(seconds=10)
"""Of a timeout or a wrong answer: a pause, a garbage collection or a migration is over by then."""


def hold_for(policy: RecoveryPolicy, grade: Grade, *, is_supervised: bool = False) -> timedelta:
    """Least age of a fault before acting: short blips and deploys heal by themselves."""
    if policy.hold is not None:
        return policy.hold
    by_grade = _HOLD.get(grade, _LONGEST_HOLD)
    return max(by_grade, SUPERVISED_HOLD) if is_supervised else by_grade


def backoff(setbacks: int, base: timedelta, jitter: float = 0.0) -> timedelta:
    """Wait after the ``setbacks``-th failure or relapse in a row: ``min(cap, base · 2^(n−1))``, give or take 20 %.

    :param setbacks: from 1.
    :param jitter: uniform in [-1, 1), drawn by the caller.
    """
    return next_delay(setbacks - 1, base=base, cap=BACKOFF_CAP) * (1 + JITTER * jitter)


def jitter_of(key: str) -> float:
    """A jitter for ``key``: uniform in [-1, 1) over many keys, and the same each time it is asked for."""
    return int.from_bytes(blake2b(key.encode(), digest_size=6).digest()) / 2**47 - 1.0


def learned_start_timeout(boots: Sequence[timedelta]) -> timedelta:
    """How long a target may take to come up: three times the 95th percentile of how long it took, 10 s to 5 min.

    :param boots: from the end of an action until the target was verified.
    """
    if len(boots) < _LEAST_BOOTS:
        return START_TIMEOUT
    ranked = sorted(boots)
    p95 = ranked[math.ceil(0.95 * len(ranked)) - 1]
    return min(max(3 * p95, _LEAST_START), _MOST_START)
