"""A case, a policy and a situation to vary, for the tests of the recovery rules. Times are seconds after noon."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from defib.model.evidence import Grade
from defib.model.health import State
from defib.model.ids import AttemptId, CaseId, IncidentId, MonitorId
from defib.model.monitor import RecoveryMode, RecoveryPolicy, Rung
from defib.model.options import Options
from defib.model.recovery import Attempt, AttemptOutcome, Case, CaseState
from defib.rules.recovery import Situation, Step, next_step
from defib.rules.recovery.verifying import Trial

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RUNG = Rung(kind="script", options=Options())
POLICY = RecoveryPolicy(mode=RecoveryMode.AUTO, ladder=(RUNG, RUNG))
MAIN = MonitorId("main")
FAULT = Situation(state=State.FAULT, mode=RecoveryMode.AUTO, fault_at=NOON, grade=Grade.STRONG, was_up=True)
CASE = Case(
    id=CaseId("case-1"), incident=IncidentId("inc-1"), monitor=MAIN, state=CaseState.PENDING, opened_at=NOON,
    due_at=NOON,
)  # fmt: skip


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def at(value: float) -> datetime:
    return NOON + seconds(value)


def case_in(state: CaseState, **changes: Any) -> Case:
    """A case that has come to ``state``."""
    acted = {"attempts": 1, "attempt": AttemptId("try-1")}
    after = (CaseState.INTENT, CaseState.ACTING, CaseState.KILLING, CaseState.VERIFYING, CaseState.PROBATION)
    values = {**(acted if state in after else {}), **changes}
    return replace(CASE, state=state, **values)


def trial(ended: float = 60, **changes: Any) -> Trial:
    return Trial(**{"ended_at": at(ended), "start_timeout": seconds(90), **changes})


def step(
    case: Case = CASE, situation: Situation = FAULT, after: float = 60, policy: RecoveryPolicy = POLICY
) -> Step:
    """What the machine asks for, ``after`` seconds past noon."""
    return next_step(case, policy, situation, at(after))


def attempt(number: int = 1, intent: float = 0, **changes: Any) -> Attempt:
    """A failed one that took a second."""
    values: dict[str, Any] = {
        "id": AttemptId(f"try-{number}"), "case": CaseId("case-1"), "incident": IncidentId("inc-1"), "monitor": MAIN,
        "number": number, "rung": 0, "kind": "script", "description": "restart main", "actor": "auto",
        "intent_at": at(intent), "started_at": at(intent), "ended_at": at(intent + 1), "boot_id": "boot",
        "outcome": AttemptOutcome.FAILED,
    }  # fmt: skip
    return Attempt(**(values | changes))


def verified(number: int = 1, intent: float = 0, boot: float = 3, **changes: Any) -> Attempt:
    """One that helped: the target was well ``boot`` seconds after its action."""
    return attempt(
        number, intent, outcome=AttemptOutcome.VERIFIED, verified_at=at(intent + 1 + boot), **changes
    )
