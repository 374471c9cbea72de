"""Tells what only the passing of time brings to light: stopped for long, still flapping, flapping no more.

A daemon reviews each second, a single pass at its end; what was told is remembered with the monitor's health.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from defib.engine.events import Event, EventBus
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.engine.telling import FLAPPING, Telling
from defib.errors import StoreError
from defib.model.changes import Changes
from defib.model.health import Flaps, Health
from defib.ports import Clock
from defib.rules.flapping import is_digest_due
from defib.rules.lasting import is_lasting, is_stop_to_tell
from defib.store import Writer

log = structlog.get_logger("defib.standing")

REVIEW_EVERY_S = 1.0


class Standing:
    """Reviews."""

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, writer: Writer, telling: Telling, bus: EventBus
    ) -> None:
        self._clock = clock
        self.roster = roster
        self._table = table
        self._writer = writer
        self._telling = telling
        self._bus = bus
        self._changed = asyncio.Event()
        self.on_deliveries: Callable[[Changes], None] = lambda changes: None  #: told of each commit with some

    def take_change(self) -> None:
        """Something changed that may be worth telling later."""
        self._changed.set()

    async def run(self) -> None:
        """Review until cancelled."""
        while True:
            self._changed.clear()
            if not await self.review():
                await self._changed.wait()
            await self._clock.sleep(REVIEW_EVERY_S)

    async def review(self) -> bool:
        """Look through all monitors once; whether there is something that is only a matter of time."""
        is_waiting = False
        for watched in tuple(self.roster.monitors.values()):
            if is_lasting(self._table[watched.spec.id]):
                is_waiting = True
                try:
                    async with watched.lock:
                        await self._review(watched)
                except StoreError as error:
                    log.error("not told yet; trying again", monitor=watched.spec.id, error=str(error))
        return is_waiting

    async def _review(self, watched: Watched) -> None:
        health, now = self._table[watched.spec.id], self._clock.now()
        after, told = health, Changes()
        if is_stop_to_tell(health, now):
            after = replace(health, stop_told=True)
            told = self._telling.notifier.stopped(watched, health, now)
        elif health.is_flapping:
            after, told = await self._of_flapping(watched, health, now)
        if not told:
            return
        await self._writer.commit(told + Changes(health=(after,)))
        self._table.put(after)
        self.on_deliveries(told)
        self._bus.publish(Event(type="monitor", monitor=health.monitor))

    async def _of_flapping(self, watched: Watched, health: Health, now: datetime) -> tuple[Health, Changes]:
        flaps, notifier = health.flaps, self._telling.notifier
        incident = self._telling.incident(health.incident) if health.incident else None
        is_quiet = FLAPPING.has_settled(flaps, now)  # gaps can only show that less time was watched
        if is_quiet and FLAPPING.has_settled(flaps, now, await self._telling.gaps(flaps.swings[-1], now)):
            after = replace(health, flaps=Flaps())
            return after, notifier.settled(watched, after, flaps, incident, now)
        if is_digest_due(flaps, now):
            after = replace(health, flaps=replace(flaps, told_at=now))
            return after, notifier.still_flapping(watched, after, incident, now)
        return health, Changes()
