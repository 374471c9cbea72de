"""What has been spent of a monitor's attempts and of everybody's: counted from the stored attempts alone.

So budgets hold over restarts and from one pass to the next. What executed nothing costs nothing.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from defib.model.health import State, Transition
from defib.model.monitor import RecoveryPolicy
from defib.model.recovery import Attempt, AttemptOutcome
from defib.model.settings import RecoveryLimits
from defib.rules.recovery.timing import SETTLED_AFTER

RELAPSE_WINDOW = timedelta(hours=1)
DAY = timedelta(days=1)
RATE_WINDOW = timedelta(hours=2)  #: of attempts that the token bucket is worked out from
RELAPSE_WITHIN = timedelta(minutes=10)  #: a fall so soon after a good recovery is one of it
LEAST_GROUP = 3  #: members from which on failing together means something

_UNSUCCESSFUL = frozenset({AttemptOutcome.FAILED, AttemptOutcome.TIMEOUT, AttemptOutcome.UNKNOWN})
_FREE = frozenset({AttemptOutcome.DRY_RUN, AttemptOutcome.REFUSED})  # nothing was executed
_WELL = frozenset({State.UP, State.WATCH, State.DEGRADED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """One monitor's account."""

    failed: int = 0  #: attempts without success within the policy's window
    relapses: int = 0  #: within an hour
    today: int = 0  #: attempts within 24 hours
    in_hour: int = 0  #: attempts within an hour
    setbacks: int = 0  #: failures and relapses since it was last well for long
    setback_at: datetime | None = None  #: when the newest such attempt had ended
    last_at: datetime | None = None  #: the newest attempt's intent


def count(
    attempts: Iterable[Attempt], policy: RecoveryPolicy, now: datetime, *,
    settled_at: datetime | None = None, reset_at: datetime | None = None,
) -> Spent:  # fmt: skip
    """The account of one monitor.

    :param attempts: of the last day, oldest first.
    :param settled_at: when it had last been well for :data:`SETTLED_AFTER`: failures before are forgiven.
    :param reset_at: when an operator wiped the slate: nothing before counts.
    """
    made = [item for item in attempts if costs(item) and not (reset_at and item.intent_at < reset_at)]
    unsettled = [item for item in made if not (settled_at and item.intent_at < settled_at)]
    failed = [item for item in unsettled if item.outcome in _UNSUCCESSFUL]
    relapsed = [item for item in made if item.relapsed_at is not None]
    setbacks = [item.ended_at or item.intent_at for item in failed]
    setbacks += [item.ended_at or item.intent_at for item in unsettled if item.relapsed_at is not None]
    return Spent(
        failed=sum(now - item.intent_at <= policy.window for item in failed),
        relapses=sum(now - item.relapsed_at <= RELAPSE_WINDOW for item in relapsed if item.relapsed_at),
        today=sum(now - item.intent_at <= DAY for item in made),
        in_hour=sum(now - item.intent_at <= RELAPSE_WINDOW for item in made),
        setbacks=len(setbacks),
        setback_at=max(setbacks, default=None),
        last_at=max((item.intent_at for item in made), default=None),
    )


def costs(attempt: Attempt) -> bool:
    """Whether an attempt counts: something was executed, or may have been."""
    return attempt.outcome not in _FREE


def relapsed(attempts: Sequence[Attempt], fault_at: datetime) -> Attempt | None:
    """The attempt that a new fault is a relapse of; None when it is none.

    :param attempts: of one monitor, oldest first.
    """
    verified = [item for item in attempts if item.outcome is AttemptOutcome.VERIFIED and item.verified_at]
    if not verified:
        return None
    newest = verified[-1]
    assert newest.verified_at is not None
    is_soon = fault_at - newest.verified_at < RELAPSE_WITHIN
    return newest if is_soon and newest.relapsed_at is None else None


def settled_at(transitions: Sequence[Transition], start: datetime, now: datetime) -> datetime | None:
    """When a monitor had last been well without a break for :data:`SETTLED_AFTER`; None when it is not known to.

    A suspicion that came to nothing is no break.

    :param transitions: of the monitor since ``start``, oldest first.
    """
    found: datetime | None = None
    since = start if transitions and transitions[0].from_state in _WELL else None
    for item in transitions:
        if item.to_state in _WELL:
            since = since or item.t_hi
        elif item.to_state is not State.SUSPECT:
            if since is not None and item.t_lo - since >= SETTLED_AFTER:
                found = item.t_lo
            since = None
    return now if since is not None and now - since >= SETTLED_AFTER else found


def tokens(intents: Iterable[datetime], now: datetime, limits: RecoveryLimits) -> int:
    """How many attempts may be begun now: a bucket of ``burst`` tokens that gains one each ``refill``.

    :param intents: of all attempts within :data:`RATE_WINDOW`; the bucket is taken for full before.
    """
    level = float(limits.burst)
    instants = sorted(at for at in intents if now - RATE_WINDOW <= at <= now)
    for before, at in pairwise([now - RATE_WINDOW, *instants, now]):
        level = min(float(limits.burst), level + (at - before) / limits.refill)
        level -= 1.0
    return math.floor(level + 1.0 + 1e-9)  # the last instant is no attempt


def most_at_once(limits: RecoveryLimits, monitors: int) -> int:
    """Actions that may run at the same time, over all monitors: never none."""
    return max(1, min(limits.concurrent, math.floor(limits.share * monitors + 1e-9)))


def most_of_group(limits: RecoveryLimits, members: int) -> int:
    """Members of a group that may be in recovery at the same time: never none."""
    return max(1, math.floor(limits.group_share * members + 1e-9))


def is_mass_failure(limits: RecoveryLimits, down: int, members: int) -> bool:
    """Whether so much of a group fails that restarting its members one after another needs care."""
    return members >= LEAST_GROUP and down >= limits.mass_failure * members
