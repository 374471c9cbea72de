"""The detector of the founding plan: so many failures in a row are a fault, so many good answers end it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from defib.plugin import (
    Detector,
    DetectorType,
    Evidence,
    Health,
    Judgement,
    Observation,
    State,
    Strategy,
    hookimpl,
)
from defib_strategies.confirmation import confirming_waits
from defib_strategies.weak import weighed

_DECLARED = (State.FAULT, State.UNREACHABLE)
"""A fault was judged already; UNREACHABLE is one that the engine puts down to something required."""
_LEFT_SLOWLY = (*_DECLARED, State.STOPPED)
"""States that only ``recovery_threshold`` good looks in a row end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """The detector's memory: what came in a row up to now.

    No count goes beyond its threshold, so that a state that lasts leaves the memory as it is, and nothing
    has to be written for it.
    """

    fails: int = 0  #: failures
    oks: int = 0  #: good looks; plain ones only, unless a fault is being recovered from
    slow: int = 0  #: degraded looks

    @classmethod
    def of(cls, health: Health) -> "_Counts":
        """What is remembered; a count that is missing or no count (another detector's memory) is 0."""
        return cls(**{name: _count(health.memory.get(name)) for name in ("fails", "oks", "slow")})

    def judge(self, state: State, reason: str, look_again_in: timedelta | None = None) -> Judgement:
        memory = {"fails": self.fails, "oks": self.oks, "slow": self.slow}
        return Judgement(state=state, reason=reason, memory=memory, look_again_in=look_again_in)


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


class Consecutive:
    """Counts what comes in a row.

    1. A failure: FAULT from ``fail_threshold`` in a row on, SUSPECT before, with the next look after
       ``confirm`` (:mod:`.confirmation`). A declared fault stays one, however its failures are spaced.
    2. A good look: UP at once; but out of FAULT, UNREACHABLE and STOPPED only after ``recovery_threshold``
       in a row, with the next look after ``recover_confirm``.
    3. A degraded look is a good one, as is a weak failure that does not last (:mod:`.weak`), and
       ``fail_threshold`` of them in a row are DEGRADED, which ``recovery_threshold`` plain good looks in a
       row end.
    """

    def fold(self, health: Health, observation: Observation, strategy: Strategy) -> Judgement:
        """See the class. Pure."""
        evidence = weighed(health, observation).evidence
        counts = _Counts.of(health)
        if evidence.is_ok:
            return _good(counts, health.state, evidence, strategy)
        return _bad(counts, health.state, evidence, strategy)


_UNSET = 3  #: the founding plan's number, where the strategy leaves it to the detector


def _threshold(strategy: Strategy) -> int:
    return strategy.fail_threshold or _UNSET


def _bad(before: _Counts, state: State, evidence: Evidence, strategy: Strategy) -> Judgement:
    counts = _Counts(fails=min(before.fails + 1, _threshold(strategy)))
    reason = f"{_of(counts.fails, _threshold(strategy), 'failure')}: {evidence.summary}"
    if counts.fails == _threshold(strategy):
        return counts.judge(State.FAULT, reason)
    if state in _DECLARED:
        return counts.judge(state, f"failed again before it had recovered: {evidence.summary}")
    waits = confirming_waits(strategy, evidence)
    again = waits[counts.fails - 1] if counts.fails <= len(waits) else None
    return counts.judge(State.SUSPECT, reason, again)


def _good(before: _Counts, state: State, evidence: Evidence, strategy: Strategy) -> Judgement:
    slow = min(before.slow + 1, _threshold(strategy)) if evidence.is_degraded else 0
    is_recovering = state in _LEFT_SLOWLY
    oks = min(before.oks + 1, strategy.recovery_threshold) if is_recovering or not slow else 0
    counts = _Counts(oks=oks, slow=slow)
    good = _of(counts.oks, strategy.recovery_threshold, "good answer")
    degraded = _of(slow, _threshold(strategy), "degraded answer")

    if is_recovering and counts.oks < strategy.recovery_threshold:
        return counts.judge(state, good, strategy.recover_confirm)
    if slow == _threshold(strategy) or (slow and state is State.DEGRADED):
        return _Counts(slow=slow).judge(State.DEGRADED, f"{degraded}: {evidence.summary}")
    if state is State.DEGRADED and counts.oks < strategy.recovery_threshold:
        return counts.judge(state, good)
    if is_recovering or state is State.DEGRADED:
        how = good
    else:
        how = degraded if slow else "well"
    return counts.judge(State.UP, f"{how}: {evidence.summary}")


def _of(count: int, threshold: int, noun: str) -> str:
    """``2 of 3 failures in a row``."""
    return f"{count} of {threshold} {noun}{'' if threshold == 1 else 's'} in a row"


@hookimpl
def defib_detectors() -> Iterable[DetectorType]:
    """The detector."""
    return (
        DetectorType(
            kind="consecutive",
            summary="a fault after so many failures in a row, recovered after so many good answers in a row",
            create=_create,
        ),
    )


def _create() -> Detector:
    return Consecutive()
