"""Sends the messages that only say that a channel works, at the times that its configuration names."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from defib.engine.alerting.notifier import Notifier
from defib.engine.roster import Roster
from defib.errors import StoreError
from defib.logs import get_logger
from defib.model.changes import Changes
from defib.ports import Clock
from defib.store import Writer

log = get_logger("defib.delivery")


class SelfTests:
    """Watches the clock. What fell into a time when nobody was here is not made up for."""

    def __init__(
        self,
        clock: Clock,
        roster: Callable[[], Roster],
        writer: Writer,
        on_deliveries: Callable[[Changes], None],
    ) -> None:
        self._clock = clock
        self._roster = roster
        self._writer = writer
        self._on_deliveries = on_deliveries
        self._changed = asyncio.Event()
        self._sent_at: datetime | None = None  #: the newest time that was due

    def take_change(self) -> None:
        """The configuration or the clock is another."""
        self._sent_at = None
        self._changed.set()

    async def watch(self) -> None:
        """Send until cancelled."""
        while True:
            self._changed.clear()
            now = self._clock.now()
            due = self._times(max(now, self._sent_at or now))
            wait = None if not due else (min(due.values()) - now).total_seconds()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
                continue
            self._sent_at = min(due.values())
            await self._send([name for name, at in due.items() if at == self._sent_at])

    def _times(self, now: datetime) -> dict[str, datetime]:
        """When each channel is next to say that it works."""
        settings = self._roster().settings
        found = {}
        for spec in settings.channels:
            if spec.self_test:
                local = now.astimezone(ZoneInfo(spec.timezone or settings.timezone))
                found[spec.name] = next(CronSim(spec.self_test, local)).astimezone(UTC)
        return found

    async def _send(self, channels: list[str]) -> None:
        notifier = Notifier(self._roster())
        changes = sum((notifier.test(name, self._clock.now()) for name in channels), Changes())
        try:
            await self._writer.commit(changes)
        except StoreError as error:
            log.error("no self-test this time", channels=channels, error=str(error))
            return
        self._on_deliveries(changes)
