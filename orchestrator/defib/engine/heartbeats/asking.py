"""Asks a sender that is silent whether it is still there: the burst of a polled monitor, all in the air at once."""

import asyncio
from datetime import timedelta
from itertools import accumulate

from defib.engine.detection.prober import Prober
from defib.engine.observer.guard import Guard
from defib.model.evidence import Observation
from defib.model.ids import MonitorId
from defib.model.strategy import Strategy
from defib.ports import Clock, Monitor

_UNCONFIRMED = (timedelta(seconds=1), timedelta(seconds=2))
"""Between the looks, where the strategy knows no confirmation: of one look alone nothing follows."""


class Asking:
    """Looks a few times within seconds, until one look is good."""

    def __init__(self, clock: Clock, prober: Prober, guard: Guard) -> None:
        self._clock = clock
        self._prober = prober
        self._guard = guard

    async def ask(self, monitor: MonitorId, asked: Monitor, strategy: Strategy) -> list[Observation]:
        """The looks, in the order in which they ended; a good one is the last.

        They start at their times whether those before have ended or not, so that a sender that hangs costs one
        timeout and not three.
        """
        waits = accumulate(strategy.confirm or _UNCONFIRMED, initial=timedelta(0))
        flights = [
            asyncio.ensure_future(self._look(monitor, asked, wait.total_seconds(), strategy.timeout))
            for wait in waits
        ]
        looks: list[Observation] = []
        try:
            for flight in asyncio.as_completed(flights):
                looks.append(await flight)
                if looks[-1].evidence.is_ok:
                    break
        finally:
            for flight in flights:
                flight.cancel()
            await asyncio.gather(*flights, return_exceptions=True)
        return looks

    async def _look(
        self, monitor: MonitorId, asked: Monitor, wait_s: float, timeout: timedelta
    ) -> Observation:
        await self._clock.sleep(wait_s)
        timeout *= self._guard.timeout_factor
        return self._guard.weigh(await self._prober.look(monitor, asked, timeout), timeout)
