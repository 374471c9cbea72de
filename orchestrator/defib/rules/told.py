"""The verdict on a monitor that is told instead of looking. Pure.

Nothing is counted here: what a sender says of itself needs no confirmation, and a deadline that passed stands for
as many beats as may be missed.
"""

from typing import assert_never

from defib.model.evidence import Evidence, Grade, Outcome
from defib.model.health import State
from defib.ports import Judgement

_DECLARED = (State.FAULT, State.UNREACHABLE)
"""UNREACHABLE is a fault that the engine puts down to something required."""


def judge(state: State, evidence: Evidence) -> Judgement:
    """What a beat or a silence means for a monitor in ``state``.

    1. A good report is believed at once, whatever was before. A degraded one is DEGRADED.
    2. A stop on purpose is STOPPED; but what was at fault before it said so stays at fault.
    3. A weak failure, a beat that is late, is a suspicion however often it comes; it neither makes nor ends a fault.
    4. Every other failure is a fault.

    :raises ValueError: the evidence is inconclusive: nothing can be judged by it.
    """
    summary = evidence.summary
    match evidence.outcome:
        case Outcome.OK:
            return _judgement(State.DEGRADED if evidence.is_degraded else State.UP, summary)
        case Outcome.FAIL if evidence.grade is Grade.INTENT:
            if state is State.FAULT:
                return _judgement(state, f"stopped on purpose while at fault: {summary}")
            return _judgement(State.STOPPED, summary)
        case Outcome.FAIL if evidence.grade is Grade.WEAK:
            return _judgement(state if state in _DECLARED else State.SUSPECT, summary)
        case Outcome.FAIL:
            return _judgement(State.FAULT, summary)
        case Outcome.INCONCLUSIVE:
            raise ValueError(f"inconclusive evidence cannot be judged: {summary}")
    assert_never(evidence.outcome)


def _judgement(state: State, reason: str) -> Judgement:
    return Judgement(state=state, reason=reason, memory={})
