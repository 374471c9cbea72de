"""Silence: what is expected of those who report by themselves, and by when; missed exactly at its deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from defib.engine.heartbeats.questions import Questions
from defib.engine.heartbeats.rhythms import Rhythms
from defib.engine.heartbeats.timers import Timer, Timers
from defib.engine.heartbeats.verdicts import STORE_RETRY, Verdicts
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.logs import get_logger
from defib.model.beat import Beat
from defib.model.evidence import Grade, Observation, Outcome, Source
from defib.model.health import BeatMemory, State
from defib.model.ids import MonitorId
from defib.ports import Clock, Deadline, PushedMonitor
from defib.rules.gaps import GAP_S, beat_deadline

log = get_logger("defib.beats")

CRASH_RETRY = timedelta(minutes=1)


class Silences:
    """The keeper of deadlines.

    1. Deadlines follow from what is remembered, so that a restart finds them again. Each is a timer of its own.
    2. A timer that fires late proves only that we were away: its deadline is put off. So are all of them at
       a start and after a gap, for silence while nobody listened proves nothing. Of a suspicion that was put
       off, the fault is put off as far: the one beat after a start may be lost as any other.
    3. That a silence was judged is remembered with the verdict.
    4. A sender that is late is asked, where somebody has said how. No answer is a verdict before the deadline.
    """

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, timers: Timers, rhythms: Rhythms, questions: Questions,
        verdicts: Verdicts, newest: dict[MonitorId, Beat], locks: Mapping[MonitorId, asyncio.Lock],
    ) -> None:  # fmt: skip
        """
        :param newest: of each monitor the newest beat that is stored.
        :param locks: of each monitor: its beats, silences and answers are judged one at a time.
        """
        self._clock = clock
        self.roster = roster
        self._table = table
        self._timers = timers
        self._rhythms = rhythms
        self._questions = questions
        self._verdicts = verdicts
        self._newest = newest
        self._locks = locks
        self._known: set[MonitorId] = set()  # whose beats have been listened for
        self.rouse: Callable[[MonitorId], Awaitable[bool]] = _let_lie
        """What was paused is heard, or a run of it is overdue; answers whether that ended its pause."""

    def start(self) -> None:
        """Set the deadlines, after a reload by the present options, and take up what a crash left unjudged."""
        for monitor in self.roster.monitors:
            self.follow(monitor)

    def follow(self, monitor: MonitorId) -> None:
        """As :meth:`start`, for one monitor: it was made, or has other options than before."""
        plugin, timer = self.roster.pushed(monitor), self._timers.get(monitor)
        if plugin is None or (timer is not None and isinstance(timer.what, Observation)):
            return
        deadline = plugin.deadline(self._table[monitor].beats)
        self.expect(monitor, deadline, after_absence=True)
        self._rhythms.listen(monitor, deadline)
        if monitor not in self._known:
            self._known.add(monitor)
            self._take_up(monitor, plugin)

    def forget(self, monitor: MonitorId) -> None:
        """It was removed: nothing is expected of it any more."""
        self._questions.withdraw(monitor)
        self._timers.drop(monitor)
        self._rhythms.forget(monitor)
        self._known.discard(monitor)

    def hear(self, monitor: MonitorId, deadline: Deadline | None, *, after_absence: bool) -> None:
        """It was heard, and this is what is expected next.

        :param after_absence: the beat had waited at its sender, so that others follow it.
        """
        self._questions.withdraw(monitor)
        self._rhythms.hear(monitor, deadline)
        self.expect(monitor, deadline, after_absence=after_absence)

    def rest(self, monitor: MonitorId, deadline: Deadline | None) -> None:
        """It is heard from no rhythm any more, until it is heard."""
        self._questions.withdraw(monitor)
        self._rhythms.forget(monitor)
        self.expect(monitor, deadline)

    def expect(self, monitor: MonitorId, deadline: Deadline | None, *, after_absence: bool = False) -> None:
        """Wait for a deadline, or for none.

        :param after_absence: nobody listened until now, so that it is put off.
        """
        if deadline is None:
            self._timers.drop(monitor)
            return
        now = self._clock.now()
        if after_absence:
            gap = max(now - deadline.at, timedelta(0))
            at = beat_deadline(deadline.at, gap=gap, now=now, every=deadline.every, margin=deadline.margin)
            if put_off := at - deadline.at:
                deadline = replace(deadline, at=at, fault_at=deadline.fault_at + put_off)
                self._table.amend(replace(self._table[monitor], deadline=deadline.fault_at))
        self._timers.set_in(monitor, max(0.0, (deadline.at - now).total_seconds()), deadline)

    # --- what happens beside beats -----------------------------------------------------------------

    def take_gap(self) -> None:
        """Nobody listened for a while that ends now, or nothing came through: silence until now proves nothing."""
        self._rhythms.take_gap()
        for monitor, timer in self._timers.all():
            plugin = self.roster.pushed(monitor)
            if plugin is not None and isinstance(timer.what, Deadline):
                self.expect(monitor, plugin.deadline(self._table[monitor].beats), after_absence=True)
            elif isinstance(timer.what, Observation) and timer.what.source is Source.DEADLINE:
                self._timers.set_in(monitor, self._rhythms.patience_s(monitor), timer.what)

    def take_step(self) -> None:
        """The wall clock was set: what follows it is due at another time; an interval is as long as before."""
        for monitor, timer in self._timers.all():
            if isinstance(timer.what, Deadline) and timer.what.is_by_clock:
                self.expect(monitor, timer.what, after_absence=True)

    def deadline(self, monitor: MonitorId) -> datetime | None:
        """When silence becomes a fault; None while nothing is expected."""
        health = self._table.get(monitor)
        return None if health is None else health.deadline

    def judge_again(self, monitor: MonitorId) -> None:
        """What it requires is well again: it beats soon, or its silence is its own fault."""
        health = self._table.get(monitor)
        if health is None or health.last is None or health.state is not State.UNREACHABLE:
            return
        self._timers.set_in(monitor, self._rhythms.patience_s(monitor), health.last)

    async def come_back(self, monitor: MonitorId) -> None:
        """It was set aside until now: what it said last holds, and only from now on its silence counts."""
        async with self._locks[monitor]:
            plugin = self.roster.pushed(monitor)
            if plugin is None:
                return
            self._rhythms.listen_afresh(monitor)
            health = self._table[monitor]
            deadline, last = plugin.deadline(health.beats), health.last
            self.expect(monitor, deadline, after_absence=True)
            if last is None or last.evidence.outcome is Outcome.INCONCLUSIVE:
                return
            if last.source is Source.DEADLINE:
                if deadline is None:  # it was judged silent before: it is heard soon, or still silent
                    self._timers.set_in(monitor, self._rhythms.patience_s(monitor), last)
            elif deadline is None or deadline.at > self._clock.now():
                self._timers.set_in(monitor, 0.0, last)

    def correlated_silence(self) -> str:
        """Why the silence of one proves nothing now: most who beat are silent; "" when they are not."""
        return self._rhythms.correlated_silence()

    # --- deadlines ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Judge each missed beat at its deadline, until cancelled."""
        try:
            await self._timers.run(self._fire)
        finally:
            await self._questions.close()

    async def _fire(self, monitor: MonitorId, timer: Timer) -> None:
        try:
            is_roused = self._table[monitor].state is State.PAUSED and await self.rouse(monitor)
        except StoreError as error:
            log.error("overdue while paused; trying again", monitor=monitor, error=str(error))
            self._timers.set_in(monitor, STORE_RETRY.total_seconds(), timer.what)
            return
        async with self._locks[monitor]:
            plugin = self.roster.pushed(monitor)
            if plugin is not None and is_roused:  # it was listened to all the time
                self.expect(monitor, plugin.deadline(self._table[monitor].beats))
            if plugin is None or self._timers.get(monitor) is not timer:  # a beat came meanwhile
                return
            if self._table[monitor].state.is_aside:  # see :meth:`come_back`
                self._timers.drop(monitor)
                return
            try:
                if isinstance(timer.what, Observation):
                    self.expect(monitor, plugin.deadline(self._table[monitor].beats), after_absence=True)
                    await self._verdicts.take(timer.what)
                elif self._clock.monotonic() - timer.due > GAP_S:
                    self.expect(monitor, timer.what, after_absence=True)
                else:
                    await self._miss(monitor, plugin, timer.what)
            except StoreError as error:
                log.error("missed beat not recorded; trying again", monitor=monitor, error=str(error))
                self._timers.set_in(monitor, STORE_RETRY.total_seconds(), timer.what)
            except Exception as error:  # the boundary of one silence: a plugin may raise anything
                log.error("judging a silence crashed", monitor=monitor, error=repr(error), exc_info=error)
                self._timers.set_in(monitor, CRASH_RETRY.total_seconds(), timer.what)

    async def _miss(self, monitor: MonitorId, plugin: PushedMonitor, deadline: Deadline) -> None:
        """Judge a silence; the monitor's new memory is written with the verdict."""
        before = self._table[monitor]
        verdict = plugin.missed(before.beats, deadline)
        self._remember(monitor, verdict.memory, plugin, not_before=deadline.fault_at)
        self._rhythms.note_late(monitor)
        if verdict.evidence is None:
            return
        try:
            await self._verdicts.give(monitor, verdict.evidence, Source.DEADLINE, deadline.at)
        except Exception:
            self._remember(monitor, before.beats, plugin)
            raise
        if verdict.evidence.grade is Grade.WEAK:
            self._questions.ask(monitor, plugin)

    def _remember(
        self,
        monitor: MonitorId,
        memory: BeatMemory,
        plugin: PushedMonitor,
        not_before: datetime | None = None,
    ) -> None:
        """Note what a monitor remembers, and wait for what it expects next.

        :param not_before: when the present silence becomes a fault, which may have been put off with its suspicion.
        """
        deadline = plugin.deadline(memory)
        if deadline is not None and not_before is not None and deadline.at < not_before:
            deadline = replace(deadline, at=not_before, fault_at=max(deadline.fault_at, not_before))
        fault_at = None if deadline is None else deadline.fault_at
        self._table.amend(replace(self._table[monitor], beats=memory, deadline=fault_at))
        self.expect(monitor, deadline)

    def _take_up(self, monitor: MonitorId, plugin: PushedMonitor) -> None:
        """Judge again what came right before the end of the process before this one."""
        health, beat = self._table[monitor], self._newest.pop(monitor, None)
        last = health.last
        if beat is not None and (last is None or beat.received_at > last.ended_at):
            evidence = plugin.fold({}, beat).evidence
            if evidence is not None:
                missing = Observation(
                    monitor=monitor, source=Source.BEAT, evidence=evidence, started_at=beat.received_at,
                    ended_at=beat.received_at,
                )  # fmt: skip
                self._timers.set_in(monitor, 0.0, missing)
        elif (
            health.state is State.SUSPECT
            and last is not None
            and last.evidence.outcome is Outcome.FAIL
            and last.evidence.grade is not Grade.WEAK
        ):
            self._timers.set_in(monitor, 0.0, last)


async def _let_lie(monitor: MonitorId) -> bool:
    """Nobody ends pauses here."""
    return False
