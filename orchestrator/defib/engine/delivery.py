"""Empties the outbox: one task per channel, so that a dead channel delays no other and no check.

Within one channel, the notices of one incident go out in order. A notice that is not accepted is tried
again, later each time, until the channel takes it; one that can never be accepted becomes a dead letter.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import structlog

from defib.engine.events import Event, EventBus
from defib.engine.roster import Roster
from defib.errors import DeliveryError, StoreError
from defib.model.alert import Alert, Delivery, DeliveryState
from defib.model.changes import Changes, DeliveryTry
from defib.model.ids import AlertId, DeliveryId, ReportId
from defib.model.report import ReportDocument
from defib.ports import Channel, Clock, Receipt, SendContext
from defib.rules.backoff import next_delay
from defib.store import Reader, Writer

log = structlog.get_logger("defib.delivery")

TIMEOUT = timedelta(seconds=10)  #: of one try
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
        self._threads: dict[DeliveryId, str] = {}  # the conversation each belongs to
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
        for alert in changes.alerts:
            for delivery in changes.new_deliveries:
                if delivery.notice == alert.id:
                    self._threads[delivery.id] = alert.incident or alert.id
        self._enqueue(changes.new_deliveries)

    async def wait_tried(self) -> None:
        """Return when everything that is pending has been tried at least once."""
        while any(item not in self._tried for item in self._pending):
            await self._clock.sleep(0.02)

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
            delivery, wait = self._next(name)
            if delivery is None:
                try:
                    async with asyncio.timeout(
                        wait
                    ):  # wait_for would lose a cancellation that meets a wake-up
                        await wake.wait()
                except TimeoutError:
                    pass
                continue
            try:
                await self._deliver(name, delivery)
            except StoreError as error:
                log.error("cannot record a delivery; trying again", channel=name, error=str(error))
                await self._clock.sleep(1.0)
            except Exception as error:  # the boundary of one channel
                log.error("delivery crashed; trying again", channel=name, error=repr(error), exc_info=error)
                await self._clock.sleep(1.0)

    def _next(self, channel: str) -> tuple[Delivery | None, float | None]:
        """The delivery whose turn it is, or how long until there may be one (None: until woken)."""
        now = self._clock.now()
        busy: set[str] = set()
        soonest: float | None = None
        for delivery in self._pending.values():
            if delivery.channel != channel:
                continue
            thread = self._thread(delivery)
            if thread in busy:
                continue
            busy.add(thread)
            wait = (delivery.due_at - now).total_seconds()
            if wait <= 0:
                return delivery, None
            soonest = wait if soonest is None else min(soonest, wait)
        return None, soonest

    def _thread(self, delivery: Delivery) -> str:
        thread = self._threads.get(delivery.id)
        if thread is None:
            alert = self._reader.alert(AlertId(delivery.notice)) if delivery.notice_type == "alert" else None
            thread = self._threads[delivery.id] = (alert.incident if alert else None) or delivery.notice
        return thread

    async def _deliver(self, name: str, delivery: Delivery) -> None:
        notice = await asyncio.to_thread(self._notice, delivery)
        thread_key = self._thread(delivery)
        now = self._clock.now()
        channel = self.roster.channels.get(name)
        try:
            if channel is None:
                raise DeliveryError(
                    f"there is no channel {name!r} in the configuration any more", permanent=True
                )
            if notice is None:
                raise DeliveryError("what was to be sent is no longer in the store", permanent=True)
            incident = notice.incident if isinstance(notice, Alert) else None
            thread = await asyncio.to_thread(self._reader.first_receipt, name, incident) if incident else None
            context = SendContext(
                key=delivery.key, timeout=TIMEOUT, thread=thread, thread_key=thread_key,
                product_url=self.roster.settings.server.public_url,
            )  # fmt: skip
            receipt = await self._send(channel, notice, context)
        except DeliveryError as error:
            await self._not_accepted(delivery, error)
            return
        now = self._clock.now()
        done = replace(delivery, state=DeliveryState.DELIVERED, tries=delivery.tries + 1, accepted_at=now,
                       receipt=receipt.id, error="")  # fmt: skip
        await self._record(done, True, receipt.detail or "accepted")
        self._forget(delivery.id)
        log.info("delivered", channel=name, notice=delivery.notice, tries=done.tries)

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

    async def _not_accepted(self, delivery: Delivery, error: DeliveryError) -> None:
        tries = delivery.tries + 1
        now = self._clock.now()
        if error.permanent:
            after = replace(delivery, state=DeliveryState.DEAD, tries=tries, error=str(error))
        else:
            delay = next_delay(tries - 1, base=BACKOFF_BASE, cap=BACKOFF_CAP)
            delay = max(delay, error.retry_after or timedelta(0))
            after = replace(delivery, tries=tries, error=str(error), due_at=now + delay)
        await self._record(after, False, str(error))
        if error.permanent:
            self._forget(delivery.id)
            log.error("dead letter", channel=delivery.channel, notice=delivery.notice, error=str(error))
        else:
            self._pending[delivery.id] = after
            self._tried.add(delivery.id)
            log.warning("not delivered; trying again", channel=delivery.channel, tries=tries, error=str(error),
                        next_try_s=round((after.due_at - now).total_seconds(), 1))  # fmt: skip

    async def _record(self, delivery: Delivery, accepted: bool, detail: str) -> None:
        attempt = DeliveryTry(delivery=delivery.id, at=self._clock.now(), accepted=accepted, detail=detail)
        await self._writer.commit(Changes(deliveries=(delivery,), tries=(attempt,)))
        self._bus.publish(Event(type="delivery"))

    def _forget(self, delivery: DeliveryId) -> None:
        self._pending.pop(delivery, None)
        self._threads.pop(delivery, None)
        self._tried.discard(delivery)

    def _notice(self, delivery: Delivery) -> Alert | ReportDocument | None:
        if delivery.notice_type == "alert":
            return self._reader.alert(AlertId(delivery.notice))
        return self._reader.report(ReportId(delivery.notice))
