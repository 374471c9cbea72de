"""The real clock."""

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """Wall clock in UTC, monotonic clock of the machine, sleeping on the event loop."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
