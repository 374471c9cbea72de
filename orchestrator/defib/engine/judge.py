"""Takes observations, decides, and commits: the only writer of monitors' states."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import structlog

from defib.engine.events import Event, EventBus
from defib.engine.guard import Guard, Opinion
from defib.engine.ids import new_id
from defib.engine.notifier import Notifier
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.model.changes import Changes
from defib.model.evidence import Grade, Observation, Outcome
from defib.model.health import Health, Incident, State
from defib.model.ids import CaseId, IncidentId, MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import Case, CaseState
from defib.model.strategy import Strategy
from defib.ports import Clock, Judgement
from defib.rules import status
from defib.rules.dependencies import parents_of, root_cause
from defib.store import Reader, Writer

log = structlog.get_logger("defib.judge")

OnCase = Callable[[Case], None]


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
        self._incidents: dict[IncidentId, Incident] = {
            item.id: item for item in reader.incidents(only_open=True)
        }
        self.on_case: OnCase = lambda case: None  #: told of each recovery case that was opened
        self.on_deliveries: Callable[[Changes], None] = lambda changes: (
            None
        )  #: told of each commit with deliveries
        self.on_suspect: Callable[[Watched], None] = lambda watched: None
        self.on_return: Callable[[Watched], None] = lambda watched: None  #: well again after a fault
        self.healer: Callable[[str], tuple[str, int] | None] = lambda monitor: None
        """What to credit with a recovery: (text, attempts), or None when it healed by itself."""
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
        opinion = Opinion(evidence=observation.evidence)
        if observation.evidence.outcome is not Outcome.INCONCLUSIVE:
            opinion = await self._guard.consider(watched, observation)
            if opinion.evidence is not observation.evidence:
                observation = replace(observation, evidence=opinion.evidence)
        async with watched.lock:
            self._table.remember(observation)
            health = self._table[observation.monitor]
            if observation.evidence.outcome is Outcome.INCONCLUSIVE:
                decision = status.note(health, observation)
            else:
                judgement = self._judgement(health, observation, self.roster.strategy(observation.monitor))
                decision = status.fold(
                    health, observation, judgement, self._parents(watched, opinion), self._clock.now()
                )
            if decision.must_commit:
                await self._commit(watched, health, decision, observation)
                self.decision_latency_s.append(self._clock.monotonic() - started)
                del self.decision_latency_s[:-1024]
            else:
                self._table.note(decision.health, observation)
        self._bus.publish(Event(type="monitor", monitor=observation.monitor))
        if decision.health.state is State.SUSPECT:
            self.on_suspect(watched)
        return decision.look_again_in

    def _judgement(self, health: Health, observation: Observation, strategy: Strategy) -> Judgement:
        watched = self.roster.monitors[health.monitor]
        if watched.is_pushed:
            if observation.evidence.grade is Grade.INTENT and health.state is not State.FAULT:
                return Judgement(state=State.STOPPED, reason=observation.evidence.summary, memory={})
            strategy = _for_beats(strategy, observation)
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
        self, watched: Watched, before: Health, decision: status.Decision, observation: Observation
    ) -> None:
        """Write the decision and everything that follows from it, in one transaction."""
        health, transition, now = decision.health, decision.transition, self._clock.now()
        changes = Changes(observations=(observation,))
        case: Case | None = None
        incident: Incident | None = None
        if transition is not None and decision.opens_incident:
            incident = Incident(
                id=IncidentId(new_id("inc", now)), monitor=health.monitor, opened_at=now, fault_lo=transition.t_lo,
                fault_hi=transition.t_hi, cause=observation.evidence.cause[:60], grade=observation.evidence.grade,
                summary=observation.evidence.summary,
            )  # fmt: skip
            health = replace(health, incident=incident.id)
            transition = replace(transition, incident=incident.id)
            changes += self.notifier.down(watched, health, incident, now)
            case = self._new_case(watched, incident)
        elif transition is not None and decision.closes_incident and before.incident is not None:
            healed = self.healer(health.monitor)
            incident = self._incident(before.incident)
            incident = replace(
                incident, closed_at=now, healed_by="defib" if healed else "itself",
                resolution=healed[0] if healed else "recovered by itself",
            )  # fmt: skip
            health = replace(health, incident=None)
            changes += self.notifier.recovered(
                watched, health, incident, now, attempts=healed[1] if healed else 0
            )
        elif transition is not None and transition.to_state is State.UNREACHABLE:
            transition = replace(transition, incident=self._root_incident(health.monitor))
        elif transition is not None and transition.to_state is State.DEGRADED:
            changes += self.notifier.degraded(watched, health, now)
        changes += Changes(
            health=(health,),
            transitions=(transition,) if transition else (),
            incidents=(incident,) if incident else (),
            cases=(case,) if case else (),
        )
        await self._writer.commit(changes)
        self._table.put(health)
        if transition is not None and transition.from_state.is_bad and not health.state.is_bad:
            self.on_return(watched)
        if transition is not None:
            self._log(watched, transition.from_state, health)
        if incident is not None:
            self._incidents[incident.id] = incident
            if incident.closed_at is not None:
                del self._incidents[incident.id]
            self._bus.publish(Event(type="incident", monitor=health.monitor))
        if changes.new_deliveries:
            self.on_deliveries(changes)
        if case is not None:
            self.on_case(case)

    @property
    def notifier(self) -> Notifier:
        return Notifier(self.roster, self._table.recent)

    def _new_case(self, watched: Watched, incident: Incident) -> Case | None:
        policy = watched.spec.recovery
        if not policy.ladder or policy.mode is RecoveryMode.OFF:
            return None
        now = self._clock.now()
        return Case(
            id=CaseId(new_id("case", now)), incident=incident.id, monitor=incident.monitor, state=CaseState.PENDING,
            opened_at=now, due_at=now, dry_run=policy.mode is RecoveryMode.DRY_RUN, reason="opened",
        )  # fmt: skip

    def _incident(self, incident: IncidentId) -> Incident:
        found = self._incidents.get(incident) or self._reader.incident(incident)
        assert found is not None, f"incident {incident} of an open fault is missing in the store"
        return found

    def incident(self, incident: IncidentId) -> Incident:
        """An open incident."""
        return self._incident(incident)

    def _log(self, watched: Watched, before: State, health: Health) -> None:
        level = log.warning if health.state.is_bad else log.info
        level(
            "state changed", monitor=watched.spec.id, before=before, state=health.state, reason=health.reason
        )


def _for_beats(strategy: Strategy, observation: Observation) -> Strategy:
    """A beat is believed at once, and a missed deadline is the confirmation already; a late one is a suspicion."""
    threshold = 2 if observation.evidence.grade is Grade.WEAK else 1
    return replace(
        strategy, fail_threshold=threshold if not observation.evidence.is_ok else 1, recovery_threshold=1, confirm=(),
        detector="consecutive",
    )  # fmt: skip
