"""Follows one message on its way, try by try: for those who want to see whether a channel works."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from defib.model.alert import DeliveryState
from defib.model.changes import DeliveryTry
from defib.model.ids import DeliveryId
from defib.ports import Clock
from defib.store import Reader

TRIES = 3  #: that are waited for; the message is tried on afterwards
_LOOK_EVERY_S = 0.05


async def follow(
    clock: Clock, reader: Reader, delivery: DeliveryId, timeout: timedelta,
    on_try: Callable[[DeliveryTry], None] = lambda one: None,
) -> tuple[bool, str]:  # fmt: skip
    """Wait until a delivery is accepted or refused for good, was tried :data:`TRIES` times, or takes too long.

    :param on_try: told of each try as it ends.
    :return: whether it was accepted, and what the far end said.
    """
    ends, seen = clock.monotonic() + timeout.total_seconds(), 0
    while True:
        row = await asyncio.to_thread(reader.delivery, delivery)
        assert row is not None
        tries = await asyncio.to_thread(
            reader.delivery_tries, [delivery]
        )  # at least those that made the row so
        for one in tries[seen:]:
            on_try(one)
        seen = len(tries)
        if row.state is DeliveryState.DELIVERED:
            return True, row.receipt
        if row.state is DeliveryState.DEAD:
            return False, row.error
        if seen >= TRIES:
            return False, f"{row.error}; it stays in the outbox and is tried again"
        if clock.monotonic() >= ends:
            return False, row.error or f"no answer within {timeout.total_seconds():g} s"
        await clock.sleep(_LOOK_EVERY_S)
