"""One step of a recovery case: asks the rules for it, does what they say, and commits before and after.

The steps and what makes each safe to be cut off are listed in :mod:`defib.engine.recovery.cases`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from defib.engine.detection.judge import Judge
from defib.engine.events import Event, EventBus
from defib.engine.recovery import witness
from defib.engine.recovery.acting import Acting
from defib.engine.recovery.circumstances import Circumstances, Progress
from defib.engine.recovery.ledger import Ledger
from defib.engine.roster import Watched
from defib.engine.table import StateTable
from defib.errors import ActionRefusedError, StoreError
from defib.logs import get_logger
from defib.model.changes import Changes
from defib.model.evidence import Observation, Outcome
from defib.model.ids import MonitorId
from defib.model.recovery import AttemptOutcome, AuditEntry, Case, CaseState, Gate
from defib.ports import Clock
from defib.rules import recovery as rules
from defib.rules.auditing import attempt_facts
from defib.rules.recovery import budgets, ladder, paging
from defib.rules.recovery.machine import gated
from defib.rules.recovery.situation import Target
from defib.rules.recovery.timing import GATE_RECHECK
from defib.store import Writer

log = get_logger("defib.recovery")

_LOOK_PAUSE_S = 1.0  #: between the probes of one last look
_COMING_BACK = timedelta(seconds=2)  #: after a good last look, detection has its turn
_OUTLIVES_INCIDENT = (CaseState.VERIFYING, CaseState.PROBATION)
"""The incident ends with the first good looks; whether they last is seen after it."""
_TICKING = frozenset({Gate.OTHER_CONTROLLER, Gate.FLAPPING, Gate.BUDGET_RELAPSE})
"""Gates whose reason counts seconds: not each of them is worth a row."""

LookAt = Callable[[MonitorId], Awaitable[Observation | None]]
"""Probe a monitor now, judge it, and return what was seen; None when it is no longer configured."""


class Stepping:
    """Takes a case one step on."""

    def __init__(
        self, clock: Clock, table: StateTable, writer: Writer, judge: Judge, bus: EventBus, look: LookAt,
        acting: Acting, ledger: Ledger, circumstances: Circumstances, cases: dict[MonitorId, Case],
        on_deliveries: Callable[[Changes], None],
    ) -> None:  # fmt: skip
        """:param cases: those at work, kept up to date here with each step."""
        self._clock = clock
        self._table = table
        self._writer = writer
        self._judge = judge
        self._bus = bus
        self._look = look
        self._acting = acting
        self._ledger = ledger
        self._circumstances = circumstances
        self._cases = cases
        self._on_deliveries = on_deliveries

    async def begin(self, case: Case, *, is_resumed: bool) -> Progress:
        """What is known of a case that is taken up."""
        await self._mark_relapse(case)
        return await self._circumstances.begin(case, is_resumed=is_resumed)

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

    async def advance(
        self, case: Case, progress: Progress, watched: Watched, horizon: float | None
    ) -> Case | None:
        """One step.

        :param horizon: monotonic; a step that is due later is left to the next pass.
        :return: None when the case is over or its next step is beyond ``horizon``.
        """
        now = self._clock.now()
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
                return after if await self._wait(after, watched, now, horizon) else None
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

    async def cancel(self, case: Case, watched: Watched, audit: AuditEntry) -> None:
        """End a case because the actor of ``audit`` asked for it."""
        ended = rules.cancelled(case, f"cancelled by {audit.actor}", audit.at).case
        await self._finish(case, ended, watched, Changes(audit=(audit,)))

    async def _wait(self, case: Case, watched: Watched, now: datetime, horizon: float | None) -> bool:
        """Sleep until the next step may be due, a second at most; False when it is beyond ``horizon``."""
        wait_s = max(0.05, min(1.0, (case.due_at - now).total_seconds()))
        if horizon is not None:
            needed_s = wait_s
            attempt = self._acting.attempt(case.monitor)
            if case.state is CaseState.PROBATION and attempt is not None and attempt.verified_at is not None:
                ends = attempt.verified_at + watched.spec.recovery.probation
                needed_s = max(wait_s, (ends - now).total_seconds())  # else the next pass sees to it
            if self._clock.monotonic() + needed_s > horizon:
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
        await self._writer.commit(changes)
        self._on_deliveries(changes)
        log.warning("a person is called", monitor=case.monitor, why=page.codes[0], reason=page.reason)
        return told

    async def _settle(
        self, case: Case, outcome: AttemptOutcome, progress: Progress, watched: Watched
    ) -> None:
        signature = "" if outcome is AttemptOutcome.VERIFIED else progress.signs.signature
        more = self._telling_end(case, watched)
        await self._acting.settle(case, outcome, more, signature)
        self._on_deliveries(more)
        log.info("recovery attempt settled", monitor=case.monitor, outcome=outcome, reason=case.reason)

    async def _finish(self, before: Case, case: Case, watched: Watched, more: Changes | None = None) -> None:
        changes = self._telling_end(case, watched) + (more or Changes())
        if before.state is CaseState.VERIFYING:  # nobody looks any more what became of the attempt
            await self._acting.settle(case, AttemptOutcome.UNKNOWN, changes)
        else:
            await self._writer.commit(Changes(cases=(case,)) + changes)
        self._on_deliveries(changes)
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
