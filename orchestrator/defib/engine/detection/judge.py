"""Takes observations, decides, and commits: the only writer of monitors' states."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from defib.engine.alerting.notifier import Notifier
from defib.engine.alerting.telling import Telling
from defib.engine.events import Event, EventBus
from defib.engine.ids import new_id
from defib.engine.observer.guard import Guard, Opinion
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.logs import get_logger
from defib.model.changes import Changes
from defib.model.decision import DecisionRecord
from defib.model.evidence import Observation, Outcome
from defib.model.health import FaultLabel, Health, Incident, State, Transition
from defib.model.ids import CaseId, IncidentId, MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import Case, CaseState
from defib.model.strategy import Strategy
from defib.model.window import Window
from defib.ports import Clock, Judgement
from defib.rules import replay, sickness, status, told
from defib.rules.dependencies import parents_of, root_cause
from defib.store import Reader, Writer

log = get_logger("defib.judge")

OnCase = Callable[[Case], None]


class SecondOpinion(Protocol):
    """See :meth:`defib.engine.detection.second_opinion.SecondOpinions.weigh`."""

    async def __call__(
        self, watched: Watched, observation: Observation, *, is_suspect: bool
    ) -> tuple[Observation, str]: ...


async def _no_opinion(
    watched: Watched, observation: Observation, *, is_suspect: bool
) -> tuple[Observation, str]:
    """Nobody is asked."""
    return observation, ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Consequences:
    """A decision, and what it means for the incident and the recovery of its monitor."""

    health: Health
    transition: Transition | None = None
    incident: Incident | None = None
    case: Case | None = None  #: a new one
    attempts: int = 0  #: of recovery, at an incident that it has healed or that has fallen again
    is_relapse: bool = False


_RESOLUTIONS = {State.NEW: "well when it was looked at again"}
NOTHING = Changes()
_DOWN_OR_UNKNOWN = frozenset({State.FAULT, State.UNREACHABLE, State.NEW})


class Judge:
    """Folds observations into states, one at a time per monitor, and writes what follows from them."""

    def __init__(
        self,
        clock: Clock,
        roster: Roster,
        table: StateTable,
        writer: Writer,
        reader: Reader,
        bus: EventBus,
        guard: Guard,
    ) -> None:
        self._clock = clock
        self.roster = roster
        self._table = table
        self._writer = writer
        self._reader = reader
        self._bus = bus
        self._guard = guard
        self.telling = Telling(roster, table, reader, guard)
        self.on_case: OnCase = lambda case: None  #: told of each recovery case that was opened
        self.on_deliveries: Callable[[Changes], None] = lambda changes: None  #: of each commit with some
        self.on_suspect: Callable[[Watched], None] = lambda watched: None
        self.on_change: Callable[[MonitorId, State, State], None] = lambda monitor, before, after: None
        self.on_lasting: Callable[[MonitorId], None] = lambda monitor: None
        """Told of each transition: time alone may give something to tell from then on."""
        self.on_return: Callable[[Watched], None] = lambda watched: None  #: well again after a fault
        self.relapse_of: Callable[[MonitorId], tuple[IncidentId, int] | None] = lambda monitor: None
        """The incident that a new fault goes on with, as recovery still works on it, and after how many attempts."""
        self.healer: Callable[[str], tuple[str, int] | None] = lambda monitor: None
        """What to credit with a recovery: (text, attempts), or None when it healed by itself."""
        self.window_of: Callable[[Watched], Window | None] = lambda watched: None
        """The maintenance or pause that a monitor is in: nothing about it is judged."""
        self.second_opinion: SecondOpinion = _no_opinion
        self.decision_latency_s: list[float] = []

    async def take(self, observation: Observation) -> timedelta | None:
        """Judge one observation and commit what it changes.

        :return: when to look again, if that is before the next turn.
        :raises StoreError: nothing was decided; the next observation decides afresh.
        """
        watched = self.roster.monitors.get(observation.monitor)
        if watched is None:  # removed by a reload while its probe was in flight
            return None
        started = self._clock.monotonic()
        opinion = await self._guard.consider(watched, observation)
        if opinion.evidence is not observation.evidence:
            observation = replace(observation, evidence=opinion.evidence)
        is_suspect = self._table[observation.monitor].state is State.SUSPECT
        observation, hold = await self.second_opinion(watched, observation, is_suspect=is_suspect)
        opinion = replace(opinion, hold=opinion.hold or hold)
        async with watched.lock:
            self._table.remember(observation)
            health = self._table[observation.monitor]
            if health.state.is_aside or self.window_of(watched) is not None:
                decision = status.look_on(health, observation)
            elif observation.evidence.outcome is Outcome.INCONCLUSIVE:
                decision = status.note(health, observation)
                if watched.polled is not None and sickness.is_void(observation.evidence):
                    again = self._guard.look_again_in(observation.monitor)
                    decision = replace(decision, look_again_in=again)
            elif status.is_stale(health, observation):
                decision = status.Decision(health=health)
            else:
                strategy, now = self.roster.strategy(observation.monitor), self._clock.now()
                judgement = self._judgement(health, observation, strategy)
                parents = self._parents(watched, opinion)
                decision = status.fold(health, observation, judgement, parents, now)
            if decision.must_commit:
                record = replay.keep(
                    health, observation, strategy, parents, decision, now, is_told=watched.is_pushed
                )
                await self._commit(watched, health, decision, record)
                self.decision_latency_s.append(self._clock.monotonic() - started)
                del self.decision_latency_s[:-1024]
            elif observation is health.last:  # judged once more
                self._table.amend(decision.health)
            else:
                self._table.note(decision.health, observation)
            if self._is_verified_by(observation, health):
                await self._verify(watched, health.incident)
        self._bus.publish(Event(type="monitor", monitor=observation.monitor))
        if decision.health.state is State.SUSPECT:
            self.on_suspect(watched)
        return decision.look_again_in

    def _judgement(self, health: Health, observation: Observation, strategy: Strategy) -> Judgement:
        watched = self.roster.monitors[health.monitor]
        if watched.is_pushed:
            return told.judge(health.state, observation.evidence)
        detector = self.roster.detectors[strategy.detector]
        try:
            return detector.fold(health, observation, strategy)
        except Exception as error:  # a detector is a plugin: its crash must not decide anything
            log.error(
                "detector crashed; the state stays", monitor=health.monitor, error=repr(error), exc_info=error
            )
            return Judgement(state=health.state, reason=f"detector crashed: {error!r}", memory=health.memory)

    def _parents(self, watched: Watched, opinion: Opinion) -> status.Parents:
        parents = parents_of(watched.spec, self._table.get, self._clock.now())
        return replace(parents, bad=(*parents.bad, *opinion.behind), hold=opinion.hold or parents.hold)

    def _root_incident(self, monitor: MonitorId) -> IncidentId | None:
        """The open incident behind an unreachable monitor."""
        monitors, table = self.roster.monitors, self._table

        def requires(name: MonitorId) -> tuple[MonitorId, ...]:
            spec = monitors[name].spec if name in monitors else None
            return (*spec.requires, *spec.requires_any) if spec else ()

        def state(name: MonitorId) -> State | None:
            known = table.get(name)
            return known.state if known else None

        root = root_cause(monitor, requires, state)
        return table[root].incident if root is not None else None

    async def _commit(
        self, watched: Watched, before: Health, decision: status.Decision, record: DecisionRecord
    ) -> None:
        """Write the decision and everything that follows from it, in one transaction.

        :raises StoreError: nothing was written.
        """
        now = self._clock.now()
        result = await self._consequences(watched, before, decision, record.observation, now)
        health, transition, incident = result.health, result.transition, result.incident
        changes = Changes(observations=(record.observation,), decisions=(record,))
        if transition is not None:
            health, told_changes = self.telling.of(
                watched, before, health, incident, now, attempts=result.attempts, is_relapse=result.is_relapse
            )
            changes += told_changes
        changes += Changes(
            health=(health,),
            transitions=(transition,) if transition else (),
            incidents=(incident,) if incident else (),
            cases=(result.case,) if result.case else (),
        )
        earlier = Changes(observations=self._table.drain_looks(health.monitor))  # that led to this
        try:
            with self._table.committing(health.monitor):
                await self._writer.commit(earlier + changes)
        except StoreError:
            self._table.give_back(earlier)
            if incident is not None and incident.closed_at is None and before.incident is None:
                self.telling.forget(incident.id)
            raise
        self._table.put(health)
        self._announce(watched, replace(result, health=health))
        if changes.new_deliveries:
            self.on_deliveries(changes)
        if result.case is not None:
            self.on_case(result.case)

    async def _consequences(
        self,
        watched: Watched,
        before: Health,
        decision: status.Decision,
        observation: Observation,
        now: datetime,
    ) -> _Consequences:
        """What a decision means for the incident and the recovery of its monitor."""
        health, transition = decision.health, decision.transition
        if transition is None:
            return _Consequences(health=health)
        health = replace(health, flaps=(await self.telling.swung(before, transition)).flaps)
        if decision.opens_incident and before.incident is not None:  # it was set aside meanwhile
            incident = self.telling.incident(before.incident)
            case = self._new_case(watched, incident)
            return _Consequences(health=health, transition=transition, incident=incident, case=case)
        if decision.opens_incident:
            return self._opening(watched, health, transition, observation, decision.label)
        if decision.closes_incident and before.incident is not None:
            healed = self.healer(health.monitor)
            incident = replace(
                self.telling.incident(before.incident), closed_at=now, healed_by="defib" if healed else "itself",
                resolution=healed[0] if healed else _RESOLUTIONS.get(transition.from_state, "recovered by itself"),
            )  # fmt: skip
            health, attempts = replace(health, incident=None), healed[1] if healed else 0
            return _Consequences(health=health, transition=transition, incident=incident, attempts=attempts)
        if transition.to_state is State.UNREACHABLE:
            transition = replace(transition, incident=self._root_incident(health.monitor))
        return _Consequences(health=health, transition=transition)

    def _opening(
        self,
        watched: Watched,
        health: Health,
        transition: Transition,
        observation: Observation,
        label: FaultLabel,
    ) -> _Consequences:
        """A new incident with its recovery, or the one that recovery still works on."""
        relapse = self.relapse_of(health.monitor)
        if relapse is None:
            incident = self.telling.placed(self._new_incident(transition, observation, label))
            case, attempts = self._new_case(watched, incident), 0
        else:
            known, attempts = relapse
            incident = replace(self.telling.incident(known), closed_at=None, healed_by=None, resolution="")
            self.telling.incidents[incident.id] = incident
            case = None
        return _Consequences(
            health=replace(health, incident=incident.id), transition=replace(transition, incident=incident.id),
            incident=incident, case=case, attempts=attempts, is_relapse=relapse is not None,
        )  # fmt: skip

    def _announce(self, watched: Watched, result: _Consequences) -> None:
        """Tell the rest of the engine what was committed."""
        health, transition, incident = result.health, result.transition, result.incident
        if transition is not None:
            if transition.from_state in _DOWN_OR_UNKNOWN and not health.state.is_bad:
                self.on_return(watched)
            self._log(watched, transition.from_state, health)
            self.on_change(health.monitor, transition.from_state, health.state)
            self.on_lasting(health.monitor)
        if incident is not None:
            if incident.closed_at is not None:
                self.telling.forget(incident.id)
            self._bus.publish(Event(type="incident", monitor=health.monitor))

    def _is_verified_by(self, observation: Observation, health: Health) -> bool:
        """Whether this failure confirms a fault that was declared while we were too sick to be sure."""
        if health.incident is None or observation.evidence.outcome is not Outcome.FAIL:
            return False
        is_open = self.telling.incident(health.incident).label is FaultLabel.UNVERIFIED
        return is_open and not self._guard.is_frozen and health.state is State.FAULT

    async def set_aside(self, watched: Watched, state: State, reason: str, window: Window) -> None:
        """Judge nothing about a monitor until :meth:`call_back`; an open incident stays open.

        :param window: why; whoever knows that the monitor is at fault is told.
        :raises StoreError: it is judged as before.
        """
        async with watched.lock:
            before, now = self._table[watched.spec.id], self._clock.now()
            decision = status.set_aside(before, state, reason, now)
            told = self.telling.aside(watched, before, decision.health, window, now)
            await self._move(watched, decision, told)

    async def call_back(self, watched: Watched) -> None:
        """Judge a monitor again, from the next look on.

        :raises StoreError: it is aside as before.
        """
        async with watched.lock:
            if self._table[watched.spec.id].state.is_aside:
                await self._move(watched, status.call_back(self._table[watched.spec.id], self._clock.now()))

    async def _move(self, watched: Watched, decision: status.Decision, told: Changes = NOTHING) -> None:
        before, transition = self._table[watched.spec.id], decision.transition
        if transition is None:
            self._table.amend(decision.health)
            return
        with self._table.committing(before.monitor):
            await self._writer.commit(Changes(health=(decision.health,), transitions=(transition,)) + told)
        now = self._table[before.monitor]
        self._table.put(decision.health)
        if now.beats != before.beats:  # it was heard meanwhile
            self._table.amend(replace(decision.health, beats=now.beats, deadline=now.deadline))
        self._log(watched, before.state, decision.health)
        self.on_change(before.monitor, before.state, decision.health.state)
        self.on_lasting(before.monitor)
        if told.new_deliveries:
            self.on_deliveries(told)
        self._bus.publish(Event(type="monitor", monitor=before.monitor))

    async def withdraw(self, monitor: MonitorId, why: str) -> None:
        """Close the open incident of a monitor that is watched no more, and tell whoever was told of it.

        :raises StoreError: it is open as before.
        """
        health, now = self._table.get(monitor), self._clock.now()
        if health is None or health.incident is None:
            return
        closed = replace(self.telling.incident(health.incident), closed_at=now, resolution=why)
        decision = status.let_go(health, why, now)
        told = self.telling.unwatched(closed, why, now)
        transitions = () if decision.transition is None else (decision.transition,)
        changes = Changes(incidents=(closed,), health=(decision.health,), transitions=transitions)
        await self._writer.commit(changes + told)
        self._table.put(decision.health)
        self.telling.forget(closed.id)
        if told.new_deliveries:
            self.on_deliveries(told)
        self._bus.publish(Event(type="incident", monitor=monitor))

    async def withdraw_missing(self) -> None:
        """Close what is open about monitors that the configuration does not have any more."""
        for incident in tuple(self.telling.incidents.values()):
            if incident.monitor not in self.roster.monitors:
                try:
                    await self.withdraw(incident.monitor, "it is not in the configuration any more")
                except StoreError as error:
                    log.error("withdrawn later", monitor=incident.monitor, error=str(error))

    async def _verify(self, watched: Watched, incident_id: IncidentId | None) -> None:
        """A fault that was not verified is now, and may be acted on."""
        assert incident_id is not None
        incident = replace(self.telling.incident(incident_id), label=FaultLabel.NONE)
        case = self._new_case(watched, incident)
        await self._writer.commit(Changes(incidents=(incident,), cases=(case,) if case else ()))
        self.telling.incidents[incident.id] = incident
        self._bus.publish(Event(type="incident", monitor=incident.monitor))
        if case is not None:
            self.on_case(case)

    def _new_incident(self, transition: Transition, observation: Observation, label: FaultLabel) -> Incident:
        evidence, now = observation.evidence, self._clock.now()
        return Incident(
            id=IncidentId(new_id("inc", now)), monitor=transition.monitor, opened_at=now, fault_lo=transition.t_lo,
            fault_hi=transition.t_hi, cause=evidence.cause[:60], grade=evidence.grade, summary=evidence.summary,
            label=FaultLabel.UNVERIFIED if self._guard.is_frozen else label,
        )  # fmt: skip

    @property
    def notifier(self) -> Notifier:
        return self.telling.notifier

    def _new_case(self, watched: Watched, incident: Incident) -> Case | None:
        mode = self.roster.recovery_mode(watched.spec)
        if not watched.actions or mode is RecoveryMode.OFF or incident.label is FaultLabel.UNVERIFIED:
            return None
        now = self._clock.now()
        return Case(
            id=CaseId(new_id("case", now)), incident=incident.id, monitor=incident.monitor, state=CaseState.PENDING,
            opened_at=now, due_at=now, dry_run=mode is RecoveryMode.DRY_RUN, reason="opened",
        )  # fmt: skip

    def incident(self, incident: IncidentId) -> Incident:
        """An open incident."""
        return self.telling.incident(incident)

    def _log(self, watched: Watched, before: State, health: Health) -> None:
        level = log.warning if health.state.is_bad else log.info
        level(
            "state changed", monitor=watched.spec.id, before=before, state=health.state, reason=health.reason
        )
