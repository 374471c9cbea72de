"""Exact uptime from transitions.

Each transition says that the change happened after ``t_lo`` and at or before ``t_hi``; time at fault is
reported at the midpoint, with the least and the most it can have been.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from defib.model.health import State, Transition
from defib.model.report import Stretch

ZERO = timedelta(0)
Spans = Sequence[tuple[datetime, datetime]]
"""Stretches of time, ordered, not overlapping."""
Bound = Literal["lo", "mid", "hi"]
"""Which of the cuts that are possible: with the least fault time, in the middle, with the most."""
_UP = frozenset({State.UP, State.WATCH, State.SUSPECT, State.DEGRADED})
_DOWN = frozenset({State.FAULT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptime:
    """Time by state within a period. States that are neither up nor down, and unobserved time, count for neither."""

    up: timedelta = ZERO
    down: timedelta = ZERO
    down_lo: timedelta = ZERO
    down_hi: timedelta = ZERO

    @property
    def availability(self) -> float | None:
        """0..1; None when nothing was observed."""
        observed = self.up + self.down
        return self.up / observed if observed else None

    def __add__(self, other: "Uptime") -> "Uptime":
        return Uptime(
            up=self.up + other.up,
            down=self.down + other.down,
            down_lo=self.down_lo + other.down_lo,
            down_hi=self.down_hi + other.down_hi,
        )


def uptime(
    initial: State | None,
    transitions: Iterable[Transition],
    start: datetime,
    end: datetime,
    observed: Spans | None = None,
) -> Uptime:
    """Time well and at fault in ``[start, end)``.

    :param initial: state at ``start``; None when the monitor did not exist yet.
    :param transitions: of one monitor, in order of decision; those decided after ``end`` count as far as they began
        before it.
    :param observed: spans in which Defib was watching; None for all of the period.
    """
    watched = clip(observed, start, end) if observed is not None else [(start, end)]
    known = tuple(transitions)
    middle = _pieces(initial, known, start, end, "mid")
    up, down = _total(middle, _UP, watched), _total(middle, _DOWN, watched)
    if down or any(transition.to_state in _DOWN for transition in known):
        down_lo = _total(_pieces(initial, known, start, end, "lo"), _DOWN, watched)
        down_hi = _total(_pieces(initial, known, start, end, "hi"), _DOWN, watched)
    else:
        down_lo = down_hi = ZERO
    return Uptime(up=up, down=down, down_lo=down_lo, down_hi=down_hi)


def timeline(
    initial: State | None, transitions: Iterable[Transition], start: datetime, end: datetime, observed: Spans
) -> tuple[Stretch, ...]:
    """The observed part of ``[start, end)`` by state, oldest first; parameters as of :func:`uptime`."""
    watched = clip(observed, start, end)
    return tuple(
        Stretch(state=state, since=max(a, c), until=min(b, d))
        for state, a, b in _pieces(initial, transitions, start, end, "mid")
        if state is not None
        for c, d in watched
        if max(a, c) < min(b, d)
    )


def clip(spans: Spans, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """What of the spans lies in ``[start, end)``."""
    inner = [(max(start, a), min(end, b)) for a, b in spans]
    return [(a, b) for a, b in inner if a < b]


def _pieces(
    initial: State | None, transitions: Iterable[Transition], start: datetime, end: datetime, bound: Bound
) -> list[tuple[State | None, datetime, datetime]]:
    """The period cut at the transitions.

    A fault begins where its own bounds say, even when a suspicion stood before it: that is cut back.
    """
    pieces: list[tuple[State | None, datetime, datetime]] = []
    state, since = initial, start
    for transition in transitions:
        at = min(max(_cut(transition, bound), start), end)
        if transition.to_state in _DOWN:
            while pieces and since > at and state not in _DOWN:
                state, since, _ = pieces.pop()
        at = max(at, since)
        if at > since:
            pieces.append((state, since, at))
        state, since = transition.to_state, at
    if end > since:
        pieces.append((state, since, end))
    return pieces


def _cut(transition: Transition, bound: Bound) -> datetime:
    if bound == "mid":
        return transition.t_lo + (transition.t_hi - transition.t_lo) / 2
    into_fault = transition.to_state in _DOWN
    return transition.t_hi if into_fault == (bound == "lo") else transition.t_lo


def _total(
    pieces: Iterable[tuple[State | None, datetime, datetime]], states: frozenset[State], watched: Spans
) -> timedelta:
    return sum((_overlap(a, b, watched) for state, a, b in pieces if state in states), ZERO)


def _overlap(a: datetime, b: datetime, spans: Spans) -> timedelta:
    return sum((max(ZERO, min(b, d) - max(a, c)) for c, d in spans), ZERO)
