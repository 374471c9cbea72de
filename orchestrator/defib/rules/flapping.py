"""Going up and down again and again.

:class:`Flapping` decides. While a monitor flaps, its single falls and returns are not told: people hear that it
began, every quarter of an hour what became of it, and how it ended; an end is never hidden. The percentages of
Nagios and Icinga are shown beside it, for people who know them; they see scheduled looks only (:func:`scheduled`),
so that the quick ones after a failure cannot raise them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from defib.model.health import Flaps, State, Transition

NAGIOS_STATES = 21
DIGEST_EVERY = timedelta(minutes=15)
"""While it flaps, people are told at most so often."""
_WELL = (State.UP, State.DEGRADED)

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flapping:
    """When a monitor counts as flapping, by its falls into FAULT and its returns."""

    start: int = 6  #: swings within the window that start it: three outages
    window: timedelta = timedelta(minutes=30)
    quiet: timedelta = timedelta(minutes=15)  #: without a swing, which ends it

    def is_flapping(
        self, was: bool, swings: Iterable[datetime], now: datetime, gaps: Sequence[Span] = ()
    ) -> bool:
        """Whether a monitor flaps.

        :param was: what it was until now.
        :param swings: when it fell or returned, in any order; ones older than the window do not matter.
        :param gaps: spans in which nobody watched, not overlapping; they count for no time.
        """
        ages = [_watched(swing, now, gaps) for swing in swings]
        is_lively = any(age < self.quiet for age in ages)
        return is_lively and (was or sum(age <= self.window for age in ages) >= self.start)

    def after(self, flaps: Flaps, transition: Transition, gaps: Sequence[Span] = ()) -> Flaps:
        """What is known after one more transition, which may make it flap."""
        if not is_swing(transition):
            return flaps
        now = transition.decided_at
        swings = (*flaps.swings, now)[-self.start :]
        fell = transition.to_state is State.FAULT
        if flaps.since is not None:
            return replace(flaps, swings=swings, falls=flaps.falls + fell)
        if not self.is_flapping(False, swings, now, gaps):
            return replace(flaps, swings=swings)
        falls = (len(swings) + fell) // 2  # they alternate, and end with this one
        return Flaps(swings=swings, since=swings[0], falls=falls, told_at=now)

    def has_settled(self, flaps: Flaps, now: datetime, gaps: Sequence[Span] = ()) -> bool:
        """Whether what flapped until now does so no more."""
        return flaps.since is not None and not self.is_flapping(True, flaps.swings, now, gaps)

    def needs_gaps(self, swings: Sequence[datetime], now: datetime) -> bool:
        """Whether time that nobody watched can make a difference: enough swings, but not within the window."""
        return len(swings) >= self.start and now - swings[-self.start] > self.window


def is_swing(transition: Transition) -> bool:
    """A fall into FAULT, or a return from there; being paused while at fault is neither."""
    before, after = transition.from_state, transition.to_state
    return after is State.FAULT or (before is State.FAULT and after in _WELL)


def is_digest_due(flaps: Flaps, now: datetime) -> bool:
    """Whether people are to be told what became of it: something did, and the last word is old enough."""
    if flaps.since is None or flaps.told_at is None or not flaps.swings:
        return False
    return now - flaps.told_at >= DIGEST_EVERY and flaps.swings[-1] > flaps.told_at


def gaps_between(spans: Sequence[Span], now: datetime, tolerance: timedelta) -> list[Span]:
    """The time in which nobody watched, from the spans in which somebody did, oldest first, until now.

    :param tolerance: what has passed since the end of the newest span is a gap only when it is longer.
    """
    gaps = [(before[1], after[0]) for before, after in pairwise(spans)]
    if spans and now - spans[-1][1] > tolerance:
        gaps.append((spans[-1][1], now))
    return gaps


def _watched(start: datetime, end: datetime, gaps: Sequence[Span]) -> timedelta:
    """Time from ``start`` to ``end`` without the gaps."""
    zero = timedelta(0)
    return end - start - sum((max(min(b, end) - max(a, start), zero) for a, b in gaps), zero)


def scheduled(looks: Iterable[tuple[datetime, bool]], interval: timedelta) -> list[bool]:
    """The outcomes of the looks that were due by the schedule; the quick ones in between are left out.

    :param looks: when, and whether all was well; oldest first.
    """
    kept: list[bool] = []
    last: datetime | None = None
    for at, is_well in looks:
        if last is None or at - last >= 0.8 * interval:
            kept.append(is_well)
            last = at
    return kept


def nagios_percent(states: Sequence[bool]) -> float:
    """Percentage of changes of state as Nagios weighs them: 0.75 for the oldest to 1.25 for the newest.

    :param states: well or not, oldest first; the last 21 count, and missing ones are taken for unchanged.

    Source: ``base/flapping.c`` of Nagios Core.
    """
    states, most = states[-NAGIOS_STATES:], NAGIOS_STATES - 1
    oldest = most - (len(states) - 1)
    changes = [oldest + step for step, (before, after) in enumerate(pairwise(states)) if before != after]
    return 100 * sum(0.75 + place * 0.5 / (most - 1) for place in changes) / most
