"""Carries out recovery cases: asks the rules, does what they say, and commits before and after.

Every case is a task that follows these numbered steps, each safe to be cut off anywhere:

1. Ask :func:`defib.rules.recovery.next_step` what to do.
2. To act: check that the action may run, then commit the attempt as INTENT. Only then run it.
3. As soon as a process runs, commit its id and start time as ACTING.
4. When it has ended, commit its result and VERIFYING. Probes decide from here.
5. After a crash: INTENT and ACTING are never run again. A command that still runs is adopted and waited
   for within its time limit; then, as with everything else, verification tells what became of it.

Steps 2 to 5 are :class:`defib.engine.acting.Acting`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from defib.engine.acting import Acting, has_failed
from defib.engine.events import Event, EventBus
from defib.engine.guard import Guard
from defib.engine.ids import new_id
from defib.engine.judge import Judge
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.errors import ActionRefusedError, StoreError
from defib.model.changes import Changes
from defib.model.evidence import Grade, Observation, Outcome, ProbeStatus
from defib.model.health import State
from defib.model.ids import CaseId, MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import AttemptOutcome, AuditEntry, Case, CaseState
from defib.ports import Clock
from defib.rules import recovery as rules
from defib.rules.dependencies import waiting_for
from defib.rules.recovery import Act, Finish, Look, Settle, Situation, Wait
from defib.store import Reader, Writer

log = structlog.get_logger("defib.recovery")

_ACTING = (
    CaseState.LAST_LOOK,
    CaseState.INTENT,
    CaseState.ACTING,
)  #: cases that hold one of the places to act
_HISTORY = 200  #: most attempts of one case or window that are looked at

LookAt = Callable[[MonitorId], Awaitable[Observation | None]]
"""Probe a monitor now, judge it, and return what was seen; None when it is no longer configured."""


class Recovery:
    """Runs the recovery cases."""

    def __init__(
        self,
        clock: Clock,
        roster: Roster,
        table: StateTable,
        writer: Writer,
        reader: Reader,
        judge: Judge,
        bus: EventBus,
        look: LookAt,
        guard: Guard,
    ) -> None:
        self._clock = clock
        self.roster = roster
        self._table = table
        self._writer = writer
        self._reader = reader
        self._judge = judge
        self._bus = bus
        self._look = look
        self._guard = guard
        self._acting = Acting(clock, table, writer, bus)
        self._tasks: dict[MonitorId, asyncio.Task[None]] = {}
        self._cases: dict[MonitorId, Case] = {}
        self._draining = False
        self.horizon: float | None = None  #: monotonic; steps due later are left to the next pass
        self.on_deliveries: Callable[[Changes], None] = lambda changes: None
        judge.on_case = self.start
        judge.healer = self._credit

    # --- from outside ------------------------------------------------------------------------------

    def resume(self) -> None:
        """Take up every case that was not finished when Defib last stopped."""
        for case in self._reader.cases(only_active=True):
            if case.monitor not in self.roster.monitors:
                continue
            if case.state is CaseState.LAST_LOOK:  # the look it had is too old to act on
                case = replace(case, state=CaseState.GATED)
            if case.attempt is not None and (attempt := self._reader.attempt(case.attempt)) is not None:
                self._acting.resume(attempt)
            self.start(case)

    async def rearm(self) -> None:
        """Open a case for every fault whose recovery was only rehearsed, where it is armed by now."""
        for monitor, watched in self.roster.monitors.items():
            health, policy = self._table[monitor], watched.spec.recovery
            if health.incident is None or monitor in self._tasks:
                continue
            if not policy.ladder or policy.mode is not RecoveryMode.AUTO:
                continue
            cases = await asyncio.to_thread(self._reader.cases, incident=health.incident)
            if cases and not cases[-1].dry_run:
                continue
            now = self._clock.now()
            case = Case(
                id=CaseId(new_id("case", now)), incident=health.incident, monitor=monitor, state=CaseState.PENDING,
                opened_at=now, due_at=now, reason="recovery was armed while the fault was open",
            )  # fmt: skip
            await self._writer.commit(Changes(cases=(case,)))
            self.start(case)

    def start(self, case: Case) -> None:
        """Work on ``case`` until it is finished; after the monitor's case before it, which is about to be."""
        if self._draining:  # its row is stored: the next start of Defib takes it up
            return
        before = self._tasks.get(case.monitor)
        self._tasks[case.monitor] = asyncio.ensure_future(self._run(case, before))
        if before is None:
            self._cases[case.monitor] = case

    def case(self, monitor: MonitorId) -> Case | None:
        """The case that is being worked on."""
        return self._cases.get(monitor)

    async def by_hand(self, monitor: MonitorId, actor: str, *, dry_run: bool, rung: int | None) -> Case:
        """Open a case because a person asked: no hold and no attempt limit, all other gates hold.

        :raises ActionRefusedError: there is nothing to recover, or a case is at work already.
        """
        watched, health = self.roster.monitors[monitor], self._table[monitor]
        if not watched.actions:
            raise ActionRefusedError(f"{monitor} has no recovery ladder; give it one under 'recovery:'")
        if rung is not None and not 0 <= rung < len(watched.actions):
            raise ActionRefusedError(
                f"{monitor} has rungs 1 to {len(watched.actions)}; there is no rung {rung + 1}"
            )
        if (active := self._cases.get(monitor)) is not None and monitor in self._tasks:
            raise ActionRefusedError(
                f"a recovery of {monitor} is at work already: {active.state}, {active.reason}"
            )
        stored = [item for item in self._reader.cases(only_active=True) if item.monitor == monitor]
        for item in stored:
            if item.state in (CaseState.INTENT, CaseState.ACTING, CaseState.VERIFYING):
                raise ActionRefusedError(
                    f"an earlier recovery of {monitor} has not come to its end ({item.state}); "
                    "'defib run' or 'defib serve' finishes it first"
                )
        if health.state not in (State.FAULT, State.UNREACHABLE) or health.incident is None:
            raise ActionRefusedError(
                f"{monitor} is {health.state}, not at fault: there is nothing to recover"
            )
        now = self._clock.now()
        case = Case(
            id=CaseId(new_id("case", now)), incident=health.incident, monitor=monitor, state=CaseState.PENDING,
            opened_at=now, due_at=now, reason=f"asked for by {actor}", rung=rung or 0, dry_run=dry_run, actor=actor,
        )  # fmt: skip
        audit = AuditEntry(
            at=now, actor=actor, event="recovery.asked", subject=monitor, facts={"dry_run": dry_run}
        )
        left = tuple(
            replace(item, state=CaseState.ABORTED, reason=f"taken over by {actor}", closed_at=now)
            for item in stored
        )
        await self._writer.commit(Changes(cases=(*left, case), audit=(audit,)))
        self.start(case)
        return case

    async def wait_idle(self) -> None:
        """Return when no case is being worked on."""
        while self._tasks:
            await asyncio.wait(set(self._tasks.values()))
            await asyncio.sleep(0)

    @property
    def is_idle(self) -> bool:
        return not self._tasks

    async def drain(self) -> None:
        """Start nothing new; let actions that run come to their end, which their time limits bound."""
        self._draining = True
        for monitor, task in tuple(self._tasks.items()):
            if not self._acting.is_acting(monitor):
                task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    # --- one case ----------------------------------------------------------------------------------

    async def _run(self, case: Case, before: asyncio.Task[None] | None) -> None:
        monitor = case.monitor
        try:
            if before is not None:
                await asyncio.wait({before})
                self._acting.forget(monitor)
            self._cases[monitor] = case
            if case.state in (CaseState.INTENT, CaseState.ACTING):
                case = self._cases[monitor] = await self._acting.adopt(case, self.roster.monitors[monitor])
            while monitor in self.roster.monitors and not (
                self._draining and not self._acting.is_acting(monitor)
            ):
                try:
                    next_case = await self._advance(case)
                except StoreError as error:
                    log.error("recovery waits for the store", monitor=monitor, error=str(error))
                    await self._clock.sleep(1.0)
                    continue
                if next_case is None:
                    return
                case = self._cases[monitor] = next_case
        except Exception as error:  # the boundary of one case: its failure must not take the engine down
            log.error(
                "recovery case crashed", monitor=monitor, case=case.id, error=repr(error), exc_info=error
            )
        finally:
            if self._tasks.get(monitor) is asyncio.current_task():
                del self._tasks[monitor]
                self._cases.pop(monitor, None)
                self._acting.forget(monitor)
            self._bus.publish(Event(type="recovery", monitor=monitor))

    async def _advance(self, case: Case) -> Case | None:
        """One step; None when the case is over or its next step is beyond this pass."""
        watched = self.roster.monitors[case.monitor]
        now = self._clock.now()
        if self._table[case.monitor].incident != case.incident:
            await self._end_with_incident(case, watched, now)
            return None
        step = rules.next_step(case, watched.spec.recovery, await self._situation(case, watched, now), now)
        match step:
            case Wait(case=after):
                await self._note(case, after)
                wait = max(0.05, min(1.0, (after.due_at - now).total_seconds()))
                if self.horizon is not None and self._clock.monotonic() + wait > self.horizon:
                    return None
                await self._clock.sleep(wait)
                return after
            case Look(case=after):
                await self._note(case, after)
                return await self._after_look(after)
            case Act(case=after):
                return await self._act(after, watched)
            case Settle(case=after, outcome=outcome):
                await self._settle(after, outcome)
                return None if after.state.is_terminal else after
            case Finish(case=after):
                await self._finish(after, watched)
                return None

    async def _situation(self, case: Case, watched: Watched, now: datetime) -> Situation:
        health, policy = self._table[case.monitor], watched.spec.recovery
        attempts = await asyncio.to_thread(
            self._reader.attempts,
            monitor=case.monitor,
            since=now - max(policy.window, rules.RELAPSE_WINDOW),
            newest=_HISTORY,
        )
        uses: dict[int, int] = {}
        for item in attempts:
            if item.case == case.id:
                uses[item.rung] = uses.get(item.rung, 0) + 1
        unsuccessful = (
            AttemptOutcome.FAILED,
            AttemptOutcome.TIMEOUT,
            AttemptOutcome.REFUSED,
            AttemptOutcome.UNKNOWN,
        )
        incident = self._judge.incident(case.incident)
        attempt = self._acting.attempt(case.monitor)
        evidence = health.last.evidence if health.last else None
        answers_wrongly = (
            evidence is not None and not evidence.is_ok and evidence.status is ProbeStatus.UNHEALTHY
        )
        return Situation(
            state=health.state,
            mode=RecoveryMode.DRY_RUN if case.dry_run else policy.mode,
            fault_at=incident.fault_hi,
            grade=Grade(incident.grade),
            was_up=health.was_up,
            observer=self._guard.no_action(case.monitor),
            waiting_for=waiting_for(watched.spec, self._table.get, now),
            acting_now=sum(
                other.state in _ACTING for other in self._cases.values() if other.monitor != case.monitor
            ),
            failed_in_window=sum(
                item.outcome in unsuccessful and item.intent_at >= now - policy.window for item in attempts
            ),
            verified_in_hour=sum(
                item.outcome is AttemptOutcome.VERIFIED and item.intent_at >= now - rules.RELAPSE_WINDOW
                for item in attempts
            ),
            uses=uses,
            action_ended_at=(attempt.ended_at or attempt.intent_at) if attempt else None,
            action_failed=attempt is not None and has_failed(attempt),
            wrong_since=health.first_fail_at if answers_wrongly else None,
            oks_needed=self.roster.strategy(case.monitor).recovery_threshold,
        )

    async def _end_with_incident(self, case: Case, watched: Watched, now: datetime) -> None:
        """The incident is over, so its case is, too, whatever came of it since."""
        if case.state is CaseState.VERIFYING:
            reason = "well again"
            done = replace(case, state=CaseState.DONE, reason=reason, closed_at=now, due_at=now)
            await self._settle(done, AttemptOutcome.VERIFIED)
        else:
            await self._finish(rules.healed(case, now).case, watched)

    async def _after_look(self, case: Case) -> Case:
        """Probe, and put what was seen into the case."""
        observation = await self._look(case.monitor)
        outcome = observation.evidence.outcome if observation else Outcome.INCONCLUSIVE
        now = self._clock.now()
        if case.state is CaseState.VERIFYING:
            if outcome is Outcome.INCONCLUSIVE:
                return case
            return replace(case, oks=case.oks + 1 if outcome is Outcome.OK else 0)
        match outcome:
            case Outcome.FAIL:
                return case
            case Outcome.OK:  # it may be coming back: let detection decide
                reason = "answered at the last look; waiting for the verdict"
                return replace(case, state=CaseState.GATED, due_at=now + timedelta(seconds=2), reason=reason)
            case Outcome.INCONCLUSIVE:
                reason = "the last look was inconclusive; Defib does not act on a guess"
                return replace(case, state=CaseState.GATED, due_at=now + rules.GATE_RECHECK, reason=reason)

    async def _act(self, case: Case, watched: Watched) -> Case | None:
        """Act, or say why not; None when the case is over."""

        def note(acting: Case) -> None:
            self._cases[acting.monitor] = acting

        try:
            after = await self._acting.run(case, watched, note)
        except ActionRefusedError as error:
            await self._finish(rules.refused(case, str(error), self._clock.now()).case, watched)
            return None
        return None if after.state.is_terminal else after

    # --- writing -----------------------------------------------------------------------------------

    async def _note(self, before: Case, after: Case) -> None:
        """Commit a step that is worth a row: another state or reason, not each look at the clock."""
        if (before.state, before.reason) != (after.state, after.reason):
            self._cases[after.monitor] = after  # before the first await: the place to act is taken
            await self._writer.commit(Changes(cases=(after,)))
            self._bus.publish(Event(type="recovery", monitor=after.monitor))

    async def _settle(self, case: Case, outcome: AttemptOutcome) -> None:
        if not await self._acting.settle(case, outcome):
            await self._writer.commit(Changes(cases=(case,)))
        log.info("recovery attempt settled", monitor=case.monitor, outcome=outcome, reason=case.reason)

    async def _finish(self, case: Case, watched: Watched) -> None:
        changes = Changes(cases=(case,))
        if case.state is CaseState.OPEN:
            changes += self._judge.notifier.recovery_failed(
                watched, self._table[case.monitor], self._judge.incident(case.incident), self._clock.now(),
                reason=case.reason, attempts=case.attempts,
            )  # fmt: skip
        await self._writer.commit(changes)
        if changes.new_deliveries:
            self.on_deliveries(changes)
        log.log(30 if case.state is CaseState.OPEN else 20, "recovery case ended", monitor=case.monitor,
                state=case.state, reason=case.reason)  # fmt: skip

    def _credit(self, monitor: str) -> tuple[str, int] | None:
        """Whether a recovery of ``monitor`` now is Defib's doing, in words."""
        case = self._cases.get(MonitorId(monitor))
        if case is None or case.state not in (CaseState.VERIFYING, CaseState.ACTING):
            return None
        return self._acting.credit(case.monitor)
