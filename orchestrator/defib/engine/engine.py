"""The engine: everything that runs, started and stopped together.

schedule ─→ Prober ─┐                       ┌─→ Recovery (cases)
receivers ─→ Beats ─┴→ Judge ─→ one commit ─┤
                         │                  └─→ Courier (outbox)
                     StateTable ─→ Housekeeping (observations in groups)
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import structlog

from defib.engine.agents.fleet import Fleet
from defib.engine.alerting.desk import FrontDesk
from defib.engine.alerting.duty import Duty
from defib.engine.alerting.notifier import Notifier
from defib.engine.alerting.standing import Standing
from defib.engine.alerting.windows import Windows
from defib.engine.delivery import Courier
from defib.engine.delivery.trial import follow
from defib.engine.detection.judge import Judge
from defib.engine.detection.looking import Looking
from defib.engine.detection.prober import Prober
from defib.engine.detection.scheduler import Scheduler
from defib.engine.detection.second_opinion import SecondOpinions
from defib.engine.detection.tripwires import Tripwires
from defib.engine.events import Event, EventBus
from defib.engine.heartbeats.asking import Asking
from defib.engine.heartbeats.beats import Beats
from defib.engine.heartbeats.made_monitors import MadeMonitors
from defib.engine.heartbeats.pauses import Pauses
from defib.engine.housekeeping import PASS_GAP, Housekeeping
from defib.engine.observer.alarm import Alarm
from defib.engine.observer.dead_man import DeadMan
from defib.engine.observer.guard import Guard
from defib.engine.observer.senses import Lookout, Senses
from defib.engine.observer.vitals import SystemSenses
from defib.engine.observer.working import obstacle_to_vouching
from defib.engine.recovery.arming import Arming
from defib.engine.recovery.cases import Recovery
from defib.engine.recovery.snapshots import Snapshots
from defib.engine.reporting.schedule import Reporting
from defib.engine.roster import STRATEGY_KEY, Roster, Watched
from defib.engine.table import StateTable
from defib.engine.views.read_model import Views
from defib.engine.views.sources import Sources
from defib.errors import StoreError, UsageError
from defib.model.changes import Changes, DeliveryTry
from defib.model.evidence import Observation, Outcome
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.recovery import AuditEntry
from defib.model.report import ReportDocument
from defib.ports import Clock
from defib.rules.gaps import Gap, GapKind, Response, decide_response, spread
from defib.rules.phase import phase
from defib.store import Reader, Writer

log = structlog.get_logger("defib.engine")

FLUSH_EVERY = 1.0  #: seconds between groups of observations
REPORT_EVERY = 10.0
ROLL_EVERY = 60.0
CHECKPOINT_EVERY = 5.0
STORE_RETRY = timedelta(seconds=1)
PASS_BUDGET = timedelta(seconds=50)  #: of one pass: it ends before the next minute's one begins
DUE_SLACK = timedelta(seconds=1)  #: a pass that cron starts a moment early still finds its monitors due


class Engine:
    """One Defib over one store."""

    def __init__(
        self, clock: Clock, roster: Roster, reader: Reader, writer: Writer, canaries: Lookout | None = None,
        senses: Senses | None = None, takes_snapshots: bool = False,
    ) -> None:  # fmt: skip
        """
        :param canaries: None where the network is not to be looked at.
        :param senses: None for those of this process and machine.
        :param takes_snapshots: whether this machine is looked at before the first action of a recovery.
        """
        self.clock = clock
        self.roster = roster
        self.writer = writer
        self.reader = reader
        self.bus = EventBus()
        self.table = StateTable(self.reader.health())
        self.table.ensure(roster.monitors, clock.now())
        self.prober = Prober(clock)
        self.guard = Guard(clock, roster, self.bus, senses or SystemSenses(), canaries)
        self.judge = Judge(clock, roster, self.table, writer, self.reader, self.bus, self.guard)
        self.windows = Windows(clock, roster, writer, self.reader, self.bus)
        self.duty = Duty(clock, roster, self.table, self.judge, self.windows)
        self.looking = Looking(clock, roster, self.table, self.prober, self.judge, self.guard)
        asking = Asking(clock, self.prober, self.guard)
        self.beats = Beats(clock, roster, self.table, writer, self.reader, self.judge, asking)
        pauses = Pauses(self.windows, self.duty, self.beats)
        self.beats.rouse = pauses.rouse
        self.jobs = MadeMonitors(
            clock, roster, self.table, writer, self.reader, self.beats, self.judge, self.bus, pauses
        )
        self.fleet = Fleet(clock, roster, self.table, writer, self.reader, self.beats, self.bus)
        self.table.ensure(roster.monitors, clock.now())
        self.recovery = Recovery(
            clock, roster, self.table, writer, self.reader, self.judge, self.bus, self.look, self.guard,
            snapshot=Snapshots(clock, reader, lambda: self.roster.settings).take if takes_snapshots else None,
            agents=self.fleet.remote,
        )  # fmt: skip
        self.arming = Arming(clock, writer, self.bus, self.recovery)
        self.courier = Courier(clock, roster, writer, self.reader, self.bus)
        self.reporting = Reporting(clock, roster, writer, self.reader, lambda: list(self.scheduler.lateness))
        self.housekeeping = Housekeeping(clock, self.table, writer, self.reader)
        self.alarm = Alarm(clock, roster, writer, self.reader, self.guard)
        self.dead_man = DeadMan(clock, roster, lambda: obstacle_to_vouching(self))
        self.scheduler = Scheduler(clock, self._turn, epoch=clock.now().timestamp() - clock.monotonic())
        self.tripwires = Tripwires(clock, roster, self.scheduler.look_soon)
        self.standing = Standing(clock, roster, self.table, writer, self.judge.telling, self.bus)
        self.views = Views(self._sources)
        self.desk = FrontDesk(
            clock,
            writer,
            self.reader,
            self.bus,
            self.table,
            self.judge.telling,
            self.windows,
            self.recovery,
            self.courier,
        )
        self.judge.on_deliveries = self.standing.on_deliveries = self.courier.added
        self.judge.on_suspect = self._look_around
        self.judge.on_lasting = self.standing.take_change
        self.judge.on_return = self._look_at_children
        self.recovery.on_deliveries = self.courier.added
        self.alarm.on_deliveries = self.courier.added
        self.guard.worst_lateness = self.scheduler.take_worst_lateness
        self.guard.on_release = self._look_afresh
        self.guard.on_gap = self._take_gap
        self.judge.on_change = self.fleet.take_change
        self.second_opinions = SecondOpinions(clock, self.fleet)
        self.judge.second_opinion = self.second_opinions.weigh
        self.judge.window_of = self.duty.window_of
        self.windows.on_change = self._take_windows
        self.standing.look = self.look
        self.desk.tell = self.judge.telling.hands
        self.desk.on_marked = self.standing.take_change
        self.duty.on_aside = self._take_aside
        self.duty.on_back = self._take_back
        self.judge.telling.scenes.windows = self.windows.in_force
        self.desk.sentences = self.views.sentences
        self.fleet.withdraw = self.judge.withdraw
        self.jobs.on_put = self._take_made
        self.jobs.on_removed = self.scheduler.remove
        self.guard.correlated_silence = self.beats.correlated_silence
        self.started_at = clock.now()
        self._stop = asyncio.Event()

    def _sources(self) -> Sources:
        return Sources(
            roster=self.roster,
            reader=self.reader,
            clock=self.clock,
            windows=self.windows,
            health=self.table.get,
            case=self.recovery.case,
            store_error=lambda: self.housekeeping.store_error,
            observer=self.guard.trouble,
            dead_man_problem=lambda: self.dead_man.problem,
            report_problem=lambda: self.reporting.problem,
            started_at=self.started_at,
        )

    # --- looking -----------------------------------------------------------------------------------

    async def look(self, monitor: MonitorId) -> Observation | None:
        """See :meth:`defib.engine.detection.looking.Looking.look`."""
        return await self.looking.look(monitor)

    async def _turn(self, monitor: MonitorId) -> timedelta | None:
        """A scheduled look; whatever goes wrong, the schedule goes on."""
        try:
            return await self.looking.turn(monitor)
        except StoreError as error:
            log.error("verdict not stored; looking again", monitor=monitor, error=str(error))
            return STORE_RETRY
        except Exception as error:  # the boundary of one look
            log.error("look crashed", monitor=monitor, error=repr(error), exc_info=error)
            return None

    def _look_around(self, watched: Watched) -> None:
        """Something is under suspicion: what of the things that it requires, and that share its fate?"""
        for parent in (*watched.spec.requires, *watched.spec.requires_any):
            health = self.table.get(parent)
            if health is not None and not health.state.is_bad:
                self.scheduler.look_soon(parent)
        for sibling in self.judge.telling.siblings_to_look_at(watched.spec.id):
            self.scheduler.look_soon(sibling)

    def _look_at_children(self, watched: Watched) -> None:
        for child in self.roster.children(watched.spec.id):
            self.scheduler.look_soon(child)
            if self.roster.monitors[child].is_pushed:
                self.beats.judge_again(child)

    def _look_afresh(self) -> None:
        """We trust ourselves again: look at suspects now, and soon at whatever was put down to us."""
        self.beats.take_gap()
        for monitor in self.roster.monitors:
            health = self.table[monitor]
            is_void = health.last is not None and health.last.evidence.outcome is Outcome.INCONCLUSIVE
            if health.state is State.SUSPECT:
                self.scheduler.look_soon(monitor)
            elif is_void or health.state is State.UNREACHABLE:
                self.scheduler.look_soon(
                    monitor, phase(monitor, spread(self.roster.strategy(monitor).interval))
                )

    def _take_windows(self) -> None:
        """A silence, maintenance or pause was begun or ended: others are set aside, and held back."""
        self.duty.wake()
        self.standing.take_change()

    def _take_aside(self, watched: Watched, state: State) -> None:
        """Nothing about it is judged for a while; while it is paused, nobody looks at it either."""
        if state is State.PAUSED:
            self.scheduler.remove(watched.spec.id)
        else:
            self._schedule(watched)

    async def _take_back(self, watched: Watched) -> None:
        """It is judged again: look at once, or take what it said last."""
        self._schedule(watched)
        self.scheduler.look_soon(watched.spec.id)
        await self.beats.come_back(watched.spec.id)

    async def _take_made(self, watched: Watched) -> None:
        """A monitor was made, or changed, through an API."""
        if watched.polled is None:
            return
        self._schedule(watched)
        self.scheduler.look_soon(watched.spec.id)
        await self.tripwires.start()

    def _take_gap(self, gap: Gap) -> None:
        """Time that nobody watched: unknown, never down. What was counted before it counts no more."""
        self.duty.wake()
        self.standing.take_change()
        if gap.kind is GapKind.CLOCK_STEP:
            self.scheduler.epoch = self.clock.now().timestamp() - self.clock.monotonic()
            self.beats.take_step()
            self.courier.take_step(timedelta(seconds=gap.seconds))
            return
        self.beats.take_gap()
        self.housekeeping.end_span(self.clock.now() - timedelta(seconds=gap.seconds))
        for monitor, watched in self.roster.monitors.items():
            interval = self.roster.strategy(monitor).interval
            if watched.is_pushed:
                continue
            if decide_response(gap.seconds, interval) is Response.RESET:
                self.table.forget_evidence(monitor)
                self.scheduler.look_soon(monitor, phase(monitor, spread(interval)))

    # --- as a daemon -------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Watch until :meth:`stop`; then come to a clean end."""
        self.guard.start()
        self.alarm.start()
        await self.duty.review()
        self._schedule_all()
        self.beats.start()
        self.courier.start()
        await self.courier.attend(self.desk)
        self.recovery.resume()
        await self.recovery.rearm()
        await self.tripwires.start()
        chores: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
            ("scheduler", self.scheduler.run),
            ("beats", self.beats.run),
            ("duty", self.duty.run),
            ("flush", self._flush_often),
            ("reports", self._report_often),
            ("history", self._roll_up_often),
            ("checkpoint", self._checkpoint_often),
            ("vitals", self.guard.watch_vitals),
            ("clocks", self.guard.watch_clocks),
            ("standing", self.standing.run),
            ("alarm", self.alarm.watch),
            ("dead-man", self.dead_man.watch),
        ]
        tasks = [asyncio.create_task(chore(), name=f"defib-{name}") for name, chore in chores]
        stopping = asyncio.create_task(self._stop.wait())
        log.info("watching", monitors=len(self.roster.monitors), channels=len(self.roster.channels))
        try:
            done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # a chore only ends by failing
        finally:
            stopping.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)
            await self.wind_down()

    def stop(self) -> None:
        """Ask :meth:`serve` to end."""
        self._stop.set()

    def _schedule_all(self) -> None:
        for watched in self.roster.monitors.values():
            self._schedule(watched)

    def _schedule(self, watched: Watched) -> None:
        monitor, state = watched.spec.id, self.table[watched.spec.id].state
        if watched.polled is not None and state is not State.PAUSED:
            self.scheduler.add(
                monitor,
                self.roster.strategy(monitor).interval,
                watched.polled.host,
                first_in=0.0 if state in (State.FAULT, State.SUSPECT) else None,
            )

    async def _flush_often(self) -> None:
        while True:
            await self.clock.sleep(FLUSH_EVERY)
            await self.housekeeping.flush(everything=False)
            self._check_term()

    def _check_term(self) -> None:
        """:raises StaleEpochError: another Defib decides now; this one has to end."""
        if self.writer.stale is not None:
            log.critical("this Defib decides and acts no more", error=str(self.writer.stale))
            raise self.writer.stale

    async def _report_often(self) -> None:
        while True:
            await self._make_due_reports()
            await self.clock.sleep(REPORT_EVERY)

    async def _make_due_reports(self) -> None:
        try:
            self.courier.added(await self.reporting.make_due())
        except StoreError as error:
            log.error("report waits for the store", error=str(error))

    async def _checkpoint_often(self) -> None:
        while True:
            await self.clock.sleep(CHECKPOINT_EVERY)
            await self.housekeeping.checkpoint()

    async def _roll_up_often(self) -> None:
        while True:
            await self.clock.sleep(ROLL_EVERY)
            await self._roll_up()

    async def _roll_up(self) -> None:
        """Hours that are over become small, and once there was one, what is too old goes."""
        if await self.housekeeping.roll_up():
            await self.housekeeping.forget(self.roster.settings.retention)

    async def wind_down(self) -> None:
        """End what runs, write what is left, release the plugins."""
        self.fleet.close()
        self.second_opinions.close()
        await asyncio.to_thread(self.alarm.close)
        self.guard.close()
        await self.tripwires.close()
        await self.recovery.drain()
        await self.courier.close()
        await self.prober.close()
        await self.housekeeping.flush()
        await self.roster.close()

    # --- one pass ----------------------------------------------------------------------------------

    async def run_pass(
        self, *, only: Iterable[MonitorId] = (), every: bool = False, budget: timedelta = PASS_BUDGET
    ) -> None:
        """Look at what is due (or ``only`` these, or ``every`` monitor), follow up, recover, deliver, report; then end.

        Confirmations, recovery and verification go on within ``budget``; what needs longer is taken up by the
        next pass from the store.
        """
        ends = self.clock.monotonic() + budget.total_seconds()
        self.housekeeping.span_gap = PASS_GAP
        await self.housekeeping.flush()  # from here on somebody watches
        await self.duty.review()
        self.recovery.horizon = ends
        for monitor in only or self._due(every):
            watched = self.roster.monitors[monitor]
            if watched.polled is not None and self.table[monitor].state is not State.PAUSED:
                self.scheduler.add(monitor, timedelta(days=365), watched.polled.host, first_in=0.0)
        self.courier.start()
        self.recovery.resume()
        await self.recovery.rearm()
        self.guard.start()
        running = [
            asyncio.create_task(self.scheduler.run(), name="defib-scheduler"),
            asyncio.create_task(self.guard.watch_clocks(), name="defib-clocks"),
        ]
        try:
            await self._make_due_reports()
            while self.clock.monotonic() < ends and self._has_work(ends) and not self._stop.is_set():
                self._check_term()
                await self.clock.sleep(0.02)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if not self._stop.is_set() and self.writer.stale is None:
                await self.standing.run_once()
                await asyncio.wait({asyncio.ensure_future(self.courier.wait_tried())}, timeout=12.0)
                await self.housekeeping.flush()
                await self._roll_up()
                await self.dead_man.ping()
            await self.wind_down()

    def _due(self, every: bool) -> list[MonitorId]:
        now, unfinished = self.clock.now(), self.recovery.unfinished()
        due = []
        for monitor in self.roster.monitors:
            health = self.table[monitor]
            if (
                every
                or monitor in unfinished
                or health.last is None
                or health.state is State.SUSPECT
                or now - health.last.started_at >= self.roster.strategy(monitor).interval - DUE_SLACK
                or now < health.last.started_at
            ):
                due.append(monitor)
        return due

    def _has_work(self, ends: float) -> bool:
        next_due = self.scheduler.next_due()
        return (
            self.scheduler.in_flight > 0
            or (next_due is not None and next_due < ends)
            or not self.recovery.is_idle
        )

    # --- what operators ask for --------------------------------------------------------------------

    async def switch_strategy(
        self, name: str | None, monitor: MonitorId | None, actor: str, *, schedule: bool = True
    ) -> None:
        """Switch one monitor or all to a strategy, persisted; None goes back to what is configured.

        :param schedule: False while no schedule runs here.

        :raises UsageError: there is no such strategy or monitor.
        """
        check_strategy(self.roster, name, monitor)
        key = STRATEGY_KEY if monitor is None else f"{STRATEGY_KEY}:{monitor}"
        audit = AuditEntry(
            at=self.clock.now(),
            actor=actor,
            event="strategy.set",
            subject=monitor or "*",
            facts={"strategy": name},
        )
        await self.writer.commit(Changes(settings=((key, name),), audit=(audit,)))
        self.roster.switch(key, name)
        if schedule:
            self._schedule_all()
        self.bus.publish(Event(type="strategy", monitor=monitor))
        log.info("strategy switched", strategy=name, monitor=monitor or "all", actor=actor)

    async def test_alert(
        self, channel: str, timeout: timedelta = timedelta(seconds=15),
        on_try: Callable[[DeliveryTry], None] = lambda one: None,
    ) -> tuple[bool, str]:  # fmt: skip
        """Send a test message through the real path; whether it was accepted, and what the far end said.

        :param on_try: told of each try as it ends.
        :raises UsageError: there is no such channel.
        """
        if channel not in self.roster.channels:
            known = ", ".join(sorted(self.roster.channels)) or "none; add one under 'channels:'"
            raise UsageError(f"there is no channel {channel!r}; there are: {known}")
        changes = Notifier(self.roster).test(channel, self.clock.now())
        await self.writer.commit(changes)
        self.courier.added(changes)
        return await follow(self.clock, self.reader, changes.new_deliveries[0].id, timeout, on_try)

    async def make_report(
        self, name: str, day: date, *, send: bool
    ) -> tuple[ReportDocument, tuple[str, ...]]:
        """Make and store the report of the period that ``day`` is in; with the channels it was sent to.

        :raises UsageError: there is no such report.
        """
        made = await asyncio.to_thread(self.reporting.editions, self.reporting.spec(name), day)
        if not send:
            made = [replace(one, channels=()) for one in made]
        now = self.clock.now()
        changes = self.reporting.posted(made, now, again=now.isoformat())
        await self.writer.commit(changes)
        self.courier.added(changes)
        return made[0].document, tuple(channel for one in made for channel in one.channels)

    async def reload(self, roster: Roster) -> None:
        """Put another configuration in force; monitors whose id stays keep state, history and counters."""
        old = self.roster
        self.jobs.enlist(roster)
        self.fleet.enlist(roster)
        for part in (
            self,
            self.judge,
            self.judge.telling,
            self.standing,
            self.windows,
            self.duty,
            self.looking,
            self.guard,
            self.alarm,
            self.dead_man,
            self.beats,
            self.jobs,
            self.fleet,
            self.recovery,
            self.courier,
            self.reporting,
            self.tripwires,
        ):
            part.roster = roster
        self.guard.set_anchors(roster.settings.observer.anchors)
        self.table.ensure(roster.monitors, self.clock.now())
        for monitor in old.monitors:
            if monitor not in roster.monitors or roster.monitors[monitor].is_pushed:
                self.scheduler.remove(monitor)
        await self.duty.review()
        self._schedule_all()
        self.beats.start()
        self.courier.start()
        await self.courier.attend(self.desk)
        await self.recovery.rearm()
        await self.tripwires.start()
        self.standing.take_change()
        self.bus.publish(Event(type="reload"))
        log.info("configuration reloaded", monitors=len(roster.monitors))
        await old.close()


def check_strategy(roster: Roster, name: str | None, monitor: MonitorId | None) -> None:
    """:raises UsageError: there is no such strategy or monitor."""
    if name is not None and name not in roster.settings.strategies:
        raise UsageError(
            f"there is no strategy {name!r}; there are: {', '.join(sorted(roster.settings.strategies))}"
        )
    if monitor is not None and monitor not in roster.monitors:
        raise UsageError(f"there is no monitor {monitor!r}; 'defib status' lists them")
