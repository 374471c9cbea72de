"""One attempt of a recovery case, from its intent to its record: the only place where actions are run.

The row of the intent is on disk before anything runs, and nothing that may have run is ever run again: see
the numbered steps of :mod:`defib.engine.recovery.cases`.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from defib.engine.boot import boot_id, process_started
from defib.engine.events import Event, EventBus
from defib.engine.ids import new_id
from defib.engine.recovery.executor import ProcessExecutor
from defib.engine.recovery.ledger import Ledger
from defib.engine.roster import Watched
from defib.engine.table import StateTable
from defib.errors import ActionHeldBackError, ActionRefusedError, StaleEpochError, StoreError
from defib.logs import get_logger
from defib.model.changes import Changes
from defib.model.evidence import Fact
from defib.model.ids import AttemptId, IncidentId, MonitorId
from defib.model.recovery import Attempt, AttemptOutcome, AuditEntry, Case, CaseState, Gate
from defib.model.snapshot import Snapshot
from defib.ports import Action, ActionContext, ActionResult, Clock, RemoteActions
from defib.rules.auditing import attempt_facts
from defib.rules.recovery import gates, ladder
from defib.rules.recovery.machine import gated
from defib.rules.recovery.timing import GATE_RECHECK
from defib.store import Writer

log = get_logger("defib.acting")

SAME_PROCESS = "the target is still the same process"
_PLUGIN_GRACE_S = 15.0  #: an action bounds itself; this bounds a broken plugin
_IDENTITY_S = 5.0
TakeSnapshot = Callable[[Watched, IncidentId], Awaitable[Snapshot]]

_NO_FACTS: Mapping[str, Fact] = {}
_NOTHING = Changes()
_DEFAULT_TIMEOUT = timedelta(seconds=30)  #: of an adopted action whose rung is no longer configured


def has_failed(attempt: Attempt) -> bool:
    """Whether the action itself went wrong: killed, or an exit status that is not 0. Unknown is not failed."""
    return attempt.outcome is AttemptOutcome.TIMEOUT or attempt.exit_status not in (0, None)


class Acting:
    """Runs attempts, at most one for each monitor."""

    def __init__(
        self, clock: Clock, table: StateTable, writer: Writer, bus: EventBus, ledger: Ledger,
        snapshot: TakeSnapshot | None = None, agents: RemoteActions | None = None,
    ) -> None:  # fmt: skip
        """:param snapshot: takes the evidence that the first action of a case would wipe out."""
        self._clock = clock
        self._table = table
        self._writer = writer
        self._bus = bus
        self._ledger = ledger
        self._snapshot = snapshot
        self._agents = agents
        self._boot = boot_id()
        self._attempts: dict[MonitorId, Attempt] = {}
        self._running: set[MonitorId] = set()

    # --- questions ---------------------------------------------------------------------------------

    def attempt(self, monitor: MonitorId) -> Attempt | None:
        """The present or latest attempt of the case that is being worked on."""
        return self._attempts.get(monitor)

    def is_acting(self, monitor: MonitorId) -> bool:
        return monitor in self._running

    def credit(self, monitor: MonitorId) -> tuple[str, int] | None:
        """What a recovery of ``monitor`` now owes to its attempt, in words, with its number; None for nothing."""
        attempt = self._attempts.get(monitor)
        if attempt is None or attempt.detail == SAME_PROCESS:
            return None
        took = (self._clock.now() - (attempt.started_at or attempt.intent_at)).total_seconds()
        return f"recovered by Defib in {took:.1f} s: {attempt.description}", attempt.number

    def resume(self, attempt: Attempt) -> None:
        """Take note of an attempt of an earlier run of Defib."""
        self._attempts[attempt.monitor] = attempt

    def forget(self, monitor: MonitorId) -> None:
        """The case is over."""
        self._attempts.pop(monitor, None)

    # --- acting ------------------------------------------------------------------------------------

    async def run(
        self, case: Case, watched: Watched, passed: Mapping[Gate, str], note: Callable[[Case], None]
    ) -> Case:
        """Run the rung of ``case``: intent, action, result.

        :param passed: the gates that were open, and why: what a rehearsal tells, and the audit log keeps.
        :param note: told of the case while it is ACTING, and while it is KILLING.
        :return: the case, VERIFYING; GATED when its target is being worked on; or ABORTED after a rehearsal.
        :raises ActionRefusedError: nothing was executed; the refusal is recorded.
        :raises StoreError: the intent could not be written; nothing was executed.
        """
        action, rung = watched.actions[case.rung], watched.spec.recovery.ladder[case.rung]
        now = self._clock.now()
        attempt = Attempt(
            id=AttemptId(new_id("try", now)), case=case.id, incident=case.incident, monitor=case.monitor,
            number=case.attempts, rung=case.rung, kind=rung.kind, description=action.description, actor=case.actor,
            intent_at=now, boot_id=self._boot, epoch=self._writer.epoch, signature_before=self._signature(case.monitor),
        )  # fmt: skip
        case = replace(case, attempt=attempt.id)
        facts: dict[str, Fact] = {"gates": gates.names(passed)}
        if case.dry_run:
            return await self._rehearse(case, attempt, passed, facts)
        self._running.add(case.monitor)
        try:
            action.check()
            attempt = replace(attempt, identity_before=await self._identity(action))
            kept = Changes()
            if self._snapshot is not None and case.attempts == 1:
                kept = Changes(snapshots=(await self._snapshot(watched, case.incident),))
            await self._record(case, attempt, "recovery.intent", facts, kept)
            log.warning(
                "recovery acts", monitor=case.monitor, action=attempt.description, attempt=attempt.number
            )
            case = replace(case, state=CaseState.ACTING)
            note(case)
            await self._note_on_the_way(case, replace(attempt, started_at=self._clock.now()), None)
            result = await self._execute(action, case, watched, rung.timeout, note)
            return await self._ended(case, action, result, rung.timeout)
        except ActionRefusedError as error:
            now = self._clock.now()
            refused = replace(attempt, outcome=AttemptOutcome.REFUSED, ended_at=now, detail=str(error))
            if isinstance(error, ActionHeldBackError):
                case = gated(case, Gate.TARGET, str(error), now, due_at=now + GATE_RECHECK)
                await self._record(case, refused, "recovery.held-back")
                return case
            await self._record(case, refused, "recovery.refused")
            raise
        finally:
            self._running.discard(case.monitor)

    async def _rehearse(
        self, case: Case, attempt: Attempt, passed: Mapping[Gate, str], facts: Mapping[str, Fact]
    ) -> Case:
        would = f"would have run: {attempt.description}"
        now = self._clock.now()
        done = replace(case, state=CaseState.ABORTED, reason=f"dry-run: {would}", closed_at=now)
        attempt = replace(
            attempt, outcome=AttemptOutcome.DRY_RUN, ended_at=now, detail=would, output=gates.explain(passed)
        )
        await self._record(done, attempt, "recovery.dry-run", facts)
        log.warning("recovery is in dry-run mode", monitor=case.monitor, would_run=attempt.description)
        return done

    async def _execute(
        self, action: Action, case: Case, watched: Watched, timeout: timedelta, note: Callable[[Case], None]
    ) -> ActionResult:
        async def on_start(pid: int) -> None:
            running = replace(self._attempts[case.monitor], pid=pid, pid_started=process_started(pid))
            await self._note_on_the_way(case, running, None)

        async def on_kill() -> None:
            reason = f"it runs for longer than {timeout.total_seconds():g} s"
            killing = replace(case, state=CaseState.KILLING, reason=reason)
            note(killing)
            await self._note_on_the_way(killing, self._attempts[case.monitor], "recovery.killing")

        health = self._table[case.monitor]
        env = {
            "DEFIB_MONITOR": case.monitor,
            "DEFIB_TYPE": watched.spec.kind,
            "DEFIB_STATE": str(health.state),
            "DEFIB_REASON": " ".join(health.reason.split())[:500].replace("\0", ""),
            "DEFIB_INCIDENT": case.incident,
            "DEFIB_ATTEMPT": str(case.attempts),
        }
        context = ActionContext(
            timeout=timeout, env=env, execute=ProcessExecutor(on_start, on_kill), clock=self._clock,
            key=self._attempts[case.monitor].id, agents=self._agents,
        )  # fmt: skip
        try:
            return await asyncio.wait_for(action.run(context), timeout.total_seconds() + _PLUGIN_GRACE_S)
        except ActionRefusedError:
            raise
        except TimeoutError:
            return ActionResult(exit_status=None, output="the action's plugin did not return", timed_out=True)
        except Exception as error:  # an action is a plugin
            log.error("recovery action crashed", monitor=case.monitor, error=repr(error), exc_info=error)
            return ActionResult(exit_status=1, output=f"the action's plugin crashed: {type(error).__name__}")

    async def _note_on_the_way(self, case: Case, attempt: Attempt, event: str | None) -> None:
        """Record how far an action is. The intent is on disk: a store that fails by now changes nothing about it.

        What cannot be written is written with the next step; a crash before that finds the action unfinished.

        :raises StaleEpochError: another Defib decides.
        """
        try:
            await self._record(case, attempt, event)
        except StaleEpochError:
            raise
        except StoreError as error:
            self._attempts[case.monitor] = attempt
            log.error("cannot note how far an action is", monitor=case.monitor, error=str(error))

    async def _ended(self, case: Case, action: Action, result: ActionResult, timeout: timedelta) -> Case:
        ended = self._clock.now()
        attempt = replace(
            self._attempts[case.monitor], ended_at=ended, exit_status=result.exit_status, output=result.output
        )
        if result.timed_out:
            killed = f"killed after {timeout.total_seconds():g} s"
            attempt = replace(attempt, outcome=AttemptOutcome.TIMEOUT, detail=killed)
        else:
            attempt = await self._identified(attempt, action)
        case = replace(case, state=CaseState.VERIFYING, due_at=ended, reason="verifying", oks=0)
        await self._note_on_the_way(case, attempt, "recovery.ended")
        return case

    async def _identified(self, attempt: Attempt, action: Action) -> Attempt:
        """``attempt`` with what the target is now, and whether it should be another."""
        after = await self._identity(action)
        is_same = action.changes_identity and after is not None and after == attempt.identity_before
        return replace(attempt, identity_after=after, detail=SAME_PROCESS if is_same else "")

    async def look_again(self, case: Case, action: Action) -> None:
        """Whether an action that seemed to have changed nothing has, by now, while its target is well."""
        attempt = self._attempts.get(case.monitor)
        if attempt is not None and attempt.detail == SAME_PROCESS:
            await self._record(case, await self._identified(attempt, action), None)

    async def adopt(self, case: Case, watched: Watched) -> Case:
        """Wait for what an earlier run of Defib may have left running; never start it again.

        :return: the case, VERIFYING.
        """
        attempt = self._attempts.get(case.monitor)
        if attempt is None:
            return replace(case, state=CaseState.VERIFYING, due_at=self._clock.now())
        ladder = watched.spec.recovery.ladder
        timeout = ladder[case.rung].timeout if case.rung < len(ladder) else _DEFAULT_TIMEOUT
        self._running.add(case.monitor)
        try:
            await self._wait_for(attempt, timeout)
        finally:
            self._running.discard(case.monitor)
        now = self._clock.now()
        attempt = replace(
            attempt, ended_at=now, outcome=AttemptOutcome.UNKNOWN,
            detail="Defib was interrupted while it acted; verification decides",
        )  # fmt: skip
        reason = "verifying after an interruption"
        case = replace(case, state=CaseState.VERIFYING, due_at=now, oks=0, reason=reason)
        await self._record(case, attempt, "recovery.adopted")
        return case

    async def _wait_for(self, attempt: Attempt, timeout: timedelta) -> None:
        if attempt.pid is None or attempt.boot_id != self._boot:
            return
        while _is_same(attempt):
            if self._clock.now() - attempt.intent_at >= timeout:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(attempt.pid, signal.SIGKILL)
                return
            await self._clock.sleep(0.2)

    async def settle(self, case: Case, outcome: AttemptOutcome, more: Changes, signature: str = "") -> None:
        """Record what became of the present attempt, with its case.

        :param more: to be committed together with it.
        :param signature: how the target fails now, when it does.
        """
        attempt = self._attempts.get(case.monitor)
        if attempt is None:
            await self._writer.commit(Changes(cases=(case,)) + more)
            return
        if outcome is AttemptOutcome.FAILED and attempt.outcome is AttemptOutcome.TIMEOUT:
            outcome = AttemptOutcome.TIMEOUT
        verified_at = self._clock.now() if outcome is AttemptOutcome.VERIFIED else None
        settled = replace(attempt, outcome=outcome, verified_at=verified_at, signature_after=signature)
        await self._record(case, settled, f"recovery.{outcome}", more=more)

    async def relapse(self, case: Case, more: Changes) -> None:
        """Record that the target fell again soon after the present attempt had helped."""
        attempt = self._attempts[case.monitor]
        relapsed = replace(attempt, relapsed_at=self._clock.now())
        await self._record(case, relapsed, "recovery.relapse", more=more)

    async def _record(
        self, case: Case, attempt: Attempt, event: str | None, facts: Mapping[str, Fact] = _NO_FACTS,
        more: Changes = _NOTHING,
    ) -> None:  # fmt: skip
        """Commit case and attempt together; with an ``event`` also in the audit log."""
        audit: tuple[AuditEntry, ...] = ()
        if event is not None:
            known = {**attempt_facts(attempt), **self._inputs(case), **facts}
            entry = AuditEntry(
                at=self._clock.now(), actor=attempt.actor, event=event, subject=attempt.monitor, facts=known
            )
            audit = (entry,)
        await self._writer.commit(Changes(cases=(case,), attempts=(attempt,), audit=audit) + more)
        self._attempts[case.monitor] = attempt
        self._ledger.note(attempt)
        self._bus.publish(Event(type="recovery", monitor=case.monitor))

    def _signature(self, monitor: MonitorId) -> str:
        """How the target fails."""
        last = self._table[monitor].last
        return "" if last is None or last.evidence.is_ok else ladder.signature(last.evidence)

    def _inputs(self, case: Case) -> dict[str, Fact]:
        """What a step was taken on: the case, and the newest evidence of its monitor."""
        health = self._table[case.monitor]
        facts: dict[str, Fact] = {
            "case_state": str(case.state),
            "case_reason": case.reason,
            "state": str(health.state),
        }
        if health.last is not None:
            facts |= {
                "evidence_at": health.last.started_at.isoformat(),
                "evidence": health.last.evidence.cause,
                "evidence_summary": health.last.evidence.summary,
            }
        return facts

    async def _identity(self, action: Action) -> str | None:
        try:
            return await asyncio.wait_for(action.identity(), _IDENTITY_S)
        except Exception as error:  # knowing the identity is a help, not a need
            log.debug("identity of the target is unknown", error=repr(error), exc_info=error)
            return None


def _is_same(attempt: Attempt) -> bool:
    """Whether the process of ``attempt`` still runs, and its id does not belong to another by now."""
    started = process_started(attempt.pid) if attempt.pid is not None else None
    return (
        started is not None and attempt.pid_started is not None and abs(started - attempt.pid_started) < 0.05
    )
