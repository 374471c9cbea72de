"""Looks again whenever something has changed, or the time that the last look named has come."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from defib.errors import StoreError
from defib.logs import get_logger

log = get_logger("defib.delivery")

STORE_RETRY_S = 1.0


class Reviewing:
    """Calls ``review`` one at a time."""

    def __init__(self, what: str, review: Callable[[], Awaitable[float | None]]) -> None:
        """
        :param what: it does, for the log.
        :param review: returns the seconds until there may be more to do; None: when something changes.
        """
        self._what = what
        self._review = review
        self._changed = asyncio.Event()
        self._is_reviewing = False

    def take_change(self) -> None:
        """There may be something to do."""
        self._changed.set()

    @property
    def is_idle(self) -> bool:
        """Nothing is left to decide for now."""
        return not (self._is_reviewing or self._changed.is_set())

    async def run(self) -> None:
        """Review until cancelled."""
        while True:
            self._changed.clear()
            self._is_reviewing = True
            try:
                wait = await self._review()
            except StoreError as error:
                log.error("the store failed; trying again", undone=self._what, error=str(error))
                wait = STORE_RETRY_S
            finally:
                self._is_reviewing = False
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
