"""The recovery state machine: what a case does next, and why.

    PENDING ─hold over→ GATED ─gates open→ LAST_LOOK ─still failing→ INTENT → ACTING → VERIFYING ─well→ DONE
       └──────────── well again → ABORTED (healed by itself)             failed │
                                                          BACKOFF ─────→ GATED  ├→ BACKOFF
                                                                                └→ OPEN (budget spent: needs a human)

The engine calls :func:`next_step` with what it knows, does what the step says, commits the case it
carries, and asks again. Every guard of this page is decided here; nothing here acts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from defib.model.evidence import Grade
from defib.model.health import State
from defib.model.monitor import RecoveryMode, RecoveryPolicy
from defib.model.recovery import AttemptOutcome, Case, CaseState
from defib.rules.backoff import next_delay

BACKOFF_CAP = timedelta(minutes=5)
MAX_RELAPSES = 5  #: verified attempts within RELAPSE_WINDOW; then it is crash-looping and needs a human
RELAPSE_WINDOW = timedelta(hours=1)
VERIFY_EVERY = timedelta(seconds=1)
WRONG_ANSWER_FAIL = timedelta(
    seconds=15
)  #: a target that answers, but wrongly, for this long is not coming back
FAILED_ACTION_WAIT = timedelta(seconds=10)  #: how long to look for an effect of an action that failed
GATE_RECHECK = timedelta(seconds=1)
MAX_CONCURRENT = 2  #: actions at the same time, over all monitors

_HOLD: Mapping[Grade, timedelta] = {Grade.AUTHORITATIVE: timedelta(0)}
_DEFAULT_HOLD = timedelta(seconds=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the machine needs to know of the world at one instant."""

    state: State  #: of the monitor
    mode: RecoveryMode  #: in force: the monitor's own, the global one, the operator's
    fault_at: datetime  #: when the fault began
    grade: Grade  #: of the evidence that decided the fault
    was_up: bool  #: the target had been seen well before
    observer: str = ""  #: why Defib does not trust itself now; "" when it does
    waiting_for: tuple[str, ...] = ()  #: required monitors that are not up
    acting_now: int = 0  #: actions of other cases that run now
    failed_in_window: int = 0  #: attempts without success within the policy's window
    verified_in_hour: int = 0
    uses: Mapping[int, int] | None = None  #: attempts of this case by rung
    action_ended_at: datetime | None = None  #: of the present attempt
    action_failed: bool = False  #: it exited with an error or was killed
    wrong_since: datetime | None = None  #: the target has been answering wrongly since
    oks_needed: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do before ``case.due_at``."""

    case: Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Probe now; then ask again."""

    case: Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Commit the intent, then run the rung ``case.rung``."""

    case: Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """The present attempt is over: record ``outcome``; the case goes on as it stands in ``case``."""

    case: Case
    outcome: AttemptOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The case is over."""

    case: Case


Step = Wait | Look | Act | Settle | Finish


def hold_for(policy: RecoveryPolicy, grade: Grade) -> timedelta:
    """Least age of a fault before acting: short blips and deploys heal by themselves."""
    return policy.hold if policy.hold is not None else _HOLD.get(grade, _DEFAULT_HOLD)


def next_step(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Step:
    """What ``case`` does at ``now``. Idempotent: asking again in the same situation gives the same step."""
    manual = case.actor != "auto"  # a person asked: no hold, no attempt limit
    is_well = now_.state not in (State.FAULT, State.UNREACHABLE, State.SUSPECT)
    match case.state:
        case CaseState.PENDING | CaseState.GATED | CaseState.BACKOFF | CaseState.LAST_LOOK if is_well:
            return healed(case, now)
        case CaseState.PENDING:
            due = case.opened_at if manual else now_.fault_at + hold_for(policy, now_.grade)
            if now < due:
                reason = f"waiting until the fault is {hold_for(policy, now_.grade).total_seconds():g} s old"
                return Wait(case=replace(case, due_at=due, reason=reason))
            return _gates(case, policy, now_, now)
        case CaseState.BACKOFF if now < case.due_at:
            return Wait(case=case)
        case CaseState.BACKOFF | CaseState.GATED:
            return _gates(case, policy, now_, now)
        case CaseState.LAST_LOOK:
            return Act(
                case=replace(case, state=CaseState.INTENT, attempts=case.attempts + 1, oks=0, reason="acting")
            )
        case CaseState.INTENT | CaseState.ACTING:
            # only seen after a crash: whether it ran is unknown, so it is never run again but verified
            return Look(
                case=replace(case, state=CaseState.VERIFYING, reason="verifying after an interruption")
            )
        case CaseState.VERIFYING:
            return _verify(case, policy, now_, now)
        case CaseState.PROBATION | CaseState.DONE | CaseState.ABORTED | CaseState.OPEN:
            return Finish(case=case)


def _gates(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Step:
    """All must be open, in this order; each closed one has a reason people can read."""

    def gated(reason: str) -> Wait:
        return Wait(case=replace(case, state=CaseState.GATED, due_at=now + GATE_RECHECK, reason=reason))

    def given_up(reason: str) -> Finish:
        return Finish(case=_closed(case, CaseState.OPEN, reason, now))

    manual = case.actor != "auto"
    if now_.mode is RecoveryMode.OFF and not manual:
        return Finish(case=_closed(case, CaseState.ABORTED, "recovery is off for this monitor", now))
    if not policy.ladder:
        return Finish(case=_closed(case, CaseState.ABORTED, "no recovery ladder is configured", now))
    if now_.grade is Grade.INTENT and not manual:
        return Finish(
            case=_closed(case, CaseState.ABORTED, "it was stopped on purpose; Defib leaves it stopped", now)
        )
    if now_.grade is Grade.SCHEDULED:
        return Finish(case=_closed(case, CaseState.ABORTED, "a restart cannot help here", now))
    if not now_.was_up and not manual:
        return Finish(
            case=_closed(
                case, CaseState.ABORTED, "it has never been seen well, so there is nothing to go back to", now
            )
        )
    if now_.observer:
        return gated(now_.observer)
    if now_.waiting_for:
        return gated(f"waiting for {', '.join(now_.waiting_for)}, which it requires")
    if not manual and now_.failed_in_window >= policy.max_attempts:
        minutes = policy.window.total_seconds() / 60
        return given_up(f"{now_.failed_in_window} failed attempts within {minutes:g} min: needs a human")
    if not manual and now_.verified_in_hour >= MAX_RELAPSES:
        return given_up(
            f"crash-looping: fell again after {now_.verified_in_hour} recoveries within an hour: needs a human"
        )
    rung = next_rung(policy, case.rung, now_.uses or {})
    if rung is None:
        return given_up("every rung of the ladder has been used: needs a human")
    if now_.acting_now >= MAX_CONCURRENT:
        return gated(f"waiting for {now_.acting_now} other recovery actions to end")
    return Look(
        case=replace(
            case, state=CaseState.LAST_LOOK, rung=rung, due_at=now, reason="one last look before acting"
        )
    )


def next_rung(policy: RecoveryPolicy, at: int, uses: Mapping[int, int]) -> int | None:
    """The rung to use: ``at`` while it has uses left, else the first later one that has; None when spent."""
    for rung in range(at, len(policy.ladder)):
        if uses.get(rung, 0) < policy.ladder[rung].max_uses:
            return rung
    return None


def _verify(case: Case, policy: RecoveryPolicy, now_: Situation, now: datetime) -> Step:
    """The target decides, not the exit status: well for so many looks in a row, or not in time."""
    ended_at = now_.action_ended_at or now
    if case.oks >= now_.oks_needed and now_.state not in (State.FAULT, State.UNREACHABLE):
        done = _closed(case, CaseState.DONE, f"well again, {now_.oks_needed} good looks in a row", now)
        return Settle(case=done, outcome=AttemptOutcome.VERIFIED)
    waited = now - ended_at
    wait = min(policy.start_timeout, FAILED_ACTION_WAIT) if now_.action_failed else policy.start_timeout
    if waited >= wait:
        return _failed(case, policy, f"not well {waited.total_seconds():.0f} s after the action", now)
    if now_.wrong_since is not None and now - max(now_.wrong_since, ended_at) >= WRONG_ANSWER_FAIL:
        return _failed(case, policy, "answers again, but still wrongly", now)
    if now < case.due_at:
        return Wait(case=case)
    return Look(case=replace(case, due_at=now + VERIFY_EVERY, reason="verifying: waiting for good answers"))


def _failed(case: Case, policy: RecoveryPolicy, reason: str, now: datetime) -> Settle:
    due = now + next_delay(case.failures, base=policy.cooldown, cap=BACKOFF_CAP)
    seconds = (due - now).total_seconds()
    backing_off = replace(
        case, state=CaseState.BACKOFF, failures=case.failures + 1, oks=0, due_at=due,
        reason=f"attempt {case.attempts} failed ({reason}); next one in {seconds:g} s",
    )  # fmt: skip
    return Settle(case=backing_off, outcome=AttemptOutcome.FAILED)


def healed(case: Case, now: datetime) -> Finish:
    """The target is well without this case's doing."""
    by = "recovered by itself" if not case.attempts else "recovered after the attempt was given up"
    return Finish(case=_closed(case, CaseState.ABORTED, by, now))


def refused(case: Case, reason: str, now: datetime) -> Finish:
    """The action may not run at all: a person has to put it right, trying again cannot."""
    return Finish(case=_closed(case, CaseState.OPEN, f"the action was refused: {reason}", now))


def _closed(case: Case, state: CaseState, reason: str, now: datetime) -> Case:
    return replace(case, state=state, reason=reason, closed_at=now, due_at=now)
