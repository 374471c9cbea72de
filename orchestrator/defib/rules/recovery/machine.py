"""Moves a case by one step. Every guard of the state machine is decided here; nothing here acts."""

from dataclasses import replace
from datetime import datetime, timedelta

from defib.model.health import State
from defib.model.monitor import RecoveryPolicy
from defib.model.recovery import AttemptOutcome, Case, CaseState, Gate
from defib.rules.recovery.gates import BEFORE_ACTION, BEFORE_LOOK, Asked, Closed, check
from defib.rules.recovery.ladder import next_rung
from defib.rules.recovery.situation import Act, Finish, Look, Relapse, Settle, Situation, Step, Wait
from defib.rules.recovery.timing import GATE_RECHECK, backoff, hold_for
from defib.rules.recovery.verifying import why_failed

VERIFY_EVERY = timedelta(seconds=1)
PROBATION_EVERY = timedelta(seconds=5)
LAST_LOOKS = 3  #: probes of a last look at an intermittent fault …
LAST_LOOKS_FAILING = 2  #: … of which so many, over all last looks, must fail: noise alone hardly does

_STILL_BAD = frozenset({State.FAULT, State.UNREACHABLE, State.SUSPECT})
_AT_WORK = frozenset({CaseState.INTENT, CaseState.ACTING, CaseState.KILLING})
_ACTED = frozenset({CaseState.VERIFYING, CaseState.PROBATION})


def next_step(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Step:
    """What ``case`` does at ``now``. Idempotent: asking again in the same situation gives the same step."""
    if case.state.is_terminal:
        return Finish(case=case)
    if (reason := _kept_away(case, now_.state)) and case.state not in _AT_WORK:
        return cancelled(case, reason, now)
    match case.state:
        case CaseState.PENDING | CaseState.GATED | CaseState.BACKOFF | CaseState.LAST_LOOK if (
            now_.state not in _STILL_BAD
        ):
            return healed(case, now)
        case CaseState.PENDING:
            return _pending(case, policy, now_, now)
        case CaseState.BACKOFF if now < case.due_at:
            return Wait(case=case)
        case CaseState.BACKOFF | CaseState.GATED:
            return _gates(case, policy, now_, now)
        case CaseState.LAST_LOOK:
            return _act(case, policy, now_, now)
        case CaseState.INTENT | CaseState.ACTING | CaseState.KILLING:
            # only seen after a crash: whether it ran is unknown, so it is never run again but verified
            verifying = replace(case, state=CaseState.VERIFYING, reason="verifying after an interruption")
            return Look(case=verifying)
        case CaseState.VERIFYING:
            return _verify(case, policy, now_, now)
        case CaseState.PROBATION:
            return _watch(case, policy, now_, now)
    raise AssertionError(f"a case cannot be {case.state}")  # pragma: no cover - all states are above


def _kept_away(case: Case, state: State) -> str:
    """Why Defib keeps its hands off; "" when it need not. A restart itself looks like a stop for a moment."""
    match state:
        case State.MAINTENANCE:
            return "it is in maintenance"
        case State.PAUSED:
            return "it is not watched now"
        case State.STOPPED if case.state not in _ACTED:
            return "it was stopped on purpose; Defib leaves it stopped"
        case _:
            return ""


# --- before the action --------------------------------------------------------------------------------


def _pending(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Step:
    """Hold, and back off from what went wrong just before this fault."""
    if case.actor != "auto":
        return _gates(case, policy, now_, now)
    hold = hold_for(policy, now_.grade, is_supervised=now_.is_supervised)
    if now < (due := now_.fault_at + hold):
        reason = f"waiting until the fault is {hold.total_seconds():g} s old"
        return Wait(case=replace(case, due_at=due, reason=reason))
    spent = now_.spent
    if spent.setbacks and spent.setback_at is not None:
        due = spent.setback_at + backoff(spent.setbacks, policy.cooldown, now_.jitter)
        if now < due:
            seconds = (due - now).total_seconds()
            reason = f"it fell again soon after it was recovered; next attempt in {seconds:.0f} s"
            return Wait(case=replace(case, state=CaseState.BACKOFF, due_at=due, reason=reason))
    return _gates(case, policy, now_, now)


def _gates(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Step:
    """All must be open; then one last look."""
    asked = Asked(case=case, policy=policy, now_=now_, now=now)
    closed, _ = check(BEFORE_LOOK, asked)
    if closed is not None:
        return _closed_gate(case, closed, now)
    rung = next_rung(policy, case.rung, now_.uses)
    assert rung is not None  # Gate.LADDER
    looking = replace(
        case, state=CaseState.LAST_LOOK, rung=rung, due_at=now, gate=None, gated_since=None,
        reason="one last look before acting",
    )  # fmt: skip
    if now_.is_intermittent:
        return Look(case=looking, probes=LAST_LOOKS, needed=LAST_LOOKS_FAILING)
    return Look(case=looking)


def _act(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Step:
    """It still fails: what was open before the look must be open still, and the target may be touched."""
    asked = Asked(case=case, policy=policy, now_=now_, now=now)
    closed, passed = check(BEFORE_ACTION, asked)
    if closed is not None:
        return _closed_gate(case, closed, now)
    _, places = check(BEFORE_LOOK, asked)
    acting = replace(case, state=CaseState.INTENT, attempts=case.attempts + 1, oks=0, reason="acting")
    return Act(case=acting, passed={**places, **passed, Gate.LAST_LOOK: "it still fails"})


def _closed_gate(case: Case, closed: Closed, now: datetime) -> Step:
    gate, shut = closed.gate, closed.shut
    since = case.gated_since if case.gate is gate and case.gated_since is not None else now
    if shut.ends is not None:
        return Finish(case=replace(_over(case, shut.ends, shut.reason, now), gate=gate, gated_since=since))
    return Wait(case=gated(case, gate, shut.reason, now, due_at=now + GATE_RECHECK))


def gated(case: Case, gate: Gate, reason: str, now: datetime, *, due_at: datetime) -> Case:
    """``case`` held back at ``gate``, since when it first was."""
    since = case.gated_since if case.gate is gate and case.gated_since is not None else now
    return replace(case, state=CaseState.GATED, due_at=due_at, reason=reason, gate=gate, gated_since=since)


# --- after the action ---------------------------------------------------------------------------------


def _verify(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Step:
    """Well for so many looks in a row that began after the action had ended, or not in time."""
    if case.oks >= now_.oks_needed and now_.state not in (State.FAULT, State.UNREACHABLE):
        if now_.is_unchanged:
            reason = "well again, but not by this action: it changed nothing"
            return Settle(case=_over(case, CaseState.ABORTED, reason, now), outcome=AttemptOutcome.FAILED)
        return Settle(case=_recovered(case, policy, now_, now), outcome=AttemptOutcome.VERIFIED)
    assert now_.trial is not None
    if reason := why_failed(now_.trial, now):
        return _failed(case, policy, now_, reason, now)
    if now < case.due_at:
        return Wait(case=case)
    return Look(case=replace(case, due_at=now + VERIFY_EVERY, reason="verifying: waiting for good answers"))


def _recovered(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Case:
    reason = f"well again, {now_.oks_needed} good look{'' if now_.oks_needed == 1 else 's'} in a row"
    if policy.probation <= timedelta(0):
        return _over(case, CaseState.DONE, reason, now)
    first = min(PROBATION_EVERY, policy.probation)
    return replace(case, state=CaseState.PROBATION, reason=reason, due_at=now + first)


def _failed(case: Case, policy: RecoveryPolicy, now_: Situation, reason: str, now: datetime) -> Settle:
    if now_.is_unknown and not now_.is_repeatable:
        words = f"{reason}, and nobody knows what became of an action that must not run twice: needs a human"
        opened = replace(_over(case, CaseState.OPEN, words, now), failures=case.failures + 1)
        return Settle(case=opened, outcome=AttemptOutcome.UNKNOWN)
    due = now + backoff(now_.spent.setbacks + 1, policy.cooldown, now_.jitter)
    seconds = (due - now).total_seconds()
    backing_off = replace(
        case, state=CaseState.BACKOFF, failures=case.failures + 1, oks=0, due_at=due,
        reason=f"attempt {case.attempts} failed ({reason}); next one in {seconds:.0f} s",
    )  # fmt: skip
    return Settle(case=backing_off, outcome=AttemptOutcome.FAILED)


def _watch(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Step:
    """Probation: it must stay well, and be seen well once more at its end."""
    if now_.state in (State.FAULT, State.UNREACHABLE):
        due = now + backoff(now_.spent.setbacks + 1, policy.cooldown, now_.jitter)
        seconds = (due - now).total_seconds()
        reason = f"fell again while it was watched; next attempt in {seconds:.0f} s"
        return Relapse(case=replace(case, state=CaseState.BACKOFF, oks=0, due_at=due, reason=reason))
    ends = (now_.verified_at or now) + policy.probation
    if now_.last_ok_at is not None and now_.last_ok_at >= ends and now_.state is not State.SUSPECT:
        return Finish(case=_over(case, CaseState.DONE, case.reason, now))
    if now < case.due_at:
        return Wait(case=case)
    every = VERIFY_EVERY if now_.state is State.SUSPECT else PROBATION_EVERY
    return Look(case=replace(case, due_at=max(now + VERIFY_EVERY, min(now + every, ends))))


# --- the end ------------------------------------------------------------------------------------------


def healed(case: Case, now: datetime) -> Finish:
    """The target is well without this case's doing; or, in its probation, for good."""
    if case.state is CaseState.PROBATION:
        return Finish(case=_over(case, CaseState.DONE, case.reason, now))
    by = "recovered by itself" if not case.attempts else "recovered after the attempt was given up"
    return Finish(case=_over(case, CaseState.ABORTED, by, now))


def cancelled(case: Case, reason: str, now: datetime) -> Finish:
    """Somebody wants Defib to leave it alone."""
    return Finish(case=replace(_over(case, CaseState.ABORTED, reason, now), gate=Gate.PAUSED))


def refused(case: Case, reason: str, now: datetime) -> Finish:
    """The action may not run at all: a person has to put it right, trying again cannot."""
    opened = _over(case, CaseState.OPEN, f"the action was refused: {reason}", now)
    return Finish(case=replace(opened, gate=Gate.TARGET))


def _over(case: Case, state: CaseState, reason: str, now: datetime) -> Case:
    return replace(case, state=state, reason=reason, closed_at=now, due_at=now)
