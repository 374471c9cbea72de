"""Going up and down again and again.

:class:`Flapping` decides; the percentages of Nagios and Icinga are shown beside it, for people who know them.
Feed those with scheduled probes only, so that the quick looks after a failure cannot raise them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from defib.model.health import State, Transition

NAGIOS_STATES = 21
ICINGA_CHANGES = 20
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


def is_swing(transition: Transition) -> bool:
    """A fall into FAULT, or a return from there; being paused while at fault is neither."""
    before, after = transition.from_state, transition.to_state
    return after is State.FAULT or (before is State.FAULT and after in _WELL)


def _watched(start: datetime, end: datetime, gaps: Sequence[Span]) -> timedelta:
    """Time from ``start`` to ``end`` without the gaps."""
    zero = timedelta(0)
    return end - start - sum((max(min(b, end) - max(a, start), zero) for a, b in gaps), zero)


def nagios_percent(states: Sequence[bool]) -> float:
    """Percentage of changes of state as Nagios weighs them: 0.75 for the oldest to 1.25 for the newest.

    :param states: well or not, oldest first; the last 21 count, and missing ones are taken for unchanged.

    Source: ``base/flapping.c`` of Nagios Core.
    """
    changes = _changes(states[-NAGIOS_STATES:], NAGIOS_STATES - 1)
    return 100 * sum(0.75 + place * 0.5 / 19 for place in changes) / (NAGIOS_STATES - 1)


def icinga_percent(states: Sequence[bool]) -> float:
    """Percentage of changes of state as Icinga 2 weighs them: 0.80 for the oldest to 1.18 for the newest.

    :param states: well or not, oldest first; the last 21 count, and missing ones are taken for unchanged.

    Source: ``lib/icinga/checkable-flapping.cpp`` of Icinga 2, whose manual says 1.15.
    """
    changes = _changes(states[-ICINGA_CHANGES - 1 :], ICINGA_CHANGES)
    return 100 * sum(0.80 + place * 0.02 for place in changes) / ICINGA_CHANGES


def _changes(states: Sequence[bool], places: int) -> list[int]:
    """Where the state changed: places from 0, the oldest, to ``places - 1``, the newest."""
    first = places - (len(states) - 1)
    return [first + step for step, (before, after) in enumerate(pairwise(states)) if before != after]
