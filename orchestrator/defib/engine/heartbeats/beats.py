"""Beats from outside: accepted durably, judged at once, and missed exactly at their deadline."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from defib.engine.detection.judge import Judge
from defib.engine.heartbeats.asking import Asking
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.model.beat import Beat, Signal
from defib.model.changes import Changes, Heard
from defib.model.evidence import Evidence, Fact, Grade, Observation, Outcome, Source
from defib.model.health import BeatMemory, State
from defib.model.ids import MonitorId
from defib.ports import Askable, Clock, Deadline, Monitor, Pausable, PushedMonitor
from defib.rules.gaps import GAP_S, beat_deadline
from defib.rules.silence import Sender, find_correlated_silence
from defib.store import Reader, Writer

log = structlog.get_logger("defib.beats")

STORE_RETRY = timedelta(seconds=1)
CRASH_RETRY = timedelta(minutes=1)
JUDGED_EVERY = timedelta(seconds=15)  #: of a sender that is well and beats more often
SETTLE_S = 30.0  #: that a job without a rhythm has to be heard, once it can be


@dataclass(frozen=True, slots=True, eq=False)
class _Timer:
    """Something to do for a monitor."""

    due: float  #: monotonic: a wall clock that is set makes nobody late
    what: Deadline | Observation  #: a silence to judge, or an observation to judge again


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rhythm:
    """A sender that beats again and again, as it is heard."""

    every_s: float
    heard: float  #: monotonic: the newest beat, or since when somebody has listened for it
    is_late: bool = False


class Beats:
    """The sink of every receiver, and the keeper of deadlines.

    1. A beat and what its monitor remembers from then on are committed together; then the sender has its answer.
       Then the beat is judged. What a crash leaves unjudged is judged at the next start.
    2. Deadlines follow from what is remembered, so that a restart finds them again. Each is a timer of its own.
    3. A timer that fires late proves only that we were away: its deadline is put off. So are all of them at
       a start and after a gap, for silence while nobody listened proves nothing. Of a suspicion that was put
       off, the fault is put off as far: the one beat after a start may be lost as any other.
    4. That a silence was judged is remembered with the verdict.
    5. A sender that is late is asked, where somebody has said how. No answer is a verdict before the deadline.

    :ivar taken: beats that were accepted so far.
    """

    def __init__(
        self,
        clock: Clock,
        roster: Roster,
        table: StateTable,
        writer: Writer,
        reader: Reader,
        judge: Judge,
        asking: Asking,
    ) -> None:
        self._clock = clock
        self.roster = roster
        self._table = table
        self._writer = writer
        self._judge = judge
        self._asking = asking
        self._questions: dict[MonitorId, asyncio.Task[None]] = {}  # to senders that are late
        self._rhythms: dict[MonitorId, _Rhythm] = {}  # of senders of whom beats are expected
        self.taken = 0
        self._newest = reader.newest_beats()
        self._known: set[MonitorId] = set()  # whose beats have been listened for
        self._timers: dict[MonitorId, _Timer] = {}
        self._heap: list[tuple[float, int, MonitorId, _Timer]] = []
        self._sequence = 0
        self._wake = asyncio.Event()
        self._locks: dict[MonitorId, asyncio.Lock] = {}  # beats and silences of one monitor, one at a time
        self.rouse: Callable[[MonitorId], Awaitable[bool]] = _let_lie
        """What was paused is heard, or a run of it is overdue; answers whether that ended its pause."""

    # --- the sink ----------------------------------------------------------------------------------

    def find(self, key: str) -> MonitorId | None:
        """See :class:`defib.ports.BeatSink`."""
        return self.roster.find_beaten(key)

    async def accept(
        self,
        monitor: MonitorId,
        signal: Signal,
        *,
        protocol: str,
        exit_status: int | None = None,
        body: str = "",
        facts: Mapping[str, Fact] | None = None,
        metrics: Mapping[str, float] | None = None,
        seq: int | None = None,
        epoch: str | None = None,
        eta: timedelta | None = None,
        age: timedelta = timedelta(0),
        is_kept: bool = True,
    ) -> None:
        """See :class:`defib.ports.BeatSink`."""
        received_at = self._clock.now()
        async with self._lock(monitor):
            beat = Beat(
                monitor=monitor, signal=signal, received_at=received_at, protocol=protocol, exit_status=exit_status,
                body=body, facts=facts or {}, metrics=metrics or {}, seq=seq, epoch=epoch, eta=eta,
                age=max(age, timedelta(0)),
            )  # fmt: skip
            kept: tuple[Beat, ...] = (beat,) if is_kept else ()
            plugin = self._plugin(monitor)
            if plugin is None:
                await self._writer.commit(Changes(beats=kept))
                self.taken += 1
                return
            before = self._table[monitor]
            verdict = plugin.fold(before.beats, beat)
            if verdict.is_ignored:
                kept = tuple(replace(item, facts={**item.facts, "ignored": True}) for item in kept)
            deadline = plugin.deadline(verdict.memory)
            fault_at = deadline.fault_at if deadline else None
            with self._table.committing(monitor):
                if is_kept or not self._table.is_stored(monitor):
                    health = replace(before, beats=verdict.memory, deadline=fault_at)
                    await self._writer.commit(Changes(beats=kept, health=(health,)))
                else:
                    heard = Heard(monitor=monitor, beats=verdict.memory, deadline=fault_at)
                    await self._writer.commit(Changes(heard=(heard,)))
                self._table.put_heard(monitor, verdict.memory, fault_at)
            self.taken += 1
            self._withdraw(monitor)
            self._rhythms.pop(monitor, None)
            self._listen_for(monitor, deadline)
            self._arm(
                monitor, deadline, after_absence=beat.age > timedelta(0)
            )  # others that waited follow it
            if verdict.evidence is None or (
                not is_kept and self._is_old_news(monitor, verdict.evidence, received_at)
            ):
                return
            try:
                await self._judge_it(monitor, verdict.evidence, Source.BEAT, received_at)
            except StoreError as error:
                log.error(
                    "beat is stored, its verdict is not; trying again", monitor=monitor, error=str(error)
                )
        if before.state is State.PAUSED:
            await self.rouse(monitor)

    def _is_old_news(self, monitor: MonitorId, evidence: Evidence, at: datetime) -> bool:
        """Whether a good beat says what was judged a moment ago: of those that come each second, few are history."""
        health = self._table[monitor]
        return (
            health.state is State.UP
            and evidence.outcome is Outcome.OK
            and not evidence.is_degraded
            and health.last is not None
            and timedelta(0) <= at - health.last.ended_at < JUDGED_EVERY
        )

    async def suspect(self, monitor: MonitorId, evidence: Evidence) -> None:
        """Something other than silence speaks against a sender: its stream ended. It is asked, if that can be."""
        async with self._lock(monitor):
            plugin = self._plugin(monitor)
            if plugin is None:
                return
            with suppress(StoreError):  # its deadline is still to come
                await self._judge_it(monitor, evidence, Source.DEADLINE, self._clock.now())
            self._ask(monitor, plugin)

    # --- deadlines ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Set the deadlines, after a reload by the present options, and take up what a crash left unjudged."""
        for monitor in self.roster.monitors:
            self.follow(monitor)

    def follow(self, monitor: MonitorId) -> None:
        """As :meth:`start`, for one monitor: it was made, or has other options than before."""
        plugin, timer = self._plugin(monitor), self._timers.get(monitor)
        if plugin is None or (timer is not None and isinstance(timer.what, Observation)):
            return
        deadline = plugin.deadline(self._table[monitor].beats)
        self._arm(monitor, deadline, after_absence=True)
        self._listen_for(monitor, deadline)
        if monitor not in self._known:
            self._known.add(monitor)
            self._take_up(monitor, plugin)

    def forget(self, monitor: MonitorId) -> None:
        """It was removed: nothing is expected of it any more."""
        self._withdraw(monitor)
        self._timers.pop(monitor, None)
        self._rhythms.pop(monitor, None)
        self._known.discard(monitor)

    def take_gap(self) -> None:
        """Nobody listened for a while that ends now, or nothing came through: silence until now proves nothing."""
        now = self._clock.monotonic()
        self._rhythms = {monitor: replace(item, heard=now) for monitor, item in self._rhythms.items()}
        for monitor in tuple(self._timers):
            plugin = self._plugin(monitor)
            timer = self._timers[monitor]
            if plugin is not None and isinstance(timer.what, Deadline):
                self._arm(monitor, plugin.deadline(self._table[monitor].beats), after_absence=True)
            elif isinstance(timer.what, Observation) and timer.what.source is Source.DEADLINE:
                self._set(monitor, now + self._patience_s(monitor), timer.what)

    def take_step(self) -> None:
        """The wall clock was set: what follows it is due at another time; an interval is as long as before."""
        for monitor, timer in tuple(self._timers.items()):
            if isinstance(timer.what, Deadline) and timer.what.is_by_clock:
                self._arm(monitor, timer.what, after_absence=True)

    def deadline(self, monitor: MonitorId) -> datetime | None:
        """When silence becomes a fault; None while nothing is expected."""
        health = self._table.get(monitor)
        return None if health is None else health.deadline

    def judge_again(self, monitor: MonitorId) -> None:
        """What it requires is well again: it beats soon, or its silence is its own fault."""
        health = self._table.get(monitor)
        if health is None or health.last is None or health.state is not State.UNREACHABLE:
            return
        self._set(monitor, self._clock.monotonic() + self._patience_s(monitor), health.last)

    async def come_back(self, monitor: MonitorId) -> None:
        """It was set aside until now: what it said last holds, and only from now on its silence counts."""
        async with self._lock(monitor):
            plugin, now = self._plugin(monitor), self._clock.monotonic()
            if plugin is None:
                return
            if monitor in self._rhythms:
                self._rhythms[monitor] = replace(self._rhythms[monitor], heard=now)
            health = self._table[monitor]
            deadline, last = plugin.deadline(health.beats), health.last
            self._arm(monitor, deadline, after_absence=True)
            if last is None or last.evidence.outcome is Outcome.INCONCLUSIVE:
                return
            if last.source is Source.DEADLINE:
                if deadline is None:  # it was judged silent before: it is heard soon, or still silent
                    self._set(monitor, now + self._patience_s(monitor), last)
            elif deadline is None or deadline.at > self._clock.now():
                self._set(monitor, now, last)

    async def put_to_rest(self, monitor: MonitorId) -> None:
        """Somebody has paused it: nothing is expected until it is heard, and what it said last holds no more."""
        await self._turn_memory(monitor, lambda plugin, memory: plugin.pause(memory))

    async def make_new(self, monitor: MonitorId) -> None:
        """It is as if it had never been heard."""
        await self._turn_memory(monitor, lambda plugin, memory: plugin.resume(memory))

    async def _turn_memory(
        self, monitor: MonitorId, turn: Callable[[Pausable, BeatMemory], BeatMemory]
    ) -> None:
        watched = self.roster.monitors[monitor]
        async with self._lock(monitor), watched.lock:
            plugin, before = watched.pushed, self._table[monitor]
            if plugin is None or not isinstance(plugin, Pausable):
                return
            memory = turn(plugin, before.beats)
            deadline = plugin.deadline(memory)
            fault_at = None if deadline is None else deadline.fault_at
            health = replace(before, beats=memory, deadline=fault_at, last=None)
            with self._table.committing(monitor):
                await self._writer.commit(Changes(health=(health,)))
                self._table.put(health)
            self._withdraw(monitor)
            self._rhythms.pop(monitor, None)
            self._arm(monitor, deadline)

    def correlated_silence(self) -> str:
        """Why the silence of one proves nothing now: most who beat are silent; "" when they are not."""
        now = self._clock.monotonic()
        return find_correlated_silence(
            Sender(every_s=item.every_s, silent_s=now - item.heard, is_late=item.is_late)
            for monitor, item in self._rhythms.items()
            if not (
                (health := self._table.get(monitor)) is not None
                and (health.state.is_bad or health.state.is_aside)
            )
        )

    async def run(self) -> None:
        """Judge each missed beat at its deadline, until cancelled."""
        try:
            while True:
                self._wake.clear()
                while self._heap and self._heap[0][0] <= self._clock.monotonic():
                    _, _, monitor, timer = heapq.heappop(self._heap)
                    if self._timers.get(monitor) is timer:
                        await self._fire(monitor, timer)
                wait = max(0.0, self._heap[0][0] - self._clock.monotonic()) if self._heap else None
                try:
                    async with asyncio.timeout(
                        wait
                    ):  # wait_for would lose a cancellation that meets a wake-up
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            if questions := tuple(self._questions.values()):
                for question in questions:
                    question.cancel()
                await asyncio.wait(questions)

    async def _fire(self, monitor: MonitorId, timer: _Timer) -> None:
        try:
            is_roused = self._table[monitor].state is State.PAUSED and await self.rouse(monitor)
        except StoreError as error:
            log.error("overdue while paused; trying again", monitor=monitor, error=str(error))
            self._set(monitor, self._clock.monotonic() + STORE_RETRY.total_seconds(), timer.what)
            return
        async with self._lock(monitor):
            plugin = self._plugin(monitor)
            if plugin is not None and is_roused:  # it was listened to all the time
                self._arm(monitor, plugin.deadline(self._table[monitor].beats))
            if plugin is None or self._timers.get(monitor) is not timer:  # a beat came meanwhile
                return
            if self._table[monitor].state.is_aside:  # see :meth:`come_back`
                del self._timers[monitor]
                return
            try:
                if isinstance(timer.what, Observation):
                    self._arm(monitor, plugin.deadline(self._table[monitor].beats), after_absence=True)
                    await self._take(timer.what)
                elif self._clock.monotonic() - timer.due > GAP_S:
                    self._arm(monitor, timer.what, after_absence=True)
                else:
                    await self._miss(monitor, plugin, timer.what)
            except StoreError as error:
                log.error("missed beat not recorded; trying again", monitor=monitor, error=str(error))
                self._set(monitor, self._clock.monotonic() + STORE_RETRY.total_seconds(), timer.what)
            except Exception as error:  # the boundary of one silence: a plugin may raise anything
                log.error("judging a silence crashed", monitor=monitor, error=repr(error), exc_info=error)
                self._set(monitor, self._clock.monotonic() + CRASH_RETRY.total_seconds(), timer.what)

    async def _miss(self, monitor: MonitorId, plugin: PushedMonitor, deadline: Deadline) -> None:
        """Judge a silence; the monitor's new memory is written with the verdict."""
        before = self._table[monitor]
        verdict = plugin.missed(before.beats, deadline)
        self._remember(monitor, verdict.memory, plugin, not_before=deadline.fault_at)
        if monitor in self._rhythms:
            self._rhythms[monitor] = replace(self._rhythms[monitor], is_late=True)
        if verdict.evidence is None:
            return
        try:
            await self._judge_it(monitor, verdict.evidence, Source.DEADLINE, deadline.at)
        except Exception:
            self._remember(monitor, before.beats, plugin)
            raise
        if verdict.evidence.grade is Grade.WEAK:
            self._ask(monitor, plugin)

    # --- asking ------------------------------------------------------------------------------------

    def _ask(self, monitor: MonitorId, plugin: PushedMonitor) -> None:
        """Ask a sender that is late, if somebody has said how and nobody asks it yet."""
        if isinstance(plugin, Askable) and plugin.asked is not None and monitor not in self._questions:
            question = asyncio.ensure_future(self._put_question(monitor, plugin, plugin.asked))
            self._questions[monitor] = question
            question.add_done_callback(lambda _: self._questions.pop(monitor, None))

    def _withdraw(self, monitor: MonitorId) -> None:
        """It was heard: no question is open any more."""
        question = self._questions.get(monitor)
        if question is not None:
            question.cancel()

    async def _put_question(self, monitor: MonitorId, plugin: Askable, asked: Monitor) -> None:
        looks = await self._asking.ask(monitor, asked, self.roster.strategy(monitor))
        async with self._lock(monitor):
            try:
                evidence = plugin.answered(self._table[monitor].beats, [look.evidence for look in looks])
                if evidence is not None:
                    source = Source.DEADLINE if evidence.grade is Grade.WEAK else Source.PROBE
                    await self._judge_it(monitor, evidence, source, min(look.started_at for look in looks))
            except StoreError as error:
                log.error("answer not recorded; its deadline decides", monitor=monitor, error=str(error))
            except Exception as error:  # the boundary of one question
                log.error("judging an answer crashed", monitor=monitor, error=repr(error), exc_info=error)

    # --- judging -----------------------------------------------------------------------------------

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
        self._table.amend(
            replace(self._table[monitor], beats=memory, deadline=deadline.fault_at if deadline else None)
        )
        self._arm(monitor, deadline)

    async def _judge_it(self, monitor: MonitorId, evidence: Evidence, source: Source, at: datetime) -> None:
        ended_at = max(at, self._clock.now())
        await self._take(
            Observation(monitor=monitor, source=source, evidence=evidence, started_at=at, ended_at=ended_at)
        )

    async def _take(self, observation: Observation) -> None:
        monitor = observation.monitor
        try:
            again = await self._judge.take(observation)
        except StoreError:
            if observation.source is Source.BEAT:
                self._set(monitor, self._clock.monotonic() + STORE_RETRY.total_seconds(), observation)
            raise
        if again is not None:  # the verdict waits: for what it requires, or until we trust ourselves
            self._set(monitor, self._clock.monotonic() + again.total_seconds(), observation)

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
                self._set(monitor, self._clock.monotonic(), missing)
        elif (
            health.state is State.SUSPECT
            and last is not None
            and last.evidence.outcome is Outcome.FAIL
            and last.evidence.grade is not Grade.WEAK
        ):
            self._set(monitor, self._clock.monotonic(), last)

    # --- timers ------------------------------------------------------------------------------------

    def _patience_s(self, monitor: MonitorId) -> float:
        """How long a sender may take to be heard again, once it can be."""
        rhythm = self._rhythms.get(monitor)
        return SETTLE_S if rhythm is None else rhythm.every_s + max(1.0, rhythm.every_s / 10)

    def _listen_for(self, monitor: MonitorId, deadline: Deadline | None) -> None:
        """From now on beats of this rhythm are expected, if it is one."""
        if deadline is None or not deadline.is_rhythmic:
            return
        every_s = deadline.every.total_seconds()
        known = self._rhythms.get(monitor)
        if known is None or known.every_s != every_s:
            self._rhythms[monitor] = _Rhythm(every_s=every_s, heard=self._clock.monotonic())

    def _arm(self, monitor: MonitorId, deadline: Deadline | None, *, after_absence: bool = False) -> None:
        """Wait for a deadline, or for none.

        :param after_absence: nobody listened until now, so that it is put off.
        """
        if deadline is None:
            self._timers.pop(monitor, None)
            return
        now = self._clock.now()
        at = deadline.at
        if after_absence:
            at = beat_deadline(
                at, gap=max(now - at, timedelta(0)), now=now, every=deadline.every, margin=deadline.margin
            )
        put_off = at - deadline.at
        deadline = replace(deadline, at=at, fault_at=deadline.fault_at + put_off)
        self._set(monitor, self._clock.monotonic() + max(0.0, (at - now).total_seconds()), deadline)
        if put_off:
            self._table.amend(replace(self._table[monitor], deadline=deadline.fault_at))

    def _set(self, monitor: MonitorId, due: float, what: Deadline | Observation) -> None:
        timer = self._timers[monitor] = _Timer(due, what)
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, monitor, timer))
        self._wake.set()

    def _lock(self, monitor: MonitorId) -> asyncio.Lock:
        return self._locks.setdefault(monitor, asyncio.Lock())

    def _plugin(self, monitor: MonitorId) -> PushedMonitor | None:
        watched = self.roster.monitors.get(monitor)
        return None if watched is None else watched.pushed


async def _let_lie(monitor: MonitorId) -> bool:
    """Nobody ends pauses here."""
    return False
