"""Carries out recovery cases: asks the rules, does what they say, and commits before and after.

Every case is a task that follows these numbered steps, each safe to be cut off anywhere:

1. Ask :func:`defib.rules.recovery.next_step` what to do.
2. To act: check that the action may run, then commit the attempt as INTENT. Only then run it.
3. As soon as a process runs, commit its id and start time as ACTING.
4. When it has ended, commit its result and VERIFYING. Probes decide from here.
5. After a crash: INTENT and ACTING are never run again. A command that still runs is adopted and waited
   for within its time limit; then, as with everything else, verification tells what became of it.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from defib.engine.boot import boot_id, process_started
from defib.engine.events import Event, EventBus
from defib.engine.executor import ProcessExecutor
from defib.engine.guard import Guard
from defib.engine.ids import new_id
from defib.engine.judge import Judge
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.errors import ActionRefusedError, StoreError
from defib.model.changes import Changes
from defib.model.evidence import Fact, Grade, Observation, Outcome, ProbeStatus
from defib.model.health import State
from defib.model.ids import AttemptId, CaseId, MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import Attempt, AttemptOutcome, AuditEntry, Case, CaseState
from defib.ports import Action, ActionContext, ActionResult, Clock
from defib.rules import recovery as rules
from defib.rules.dependencies import waiting_for
from defib.rules.recovery import Act, Finish, Look, Settle, Situation, Wait
from defib.store import Reader, Writer

log = structlog.get_logger("defib.recovery")

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
        self._boot = boot_id()
        self._tasks: dict[MonitorId, asyncio.Task[None]] = {}
        self._cases: dict[MonitorId, Case] = {}
        self._attempts: dict[MonitorId, Attempt] = {}
        self._acting: set[MonitorId] = set()
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
                self._attempts[case.monitor] = attempt
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
        """Work on ``case`` until it is finished."""
        self._cases[case.monitor] = case
        task = asyncio.ensure_future(self._run(case))
        self._tasks[case.monitor] = task

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
        await self._writer.commit(Changes(cases=(case,), audit=(audit,)))
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
            if monitor not in self._acting:
                task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    # --- one case ----------------------------------------------------------------------------------

    async def _run(self, case: Case) -> None:
        monitor = case.monitor
        try:
            if case.state in (CaseState.INTENT, CaseState.ACTING):
                case = await self._adopt(case)
            while monitor in self.roster.monitors and not (self._draining and monitor not in self._acting):
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
            self._acting.discard(monitor)
            if self._tasks.get(monitor) is asyncio.current_task():
                del self._tasks[monitor]
                self._cases.pop(monitor, None)
                self._attempts.pop(monitor, None)
            self._bus.publish(Event(type="recovery", monitor=monitor))

    async def _advance(self, case: Case) -> Case | None:
        """One step; None when the case is over or its next step is beyond this pass."""
        watched = self.roster.monitors[case.monitor]
        now = self._clock.now()
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
        attempt = self._attempts.get(case.monitor)
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
            acting_now=len(self._acting - {case.monitor}),
            failed_in_window=sum(
                item.outcome in unsuccessful and item.intent_at >= now - policy.window for item in attempts
            ),
            verified_in_hour=sum(
                item.outcome is AttemptOutcome.VERIFIED and item.intent_at >= now - rules.RELAPSE_WINDOW
                for item in attempts
            ),
            uses=uses,
            action_ended_at=(attempt.ended_at or attempt.intent_at) if attempt else None,
            action_failed=attempt is not None and attempt.exit_status != 0,
            wrong_since=health.first_fail_at if answers_wrongly else None,
            oks_needed=self.roster.strategy(case.monitor).recovery_threshold,
        )

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
        """Steps 2 to 4: intent, action, result."""
        action, rung = watched.actions[case.rung], watched.spec.recovery.ladder[case.rung]
        now = self._clock.now()
        attempt = Attempt(
            id=AttemptId(new_id("try", now)), case=case.id, incident=case.incident, monitor=case.monitor,
            number=case.attempts, rung=case.rung, kind=rung.kind, description=action.description, actor=case.actor,
            intent_at=now, boot_id=self._boot,
        )  # fmt: skip
        case = replace(case, attempt=attempt.id)
        if case.dry_run:
            would = f"dry-run: would have run: {action.description}"
            done = replace(case, state=CaseState.ABORTED, reason=would, closed_at=now)
            attempt = replace(attempt, outcome=AttemptOutcome.DRY_RUN, ended_at=now, detail=would)
            await self._record(done, attempt, "recovery.dry-run")
            log.warning("recovery is in dry-run mode", monitor=case.monitor, would_run=action.description)
            return None
        try:
            action.check()
        except ActionRefusedError as error:
            await self._refuse(case, attempt, watched, str(error))
            return None
        self._acting.add(case.monitor)
        try:
            await self._record(case, attempt, "recovery.intent")
            self._attempts[case.monitor] = attempt
            log.warning(
                "recovery acts", monitor=case.monitor, action=action.description, attempt=case.attempts
            )
            before = await self._identity(action)
            attempt, case = await self._started(attempt, case)
            try:
                result = await self._execute(action, attempt, case, rung.timeout)
            except ActionRefusedError as error:
                await self._refuse(case, attempt, watched, str(error))
                return None
            after = await self._identity(action) if action.changes_identity else None
            same = action.changes_identity and before is not None and before == after
            ended = self._clock.now()
            attempt = replace(
                self._attempts[case.monitor], ended_at=ended, exit_status=result.exit_status,
                output=result.output, detail="the target is still the same process" if same else "",
            )  # fmt: skip
            if result.timed_out:
                attempt = replace(attempt, detail=f"killed after {rung.timeout.total_seconds():g} s")
            case = replace(case, state=CaseState.VERIFYING, due_at=ended, reason="verifying", oks=0)
            await self._record(case, attempt, "recovery.ended")
            self._attempts[case.monitor] = attempt
            return case
        finally:
            self._acting.discard(case.monitor)

    async def _started(self, attempt: Attempt, case: Case) -> tuple[Attempt, Case]:
        attempt = replace(attempt, started_at=self._clock.now())
        case = self._cases[case.monitor] = replace(case, state=CaseState.ACTING)
        await self._record(case, attempt, None)
        self._attempts[case.monitor] = attempt
        return attempt, case

    async def _execute(
        self, action: Action, attempt: Attempt, case: Case, timeout: timedelta
    ) -> ActionResult:
        async def on_start(pid: int) -> None:
            started = replace(self._attempts[case.monitor], pid=pid, pid_started=process_started(pid))
            self._attempts[case.monitor] = started
            await self._record(case, started, None)

        health = self._table[case.monitor]
        env = {
            "DEFIB_MONITOR": case.monitor,
            "DEFIB_TYPE": self.roster.monitors[case.monitor].spec.kind,
            "DEFIB_STATE": str(health.state),
            "DEFIB_REASON": " ".join(health.reason.split())[:500].replace("\0", ""),
            "DEFIB_INCIDENT": case.incident,
            "DEFIB_ATTEMPT": str(case.attempts),
        }
        context = ActionContext(
            timeout=timeout, env=env, execute=ProcessExecutor(on_start), clock=self._clock
        )
        try:
            limit = timeout.total_seconds() + 15.0  # the action bounds itself; this bounds a broken plugin
            return await asyncio.wait_for(action.run(context), limit)
        except ActionRefusedError:
            raise
        except TimeoutError:
            return ActionResult(exit_status=None, output="the action's plugin did not return", timed_out=True)
        except Exception as error:  # an action is a plugin
            log.error("recovery action crashed", monitor=case.monitor, error=repr(error), exc_info=error)
            return ActionResult(exit_status=1, output=f"the action's plugin crashed: {type(error).__name__}")

    async def _identity(self, action: Action) -> str | None:
        try:
            return await asyncio.wait_for(action.identity(), 5.0)
        except Exception as error:  # knowing the identity is a help, not a need
            log.debug("identity of the target is unknown", error=repr(error))
            return None

    async def _adopt(self, case: Case) -> Case:
        """Step 5: a command of an earlier run of Defib may still be running; never start it again."""
        attempt = self._attempts.get(case.monitor)
        now = self._clock.now()
        if attempt is None:
            return replace(case, state=CaseState.VERIFYING, due_at=now)
        rungs = self.roster.monitors[case.monitor].spec.recovery.ladder
        timeout = rungs[case.rung].timeout if case.rung < len(rungs) else timedelta(seconds=30)
        self._acting.add(case.monitor)
        try:
            if attempt.pid is not None and attempt.boot_id == self._boot:
                log.warning(
                    "adopting a recovery action that still runs", monitor=case.monitor, pid=attempt.pid
                )
                while self._is_same(attempt):
                    if self._clock.now() - attempt.intent_at >= timeout:
                        with suppress(ProcessLookupError, PermissionError):
                            os.killpg(attempt.pid, signal.SIGKILL)
                        break
                    await self._clock.sleep(0.2)
        finally:
            self._acting.discard(case.monitor)
        now = self._clock.now()
        attempt = replace(
            attempt, ended_at=now, detail="Defib was interrupted while it acted; verification decides"
        )
        after = replace(
            case, state=CaseState.VERIFYING, due_at=now, oks=0, reason="verifying after an interruption"
        )
        await self._record(after, attempt, "recovery.adopted")
        self._attempts[case.monitor] = attempt
        self._cases[case.monitor] = after
        return after

    @staticmethod
    def _is_same(attempt: Attempt) -> bool:
        started = process_started(attempt.pid) if attempt.pid is not None else None
        return (
            started is not None
            and attempt.pid_started is not None
            and abs(started - attempt.pid_started) < 0.05
        )

    # --- writing -----------------------------------------------------------------------------------

    async def _note(self, before: Case, after: Case) -> None:
        """Commit a step that is worth a row: another state or reason, not each look at the clock."""
        if (before.state, before.reason) != (after.state, after.reason):
            await self._writer.commit(Changes(cases=(after,)))
            self._cases[after.monitor] = after
            self._bus.publish(Event(type="recovery", monitor=after.monitor))

    async def _record(self, case: Case, attempt: Attempt, event: str | None) -> None:
        audit: tuple[AuditEntry, ...] = ()
        if event is not None:
            facts: dict[str, Fact] = {
                "attempt": attempt.id, "number": attempt.number, "action": attempt.description,
                "outcome": str(attempt.outcome), "exit_status": attempt.exit_status, "incident": attempt.incident,
            }  # fmt: skip
            now = self._clock.now()
            audit = (
                AuditEntry(at=now, actor=attempt.actor, event=event, subject=attempt.monitor, facts=facts),
            )
        await self._writer.commit(Changes(cases=(case,), attempts=(attempt,), audit=audit))
        self._bus.publish(Event(type="recovery", monitor=case.monitor))

    async def _settle(self, case: Case, outcome: AttemptOutcome) -> None:
        attempt = self._attempts.get(case.monitor)
        if attempt is None:
            await self._writer.commit(Changes(cases=(case,)))
            return
        if outcome is AttemptOutcome.FAILED and attempt.exit_status is None and attempt.started_at:
            outcome = AttemptOutcome.TIMEOUT if attempt.detail.startswith("killed") else AttemptOutcome.FAILED
        now = self._clock.now()
        verified_at = now if outcome is AttemptOutcome.VERIFIED else None
        attempt = replace(attempt, outcome=outcome, verified_at=verified_at)
        await self._record(case, attempt, f"recovery.{outcome}")
        self._attempts[case.monitor] = attempt
        log.info("recovery attempt settled", monitor=case.monitor, outcome=outcome, reason=case.reason)

    async def _refuse(self, case: Case, attempt: Attempt, watched: Watched, reason: str) -> None:
        now = self._clock.now()
        attempt = replace(attempt, outcome=AttemptOutcome.REFUSED, ended_at=now, detail=reason)
        await self._record(case, attempt, "recovery.refused")
        await self._finish(rules.refused(case, reason, now).case, watched)

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
        attempt = self._attempts.get(MonitorId(monitor))
        if case is None or attempt is None or case.state not in (CaseState.VERIFYING, CaseState.ACTING):
            return None
        if attempt.detail == "the target is still the same process":
            return None
        took = (self._clock.now() - (attempt.started_at or attempt.intent_at)).total_seconds()
        return f"recovered by Defib in {took:.1f} s: {attempt.description}", attempt.number
