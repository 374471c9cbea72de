"""Tells people that the observer itself is sick: through the outbox, or past an event loop that is held up.

The loop notes each second how the observer is (:mod:`defib.rules.observer`), and what is to be told goes the way
of every alert. While the loop is held up nothing goes that way. So a thread stands by: it notes in the loop's
place, and sends through channels of its own, on an event loop of its own. What it has sent is written to the store
once the loop turns again, as delivered; what it could not send goes on in the outbox under the same key.

It works while Python code holds the loop up, which is what a plugin does. It does not while the whole process
stands still, or while foreign code keeps the interpreter's lock: that is what the dead-man ping is for.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from defib.engine.alerting.notifier import Notifier
from defib.engine.observer.guard import Guard
from defib.engine.roster import Roster
from defib.errors import DeliveryError, StoreError
from defib.logs import get_logger
from defib.model.alert import Alert, Delivery, DeliveryState
from defib.model.changes import Changes, DeliveryTry
from defib.ports import BuildContext, Clock, Receipt, SendContext
from defib.rules.observer import PATIENCE, Ailment, Patience, Telling, Trouble, Word, fold
from defib.store import Reader, Writer

TICK_S = 1.0
HELD_UP_S = 5.0
TIMEOUT = timedelta(seconds=10)  #: of one try to send
PAUSE_S = 5.0  #: between two tries
LOOK_S = 0.1  #: how often, meanwhile, the thread looks whether the loop turns again
MOST_TRIES = 3
SETTING = "observer.sick_since"
"""Run-time setting: since when it is sick, as people were told who are owed the all-clear."""

_EFFECT = "Nothing is looked at meanwhile, nothing is repaired, and the dashboard does not answer"

log = get_logger("defib.alarm")


class Alarm:
    """Keeps what people know of the observer. Outlives restarts: an all-clear that is owed is given."""

    def __init__(
        self, clock: Clock, roster: Roster, writer: Writer, reader: Reader, guard: Guard, *,
        patience: Patience = PATIENCE, held_up_s: float = HELD_UP_S, tick_s: float = TICK_S,
    ) -> None:  # fmt: skip
        """:param held_up_s: from which a loop that does not turn counts as trouble."""
        self._clock = clock
        self.roster = roster
        self._writer = writer
        self._guard = guard
        self._patience, self._held_up_s, self._tick_s = patience, held_up_s, tick_s
        self._lock = threading.Lock()  # around the telling: the loop and the thread both note
        self._telling = _owed(reader.settings().get(SETTING), clock)
        self._unwritten: deque[Changes] = deque()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.on_deliveries: Callable[[Changes], None] = lambda changes: None
        """Told of each commit with deliveries that are still to be made."""

    # --- on the loop -------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Note and tell, until cancelled."""
        while True:
            await self._clock.sleep(self._tick_s)
            word, trouble = self._note(self._guard.trouble())
            if word is not None and trouble is not None:
                self._unwritten.append(self._words(word, trouble))
            await self._write()

    async def _write(self) -> None:
        while self._unwritten:
            changes = self._unwritten[0]
            try:
                await self._writer.commit(changes)
            except StoreError as error:
                log.error("what people are told of the observer waits for the store", error=str(error))
                return
            self._unwritten.popleft()
            pending = tuple(item for item in changes.new_deliveries if item.state is DeliveryState.PENDING)
            if pending:
                self.on_deliveries(replace(changes, new_deliveries=pending))

    # --- beside it ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Stand by while the loop runs."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._stand_by, name="defib-alarm", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stand by no more; idempotent."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join(TIMEOUT.total_seconds() + 1.0)
            self._thread = None

    def _stand_by(self) -> None:
        while not self._ended.wait(self._tick_s):
            held_up_s = self._guard.blocked_for()
            if held_up_s < self._held_up_s:
                continue
            trouble = Trouble(
                ailment=Ailment.SICK, reason=f"Defib's event loop has been held up for {held_up_s:.0f} s",
                effect=_EFFECT, since=self._clock.now() - timedelta(seconds=held_up_s),
            )  # fmt: skip
            word, told = self._note(trouble)
            if word is None or told is None:
                continue
            try:
                self._unwritten.append(asyncio.run(self._send_past(self._words(word, told))))
            except Exception as error:  # whatever it is: the next episode finds this thread alive
                log.error("could not tell past the loop that is held up", error=repr(error), exc_info=error)

    async def _send_past(self, changes: Changes) -> Changes:
        """Hand an alert to its channels; what became of each delivery, to be written later."""
        [alert] = changes.alerts
        sent = await asyncio.gather(*(self._send(alert, delivery) for delivery in changes.new_deliveries))
        return replace(
            changes,
            new_deliveries=tuple(delivery for delivery, _ in sent),
            tries=tuple(attempt for _, tries in sent for attempt in tries),
        )

    async def _send(self, alert: Alert, delivery: Delivery) -> tuple[Delivery, list[DeliveryTry]]:
        tries: list[DeliveryTry] = []
        while True:
            error: DeliveryError | None = None
            receipt = Receipt()
            try:
                receipt = await self._try(alert, delivery)
            except DeliveryError as refusal:
                error = refusal
            now = self._clock.now()
            said = receipt.detail or "accepted while the loop was held up" if error is None else str(error)
            tries.append(DeliveryTry(delivery=delivery.id, at=now, accepted=error is None, detail=said))
            if error is None:
                done = replace(
                    delivery,
                    state=DeliveryState.DELIVERED,
                    tries=len(tries),
                    accepted_at=now,
                    receipt=receipt.id,
                )
                return done, tries
            log.warning("not told past the loop", channel=delivery.channel, error=said)
            if error.permanent or len(tries) == MOST_TRIES or not await self._is_needed_again():
                return replace(delivery, tries=len(tries), error=said), tries

    async def _is_needed_again(self) -> bool:
        """Pause before the next try; False as soon as the loop turns, for then the outbox goes on."""
        ends = self._clock.monotonic() + PAUSE_S
        while self._clock.monotonic() < ends:
            if self._guard.blocked_for() < self._held_up_s or self._ended.is_set():
                return False
            await asyncio.sleep(LOOK_S)
        return True

    async def _try(self, alert: Alert, delivery: Delivery) -> Receipt:
        """One try, through a channel that is built for it: the loop's own belongs to the loop.

        :raises DeliveryError: it was not accepted.
        """
        roster = self.roster
        settings = roster.settings
        spec = next(item for item in settings.channels if item.name == delivery.channel)
        context = BuildContext(base=settings.base, script_folders=settings.script_folders)
        channel = roster.registry.channels[spec.kind].create(spec.name, spec.options, context)
        try:
            return await asyncio.wait_for(
                channel.send(
                    alert,
                    SendContext(
                        key=delivery.key, timeout=TIMEOUT, thread_key=delivery.thread,
                        product_url=settings.server.public_url,
                    ),
                ),
                TIMEOUT.total_seconds() + 1.0,
            )  # fmt: skip
        except TimeoutError:
            raise DeliveryError(f"no answer within {TIMEOUT.total_seconds():g} s") from None
        except DeliveryError:
            raise
        except Exception as error:  # a channel is a plugin; its message might hold a secret, its type cannot
            raise DeliveryError(f"the channel's plugin crashed: {type(error).__name__}") from error
        finally:
            with suppress(Exception):  # it is dropped either way
                await channel.close()

    # --- both --------------------------------------------------------------------------------------

    def _note(self, trouble: Trouble | None) -> tuple[Word | None, Trouble | None]:
        """What people are to hear now, and of what."""
        with self._lock:
            before = self._telling
            self._telling, word = fold(before, trouble, self._clock.monotonic(), self._patience)
            began = before.began or trouble
        if trouble is None or began is None:
            return word, began
        return word, replace(trouble, since=began.since)

    def _words(self, word: Word, trouble: Trouble) -> Changes:
        notifier, now = Notifier(self.roster), self._clock.now()
        if word is Word.SICK:
            log.warning("Defib itself is not well", reason=trouble.reason)
            told = notifier.observer_sick(trouble, now)
            return replace(told, settings=((SETTING, trouble.since.isoformat()),))
        log.warning("Defib itself is well again")
        return replace(notifier.observer_well(trouble, now), settings=((SETTING, None),))


def _owed(since: str | None, clock: Clock) -> Telling:
    """What people know from before the start of this process."""
    if since is None:
        return Telling()
    began = Trouble(
        ailment=Ailment.SICK, reason="It was told of before Defib was restarted", effect="",
        since=datetime.fromisoformat(since),
    )  # fmt: skip
    passed = (clock.now() - began.since).total_seconds()
    return Telling(began=began, is_told=True, told_at=clock.monotonic() - max(0.0, passed))
