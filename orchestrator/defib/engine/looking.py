"""Looks at monitors: one probe and its verdict, or, while a target is slow, several that overlap.

A target that hangs would cost one timeout for each confirmation if they waited for one another. So when
an answer is late (the soft timeout), the confirming probes start while the first is still waiting: any
good answer among them ends the matter, and if none comes, their failures count one by one.
"""

import asyncio
from collections import deque
from datetime import timedelta

from defib.engine.guard import Guard
from defib.engine.judge import Judge
from defib.engine.prober import Prober
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.model.evidence import Observation, Outcome
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.strategy import Strategy
from defib.ports import Clock, Monitor
from defib.rules.soft_timeout import soft_timeout

MAX_IN_FLIGHT = 3  #: probes of one monitor at the same time
_LATENCIES = 100  #: recent good answers that the soft timeout is learned from

Flight = asyncio.Task[Observation]


class Looking:
    """Probes and judges."""

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, prober: Prober, judge: Judge, guard: Guard
    ) -> None:
        self._clock = clock
        self.roster = roster
        self._table = table
        self._prober = prober
        self._judge = judge
        self._guard = guard
        self._latencies: dict[MonitorId, deque[float]] = {}

    async def look(self, monitor: MonitorId) -> Observation | None:
        """Probe a polled monitor once and judge what was seen; None when there is no such monitor.

        :raises StoreError: what was seen could not be judged.
        """
        plugin = self._plugin(monitor)
        if plugin is None:
            return None
        observation = await self._probe(monitor, plugin, self.roster.strategy(monitor))
        await self._take(observation)
        return observation

    async def turn(self, monitor: MonitorId) -> timedelta | None:
        """A scheduled look, with overlapping confirmation while the target is slow to answer.

        :return: when to look again, if that is before the next turn.
        :raises StoreError: what was seen could not be judged.
        """
        plugin = self._plugin(monitor)
        if plugin is None:
            return None
        strategy = self.roster.strategy(monitor)
        first: Flight = asyncio.ensure_future(self._probe(monitor, plugin, strategy))
        flights = {first}
        try:
            if self._may_overlap(monitor, strategy):
                await asyncio.wait(flights, timeout=self._soft_timeout(monitor, strategy).total_seconds())
                if not first.done():
                    return await self._overlap(monitor, plugin, strategy, flights)
            return await self._take(await first)
        finally:
            for flight in flights:
                flight.cancel()

    async def _overlap(
        self, monitor: MonitorId, plugin: Monitor, strategy: Strategy, flights: set[Flight]
    ) -> timedelta | None:
        """Confirm while the first probe still waits; the verdict of each counts as it comes.

        :param flights: the first probe; whatever is in the air is kept in it, for the caller to call back.
        """
        (first,) = flights
        launches = self._launches(strategy)
        again: timedelta | None = None
        while flights or launches:
            now = self._clock.monotonic()
            if launches and launches[0] <= now and len(flights) < MAX_IN_FLIGHT:
                launches.popleft()
                flights.add(asyncio.ensure_future(self._probe(monitor, plugin, strategy)))
                continue
            wait = launches[0] - now if launches and len(flights) < MAX_IN_FLIGHT else None
            if not flights:
                await self._clock.sleep(wait or 0.0)
                continue
            done, _ = await asyncio.wait(flights, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for flight in sorted(done, key=lambda item: item.result().started_at):
                flights.discard(flight)
                observation = flight.result()
                again = await self._take(observation)
                if observation.evidence.outcome is Outcome.OK:
                    # the matter is ended; but the first probe may yet turn out lost, and that is to be learned from
                    launches.clear()
                    for other in flights - {first}:
                        other.cancel()
                    flights &= {first}
            if self._table[monitor].state is State.FAULT:
                return again
        return again

    async def _probe(self, monitor: MonitorId, plugin: Monitor, strategy: Strategy) -> Observation:
        timeout = strategy.timeout * self._guard.timeout_factor
        return self._guard.weigh(await self._prober.look(monitor, plugin, timeout), timeout)

    def _launches(self, strategy: Strategy) -> deque[float]:
        """When the confirming probes of a slow one start: now, and after the first confirmation's wait."""
        now = self._clock.monotonic()
        return deque([now, now + strategy.confirm[0].total_seconds()][: MAX_IN_FLIGHT - 1])

    def _may_overlap(self, monitor: MonitorId, strategy: Strategy) -> bool:
        """Only a strategy that confirms quickly, and only while there is a verdict to come."""
        return bool(strategy.confirm) and self._table[monitor].state is not State.FAULT

    def _soft_timeout(self, monitor: MonitorId, strategy: Strategy) -> timedelta:
        return soft_timeout(self._latencies.get(monitor, ()), strategy.timeout)

    async def _take(self, observation: Observation) -> timedelta | None:
        evidence = observation.evidence
        if evidence.is_ok and evidence.latency is not None:
            seen = self._latencies.setdefault(observation.monitor, deque(maxlen=_LATENCIES))
            seen.append(evidence.latency.total_seconds())
        return await self._judge.take(observation)

    def _plugin(self, monitor: MonitorId) -> Monitor | None:
        watched = self.roster.monitors.get(monitor)
        return None if watched is None else watched.polled
