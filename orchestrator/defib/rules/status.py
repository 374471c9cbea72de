"""From evidence to state: the one place where a monitor's state changes.

A detector proposes (:class:`~defib.ports.Judgement`); this rule disposes: it knows what the detector does
not, namely the monitors that this one requires.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from defib.model.evidence import Observation, Outcome, Source
from defib.model.health import FaultLabel, Health, State, Transition
from defib.model.ids import MonitorId
from defib.ports import Judgement

PARENT_RECHECK = timedelta(seconds=1)
"""While something it requires is under suspicion, a monitor's own fault waits and is looked at again."""


_ENDS = frozenset({State.UP, State.WATCH, State.DEGRADED, State.STOPPED})
_HELD = "failing, but no fault is declared: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Parents:
    """What is known of the monitors that one requires."""

    bad: tuple[MonitorId, ...] = ()  #: at fault or unreachable
    suspect: tuple[MonitorId, ...] = ()
    hold: str = ""
    """Why no fault may be declared now, whatever the evidence: the observer itself is not well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one observation changed."""

    health: Health  #: as it is from now on
    transition: Transition | None = None
    look_again_in: timedelta | None = None
    must_commit: bool = False  #: more than the latest observation changed: write before going on
    label: FaultLabel = FaultLabel.NONE  #: of a fault

    @property
    def opens_incident(self) -> bool:
        return self.transition is not None and self.transition.to_state is State.FAULT

    @property
    def closes_incident(self) -> bool:
        """Out of a fault; or well, or stopped on purpose, when it is looked at again with an incident left open."""
        transition = self.transition
        if transition is None:
            return False
        return transition.from_state is State.FAULT or (
            transition.incident is not None and transition.to_state in _ENDS
        )


def note(health: Health, observation: Observation) -> Decision:
    """Take an inconclusive observation: it is shown, and changes no state."""
    assert observation.evidence.outcome is Outcome.INCONCLUSIVE
    return Decision(health=replace(health, last=observation))


def look_on(health: Health, observation: Observation) -> Decision:
    """Take an observation of a monitor that is set aside: it is shown, and changes no state."""
    evidence = observation.evidence
    last_ok_at = observation.ended_at if evidence.is_ok else health.last_ok_at
    return Decision(health=replace(health, last=observation, last_ok_at=last_ok_at))


def set_aside(health: Health, state: State, reason: str, now: datetime) -> Decision:
    """Nothing is judged from now on, until :func:`call_back`: what was counted before counts no more."""
    assert state.is_aside
    return _moved(health, state, reason, now)


def call_back(health: Health, now: datetime) -> Decision:
    """As a monitor that is new, but for what is known of it: the next conclusive look decides.

    An incident that was open stays open, and goes on or ends by that look.
    """
    before = "the maintenance" if health.state is State.MAINTENANCE else "the pause"
    return _moved(health, State.NEW, f"not looked at yet since {before}", now)


def let_go(health: Health, reason: str, now: datetime) -> Decision:
    """It is watched no more: what was open is over, and whoever watches it again begins afresh."""
    decision = _moved(health, State.NEW, reason, now)
    return replace(decision, health=replace(decision.health, incident=None))


def _moved(health: Health, state: State, reason: str, now: datetime) -> Decision:
    transition = None
    if state is not health.state:
        transition = Transition(
            monitor=health.monitor, from_state=health.state, to_state=state, t_lo=now, t_hi=now, decided_at=now,
            reason=reason, incident=health.incident,
        )  # fmt: skip
    since = now if transition else health.since
    return Decision(
        health=replace(health, state=state, since=since, reason=reason, memory={}, first_fail_at=None),
        transition=transition,
        must_commit=transition is not None,
    )


def is_stale(health: Health, observation: Observation) -> bool:
    """Whether a good look is older than the fault it would end: it shows how things were, not how they are."""
    is_good_look = observation.evidence.is_ok and observation.source is Source.PROBE
    return is_good_look and health.state is State.FAULT and observation.started_at < health.since


def fold(
    health: Health, observation: Observation, judgement: Judgement, parents: Parents, now: datetime
) -> Decision:
    """Take a conclusive observation that a detector has judged.

    A fault whose parent is bad becomes UNREACHABLE; one whose parent is under suspicion waits.
    The bounds of a transition are the ends of the evidence around it: a fault began after the last good
    look ended and before the first failing one began.
    """
    evidence = observation.evidence
    state, reason, again = judgement.state, judgement.reason, judgement.look_again_in
    if state is State.FAULT and health.state is not State.FAULT:
        if parents.bad:
            state = State.UNREACHABLE
            reason = f"failing while {_names(parents.bad)} is not well: {evidence.summary}"
        elif parents.hold:
            still_excused = health.state is State.UNREACHABLE
            state, again = State.UNREACHABLE if still_excused else State.SUSPECT, PARENT_RECHECK
            reason = f"{_HELD}{parents.hold}"
        elif parents.suspect:
            state, again = State.SUSPECT, PARENT_RECHECK
            reason = f"failing; waiting for the verdict on {_names(parents.suspect)}, which it requires"
        elif health.reason.startswith(_HELD):
            reason += f"; no fault was declared at first: {health.reason.removeprefix(_HELD)}"
    first_fail_at = None if evidence.is_ok else health.first_fail_at or observation.started_at
    new = replace(
        health,
        state=state,
        reason=reason,
        memory=judgement.memory,
        last=observation,
        last_ok_at=observation.ended_at if evidence.is_ok else health.last_ok_at,
        first_fail_at=first_fail_at,
        was_up=health.was_up or state in (State.UP, State.DEGRADED),
    )
    transition = None
    if state is not health.state:
        t_lo, t_hi = _bounds(health, observation, state)
        new = replace(new, since=t_hi)
        transition = Transition(
            monitor=health.monitor,
            from_state=health.state,
            to_state=state,
            t_lo=t_lo,
            t_hi=t_hi,
            decided_at=now,
            reason=reason,
            evidence=observation,
            incident=health.incident,
        )
    is_withheld = state is not judgement.state and observation.source is Source.DEADLINE
    must_commit = (
        transition is not None
        or dict(judgement.memory) != dict(health.memory)
        or (
            is_withheld and observation != health.last
        )  # a silence is judged once: why it was no fault is kept
    )
    return Decision(
        health=new, transition=transition, look_again_in=again, must_commit=must_commit, label=judgement.label
    )


def _bounds(health: Health, observation: Observation, to_state: State) -> tuple[datetime, datetime]:
    """When the change really happened: after ``t_lo`` and at or before ``t_hi``."""
    if to_state in (State.FAULT, State.UNREACHABLE, State.SUSPECT, State.STOPPED):
        t_hi = health.first_fail_at or observation.started_at
        return min(health.last_ok_at or t_hi, t_hi), t_hi
    last = health.last
    t_hi = observation.ended_at
    t_lo = last.started_at if last is not None and not last.evidence.is_ok else t_hi
    return min(t_lo, t_hi), t_hi


def _names(monitors: Collection[MonitorId]) -> str:
    return ", ".join(sorted(monitors))
