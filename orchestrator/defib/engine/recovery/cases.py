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

One step is :class:`defib.engine.recovery.stepping.Stepping`, of which steps 2 to 6 are
:class:`defib.engine.recovery.acting.Acting`; what is decided on is :mod:`defib.engine.recovery.circumstances`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from defib.engine.detection.judge import Judge
from defib.engine.events import Event, EventBus
from defib.engine.ids import new_id
from defib.engine.observer.guard import Guard
from defib.engine.recovery.acting import Acting, TakeSnapshot
from defib.engine.recovery.circumstances import Circumstances, Progress
from defib.engine.recovery.ledger import Ledger
from defib.engine.recovery.stepping import LookAt, Stepping
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import ActionRefusedError, StaleEpochError, StoreError
from defib.logs import get_logger
from defib.model.changes import Changes
from defib.model.health import FaultLabel, State
from defib.model.ids import CaseId, IncidentId, MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import AuditEntry, Case, CaseState, Gate
from defib.ports import Clock, RemoteActions
from defib.rules import recovery as rules
from defib.store import Reader, Writer

log = get_logger("defib.recovery")

_UNDER_WAY = (CaseState.INTENT, CaseState.ACTING, CaseState.KILLING, CaseState.VERIFYING)


class Recovery:
    """Runs the recovery cases."""

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, writer: Writer, reader: Reader, judge: Judge,
        bus: EventBus, look: LookAt, guard: Guard, snapshot: TakeSnapshot | None = None,
        agents: RemoteActions | None = None,
    ) -> None:  # fmt: skip
        """:param snapshot: takes the evidence that an action would wipe out; None takes none."""
        self._clock = clock
        self._table = table
        self._writer = writer
        self._reader = reader
        self._judge = judge
        self._bus = bus
        ledger = Ledger(reader)
        ledger.load(clock.now())
        self._acting = Acting(clock, table, writer, bus, ledger, snapshot, agents)
        self._tasks: dict[MonitorId, asyncio.Task[None]] = {}
        self._cases: dict[MonitorId, Case] = {}
        self._cancelled: dict[MonitorId, str] = {}  # by whom
        self._circumstances = Circumstances(
            clock, roster, table, reader, writer, judge, guard, self._acting, ledger, self._cases
        )
        self._stepping = Stepping(
            clock, table, writer, judge, bus, look, self._acting, ledger, self._circumstances, self._cases,
            on_deliveries=self._post,
        )  # fmt: skip
        self._draining = False
        self.horizon: float | None = None  #: monotonic; steps due later are left to the next pass
        self.on_deliveries: Callable[[Changes], None] = lambda changes: None
        judge.on_case = self.start
        judge.healer = self._credit
        judge.relapse_of = self.relapse_of

    @property
    def roster(self) -> Roster:
        return self._circumstances.roster

    @roster.setter
    def roster(self, roster: Roster) -> None:
        self._circumstances.roster = roster

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
                        progress = await self._stepping.begin(case, is_resumed=is_resumed)
                    watched = self.roster.monitors[monitor]
                    if (actor := self._cancelled.get(monitor)) is not None:
                        await self._stepping.cancel(case, watched, self._cancellation(monitor, actor))
                        return
                    next_case = await self._stepping.advance(case, progress, watched, self.horizon)
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

    def _credit(self, monitor: str) -> tuple[str, int] | None:
        """Whether a recovery of ``monitor`` now is Defib's doing, in words."""
        case = self._cases.get(MonitorId(monitor))
        if case is None or case.state not in (CaseState.VERIFYING, CaseState.ACTING, CaseState.KILLING):
            return None
        return self._acting.credit(case.monitor)

    def _post(self, changes: Changes) -> None:
        if changes.new_deliveries:
            self.on_deliveries(changes)
