"""Beats from outside: accepted durably, and judged at once."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from defib.engine.detection.judge import Judge
from defib.engine.heartbeats.asking import Asking
from defib.engine.heartbeats.questions import Questions
from defib.engine.heartbeats.rhythms import Rhythms
from defib.engine.heartbeats.silences import Silences
from defib.engine.heartbeats.timers import Timers
from defib.engine.heartbeats.verdicts import Verdicts
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.logs import get_logger
from defib.model.beat import Beat, Signal
from defib.model.changes import Changes, Heard
from defib.model.evidence import Evidence, Fact, Outcome, Source
from defib.model.health import BeatMemory, State
from defib.model.ids import MonitorId
from defib.ports import Clock, Pausable
from defib.store import Reader, Writer

log = get_logger("defib.beats")

JUDGED_EVERY = timedelta(seconds=15)  #: of a sender that is well and beats more often


class Beats:
    """The sink of every receiver.

    1. A beat and what its monitor remembers from then on are committed together; then the sender has its answer.
       Then the beat is judged. What a crash leaves unjudged is judged at the next start.
    2. What is expected next is the business of :attr:`silences`.

    :ivar taken: beats that were accepted so far.
    """

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, writer: Writer, reader: Reader, judge: Judge,
        asking: Asking,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._roster = roster
        self._table = table
        self._writer = writer
        self._locks: defaultdict[MonitorId, asyncio.Lock] = defaultdict(asyncio.Lock)
        timers = Timers(clock)
        self._verdicts = Verdicts(clock, judge, timers)
        self._questions = Questions(roster, table, asking, self._verdicts, self._locks)
        self.silences = Silences(
            clock, roster, table, timers, Rhythms(clock, table), self._questions, self._verdicts,
            reader.newest_beats(), self._locks,
        )  # fmt: skip
        self.taken = 0

    @property
    def roster(self) -> Roster:
        return self._roster

    @roster.setter
    def roster(self, roster: Roster) -> None:
        self._roster = self.silences.roster = self._questions.roster = roster

    def find(self, key: str) -> MonitorId | None:
        """See :class:`defib.ports.BeatSink`."""
        return self._roster.find_beaten(key)

    async def accept(
        self, monitor: MonitorId, signal: Signal, *, protocol: str, exit_status: int | None = None, body: str = "",
        facts: Mapping[str, Fact] | None = None, metrics: Mapping[str, float] | None = None,
        seq: int | None = None, epoch: str | None = None, eta: timedelta | None = None,
        age: timedelta = timedelta(0),
    ) -> None:  # fmt: skip
        """See :class:`defib.ports.BeatSink`."""
        await self.take(
            Beat(
                monitor=monitor, signal=signal, received_at=self._clock.now(), protocol=protocol,
                exit_status=exit_status, body=body, facts=facts or {}, metrics=metrics or {}, seq=seq, epoch=epoch,
                eta=eta, age=max(age, timedelta(0)),
            )
        )  # fmt: skip

    async def take(self, beat: Beat, *, is_kept: bool = True) -> None:
        """Take one beat. Returns once it cannot be lost by a crash any more.

        :param is_kept: False for one of very many: what follows from it is stored, but no row of its own.
        :raises StoreError: it was not taken.
        """
        monitor = beat.monitor
        async with self._locks[monitor]:
            plugin = self._roster.pushed(monitor)
            if plugin is None:
                await self._writer.commit(Changes(beats=(beat,) if is_kept else ()))
                self.taken += 1
                return
            before = self._table.standing(monitor)
            verdict = plugin.fold(self._table.beats(monitor), beat)
            deadline = plugin.deadline(verdict.memory)
            fault_at = None if deadline is None else deadline.fault_at
            heard = Heard(monitor=monitor, beats=verdict.memory, deadline=fault_at)
            with self._table.committing(monitor):
                if is_kept:
                    shown = (
                        replace(beat, facts={**beat.facts, "ignored": True}) if verdict.is_ignored else beat
                    )
                    await self._writer.commit(Changes(beats=(shown,), health=(self._table.after(heard),)))
                elif self._table.is_stored(monitor):
                    await self._writer.commit(heard)
                else:
                    await self._writer.commit(Changes(health=(self._table.after(heard),)))
                self._table.put_heard(heard)
            self.taken += 1
            self.silences.hear(monitor, deadline, after_absence=beat.age > timedelta(0))
            if verdict.evidence is None or (
                not is_kept and self._is_old_news(monitor, verdict.evidence, beat.received_at)
            ):
                return
            try:
                await self._verdicts.give(monitor, verdict.evidence, Source.BEAT, beat.received_at)
            except StoreError as error:
                log.error(
                    "beat is stored, its verdict is not; trying again", monitor=monitor, error=str(error)
                )
        if before.state is State.PAUSED:
            await self.silences.rouse(monitor)

    def _is_old_news(self, monitor: MonitorId, evidence: Evidence, at: datetime) -> bool:
        """Whether a good beat says what was judged a moment ago: of those that come each second, few are history."""
        health = self._table.standing(monitor)
        return (
            health.state is State.UP
            and evidence.outcome is Outcome.OK
            and not evidence.is_degraded
            and health.last is not None
            and timedelta(0) <= at - health.last.ended_at < JUDGED_EVERY
        )

    async def suspect(self, monitor: MonitorId, evidence: Evidence) -> None:
        """Something other than silence speaks against a sender: its stream ended. It is asked, if that can be."""
        async with self._locks[monitor]:
            plugin = self._roster.pushed(monitor)
            if plugin is None:
                return
            with suppress(StoreError):  # its deadline is still to come
                await self._verdicts.give(monitor, evidence, Source.DEADLINE, self._clock.now())
            self._questions.ask(monitor, plugin)

    # --- pauses ------------------------------------------------------------------------------------

    async def put_to_rest(self, monitor: MonitorId) -> None:
        """Somebody has paused it: nothing is expected until it is heard, and what it said last holds no more."""
        await self._turn_memory(monitor, lambda plugin, memory: plugin.pause(memory))

    async def make_new(self, monitor: MonitorId) -> None:
        """It is as if it had never been heard."""
        await self._turn_memory(monitor, lambda plugin, memory: plugin.resume(memory))

    async def _turn_memory(
        self, monitor: MonitorId, turn: Callable[[Pausable, BeatMemory], BeatMemory]
    ) -> None:
        watched = self._roster.monitors[monitor]
        async with self._locks[monitor], watched.lock:
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
            self.silences.rest(monitor, deadline)
