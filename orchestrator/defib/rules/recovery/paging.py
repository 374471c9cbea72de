"""When a human is needed, although the case goes on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.model.alert import AlertKind
from defib.model.monitor import OnRelapse, RecoveryMode, RecoveryPolicy
from defib.model.recovery import Case, CaseState, Gate
from defib.rules.recovery.situation import Situation

LATE_AFTER = timedelta(seconds=150)
"""A fault of this age is told. With half a minute for a poll to see it, that is three minutes after it began."""
BLOCKED_AFTER = timedelta(minutes=10)
_SOONER = {Gate.RATE: timedelta(minutes=5)}

_WAITING = frozenset({CaseState.PENDING, CaseState.GATED, CaseState.BACKOFF})
_OVER = frozenset({CaseState.PROBATION})
_TOLD_ELSEWHERE = frozenset({Gate.REQUIRES, Gate.OBSERVER})
"""Whoever is behind it, another monitor or Defib itself, has an alert of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Something to tell people now, once in a case."""

    kind: AlertKind
    codes: tuple[str, ...]  #: noted in the case: not told again
    reason: str


def due_page(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Page | None:
    """What people have to be told of ``case`` at ``now``; None for nothing. A rehearsal tells nobody."""
    if case.dry_run or now_.mode is not RecoveryMode.AUTO or case.state.is_terminal or case.state in _OVER:
        return None
    if now_.state.is_bad and _is_crash_looping(policy, now_) and "crash-looping" not in case.pages:
        reason = (
            f"it fell again after {now_.spent.relapses} good recoveries within an hour; "
            "Defib goes on, but at long intervals"
        )
        return Page(kind=AlertKind.CRASH_LOOPING, codes=("crash-looping",), reason=reason)
    blocked = f"blocked:{case.gate}"
    if case.state is CaseState.GATED and case.gate is not None and case.gated_since is not None:
        limit = _SOONER.get(case.gate, BLOCKED_AFTER)
        if now - case.gated_since >= limit and blocked not in case.pages:
            minutes = (now - case.gated_since).total_seconds() / 60
            reason = f"Defib has been held back for {minutes:.0f} min: {case.reason}"
            return Page(kind=AlertKind.RECOVERY_BLOCKED, codes=(blocked, "late"), reason=reason)
    if case.state is CaseState.GATED and case.gate in _TOLD_ELSEWHERE:
        return None
    if now_.state.is_bad and now - now_.fault_at >= LATE_AFTER and "late" not in case.pages:
        codes = ("late", blocked) if case.state is CaseState.GATED else ("late",)
        return Page(kind=AlertKind.RECOVERY_LATE, codes=codes, reason=_goes_on(case))
    return None


def _goes_on(case: Case) -> str:
    made = f"{case.attempts} attempt{'' if case.attempts == 1 else 's'} so far; " if case.attempts else ""
    if case.state is CaseState.GATED:
        return f"{made}Defib acts as soon as it may: {case.reason}"
    if case.state in _WAITING:
        return f"{made}Defib goes on: {case.reason}"
    return f"{made}Defib is at it: {case.reason}"


def _is_crash_looping(policy: RecoveryPolicy, now_: Situation) -> bool:
    return policy.on_relapse is OnRelapse.GO_ON and now_.spent.relapses >= policy.max_relapses
