"""Beats from outside: accepted durably, judged at once, and missed exactly at their deadline."""

import asyncio
import heapq
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from defib.engine.judge import Judge
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.model.beat import Beat, Signal
from defib.model.changes import Changes
from defib.model.evidence import Evidence, Fact, Observation, Source
from defib.model.ids import MonitorId
from defib.ports import Clock, PushedMonitor
from defib.store import Reader, Writer

log = structlog.get_logger("defib.beats")

RESTART_MARGIN = timedelta(seconds=10)
"""Time that beats get to come in after Defib itself was away: silence while nobody listened proves nothing."""


class Beats:
    """The sink of every receiver, and the keeper of deadlines.

    :ivar taken: beats that were accepted so far.
    """

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, writer: Writer, reader: Reader, judge: Judge
    ) -> None:
        self._clock = clock
        self.roster = roster
        self._table = table
        self._writer = writer
        self._judge = judge
        self.taken = 0
        self._last: dict[MonitorId, datetime] = reader.last_beats()
        self._deadlines: dict[MonitorId, datetime] = {}
        self._heap: list[tuple[datetime, MonitorId]] = []
        self._wake = asyncio.Event()

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
    ) -> None:
        """See :class:`defib.ports.BeatSink`."""
        now = self._clock.now()
        beat = Beat(
            monitor=monitor, signal=signal, received_at=now, protocol=protocol, exit_status=exit_status,
            body=body, facts=facts or {},
        )  # fmt: skip
        await self._writer.commit(Changes(beats=(beat,)))
        self.taken += 1
        plugin = self._plugin(monitor)
        if plugin is None:
            return
        evidence = plugin.judge(beat)
        if evidence is None:
            return
        if evidence.is_ok:
            self._last[monitor] = now
        self._set_deadline(monitor, plugin.deadline(now))
        try:
            await self._observe(monitor, evidence, Source.BEAT, now)
        except StoreError as error:  # the beat itself is safe; the state follows with the next one
            log.error("beat is stored, its verdict is not", monitor=monitor, error=str(error))

    # --- deadlines ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Set the deadline of every pushed monitor from its last beat; none for one that was never beaten."""
        earliest = self._clock.now() + RESTART_MARGIN
        for monitor, watched in self.roster.monitors.items():
            last = self._last.get(monitor)
            if (
                isinstance(watched.plugin, PushedMonitor)
                and last is not None
                and monitor not in self._deadlines
            ):
                self._set_deadline(monitor, max(watched.plugin.deadline(last), earliest))

    def deadline(self, monitor: MonitorId) -> datetime | None:
        return self._deadlines.get(monitor)

    async def run(self) -> None:
        """Judge each missed beat at its deadline, until cancelled."""
        while True:
            self._wake.clear()
            now = self._clock.now()
            while self._heap and self._heap[0][0] <= now:
                deadline, monitor = heapq.heappop(self._heap)
                if self._deadlines.get(monitor) == deadline:
                    await self._missed(monitor, deadline, now)
            wait = (self._heap[0][0] - self._clock.now()).total_seconds() if self._heap else None
            try:
                # at most a minute, so that a step of the wall clock is seen
                await asyncio.wait_for(self._wake.wait(), None if wait is None else min(60.0, max(0.0, wait)))
            except TimeoutError:
                pass

    async def _missed(self, monitor: MonitorId, deadline: datetime, now: datetime) -> None:
        plugin = self._plugin(monitor)
        if plugin is None:
            return
        try:
            await self._observe(
                monitor, plugin.missed(self._last.get(monitor), deadline), Source.DEADLINE, now
            )
        except StoreError as error:
            log.error("missed beat not recorded; trying again", monitor=monitor, error=str(error))
            self._set_deadline(monitor, now + timedelta(seconds=1))
        else:
            self._deadlines.pop(monitor, None)

    def _set_deadline(self, monitor: MonitorId, deadline: datetime) -> None:
        self._deadlines[monitor] = deadline
        heapq.heappush(self._heap, (deadline, monitor))
        self._wake.set()

    async def _observe(self, monitor: MonitorId, evidence: Evidence, source: Source, at: datetime) -> None:
        await self._judge.take(
            Observation(monitor=monitor, source=source, evidence=evidence, started_at=at, ended_at=at)
        )
        health = self._table.get(monitor)
        if health is not None:
            deadline = self._deadlines.get(monitor) if source is Source.BEAT else None
            self._table.put(replace(health, deadline=deadline))

    def _plugin(self, monitor: MonitorId) -> PushedMonitor | None:
        watched = self.roster.monitors.get(monitor)
        return watched.plugin if watched is not None and isinstance(watched.plugin, PushedMonitor) else None
