"""Exact uptime from transitions.

Each transition says that the change happened after ``t_lo`` and at or before ``t_hi``; time at fault is
reported at the midpoint, with the least and the most it can have been.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.model.health import State, Transition

_UP = frozenset({State.UP, State.WATCH, State.SUSPECT, State.DEGRADED})
_DOWN = frozenset({State.FAULT})
ZERO = timedelta(0)


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


def uptime(
    initial: State | None,
    transitions: Iterable[Transition],
    start: datetime,
    end: datetime,
    observed: Sequence[tuple[datetime, datetime]] | None = None,
) -> Uptime:
    """Time well and at fault in ``[start, end)``.

    :param initial: state at ``start``; None when the monitor did not exist yet.
    :param transitions: of one monitor, in order.
    :param observed: spans in which Defib was watching, ordered, not overlapping; None for all of the period.
    """
    watched = [(max(start, a), min(end, b)) for a, b in observed] if observed is not None else [(start, end)]
    watched = [(a, b) for a, b in watched if a < b]
    pieces: dict[str, list[tuple[State, datetime, datetime]]] = {
        bound: _pieces(initial, transitions, start, end, bound) for bound in ("mid", "lo", "hi")
    }

    def total(bound: str, states: frozenset[State]) -> timedelta:
        return sum((_overlap(a, b, watched) for state, a, b in pieces[bound] if state in states), ZERO)

    return Uptime(
        up=total("mid", _UP), down=total("mid", _DOWN), down_lo=total("lo", _DOWN), down_hi=total("hi", _DOWN)
    )


def _pieces(
    initial: State | None, transitions: Iterable[Transition], start: datetime, end: datetime, bound: str
) -> list[tuple[State, datetime, datetime]]:
    """The period cut at the transitions; ``lo`` and ``hi`` choose the cuts with the least and most fault time."""
    pieces = []
    state, since = initial, start
    for transition in transitions:
        at = min(max(_cut(transition, bound), since), end)
        if state is not None and at > since:
            pieces.append((state, since, at))
        state, since = transition.to_state, at
    if state is not None and end > since:
        pieces.append((state, since, end))
    return pieces


def _cut(transition: Transition, bound: str) -> datetime:
    """Where a transition cuts. A first suspicion that became a fault moved the fault's beginning already."""
    if bound == "mid":
        return transition.t_lo + (transition.t_hi - transition.t_lo) / 2
    into_fault = transition.to_state in _DOWN
    return transition.t_hi if into_fault == (bound == "lo") else transition.t_lo


def _overlap(a: datetime, b: datetime, spans: Sequence[tuple[datetime, datetime]]) -> timedelta:
    return sum((max(ZERO, min(b, d) - max(a, c)) for c, d in spans), ZERO)
