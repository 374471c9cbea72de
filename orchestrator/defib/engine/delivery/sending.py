"""Hands one message to its channel: in words, in a shape, under a timeout."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from defib.engine.delivery.composer import Composer, Letter
from defib.errors import DeliveryError
from defib.logs import get_logger
from defib.model.settings import ChannelSpec
from defib.ports import Channel, Clock, Editing, Patient, ReadByPeople, Receipt, SendContext
from defib.rules.delivering.messages import Message
from defib.rules.delivering.shaping import Fall, Opening, Shape

log = get_logger("defib.delivery")

TIMEOUT = timedelta(seconds=5)  #: of one try, unless the channel is patient
GRACE_S = 1.0  #: more than the channel was told, before it is cut off
_KEY_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One try to deliver."""

    message: Message
    channel: Channel
    spec: ChannelSpec
    opening: Opening | None  #: of the conversation in this channel
    composer: Composer
    clock: Clock
    product_url: str

    @property
    def can_edit(self) -> bool:
        return isinstance(self.channel, Editing) and self.channel.can_edit

    async def falls(self) -> Sequence[Fall]:
        """Those that it tells of, to people; () to programs, which are told each by itself."""
        if not (isinstance(self.channel, ReadByPeople) and self.channel.is_read_by_people):
            return ()
        return await asyncio.to_thread(self.composer.falls, self.message)

    async def send(self, shape: Shape) -> Receipt:
        """
        :raises DeliveryError: it was not accepted.
        """
        letter = await asyncio.to_thread(
            self.composer.letter, self.message, shape, self.opening, self.spec, self.clock.now()
        )
        if letter is None:
            raise DeliveryError("what was to be sent is no longer in the store", permanent=True)
        receipt = await self._call(letter, self._context(shape, letter))
        if shape is Shape.EDIT and self.opening is not None:
            return replace(
                receipt, id=self.opening.receipt, detail=receipt.detail or "edited the first message"
            )
        return receipt

    def _context(self, shape: Shape, letter: Letter) -> SendContext:
        message, channel = self.message, self.channel
        receipt = self.opening.receipt if self.opening is not None else None
        return SendContext(
            key=key_of(message), timeout=channel.timeout if isinstance(channel, Patient) else TIMEOUT,
            thread=receipt if shape is Shape.REPLY else None, edits=receipt if shape is Shape.EDIT else None,
            thread_key=key_of(message) if message.is_digest else message.first.thread,
            product_url=self.product_url, language=self.spec.language,
            is_quiet=all(row.delivery.is_quiet for row in message.rows), buttons=letter.buttons,
        )  # fmt: skip

    async def _call(self, letter: Letter, context: SendContext) -> Receipt:
        limit_s = context.timeout.total_seconds()
        try:
            return await asyncio.wait_for(self.channel.send(letter.notice, context), limit_s + GRACE_S)
        except DeliveryError:
            raise
        except TimeoutError:
            raise DeliveryError(f"no answer within {limit_s:g} s") from None
        except Exception as error:  # a channel is a plugin; its message might hold a secret, its type cannot
            log.error("channel crashed", channel=self.spec.name, error=type(error).__name__)
            raise DeliveryError(f"the channel's plugin crashed: {type(error).__name__}") from error


def key_of(message: Message) -> str:
    """The message's idempotency key: what it is made of decides."""
    first = message.first
    if len(message.rows) == 1:
        return first.key
    rows = "\n".join(row.delivery.id for row in message.rows)
    return f"{first.key}|+{hashlib.sha256(rows.encode()).hexdigest()[:_KEY_DIGITS]}"
