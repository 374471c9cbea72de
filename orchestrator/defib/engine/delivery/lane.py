"""One channel's way out: takes what its outbox holds, one message after another.

A message of several rows is written down before it is sent, so that whoever comes after a crash sends the same one,
under the same key, and no other:

1. Decide what goes next, or wait (:mod:`defib.rules.delivering.choosing`).
2. Of several rows: commit with which of them the others go.
3. Compose, and hand it to the channel under a timeout.
4. Commit the outcome, with the try, for all of its rows.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from defib.engine.delivery.composer import Composer
from defib.engine.delivery.outbox import UNTOLD, Outbox, Root
from defib.engine.delivery.sending import Sending
from defib.engine.events import Event, EventBus
from defib.engine.roster import Roster
from defib.errors import DeliveryError, StoreError
from defib.logs import get_logger
from defib.model.alert import Delivery, DeliveryState
from defib.model.changes import Changes, DeliveryTry
from defib.model.ids import DeliveryId
from defib.model.settings import ChannelSpec
from defib.ports import Clock, Receipt
from defib.rules.delivering.choosing import Pace, Said, next_step
from defib.rules.delivering.messages import Message, Waiting
from defib.rules.delivering.shaping import Shape, decide_shape
from defib.store import Reader, Writer

log = get_logger("defib.delivery")

STORE_RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What all lanes share."""

    clock: Clock
    roster: Callable[[], Roster]
    writer: Writer
    reader: Reader
    bus: EventBus
    outbox: Outbox
    on_outcome: "Callable[[Lane, Sequence[Delivery]], None]"  #: rows that were accepted, failed or died
    stand_in_for: Callable[[Delivery], Delivery | None]  #: the row through another channel; blocking
    on_deliveries: Callable[[Changes], None]  #: new rows were committed


class Lane:
    """Serves one channel."""

    def __init__(self, name: str, shelf: Shelf) -> None:
        self.name = name
        self.pace = self._recalled(shelf)
        self.trying_since: datetime | None = None  #: of the try under way
        self.error = ""  #: of the newest failed try, until one is accepted
        self.accepted_at: datetime | None = None  #: the newest, since this process started
        self._shelf = shelf
        self._wake = asyncio.Event()
        self._roots: dict[str, Root] = {}
        self._uneditable: set[str] = set()  #: receipts
        self._closing = False

    # --- from outside ------------------------------------------------------------------------------

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        """End after the try under way."""
        self._closing = True
        self._wake.set()

    def take_step(self, step: timedelta) -> None:
        self.pace = self.pace.moved(step)
        self.trying_since = self.trying_since and self.trying_since + step
        self._wake.set()

    def reload(self) -> None:
        """The configuration may say something else now."""
        shelf = self._shelf
        self.pace = self.pace.with_rate(self._rate(shelf.roster()), shelf.clock.now())
        self._uneditable.clear()
        self._wake.set()

    def recall(self, failing_since: datetime | None) -> None:
        """Another process has tried in vain since then; it counts once we do, too."""
        if self.pace.failing_since is None:
            self.pace = replace(self.pace, failing_since=failing_since)

    @property
    def failing_since(self) -> datetime | None:
        """Since when nothing was accepted although it was tried; None while the channel works."""
        return self.refused_since or self.trying_since

    @property
    def refused_since(self) -> datetime | None:
        """The same, without a first try that may still be accepted."""
        return self.pace.failing_since if self.pace.failures else None

    def _recalled(self, shelf: Shelf) -> Pace:
        """What the channel has used up before this process began, by what it took; blocks."""
        rate, now = self._rate(shelf.roster()), shelf.clock.now()
        messages: dict[datetime, list[Delivery]] = {}
        for row in shelf.reader.accepted(self.name, now - Pace.reach(rate)):
            if row.accepted_at is not None and row.tries:  # else another message had said it
                messages.setdefault(row.accepted_at, []).append(row)
        said = (Said(at=at, begins=self._began(shelf, rows)) for at, rows in messages.items())
        return Pace.recalled(rate, said, now)

    def _began(self, shelf: Shelf, rows: Sequence[Delivery]) -> bool:
        """Whether a message of ``rows`` opened a conversation: the first row of its conversation is among them."""
        ids = {row.id for row in rows}
        return rows[0].notice_type == "alert" and all(
            shelf.reader.conversation(self.name, row.thread)[0].id in ids for row in rows
        )

    async def serve(self) -> None:
        """Deliver until closed."""
        shelf = self._shelf
        while not self._closing:
            self._wake.clear()
            try:
                step = next_step(await self._waiting(), self.pace, shelf.clock.now())
                if step.message is not None:
                    await self._deliver(step.message)
                    continue
            except StoreError as error:
                log.error("cannot record a delivery; trying again", channel=self.name, error=str(error))
                await shelf.clock.sleep(STORE_RETRY_S)
                continue
            except Exception as error:  # the boundary of one channel
                log.error(
                    "delivery crashed; trying again", channel=self.name, error=repr(error), exc_info=error
                )
                await shelf.clock.sleep(STORE_RETRY_S)
                continue
            with suppress(TimeoutError):  # wait_for would lose a cancellation that meets a wake-up
                async with asyncio.timeout(None if step.wait is None else step.wait.total_seconds()):
                    await self._wake.wait()

    # --- one message -------------------------------------------------------------------------------

    async def _waiting(self) -> list[Waiting]:
        outbox = self._shelf.outbox
        threads = outbox.threads(self.name)
        self._roots = {thread: root for thread, root in self._roots.items() if thread in threads}
        if unknown := threads - self._roots.keys():
            self._roots |= await asyncio.to_thread(self._look_up, unknown)
        return outbox.of(self.name, self._roots)

    def _look_up(self, threads: set[str]) -> dict[str, Root]:
        roots = {}
        for thread in threads:
            said = self._shelf.reader.conversation(self.name, thread)
            first = said[0] if said else None
            roots[thread] = (
                UNTOLD
                if first is None
                else Root(delivery=first.sent_with or first.id, told_at=first.accepted_at)
            )
        return roots

    async def _deliver(self, message: Message) -> None:
        shelf = self._shelf
        await self._claim(message)
        began, began_s = shelf.clock.now(), shelf.clock.monotonic()
        self.trying_since = began
        try:
            sending = await self._sending(message)
            receipt, shape = await self._hand_over(sending, began)
        except DeliveryError as error:
            await self._not_accepted(message, error, began, shelf.clock.monotonic() - began_s)
            return
        finally:
            self.trying_since = None
        if shape is Shape.SAID:
            await self._said(message, receipt)
            return
        root = self._root(message) if shape is Shape.EDIT else ""
        await self._accepted(message, receipt, root, shelf.clock.monotonic() - began_s)

    def _root(self, message: Message) -> str:
        return self._roots.get(message.first.thread, UNTOLD).delivery

    async def _claim(self, message: Message) -> None:
        """Put the message's composition on record."""
        first, *others = message.rows
        claims = tuple(
            replace(row.delivery, sent_with=first.delivery.id)
            for row in others
            if row.delivery.sent_with != first.delivery.id
        )
        if claims:
            await self._shelf.writer.commit(Changes(deliveries=claims))
            self._shelf.outbox.claim(claims)

    async def _sending(self, message: Message) -> Sending:
        shelf, roster = self._shelf, self._shelf.roster()
        channel, spec = roster.channels.get(self.name), self._spec(roster)
        if channel is None or spec is None:
            raise DeliveryError(
                f"there is no channel {self.name!r} in the configuration any more", permanent=True
            )
        composer = Composer(roster, shelf.reader)
        opening = await asyncio.to_thread(composer.opening, self.name, message.first.thread)
        return Sending(
            message=message, channel=channel, spec=spec, opening=opening, composer=composer, clock=shelf.clock,
            product_url=roster.settings.server.public_url,
        )  # fmt: skip

    async def _hand_over(self, sending: Sending, now: datetime) -> tuple[Receipt, Shape]:
        """Send it, unless people know. An edit that the far end refuses becomes a reply."""
        opening = sending.opening
        can_edit = sending.can_edit and opening is not None and opening.receipt not in self._uneditable
        falls = await sending.falls() if opening is not None and opening.silent_host else ()
        shape = decide_shape(sending.message, opening, can_edit=can_edit, now=now, falls=falls)
        if shape is Shape.SAID and opening is not None:
            return Receipt(id=opening.receipt), shape
        try:
            return await sending.send(shape), shape
        except DeliveryError as error:
            if shape is not Shape.EDIT or not error.permanent or opening is None:
                raise
            self._uneditable.add(opening.receipt)
            log.warning("cannot edit the first message; replying to it", channel=self.name, error=str(error))
        return await sending.send(Shape.REPLY), Shape.REPLY

    # --- its outcome -------------------------------------------------------------------------------

    async def _accepted(self, message: Message, receipt: Receipt, root: str, duration_s: float) -> None:
        """
        :param root: the delivery whose message was edited; "" for a message of its own.
        """
        shelf, now = self._shelf, self._shelf.clock.now()
        first = message.first
        done = [
            replace(row.delivery, state=DeliveryState.DELIVERED, tries=row.delivery.tries + 1, accepted_at=now,
                    receipt=receipt.id, error="", sent_with=_went_with(row.delivery, first, root))
            for row in message.rows
        ]  # fmt: skip
        await self._record(done, now, True, receipt.detail or "accepted", duration_s)
        has_failed = self.pace.failures > 0
        self.pace = self.pace.accepted(message, now)
        self.error, self.accepted_at = "", now
        for row in done:
            if not self._roots.get(row.thread, UNTOLD).delivery:
                self._roots[row.thread] = Root(delivery=first.id, told_at=now)
        shelf.outbox.remove(row.id for row in done)
        if has_failed:
            shelf.outbox.hurry(self.name, now)
        log.info("delivered", channel=self.name, notice=first.notice, tries=done[0].tries, together=len(done))
        shelf.on_outcome(self, done)

    async def _said(self, message: Message, receipt: Receipt) -> None:
        """Nothing leaves: the first message spoke for it, and so its end is told where that went."""
        shelf, root = self._shelf, DeliveryId(self._root(message))
        done = [
            replace(row.delivery, state=DeliveryState.DELIVERED, accepted_at=shelf.clock.now(), receipt=receipt.id,
                    sent_with=root)
            for row in message.rows
        ]  # fmt: skip
        await shelf.writer.commit(Changes(deliveries=tuple(done)))
        shelf.outbox.remove(row.id for row in done)
        shelf.bus.publish(Event(type="delivery"))
        log.info("said before", channel=self.name, notice=message.first.notice, together=len(done))

    async def _not_accepted(
        self, message: Message, error: DeliveryError, began: datetime, duration_s: float
    ) -> None:
        shelf, now = self._shelf, self._shelf.clock.now()
        self.error = error.message
        if not error.permanent:
            self.pace = self.pace.failed(now, error.retry_after)
            self.pace = replace(self.pace, failing_since=min(self.pace.failing_since or began, began))
        after = []
        for row in message.rows:
            failed = replace(row.delivery, tries=row.delivery.tries + 1, error=str(error), sent_with=None)
            if error.permanent:
                failed = replace(failed, state=DeliveryState.DEAD)
            elif self.pace.next_try_at is not None:
                failed = replace(failed, due_at=self.pace.next_try_at)
            after.append(failed)
        stand_ins = await asyncio.to_thread(self._stand_ins, after) if error.permanent else ()
        await self._record(after, now, False, str(error), duration_s, stand_ins)
        first = after[0]
        if error.permanent:
            shelf.outbox.remove(row.id for row in after)
            log.error("dead letter", channel=self.name, notice=first.notice, error=str(error))
        else:
            shelf.outbox.replace(after)
            log.warning("not delivered; trying again", channel=self.name, tries=first.tries, error=str(error),
                        next_try_s=round((first.due_at - now).total_seconds(), 1))  # fmt: skip
        shelf.on_outcome(self, after)

    def _stand_ins(self, rows: Sequence[Delivery]) -> tuple[Delivery, ...]:
        """What another channel has to carry because this one never will."""
        found = (self._shelf.stand_in_for(row) for row in rows)
        return tuple(row for row in found if row is not None)

    async def _record(
        self, rows: Sequence[Delivery], now: datetime, accepted: bool, detail: str, duration_s: float,
        new: tuple[Delivery, ...] = (),
    ) -> None:  # fmt: skip
        tries = tuple(
            DeliveryTry(
                delivery=row.id, at=now, accepted=accepted, detail=detail, duration_s=round(duration_s, 3)
            )
            for row in rows
        )
        changes = Changes(deliveries=tuple(rows), tries=tries, new_deliveries=new)
        await self._shelf.writer.commit(changes)
        if new:
            self._shelf.on_deliveries(changes)
        self._shelf.bus.publish(Event(type="delivery"))

    # --- the channel -------------------------------------------------------------------------------

    def _spec(self, roster: Roster) -> ChannelSpec | None:
        return next((spec for spec in roster.settings.channels if spec.name == self.name), None)

    def _rate(self, roster: Roster) -> int:
        spec = self._spec(roster)
        return spec.rate if spec is not None else _ANY_RATE


_ANY_RATE = 20  #: of a channel that is not configured any more: its rows only become dead letters


def _went_with(row: Delivery, first: Delivery, root: str) -> DeliveryId | None:
    if root:
        return DeliveryId(root)
    return None if row.id == first.id else first.id
