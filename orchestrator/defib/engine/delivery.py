"""Empties the outbox: one task per channel, so that a dead channel delays no other and no check.

What is alike in one conversation goes out in one message, and what is about one monitor in order
(:mod:`defib.rules.grouping`). A notice that is not accepted is tried again, later each time, until the channel
takes it; one that can never be accepted becomes a dead letter.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from defib.engine.events import Event, EventBus
from defib.engine.notifier import Notifier
from defib.engine.roster import Roster
from defib.errors import DeliveryError, StoreError
from defib.model.alert import Alert, AlertKind, Delivery, DeliveryState
from defib.model.changes import Changes, DeliveryTry
from defib.model.ids import AlertId, DeliveryId, MonitorId, ReportId
from defib.model.report import ReportDocument
from defib.ports import Channel, Clock, Receipt, SendContext
from defib.rules.backoff import next_delay
from defib.rules.grouping import Pending, next_message
from defib.store import Reader, Writer

log = structlog.get_logger("defib.delivery")

TIMEOUT = timedelta(seconds=10)  #: of one try
SOON = timedelta(seconds=3)  #: what is due later in a pass is left to the next one
BACKOFF_BASE = timedelta(seconds=1)
BACKOFF_CAP = timedelta(seconds=30)


class Courier:
    """Delivers."""

    def __init__(self, clock: Clock, roster: Roster, writer: Writer, reader: Reader, bus: EventBus) -> None:
        self._clock = clock
        self.roster = roster
        self._writer = writer
        self._reader = reader
        self._bus = bus
        self._pending: dict[DeliveryId, Delivery] = {}
        self._about: dict[DeliveryId, tuple[AlertKind | None, MonitorId | None]] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tried: set[DeliveryId] = set()
        self._closing = False

    # --- from outside ------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up everything the outbox holds."""
        self._enqueue(self._reader.pending_deliveries())
        for name in self.roster.channels:
            self._ensure(name)

    def added(self, changes: Changes) -> None:
        """New rows were committed."""
        alerts = {alert.id: alert for alert in changes.alerts}
        for delivery in changes.new_deliveries:
            if (alert := alerts.get(AlertId(delivery.notice))) is not None:
                self._about[delivery.id] = (alert.facts.event, alert.monitor)
        self._enqueue(changes.new_deliveries)

    async def wait_tried(self, within: timedelta = SOON) -> None:
        """Return when everything that is pending and due ``within`` that time has been tried at least once."""
        until = self._clock.now() + within
        while any(item.id not in self._tried and item.due_at <= until for item in self._pending.values()):
            await self._clock.sleep(0.02)

    def take_step(self, step: timedelta) -> None:
        """The wall clock was set by ``step``: what waits does so for as long as before."""
        self._pending = {key: replace(item, due_at=item.due_at + step) for key, item in self._pending.items()}
        for event in self._wake.values():
            event.set()

    @property
    def pending(self) -> int:
        return len(self._pending)

    async def close(self) -> None:
        """Stop; what is pending stays in the outbox. A try under way may end first."""
        self._closing = True
        tasks = tuple(self._tasks.values())
        for event in self._wake.values():
            event.set()
        if tasks:
            await asyncio.wait(tasks, timeout=0.5)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- one channel -------------------------------------------------------------------------------

    def _enqueue(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._pending[delivery.id] = delivery
            self._ensure(delivery.channel)
            self._wake[delivery.channel].set()

    def _ensure(self, channel: str) -> None:
        self._wake.setdefault(channel, asyncio.Event())
        task = self._tasks.get(channel)
        if task is None or task.done():
            self._tasks[channel] = asyncio.ensure_future(self._serve(channel))

    async def _serve(self, name: str) -> None:
        wake = self._wake[name]
        while not self._closing:
            wake.clear()
            message, wait = self._next(name)
            if not message:
                try:
                    async with asyncio.timeout(
                        wait
                    ):  # wait_for would lose a cancellation that meets a wake-up
                        await wake.wait()
                except TimeoutError:
                    pass
                continue
            try:
                await self._deliver(name, message)
            except StoreError as error:
                log.error("cannot record a delivery; trying again", channel=name, error=str(error))
                await self._clock.sleep(1.0)
            except Exception as error:  # the boundary of one channel
                log.error("delivery crashed; trying again", channel=name, error=repr(error), exc_info=error)
                await self._clock.sleep(1.0)

    def _next(self, channel: str) -> tuple[list[Delivery], float | None]:
        """What goes out in the next message, or seconds until there may be something (None: until woken)."""
        pending = [
            Pending(delivery=item, event=(about := self._subject(item))[0], monitor=about[1])
            for item in self._pending.values()
            if item.channel == channel
        ]
        message, wait = next_message(pending, self._clock.now())
        return [item.delivery for item in message], None if wait is None else wait.total_seconds()

    def _subject(self, delivery: Delivery) -> tuple[AlertKind | None, MonitorId | None]:
        """What kind of alert it is, and of which monitor; of a row from before the start, as the store says."""
        if delivery.id not in self._about:
            alert = self._reader.alert(AlertId(delivery.notice)) if delivery.notice_type == "alert" else None
            self._about[delivery.id] = (alert.facts.event, alert.monitor) if alert else (None, None)
        return self._about[delivery.id]

    async def _deliver(self, name: str, message: Sequence[Delivery]) -> None:
        first = message[0]
        notice = await asyncio.to_thread(self._notice, message)
        channel = self.roster.channels.get(name)
        try:
            if channel is None:
                raise DeliveryError(
                    f"there is no channel {name!r} in the configuration any more", permanent=True
                )
            if notice is None:
                raise DeliveryError("what was to be sent is no longer in the store", permanent=True)
            thread = await asyncio.to_thread(self._reader.first_receipt, name, first.thread)
            context = SendContext(
                key=first.key if len(message) == 1 else f"{first.key}|+{len(message) - 1}", timeout=TIMEOUT,
                thread=thread, thread_key=first.thread,
                product_url=self.roster.settings.server.public_url,
            )  # fmt: skip
            receipt = await self._send(channel, notice, context)
        except DeliveryError as error:
            await self._not_accepted(message, error)
            return
        now = self._clock.now()
        done = [
            replace(item, state=DeliveryState.DELIVERED, tries=item.tries + 1, accepted_at=now, receipt=receipt.id,
                    error="", sent_with=None if item is first else first.id)
            for item in message
        ]  # fmt: skip
        await self._record(done, True, receipt.detail or "accepted")
        self._forget(item.id for item in done)
        log.info("delivered", channel=name, notice=first.notice, tries=done[0].tries, together=len(done))

    async def _send(self, channel: Channel, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        try:
            return await asyncio.wait_for(
                channel.send(notice, context), context.timeout.total_seconds() + 1.0
            )
        except DeliveryError:
            raise
        except TimeoutError:
            raise DeliveryError(f"no answer within {context.timeout.total_seconds():g} s") from None
        except Exception as error:  # a channel is a plugin; its message might hold a secret, its type cannot
            log.error("channel crashed", error=type(error).__name__)
            raise DeliveryError(f"the channel's plugin crashed: {type(error).__name__}") from error

    async def _not_accepted(self, message: Sequence[Delivery], error: DeliveryError) -> None:
        now = self._clock.now()
        after = []
        for item in message:
            failed = replace(item, tries=item.tries + 1, error=str(error))
            if error.permanent:
                failed = replace(failed, state=DeliveryState.DEAD)
            else:
                delay = next_delay(item.tries, base=BACKOFF_BASE, cap=BACKOFF_CAP)
                failed = replace(failed, due_at=now + max(delay, error.retry_after or timedelta(0)))
            after.append(failed)
        await self._record(after, False, str(error))
        first = after[0]
        if error.permanent:
            self._forget(item.id for item in after)
            log.error("dead letter", channel=first.channel, notice=first.notice, error=str(error))
            return
        self._pending.update((item.id, item) for item in after)
        self._tried.update(item.id for item in after)
        log.warning("not delivered; trying again", channel=first.channel, tries=first.tries, error=str(error),
                    next_try_s=round((first.due_at - now).total_seconds(), 1))  # fmt: skip

    async def _record(self, deliveries: Sequence[Delivery], accepted: bool, detail: str) -> None:
        now = self._clock.now()
        tries = tuple(
            DeliveryTry(delivery=item.id, at=now, accepted=accepted, detail=detail) for item in deliveries
        )
        await self._writer.commit(Changes(deliveries=tuple(deliveries), tries=tries))
        self._bus.publish(Event(type="delivery"))

    def _forget(self, deliveries: Iterable[DeliveryId]) -> None:
        for delivery in deliveries:
            self._pending.pop(delivery, None)
            self._about.pop(delivery, None)
            self._tried.discard(delivery)

    def _notice(self, message: Sequence[Delivery]) -> Alert | ReportDocument | None:
        """What to send; of several alerts, one that tells of them all."""
        if message[0].notice_type != "alert":
            return self._reader.report(ReportId(message[0].notice))
        found = [self._reader.alert(AlertId(item.notice)) for item in message]
        alerts = [alert for alert in found if alert is not None]
        return Notifier(self.roster).together(alerts) if alerts else None
