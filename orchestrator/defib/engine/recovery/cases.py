"""Carries out recovery cases: asks the rules, does what they say, and commits before and after.

Every case is a task that follows these numbered steps, each safe to be cut off anywhere:

1. Ask :func:`defib.rules.recovery.next_step` what to do.
2. To act: check that the action may run, then commit the attempt as INTENT. Only then run it.
3. As soon as a process runs, commit its id and start time as ACTING.
4. When it has ended, commit its result and VERIFYING. Probes that begin from then on decide.
5. Verified, the case stays for its probation: a fall within it is a relapse of this case, no new story.
6. After a crash: INTENT, ACTING and KILLING are never run again. A command that still runs is adopted and waited
   for within its time limit; then, as with everything else, verification tells what became of it.
7. Once another Defib decides, nothing is done and nothing is written any more.

Steps 2 to 6 are :class:`defib.engine.recovery.acting.Acting`; what is decided on is
:mod:`defib.engine.recovery.circumstances`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from defib.engine.detection.judge import Judge
from defib.engine.events import Event, EventBus
from defib.engine.ids import new_id
from defib.engine.observer.guard import Guard
from defib.engine.recovery import witness
from defib.engine.recovery.acting import Acting, TakeSnapshot
from defib.engine.recovery.circumstances import Circumstances, Progress
from defib.engine.recovery.ledger import Ledger
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.errors import ActionRefusedError, StaleEpochError, StoreError
from defib.model.changes import Changes
from defib.model.evidence import Observation, Outcome
from defib.model.health import FaultLabel, State
from defib.model.ids import CaseId, IncidentId, MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import AttemptOutcome, AuditEntry, Case, CaseState, Gate
from defib.ports import Clock, RemoteActions
from defib.rules import recovery as rules
from defib.rules.auditing import attempt_facts
from defib.rules.recovery import budgets, ladder, paging
from defib.rules.recovery.machine import gated
from defib.rules.recovery.situation import Target
from defib.rules.recovery.timing import GATE_RECHECK
from defib.store import Reader, Writer

log = structlog.get_logger("defib.recovery")

_LOOK_PAUSE_S = 1.0  #: between the probes of one last look
_COMING_BACK = timedelta(seconds=2)  #: after a good last look, detection has its turn

LookAt = Callable[[MonitorId], Awaitable[Observation | None]]
"""Probe a monitor now, judge it, and return what was seen; None when it is no longer configured."""


class Recovery:
    """Runs the recovery cases."""

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, writer: Writer, reader: Reader, judge: Judge,
        bus: EventBus, look: LookAt, guard: Guard, snapshot: TakeSnapshot | None = None,
        agents: RemoteActions | None = None,
    ) -> None:  # fmt: skip
        """:param snapshot: takes the evidence that an action would wipe out; None takes none."""
        self._clock = clock
        self._roster = roster
        self._table = table
        self._writer = writer
        self._reader = reader
        self._judge = judge
        self._bus = bus
        self._look = look
        self._ledger = Ledger(reader)
        self._ledger.load(clock.now())
        self._acting = Acting(clock, table, writer, bus, self._ledger, snapshot, agents)
        self._tasks: dict[MonitorId, asyncio.Task[None]] = {}
        self._cases: dict[MonitorId, Case] = {}
        self._cancelled: dict[MonitorId, str] = {}  # by whom
        self._circumstances = Circumstances(
            clock, roster, table, reader, writer, judge, guard, self._acting, self._ledger, self._cases
        )
        self._draining = False
        self.horizon: float | None = None  #: monotonic; steps due later are left to the next pass
        self.on_deliveries: Callable[[Changes], None] = lambda changes: None
        judge.on_case = self.start
        judge.healer = self._credit
        judge.relapse_of = self.relapse_of

    @property
    def roster(self) -> Roster:
        return self._roster

    @roster.setter
    def roster(self, roster: Roster) -> None:
        self._roster = self._circumstances.roster = roster

    # --- from outside ------------------------------------------------------------------------------

    def resume(self) -> None:
        """Take up every case that was not finished when Defib last stopped."""
        now = self._clock.now()
        self._circumstances.started_at, self._circumstances.is_pass = now, self.horizon is not None
        for case in self._reader.cases(only_active=True):
            if case.monitor not in self.roster.monitors:
                continue
            if case.state is CaseState.LAST_LOOK:  # the look it had is too old to act on
                case = replace(case, state=CaseState.GATED)
            if case.attempt is not None and (attempt := self._reader.attempt(case.attempt)) is not None:
                self._acting.resume(attempt)
            self.start(case, is_resumed=True)

    async def rearm(self) -> None:
        """Open a case for every fault that recovery was kept from, and is not any more.

        It was not armed but is by now, or it was given up and an operator has reset it since.
        """
        for monitor, watched in self.roster.monitors.items():
            health = self._table[monitor]
            if health.incident is None or monitor in self._tasks or not watched.actions:
                continue
            if self.roster.recovery_mode(watched.spec) is not RecoveryMode.AUTO:
                continue
            if self._judge.incident(health.incident).label is FaultLabel.UNVERIFIED:
                continue  # the judge opens a case once it is seen afresh
            cases = await asyncio.to_thread(self._reader.cases, incident=health.incident)
            if cases and not self._has_another_chance(cases[-1]):
                continue
            await self.open(monitor, health.incident, "recovery was armed or reset while the fault was open")

    def _has_another_chance(self, case: Case) -> bool:
        if case.state is CaseState.OPEN:
            reset_at = self.roster.budgets_reset_at(case.monitor)
            return reset_at is not None and case.closed_at is not None and reset_at > case.closed_at
        return case.dry_run or case.gate is Gate.MODE

    async def open(self, monitor: MonitorId, incident: IncidentId, reason: str) -> None:
        """Begin a case for an open incident."""
        now = self._clock.now()
        case = Case(
            id=CaseId(new_id("case", now)), incident=incident, monitor=monitor, state=CaseState.PENDING,
            opened_at=now, due_at=now, reason=reason,
        )  # fmt: skip
        await self._writer.commit(Changes(cases=(case,)))
        self.start(case)

    def start(self, case: Case, *, is_resumed: bool = False) -> None:
        """Work on ``case`` until it is finished; after the monitor's case before it, which is about to be."""
        if self._draining:  # its row is stored: the next start of Defib takes it up
            return
        before = self._tasks.get(case.monitor)
        self._tasks[case.monitor] = asyncio.ensure_future(self._run(case, before, is_resumed=is_resumed))
        if before is None:
            self._cases[case.monitor] = case

    def case(self, monitor: MonitorId) -> Case | None:
        """The case that is being worked on."""
        return self._cases.get(monitor)

    def unfinished(self) -> frozenset[MonitorId]:
        """Monitors whose case an earlier run of Defib left to be taken up."""
        return frozenset(item.monitor for item in self._reader.cases(only_active=True))

    def relapse_of(self, monitor: MonitorId) -> tuple[IncidentId, int] | None:
        """The incident that a new fault of ``monitor`` goes on with, and after how many attempts; None for none."""
        case = self._cases.get(monitor)
        if case is None or case.state not in (*_UNDER_WAY, CaseState.PROBATION):
            return None
        return case.incident, case.attempts

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
            if item.state.is_under_way:
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

    async def cancel(self, monitor: MonitorId, actor: str) -> Case:
        """End the case at work; an action that runs comes to its end first, and is not verified.

        :return: the case that is being ended.
        :raises ActionRefusedError: there is none.
        """
        case = self._cases.get(monitor)
        if case is not None and monitor in self._tasks:
            self._cancelled[monitor] = actor
            return case
        stored = [item for item in self._reader.cases(only_active=True) if item.monitor == monitor]
        if not stored:
            raise ActionRefusedError(f"no recovery of {monitor} is at work; there is nothing to cancel")
        now = self._clock.now()
        ended = [rules.cancelled(item, f"cancelled by {actor}", now).case for item in stored]
        await self._writer.commit(Changes(cases=tuple(ended), audit=(self._cancellation(monitor, actor),)))
        return ended[-1]

    def _cancellation(self, monitor: MonitorId, actor: str) -> AuditEntry:
        return AuditEntry(at=self._clock.now(), actor=actor, event="recovery.cancelled", subject=monitor)

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

    async def _run(self, case: Case, before: asyncio.Task[None] | None, *, is_resumed: bool) -> None:
        monitor = case.monitor
        try:
            if before is not None:
                await asyncio.wait({before})
                self._acting.forget(monitor)
            self._cases[monitor] = case
            if case.state in (CaseState.INTENT, CaseState.ACTING, CaseState.KILLING):
                case = self._cases[monitor] = await self._acting.adopt(case, self.roster.monitors[monitor])
            progress: Progress | None = None
            while monitor in self.roster.monitors and not (
                self._draining and not self._acting.is_acting(monitor)
            ):
                try:
                    if progress is None:
                        await self._mark_relapse(case)
                        progress = await self._circumstances.begin(case, is_resumed=is_resumed)
                    next_case = await self._advance(case, progress)
                except StaleEpochError:
                    raise
                except StoreError as error:
                    log.error("recovery waits for the store", monitor=monitor, error=str(error))
                    await self._clock.sleep(1.0)
                    case = self._cases[monitor]  # what has been started by now is never started again
                    continue
                if next_case is None:
                    return
                case = self._cases[monitor] = next_case
        except StaleEpochError as error:
            self._cases[monitor] = replace(case, state=CaseState.FENCED)
            log.error("another Defib decides now", monitor=monitor, case=case.id, error=str(error))
        except Exception as error:  # the boundary of one case: its failure must not take the engine down
            log.error(
                "recovery case crashed", monitor=monitor, case=case.id, error=repr(error), exc_info=error
            )
        finally:
            if self._tasks.get(monitor) is asyncio.current_task():
                del self._tasks[monitor]
                self._cases.pop(monitor, None)
                self._cancelled.pop(monitor, None)
                self._acting.forget(monitor)
            self._bus.publish(Event(type="recovery", monitor=monitor))

    async def _mark_relapse(self, case: Case) -> None:
        """Note in the attempt that had helped last that it did not help for long, if this fault comes soon after."""
        if case.attempts or case.state is not CaseState.PENDING or case.dry_run:
            return
        fault_at = self._judge.incident(case.incident).fault_hi
        attempt = budgets.relapsed(self._ledger.of(case.monitor), fault_at)
        if attempt is not None:
            attempt = replace(attempt, relapsed_at=fault_at)
            audit = AuditEntry(
                at=self._clock.now(), actor=attempt.actor, event="recovery.relapse", subject=case.monitor,
                facts=attempt_facts(attempt),
            )  # fmt: skip
            await self._writer.commit(Changes(attempts=(attempt,), audit=(audit,)))
            self._ledger.note(attempt)

    async def _advance(self, case: Case, progress: Progress) -> Case | None:
        """One step; None when the case is over or its next step is beyond this pass."""
        watched = self.roster.monitors[case.monitor]
        now = self._clock.now()
        if (actor := self._cancelled.get(case.monitor)) is not None:
            ended = rules.cancelled(case, f"cancelled by {actor}", now).case
            audit = self._cancellation(case.monitor, actor)
            await self._finish(case, ended, watched, Changes(audit=(audit,)))
            return None
        incident = self._table[case.monitor].incident
        if incident != case.incident and not (case.state in _OUTLIVES_INCIDENT and incident is None):
            await self._finish(case, rules.healed(case, now).case, watched)
            return None
        if case.state is CaseState.VERIFYING and case.oks and case.rung < len(watched.actions):
            await self._acting.look_again(case, watched.actions[case.rung])
        situation = self._circumstances.of(case, progress, now)
        page = paging.due_page(case, watched.spec.recovery, situation, now)
        if page is not None:
            case = await self._page(case, page, watched, now)
        step = rules.next_step(case, watched.spec.recovery, situation, now)
        match step:
            case rules.Wait(case=after):
                await self._note(case, after)
                return after if await self._wait(after, watched, now) else None
            case rules.Look(case=after):
                await self._note(case, after)
                if after.state is CaseState.LAST_LOOK:
                    return await self._last_look(after, step, progress, watched)
                return await self._look_after(after, progress, watched)
            case rules.Act(case=after):
                self._cases[after.monitor] = after  # before the first await: the place to act is taken
                return await self._act(after, step, progress, watched)
            case rules.Settle(case=after, outcome=outcome):
                await self._settle(after, outcome, progress, watched)
                progress.misses = 0
                return None if after.state.is_terminal else after
            case rules.Relapse(case=after):
                self._cases[after.monitor] = after
                await self._acting.relapse(after, Changes())
                log.warning("fell again after its recovery", monitor=case.monitor, reason=after.reason)
                return after
            case rules.Finish(case=after):
                await self._finish(case, after, watched)
                return None

    async def _wait(self, case: Case, watched: Watched, now: datetime) -> bool:
        """Sleep until the next step may be due, a second at most; False when it is beyond this pass."""
        wait_s = max(0.05, min(1.0, (case.due_at - now).total_seconds()))
        if self.horizon is not None:
            needed_s = wait_s
            attempt = self._acting.attempt(case.monitor)
            if case.state is CaseState.PROBATION and attempt is not None and attempt.verified_at is not None:
                ends = attempt.verified_at + watched.spec.recovery.probation
                needed_s = max(wait_s, (ends - now).total_seconds())  # else the next pass sees to it
            if self._clock.monotonic() + needed_s > self.horizon:
                return False
        await self._clock.sleep(wait_s)
        return True

    # --- looking -----------------------------------------------------------------------------------

    async def _last_look(self, case: Case, look: rules.Look, progress: Progress, watched: Watched) -> Case:
        """Look whether it still fails, and ask the action about its target when it does."""
        for turn in range(look.probes):
            if turn:
                await self._clock.sleep(_LOOK_PAUSE_S)
            outcome = await self._outcome(case.monitor, watched)
            if outcome is Outcome.INCONCLUSIVE:
                words = "the last look was inconclusive; Defib does not act on a guess"
                return self._back(case, words, GATE_RECHECK)
            progress.misses += outcome is Outcome.FAIL
            if outcome is Outcome.FAIL and progress.misses >= look.needed:
                health, incident = self._table[case.monitor], self._judge.incident(case.incident)
                was_well = health.last_ok_at or incident.fault_lo
                own = self._ledger.of(case.monitor)
                progress.target = await witness.ask(watched.actions[case.rung], was_well, own)
                return case
        if progress.misses:
            return self._back(case, "it answers now and then; looking on", _COMING_BACK)
        return self._back(case, "answered at the last look; waiting for the verdict", _COMING_BACK)

    def _back(self, case: Case, reason: str, wait: timedelta) -> Case:
        now = self._clock.now()
        return gated(case, Gate.LAST_LOOK, reason, now, due_at=now + wait)

    async def _outcome(self, monitor: MonitorId, watched: Watched) -> Outcome:
        """What a look shows; what reports by itself is as its newest report, or its silence, says."""
        if watched.is_pushed:
            return Outcome.FAIL if self._table[monitor].state.is_bad else Outcome.OK
        observation = await self._look(monitor)
        return observation.evidence.outcome if observation else Outcome.INCONCLUSIVE

    async def _look_after(self, case: Case, progress: Progress, watched: Watched) -> Case:
        """Look at what an action came to; only what began after its end counts."""
        observation = self._table[case.monitor].last if watched.is_pushed else await self._look(case.monitor)
        attempt = self._acting.attempt(case.monitor)
        if observation is None or case.state is not CaseState.VERIFYING or attempt is None:
            return case
        if observation.started_at < (attempt.ended_at or attempt.intent_at):
            return case
        evidence = observation.evidence
        progress.signs = progress.signs.see(evidence, observation.started_at, ladder.signature(evidence))
        match evidence.outcome:
            case Outcome.INCONCLUSIVE:
                return case
            case Outcome.OK:
                return replace(case, oks=case.oks + 1)
            case Outcome.FAIL:
                return replace(case, oks=0)

    # --- acting and writing ------------------------------------------------------------------------

    async def _act(self, case: Case, step: rules.Act, progress: Progress, watched: Watched) -> Case | None:
        """Act, or say why not; None when the case is over."""

        def note(acting: Case) -> None:
            self._cases[acting.monitor] = acting

        looked = replace(case, state=CaseState.LAST_LOOK, attempts=case.attempts - 1)
        progress.target, progress.signs, progress.is_resumed = Target(), rules.Signs(), False
        try:
            after = await self._acting.run(case, watched, step.passed, note)
        except ActionRefusedError as error:
            await self._finish(looked, rules.refused(case, str(error), self._clock.now()).case, watched)
            return None
        except StoreError:
            if self._cases[case.monitor].state is CaseState.INTENT:  # nothing has been started
                self._cases[case.monitor] = replace(looked, state=CaseState.GATED, gate=Gate.LAST_LOOK)
            raise
        return None if after.state.is_terminal else after

    async def _note(self, before: Case, after: Case) -> None:
        """Commit a step that is worth a row: another state or reason, not each look at the clock."""
        is_news = (before.state, before.gate) != (after.state, after.gate)
        if is_news or (before.reason != after.reason and after.gate not in _TICKING):
            self._cases[after.monitor] = after  # before the first await: the place to act is taken
            await self._writer.commit(Changes(cases=(after,)))
            self._bus.publish(Event(type="recovery", monitor=after.monitor))

    async def _page(self, case: Case, page: paging.Page, watched: Watched, now: datetime) -> Case:
        """Tell people that they are needed."""
        told = replace(case, pages=(*case.pages, *page.codes))
        changes = Changes(cases=(told,)) + self._judge.notifier.recovery_page(
            page.kind, watched, self._table[case.monitor], self._judge.incident(case.incident), now,
            reason=page.reason, attempts=case.attempts,
        )  # fmt: skip
        self._cases[case.monitor] = told
        await self._commit_told(changes)
        log.warning("a person is called", monitor=case.monitor, why=page.codes[0], reason=page.reason)
        return told

    async def _settle(
        self, case: Case, outcome: AttemptOutcome, progress: Progress, watched: Watched
    ) -> None:
        signature = "" if outcome is AttemptOutcome.VERIFIED else progress.signs.signature
        more = self._telling_end(case, watched)
        await self._acting.settle(case, outcome, more, signature)
        if more.new_deliveries:
            self.on_deliveries(more)
        log.info("recovery attempt settled", monitor=case.monitor, outcome=outcome, reason=case.reason)

    async def _finish(self, before: Case, case: Case, watched: Watched, more: Changes | None = None) -> None:
        changes = self._telling_end(case, watched) + (more or Changes())
        if before.state is CaseState.VERIFYING:  # nobody looks any more what became of the attempt
            await self._acting.settle(case, AttemptOutcome.UNKNOWN, changes)
        else:
            await self._writer.commit(Changes(cases=(case,)) + changes)
        if changes.new_deliveries:
            self.on_deliveries(changes)
        log.log(30 if case.state is CaseState.OPEN else 20, "recovery case ended", monitor=case.monitor,
                state=case.state, reason=case.reason)  # fmt: skip

    def _telling_end(self, case: Case, watched: Watched) -> Changes:
        """What people are told of a case that ends: that they are needed, where it was given up."""
        if case.state is not CaseState.OPEN:
            return Changes()
        return self._judge.notifier.recovery_failed(
            watched, self._table[case.monitor], self._judge.incident(case.incident), self._clock.now(),
            reason=case.reason, attempts=case.attempts,
        )  # fmt: skip

    async def _commit_told(self, changes: Changes) -> None:
        await self._writer.commit(changes)
        if changes.new_deliveries:
            self.on_deliveries(changes)

    def _credit(self, monitor: str) -> tuple[str, int] | None:
        """Whether a recovery of ``monitor`` now is Defib's doing, in words."""
        case = self._cases.get(MonitorId(monitor))
        if case is None or case.state not in (CaseState.VERIFYING, CaseState.ACTING, CaseState.KILLING):
            return None
        return self._acting.credit(case.monitor)


_UNDER_WAY = (CaseState.INTENT, CaseState.ACTING, CaseState.KILLING, CaseState.VERIFYING)
_OUTLIVES_INCIDENT = (CaseState.VERIFYING, CaseState.PROBATION)
"""The incident ends with the first good looks; whether they last is seen after it."""
_TICKING = frozenset({Gate.OTHER_CONTROLLER, Gate.FLAPPING, Gate.BUDGET_RELAPSE})
"""Gates whose reason counts seconds: not each of them is worth a row."""
