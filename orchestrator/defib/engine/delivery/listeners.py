"""Runs what channels hear: one task each for those through which people answer."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from defib.logs import get_logger
from defib.ports import Channel, Clock, Desk, Listening
from defib.rules.backoff import next_delay

log = get_logger("defib.delivery")

BACKOFF_BASE = timedelta(seconds=1)
BACKOFF_CAP = timedelta(minutes=1)
WELL_AFTER_S = 60.0  #: who has listened for so long starts again at once


class Listeners:
    """Starts, restarts and stops them."""

    def __init__(self, clock: Clock, desk: Desk) -> None:
        self._clock = clock
        self._desk = desk
        self._tasks: dict[str, tuple[Channel, asyncio.Task[None]]] = {}

    async def attend(self, channels: Mapping[str, Channel]) -> None:
        """Listen to exactly these; one that was replaced by a reload is left, and its successor heard."""
        for name, (heard, _) in tuple(self._tasks.items()):
            if channels.get(name) is not heard:
                await self._leave(name)
        for name, channel in channels.items():
            if name not in self._tasks and isinstance(channel, Listening):
                task = asyncio.create_task(self._listen(name, channel), name=f"defib-listen-{name}")
                self._tasks[name] = (channel, task)

    async def close(self) -> None:
        for name in tuple(self._tasks):
            await self._leave(name)

    async def _leave(self, name: str) -> None:
        _, task = self._tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _listen(self, name: str, channel: Listening) -> None:
        failures = 0
        while True:
            began = self._clock.monotonic()
            try:
                await channel.listen(self._desk)
                said = "it returned"
            except Exception as error:  # noqa: BLE001 - a channel is a plugin; its message might hold a secret
                said = type(error).__name__
            if self._clock.monotonic() - began >= WELL_AFTER_S:
                failures = 0
            delay = next_delay(failures, base=BACKOFF_BASE, cap=BACKOFF_CAP)
            failures += 1
            log.error("a channel does not listen; trying again", channel=name, error=said,
                      next_try_s=delay.total_seconds())  # fmt: skip
            await self._clock.sleep(delay.total_seconds())
