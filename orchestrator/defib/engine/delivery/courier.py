"""The front of delivery: takes new rows in, keeps a lane for each channel, and answers for all of them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from defib.engine.delivery.complaints import Complaints
from defib.engine.delivery.lane import Lane, Shelf
from defib.engine.delivery.listeners import Listeners
from defib.engine.delivery.outbox import Outbox
from defib.engine.delivery.self_tests import SelfTests
from defib.engine.delivery.stand_ins import StandIns
from defib.engine.events import Event, EventBus
from defib.engine.roster import Roster
from defib.errors import UsageError
from defib.logs import get_logger
from defib.model.alert import Delivery, DeliveryState
from defib.model.changes import Changes
from defib.model.ids import DeliveryId
from defib.ports import Clock, Desk
from defib.store import Reader, Writer

log = get_logger("defib.delivery")

SOON = timedelta(seconds=3)  #: what is due later in a pass is left to the next one
FAREWELL_S = 0.5  #: for tries under way when all is over
CRASH_PAUSE_S = 1.0
_LANE = "channel "  #: begins the names of their tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHealth:
    """How a channel does."""

    name: str
    pending: int
    dead: int  #: letters that it refused for good
    failing_since: datetime | None  #: of tries in a row that were not accepted
    error: str  #: of the newest of them
    accepted_at: datetime | None  #: the newest, since this process started


class Courier:
    """Delivers."""

    def __init__(self, clock: Clock, roster: Roster, writer: Writer, reader: Reader, bus: EventBus) -> None:
        self.roster = roster
        self._clock = clock
        self._writer = writer
        self._reader = reader
        self._outbox = Outbox(reader)
        self._lanes: dict[str, Lane] = {}
        self._dead: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._listeners: Listeners | None = None
        self._closing = False
        self._bus = bus
        self._stand_ins = StandIns(
            clock, lambda: self.roster, writer, reader, self._outbox, self._lanes, self.added
        )
        self._shelf = Shelf(
            clock=clock, roster=lambda: self.roster, writer=writer, reader=reader, bus=bus, outbox=self._outbox,
            on_outcome=self._take_outcome, stand_in_for=self._stand_ins.row_for,
            on_deliveries=self.added,
        )  # fmt: skip
        self._complaints = Complaints(clock, lambda: self.roster, writer, reader, self._lanes, self.added)
        self._self_tests = SelfTests(clock, lambda: self.roster, writer, self.added)

    # --- from outside ------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up everything the outbox holds; again after a reload."""
        self._complaints.start()
        self._dead = {
            channel: counts.get(DeliveryState.DEAD, 0)
            for channel, counts in self._reader.delivery_states().items()
        }
        self._outbox.put(self._reader.pending_deliveries(), self._clock.now())
        for name in {*self.roster.channels, *(row.delivery.channel for row in self._outbox.all())}:
            self._lane(name).reload()
            self._lanes[name].recall(self._outbox.tried_since(name))
        self._watch_over()
        self._stand_ins.reload()
        self._self_tests.take_change()

    async def attend(self, desk: Desk) -> None:
        """Hear what people answer through channels, and let these test themselves; for daemons.

        Again after a reload.
        """
        if self._listeners is None:
            self._listeners = Listeners(self._clock, desk)
        await self._listeners.attend(self.roster.channels)
        self._ensure("self-tests", self._guarded(self._self_tests.watch))

    def added(self, changes: Changes) -> None:
        """New rows were committed."""
        alerts = {alert.id: alert for alert in changes.alerts}
        self._outbox.put(changes.new_deliveries, self._clock.now(), alerts)
        for name in {row.channel for row in changes.new_deliveries}:
            self._lane(name).wake()
        self._watch_over()
        self._stand_ins.reviewing.take_change()

    async def retry(self, delivery: DeliveryId) -> Delivery:
        """Send a dead letter once more.

        :raises UsageError: there is no such delivery, or it is not dead.
        """
        row = await asyncio.to_thread(self._reader.delivery, delivery)
        if row is None:
            raise UsageError(f"there is no delivery {delivery!r}")
        if row.state is not DeliveryState.DEAD:
            raise UsageError(f"the delivery {delivery!r} is {row.state}; only dead letters can be sent again")
        now = self._clock.now()
        row = replace(row, state=DeliveryState.PENDING, due_at=now, sent_with=None)
        await self._writer.commit(Changes(deliveries=(row,)))
        self._dead[row.channel] = max(0, self._dead.get(row.channel, 0) - 1)
        self._outbox.put((row,), now)
        self._lane(row.channel).wake()
        self._bus.publish(Event(type="delivery"))
        return row

    async def wait_tried(self, within: timedelta = SOON) -> None:
        """Return when everything that is pending and due ``within`` that time has been tried at least once.

        What follows from that is waited for, too: another channel that stands in.
        """
        until = self._clock.now() + within
        while self._outbox.has_untried(until) or not (
            self._stand_ins.reviewing.is_idle and self._complaints.reviewing.is_idle
        ):
            await self._clock.sleep(0.02)

    def take_step(self, step: timedelta) -> None:
        """The wall clock was set by ``step``: what waits does so for as long as before."""
        self._outbox.take_step(step)
        for lane in self._lanes.values():
            lane.take_step(step)
        self._stand_ins.reviewing.take_change()
        self._complaints.reviewing.take_change()
        self._self_tests.take_change()

    @property
    def pending(self) -> int:
        return len(self._outbox)

    def health(self) -> list[ChannelHealth]:
        """How each channel does that is configured or still has something to carry, by name."""
        pending: dict[str, int] = {}
        for row in self._outbox.all():
            pending[row.delivery.channel] = pending.get(row.delivery.channel, 0) + 1
        return [
            ChannelHealth(
                name=name, pending=pending.get(name, 0), dead=self._dead.get(name, 0),
                failing_since=lane.refused_since, error=lane.error, accepted_at=lane.accepted_at,
            )
            for name, lane in sorted(self._lanes.items())
        ]  # fmt: skip

    async def close(self) -> None:
        """Stop; what is pending stays in the outbox. A try under way may end first."""
        self._closing = True
        if self._listeners is not None:
            await self._listeners.close()
        for lane in self._lanes.values():
            lane.close()
        tasks = tuple(self._tasks.values())
        if tasks:
            sending = [task for name, task in self._tasks.items() if name.startswith(_LANE)]
            if sending:
                await asyncio.wait(sending, timeout=FAREWELL_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- inside ------------------------------------------------------------------------------------

    def _lane(self, name: str) -> Lane:
        """The lane of a channel, at work."""
        if name not in self._lanes:
            self._lanes[name] = Lane(name, self._shelf)
        self._ensure(f"{_LANE}{name}", self._lanes[name].serve)
        return self._lanes[name]

    def _watch_over(self) -> None:
        """See that what channels do not accept has consequences."""
        self._ensure("stand-ins", self._guarded(self._stand_ins.reviewing.run))
        self._ensure("complaints", self._guarded(self._complaints.reviewing.run))

    def _ensure(self, name: str, serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._tasks.get(name)
        if not self._closing and (task is None or task.done()):
            self._tasks[name] = asyncio.create_task(serve(), name=f"defib-delivery-{name}")

    def _guarded(
        self, watch: Callable[[], Coroutine[Any, Any, None]]
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """What goes on whatever happens to it."""

        async def serve() -> None:
            while True:
                try:
                    await watch()
                except Exception as error:
                    log.error("delivery's watch crashed; going on", error=repr(error), exc_info=error)
                    await self._clock.sleep(CRASH_PAUSE_S)

        return serve

    def _take_outcome(self, lane: Lane, rows: Sequence[Delivery]) -> None:
        state = rows[0].state
        if state is DeliveryState.DELIVERED:
            self._complaints.take_success(lane.name)
        elif state is DeliveryState.DEAD:
            self._dead[lane.name] = self._dead.get(lane.name, 0) + len(rows)
            if lane.name in self.roster.channels:
                self._complaints.take_refusal(lane.name)
        self._complaints.reviewing.take_change()
        self._stand_ins.reviewing.take_change()
