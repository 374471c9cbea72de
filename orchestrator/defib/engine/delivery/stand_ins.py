"""Sends an alert through another channel too when its own does not accept it in time.

The other channel gets a row of its own, which says what it stands in for; the first channel keeps its row, and
delivers it when it can. One alert has at most one row in each channel, so that a restart repeats nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from defib.engine.delivery.lane import Lane
from defib.engine.delivery.outbox import Outbox
from defib.engine.delivery.reviewing import Reviewing
from defib.engine.ids import new_id
from defib.engine.roster import Roster
from defib.logs import get_logger
from defib.model.alert import AlertKind, Delivery, Purpose
from defib.model.changes import Changes
from defib.model.ids import AlertId, DeliveryId
from defib.ports import Clock
from defib.rules.delivering.failover import failover_at, route_through, stand_in
from defib.rules.delivering.messages import Waiting
from defib.store import Reader, Writer

log = get_logger("defib.delivery")


class StandIns:
    """Watches over what is not accepted."""

    def __init__(
        self, clock: Clock, roster: Callable[[], Roster], writer: Writer, reader: Reader, outbox: Outbox,
        lanes: Mapping[str, Lane], on_deliveries: Callable[[Changes], None],
    ) -> None:  # fmt: skip
        self._clock = clock
        self._roster = roster
        self._writer = writer
        self._reader = reader
        self._outbox = outbox
        self._lanes = lanes
        self._on_deliveries = on_deliveries
        self.reviewing = Reviewing("appointing stand-ins", self._review)
        self._settled: set[DeliveryId] = set()  #: rows that have a stand-in, or cannot have one

    def reload(self) -> None:
        """The configuration may name other stand-ins now."""
        self._settled.clear()
        self.reviewing.take_change()

    async def _review(self) -> float | None:
        """Appoint whoever is due; seconds until the next one may be."""
        now = self._clock.now()
        self._settled = {delivery for delivery in self._settled if delivery in self._outbox}
        soonest: datetime | None = None
        for waiting in self._outbox.all():
            due = self._due(waiting)
            if due is None:
                continue
            if due <= now:
                await self._appoint(waiting.delivery)
                self._settled.add(waiting.delivery.id)
            else:
                soonest = due if soonest is None else min(soonest, due)
        return None if soonest is None else (soonest - now).total_seconds()

    def _due(self, waiting: Waiting) -> datetime | None:
        lane = self._lanes.get(waiting.delivery.channel)
        if lane is None or lane.failing_since is None or waiting.delivery.id in self._settled:
            return None
        if waiting.event in (None, AlertKind.TEST):
            return None
        return failover_at(waiting.ready_at, lane.failing_since)

    async def _appoint(self, delivery: Delivery) -> None:
        row = await asyncio.to_thread(self.row_for, delivery)
        if row is None:
            return
        await self._writer.commit(changes := Changes(new_deliveries=(row,)))
        self._on_deliveries(changes)
        log.warning(
            "another channel stands in", channel=delivery.channel, stand_in=row.channel, notice=row.notice
        )

    def row_for(self, delivery: Delivery) -> Delivery | None:
        """The stand-in's row, not yet stored; None where nobody can or has to stand in. Reads the store."""
        settings = self._roster().settings
        spec = next((spec for spec in settings.channels if spec.name == delivery.channel), None)
        alert = self._reader.alert(AlertId(delivery.notice)) if delivery.notice_type == "alert" else None
        if spec is None or alert is None or alert.facts.event is AlertKind.TEST:
            return None
        carrying = {row.channel for row in self._reader.deliveries(notices=[delivery.notice])}
        other = stand_in(spec, route_through(alert, spec.name, settings.routes), carrying)
        if other is None or other not in self._roster().channels:
            return None
        now = self._clock.now()
        return Delivery(
            id=DeliveryId(new_id("send", now)), channel=other, notice=delivery.notice, notice_type="alert",
            key=f"{delivery.notice}|fallback|{other}", created_at=now, due_at=now, thread=delivery.thread,
            purpose=Purpose.FALLBACK, stands_in_for=delivery.id, is_quiet=delivery.is_quiet,
        )  # fmt: skip
