"""The engine: everything that runs, started and stopped together.

schedule ─→ Prober ─┐                       ┌─→ Recovery (cases)
receivers ─→ Beats ─┴→ Judge ─→ one commit ─┤
                         │                  └─→ Courier (outbox)
                     StateTable ─→ Housekeeping (observations in groups)
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from defib.engine.agents.fleet import Fleet
from defib.engine.alerting.desk import FrontDesk
from defib.engine.alerting.duty import Duty
from defib.engine.alerting.notifier import Notifier
from defib.engine.alerting.standing import Standing
from defib.engine.alerting.windows import Windows
from defib.engine.attention import Attention
from defib.engine.chores import Chores
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
from defib.engine.housekeeping import Housekeeping
from defib.engine.observer.alarm import Alarm
from defib.engine.observer.dead_man import DeadMan
from defib.engine.observer.guard import Guard
from defib.engine.observer.senses import Lookout, Senses
from defib.engine.observer.vitals import SystemSenses
from defib.engine.recovery.arming import Arming
from defib.engine.recovery.cases import Recovery
from defib.engine.recovery.snapshots import Snapshots
from defib.engine.reporting.schedule import Reporting
from defib.engine.roster import STRATEGY_KEY, Roster
from defib.engine.table import StateTable
from defib.engine.views.read_model import Views
from defib.engine.views.sources import Sources
from defib.engine.working import Working
from defib.errors import UsageError
from defib.logs import get_logger
from defib.model.changes import Changes, DeliveryTry
from defib.model.evidence import Observation
from defib.model.ids import MonitorId
from defib.model.recovery import AuditEntry
from defib.model.report import ReportDocument
from defib.ports import Clock
from defib.rules.gaps import Gap, GapKind
from defib.store import Reader, Writer

log = get_logger("defib.engine")


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
        self.silences = self.beats.silences
        pauses = Pauses(self.windows, self.duty, self.beats)
        self.silences.rouse = pauses.rouse
        self.jobs = MadeMonitors(
            clock, roster, self.table, writer, self.reader, self.beats, self.judge, self.bus, pauses
        )
        self.fleet = Fleet(
            clock, roster, self.table, writer, self.reader, self.beats, self.bus, self.judge.withdraw
        )
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
        self.chores = Chores(clock, roster, writer, self.housekeeping, self.reporting, self.courier)
        self.scheduler = Scheduler(clock, self.looking.turn)
        self.tripwires = Tripwires(clock, roster, self.scheduler.look_soon)
        self.attention = Attention(
            clock, roster, self.table, self.scheduler, self.tripwires, self.silences, self.judge.telling
        )
        self.working = Working(clock, self.scheduler, self.housekeeping, self.guard)
        self.dead_man = DeadMan(clock, roster, self.working.obstacle_to_vouching)
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
        self.judge.on_suspect = self.attention.look_around
        self.judge.on_lasting = self.standing.take_change
        self.judge.on_return = self.attention.look_at_children
        self.recovery.on_deliveries = self.courier.added
        self.alarm.on_deliveries = self.courier.added
        self.guard.worst_lateness = self.scheduler.take_worst_lateness
        self.guard.on_release = self.attention.look_afresh
        self.guard.on_gap = self._take_gap
        self.judge.on_change = self.fleet.take_change
        self.second_opinions = SecondOpinions(clock, self.fleet)
        self.judge.second_opinion = self.second_opinions.weigh
        self.judge.window_of = self.duty.window_of
        self.windows.on_change = self._take_windows
        self.standing.look = self.look
        self.desk.tell = self.judge.telling.hands
        self.desk.on_marked = self.standing.take_change
        self.duty.on_aside = self.attention.set_aside
        self.duty.on_back = self.attention.take_back
        self.judge.telling.scenes.windows = self.windows.in_force
        self.desk.sentences = self.views.sentences
        self.jobs.on_put = self.attention.take_made
        self.jobs.on_removed = self.scheduler.remove
        self.guard.correlated_silence = self.silences.correlated_silence
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

    async def look(self, monitor: MonitorId) -> Observation | None:
        """See :meth:`defib.engine.detection.looking.Looking.look`."""
        return await self.looking.look(monitor)

    # --- what happens ------------------------------------------------------------------------------

    def _take_windows(self) -> None:
        """A silence, maintenance or pause was begun or ended: others are set aside, and held back."""
        self.duty.wake()
        self.standing.take_change()

    def _take_gap(self, gap: Gap) -> None:
        """Time that nobody watched: unknown, never down."""
        self.duty.wake()
        self.standing.take_change()
        if gap.kind is GapKind.CLOCK_STEP:
            self.scheduler.take_step()
            self.silences.take_step()
            self.courier.take_step(timedelta(seconds=gap.seconds))
            return
        self.housekeeping.end_span(self.clock.now() - timedelta(seconds=gap.seconds))
        self.attention.take_gap(timedelta(seconds=gap.seconds))

    # --- as a daemon -------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Watch until :meth:`stop`; then come to a clean end."""
        self.guard.start()
        self.alarm.start()
        await self.duty.review()
        self.attention.schedule_all()
        self.silences.start()
        self.courier.start()
        await self.courier.attend(self.desk)
        await self.judge.withdraw_missing()
        self.recovery.resume()
        await self.recovery.rearm()
        await self.tripwires.start()
        running: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
            ("scheduler", self.scheduler.run),
            ("silences", self.silences.run),
            ("duty", self.duty.run),
            ("flush", self.chores.flush_often),
            ("reports", self.chores.report_often),
            ("history", self.chores.roll_up_often),
            ("checkpoint", self.chores.checkpoint_often),
            ("vitals", self.guard.watch_vitals),
            ("clocks", self.guard.watch_clocks),
            ("standing", self.standing.run),
            ("alarm", self.alarm.watch),
            ("dead-man", self.dead_man.watch),
        ]
        tasks = [asyncio.create_task(run(), name=f"defib-{name}") for name, run in running]
        stopping = asyncio.create_task(self._stop.wait())
        log.info("watching", monitors=len(self.roster.monitors), channels=len(self.roster.channels))
        try:
            done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # each of them only ends by failing
        finally:
            stopping.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)
            await self.wind_down()

    def stop(self) -> None:
        """Ask :meth:`serve`, or the pass that runs, to end."""
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

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
            self.attention.schedule_all()
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
            self.chores,
            self.tripwires,
            self.attention,
        ):
            part.roster = roster
        self.guard.set_anchors(roster.settings.observer.anchors)
        self.table.ensure(roster.monitors, self.clock.now())
        await self.duty.review()
        self.attention.schedule_all()
        self.silences.start()
        self.courier.start()
        await self.courier.attend(self.desk)
        await self.judge.withdraw_missing()
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
