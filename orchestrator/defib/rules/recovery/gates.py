"""What must hold before Defib acts: each gate in its order, with a stable code and words for people.

A gate is either open, and says why, or shut: then it says what it waits for, or how it ends the case.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.model.evidence import Grade
from defib.model.health import State
from defib.model.monitor import OnRelapse, RecoveryMode, RecoveryPolicy
from defib.model.recovery import Attempt, Case, CaseState, Gate
from defib.rules.recovery.ladder import FUTILE_AFTER, next_rung
from defib.rules.recovery.situation import Situation
from defib.rules.recovery.timing import CRASH_LOOP_SPACING

FOREIGN_ACTION_WAIT = timedelta(seconds=30)
"""After somebody else has restarted the target, Defib leaves it alone for so long."""
STOPPED_FOR = timedelta(seconds=60)
"""What somebody has stopped may be started again by whoever did it: a deploy. Left alone for longer, it is meant so."""
_OWN_SLACK = timedelta(seconds=2)  #: clocks of a container engine or an init system, rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a gate may look at."""

    case: Case
    policy: RecoveryPolicy
    now_: Situation
    now: datetime

    @property
    def is_manual(self) -> bool:
        """A person asked: no limit that is there against Defib's own zeal holds."""
        return self.case.actor != "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shut:
    """A gate that is closed."""

    reason: str
    ends: CaseState | None = None  #: how it ends the case; None: it may open again
    until: datetime | None = None  #: it does not open before


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The first gate that is closed."""

    gate: Gate
    shut: Shut


Rule = Callable[[Asked], Shut | str]


# --- who may ------------------------------------------------------------------------------------------


def _mode(q: Asked) -> Shut | str:
    if not q.policy.ladder:
        return Shut(reason="no recovery ladder is configured", ends=CaseState.ABORTED)
    if q.is_manual:
        return f"{q.case.actor} asked for it"
    match q.now_.mode:
        case RecoveryMode.OFF:
            return Shut(reason="recovery is off for this monitor", ends=CaseState.ABORTED)
        case RecoveryMode.DRY_RUN if not q.case.dry_run:
            return Shut(reason="recovery was disarmed while it was at work", ends=CaseState.ABORTED)
        case RecoveryMode.DRY_RUN:
            return "dry-run: the action is told, not run"
        case RecoveryMode.AUTO:
            return "armed"


def _paused(q: Asked) -> Shut | str:
    if q.now_.grade is Grade.INTENT and not q.is_manual:
        return Shut(reason="it was stopped on purpose; Defib leaves it stopped", ends=CaseState.ABORTED)
    if not q.now_.was_up and not q.is_manual:
        return Shut(
            reason="it has never been seen well, so there is nothing to go back to", ends=CaseState.ABORTED
        )
    return "not in maintenance, not stopped on purpose, seen well before"


def _left_alone(q: Asked) -> Shut | str:
    """As :func:`_paused`, with what its supervisor knows: a monitor seldom sees why its target is silent."""
    words = q.now_.target.stopped
    if not words or q.is_manual:
        return _paused(q)
    if q.now - q.now_.fault_at < STOPPED_FOR:
        return Shut(reason=f"stopped on purpose: {words}; waiting whether it is started again")
    if q.case.attempts:
        return Shut(
            reason=f"{words} although Defib had started it: stopped on purpose or ended by itself, needs a human",
            ends=CaseState.OPEN,
        )
    return Shut(reason=f"stopped on purpose: {words}; Defib leaves it stopped", ends=CaseState.ABORTED)


def _leader(q: Asked) -> Shut | str:
    return "this Defib decides" if q.now_.is_leader else Shut(reason="another Defib decides about it now")


# --- whether it is the time ---------------------------------------------------------------------------


def _grace(q: Asked) -> Shut | str:
    if q.now_.grace and not q.is_manual:
        return Shut(reason=q.now_.grace)
    return "Defib has seen what there is to see"


def _observer(q: Asked) -> Shut | str:
    return Shut(reason=q.now_.observer) if q.now_.observer else "Defib trusts its own eyes"


def _requires(q: Asked) -> Shut | str:
    if q.now_.waiting_for:
        return Shut(reason=f"waiting for {', '.join(q.now_.waiting_for)}, which it requires")
    if q.now_.state is State.UNREACHABLE:
        return Shut(reason="it is unreachable: what is behind that has to be well first")
    return "what it requires is well"


def _futile(q: Asked) -> Shut | str:
    if q.now_.grade is Grade.SCHEDULED:
        return Shut(reason="a restart cannot help here", ends=CaseState.ABORTED)
    return "a restart may help"


# --- what was spent -----------------------------------------------------------------------------------


def _circuit(q: Asked) -> Shut | str:
    if q.now_.circuit and not q.is_manual:
        return Shut(reason=q.now_.circuit, ends=CaseState.OPEN)
    return "it was not given up"


def _flapping(q: Asked) -> Shut | str:
    spent = q.now_.spent
    if not q.now_.is_flapping:
        return "not flapping"
    if q.is_manual or spent.in_hour < q.policy.max_relapses:
        return f"flapping, but only {spent.in_hour} attempts within an hour"
    return _spaced(q, f"flapping, and tried {spent.in_hour} times within an hour")


def _budget_failed(q: Asked) -> Shut | str:
    spent, minutes = q.now_.spent, q.policy.window.total_seconds() / 60
    words = f"{spent.failed} failed attempt{'' if spent.failed == 1 else 's'} within {minutes:g} min"
    if spent.failed >= q.policy.max_attempts and not q.is_manual:
        return Shut(reason=f"{words}: needs a human", ends=CaseState.OPEN)
    return f"{words}, {q.policy.max_attempts} are allowed"


def _budget_relapse(q: Asked) -> Shut | str:
    spent = q.now_.spent
    words = f"fell again after {spent.relapses} good recoveries within an hour"
    if spent.relapses < q.policy.max_relapses or q.is_manual:
        return f"{words}, {q.policy.max_relapses} are allowed"
    if q.policy.on_relapse is OnRelapse.STOP:
        return Shut(reason=f"crash-looping: {words}: needs a human", ends=CaseState.OPEN)
    return _spaced(q, f"crash-looping: {words}")


def _spaced(q: Asked, words: str) -> Shut | str:
    last = q.now_.spent.last_at
    if last is None or q.now - last >= CRASH_LOOP_SPACING:
        return f"{words}, but the last attempt was long ago"
    until = last + CRASH_LOOP_SPACING
    left = (until - q.now).total_seconds()
    minutes = CRASH_LOOP_SPACING.total_seconds() / 60
    return Shut(
        reason=f"{words}: one attempt in {minutes:g} min, the next in {left:.0f} s at the soonest",
        until=until,
    )


def _budget_day(q: Asked) -> Shut | str:
    words = f"{q.now_.spent.today} attempts within 24 h"
    if q.now_.spent.today >= q.policy.max_per_day and not q.is_manual:
        return Shut(reason=f"{words}: needs a human", ends=CaseState.OPEN)
    return f"{words}, {q.policy.max_per_day} are allowed"


def _ladder(q: Asked) -> Shut | str:
    used = q.now_.uses
    rung = next_rung(q.policy, q.case.rung, used)
    if rung is None:
        is_futile = any(times >= FUTILE_AFTER for times in used.unchanged.values())
        spent = "has been used, or has changed nothing twice" if is_futile else "has been used"
        return Shut(reason=f"every rung of the ladder {spent}: needs a human", ends=CaseState.OPEN)
    return f"rung {rung + 1} of {len(q.policy.ladder)}"


# --- what others do -----------------------------------------------------------------------------------


def _mass_failure(q: Asked) -> Shut | str:
    crowd = q.now_.crowd
    if not crowd.mass_failure:
        return "not everything fails together"
    if not crowd.is_root:
        return Shut(reason=f"{crowd.mass_failure}: what it requires goes first")
    if crowd.at_work or crowd.next_in_failure:
        return Shut(reason=f"{crowd.mass_failure}: one at a time, each verified before the next")
    return f"{crowd.mass_failure}, and it is this one's turn"


def _group(q: Asked) -> Shut | str:
    crowd = q.now_.crowd
    if crowd.group and crowd.group_busy >= crowd.group_most:
        return Shut(
            reason=f"{crowd.group_busy} of the group {crowd.group} {_are(crowd.group_busy)} in recovery already"
        )
    return "room in its group" if crowd.group else "in no group"


def _global(q: Asked) -> Shut | str:
    crowd = q.now_.crowd
    if crowd.acting + crowd.ahead >= crowd.most:
        before = crowd.acting + crowd.ahead
        return Shut(
            reason=f"{before} other recover{'y acts or goes' if before == 1 else 'ies act or go'} first, "
            f"at most {crowd.most} at once"
        )
    return f"{crowd.acting} of {crowd.most} act now"


def _rate(q: Asked) -> Shut | str:
    crowd = q.now_.crowd
    if crowd.tokens <= crowd.ahead:
        return Shut(reason="too many attempts in a short time, over all monitors")
    return f"{crowd.tokens} attempts may be begun now"


def _host(q: Asked) -> Shut | str:
    crowd = q.now_.crowd
    if crowd.host and crowd.host_acting >= crowd.host_most:
        return Shut(reason=f"another action runs on {crowd.host}")
    return f"nothing else acts on {crowd.host}" if crowd.host else "no host is known that it would share"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


# --- what its target says -----------------------------------------------------------------------------


def _target(q: Asked) -> Shut | str:
    target = q.now_.target
    if target.refused:
        return Shut(reason=f"the action was refused: {target.refused}", ends=CaseState.OPEN)
    if target.held_back:
        return Shut(reason=target.held_back)
    return "the action names one object that it may touch"


def _other_controller(q: Asked) -> Shut | str:
    changed = q.now_.target.changed_at
    if changed is None or q.now - changed >= FOREIGN_ACTION_WAIT:
        return "nobody else has just restarted it"
    ago = (q.now - changed).total_seconds()
    return Shut(
        reason=f"somebody else restarted it {ago:.0f} s ago; waiting to see what comes of it",
        until=changed + FOREIGN_ACTION_WAIT,
    )


BEFORE_LOOK: Mapping[Gate, Rule] = {
    Gate.MODE: _mode,
    Gate.PAUSED: _paused,
    Gate.GRACE: _grace,
    Gate.OBSERVER: _observer,
    Gate.REQUIRES: _requires,
    Gate.FUTILE: _futile,
    Gate.CIRCUIT: _circuit,
    Gate.FLAPPING: _flapping,
    Gate.MASS_FAILURE: _mass_failure,
    Gate.BUDGET_FAILED: _budget_failed,
    Gate.BUDGET_RELAPSE: _budget_relapse,
    Gate.BUDGET_DAY: _budget_day,
    Gate.LADDER: _ladder,
    Gate.GROUP: _group,
    Gate.GLOBAL: _global,
    Gate.RATE: _rate,
    Gate.HOST: _host,
}
"""Asked each second while the case waits."""

_PLACES = frozenset({Gate.MASS_FAILURE, Gate.GROUP, Gate.GLOBAL, Gate.RATE, Gate.HOST})
"""A case that takes its last look holds its place already."""

BEFORE_ACTION: Mapping[Gate, Rule] = {
    **{gate: rule for gate, rule in BEFORE_LOOK.items() if gate not in _PLACES},
    Gate.PAUSED: _left_alone,
    Gate.TARGET: _target,
    Gate.OTHER_CONTROLLER: _other_controller,
    Gate.LEADER: _leader,
}
"""Asked once more when the last look has failed, with what the action could tell of its target."""

QUEUES = frozenset({Gate.MASS_FAILURE, Gate.GROUP, Gate.GLOBAL, Gate.RATE, Gate.HOST})
"""Gates at which cases wait for one another."""


def check(rules: Mapping[Gate, Rule], asked: Asked) -> tuple[Closed | None, dict[Gate, str]]:
    """The first gate that is closed, and why each one before it is open."""
    passed: dict[Gate, str] = {}
    for gate, rule in rules.items():
        answer = rule(asked)
        if isinstance(answer, Shut):
            return Closed(gate=gate, shut=answer), passed
        passed[gate] = answer
    return None, passed


def foreign_change(
    changed_at: datetime | None, fault_lo: datetime, own: Sequence[Attempt]
) -> datetime | None:
    """When somebody else restarted the target since its fault began; None when nobody did.

    :param changed_at: when the target was started last.
    :param fault_lo: it was still well then: a start before that is over.
    :param own: attempts of the monitor: a start during one of them is Defib's.
    """
    if changed_at is None or changed_at <= fault_lo or any(_covers(item, changed_at) for item in own):
        return None
    return changed_at


def _covers(attempt: Attempt, at: datetime) -> bool:
    began, ended = attempt.started_at or attempt.intent_at, attempt.ended_at
    return began - _OWN_SLACK <= at and (ended is None or at <= ended + _OWN_SLACK)


def explain(passed: Mapping[Gate, str]) -> str:
    """One line for each gate that was open."""
    return "\n".join(f"{gate}: {words}" for gate, words in passed.items())


def names(gates: Iterable[Gate]) -> str:
    """Gates in one line, for the audit log."""
    return " ".join(gates)
