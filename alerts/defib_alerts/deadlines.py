"""The time that one try to deliver may take, and what is said when it is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from defib.plugin import DeliveryError, Lapse
from defib_alerts.phrases import phrase


@asynccontextmanager
async def deadline(limit: timedelta, target: str) -> AsyncIterator[None]:
    """Bound what happens inside, whatever timeouts the library below has of its own.

    :raises DeliveryError: retryable; the far end did not answer within ``limit``.
    """
    try:
        async with asyncio.timeout(limit.total_seconds()):
            yield
    except TimeoutError:
        words = phrase("{target} did not answer within {limit}", target=target, limit=Lapse.of(limit))
        raise DeliveryError(words) from None
