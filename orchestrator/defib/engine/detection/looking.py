"""Looks at monitors: one probe and its verdict, or, while a target is slow, several that overlap.

A target that hangs would cost one timeout for each confirmation if they waited for one another. So when
an answer is late (the soft timeout), the confirming probes start while the first is still waiting: a good
answer to the newest of them ends the matter, and if none comes, their failures count one by one.
"""

import asyncio
from collections import deque
from datetime import timedelta

from defib.engine.detection.judge import Judge
from defib.engine.detection.prober import Prober
from defib.engine.observer.guard import Guard
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.logs import get_logger
from defib.model.evidence import Observation, Outcome
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.strategy import Strategy
from defib.ports import Clock, Monitor
from defib.rules.soft_timeout import soft_timeout

STORE_RETRY = timedelta(seconds=1)  #: before a look is repeated whose verdict could not be stored
MAX_IN_FLIGHT = 3  #: probes of one monitor at the same time
_LATENCIES = 100  #: recent good answers that the soft timeout is learned from

log = get_logger("defib.engine")

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
        self._failures: dict[MonitorId, int] = {}  # in a row

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

        Whatever goes wrong, the schedule goes on.

        :return: when to look again, if that is before the next turn.
        """
        try:
            return await self._turn(monitor)
        except StoreError as error:
            log.error("verdict not stored; looking again", monitor=monitor, error=str(error))
            return STORE_RETRY
        except Exception as error:  # the boundary of one look
            log.error("look crashed", monitor=monitor, error=repr(error), exc_info=error)
            return None

    async def _turn(self, monitor: MonitorId) -> timedelta | None:
        plugin = self._plugin(monitor)
        if plugin is None:
            return None
        strategy = self.roster.strategy(monitor)
        first: Flight = asyncio.ensure_future(self._probe(monitor, plugin, strategy))
        flights = [first]
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
        self, monitor: MonitorId, plugin: Monitor, strategy: Strategy, flights: list[Flight]
    ) -> timedelta | None:
        """Confirm while the first probe still waits.

        Verdicts count in the order in which the probes were sent, for that is what happened to the target: a
        probe that is lost and one sent later that is answered are a failure and then a good look, although
        the answer is here before the failure is known.

        :param flights: the first probe; whatever is in the air is kept in it, for the caller to call back.
        """
        launches = self._launches(monitor, strategy)
        again: timedelta | None = None
        while flights or launches:
            wait = launches[0] - self._clock.monotonic() if launches else None
            if wait is not None and wait <= 0:
                launches.popleft()
                flights.append(asyncio.ensure_future(self._probe(monitor, plugin, strategy)))
                continue
            if in_the_air := [flight for flight in flights if not flight.done()]:
                await asyncio.wait(in_the_air, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            else:
                await self._clock.sleep(wait or 0.0)
            if any(flight.done() and flight.result().evidence.is_ok for flight in flights):
                launches.clear()  # that ends the matter, but for what was sent before
                while not flights[-1].done():
                    flights.pop().cancel()
            while flights and flights[0].done():
                again = await self._take(flights.pop(0).result())
                if self._table[monitor].state is State.FAULT:
                    return again
        return again

    async def _probe(self, monitor: MonitorId, plugin: Monitor, strategy: Strategy) -> Observation:
        timeout = strategy.timeout * self._guard.timeout_factor
        return self._guard.weigh(await self._prober.look(monitor, plugin, timeout), timeout)

    def _launches(self, monitor: MonitorId, strategy: Strategy) -> deque[float]:
        """When the confirming probes of a slow one start: now, and after the first confirmation's wait.

        The last one is at least the second confirmation's wait behind the slow one: how much the three have in
        common depends on the time that they cover, and for that long a verdict has to wait anyhow.
        """
        now, strides = self._clock.monotonic(), strategy.confirm
        began = now - self._soft_timeout(monitor, strategy).total_seconds()
        last = max(now + strides[0].total_seconds(), began + strides[:2][-1].total_seconds())
        return deque((now, last)[: self._may_join(monitor)])

    def _may_join(self, monitor: MonitorId) -> int:
        """How many probes may join the next one: the first looks of a row of failures overlap, later ones wait.

        What is lost on its way is often lost together with what is sent within the same second. Who needs
        more failures than overlap is on a line like that, and its further looks are worth more apart.
        """
        return max(0, MAX_IN_FLIGHT - 1 - self._failures.get(monitor, 0))

    def _may_overlap(self, monitor: MonitorId, strategy: Strategy) -> bool:
        """Only a strategy that confirms quickly, and only while there is a verdict to come."""
        is_open = self._table[monitor].state is not State.FAULT
        return bool(strategy.confirm) and is_open and self._may_join(monitor) > 0

    def _soft_timeout(self, monitor: MonitorId, strategy: Strategy) -> timedelta:
        return soft_timeout(self._latencies.get(monitor, ()), strategy.timeout)

    async def _take(self, observation: Observation) -> timedelta | None:
        evidence = observation.evidence
        if evidence.is_ok and evidence.latency is not None:
            seen = self._latencies.setdefault(observation.monitor, deque(maxlen=_LATENCIES))
            seen.append(evidence.latency.total_seconds())
        if evidence.is_ok:
            self._failures.pop(observation.monitor, None)
        elif evidence.outcome is Outcome.FAIL:
            self._failures[observation.monitor] = self._failures.get(observation.monitor, 0) + 1
        return await self._judge.take(observation)

    def _plugin(self, monitor: MonitorId) -> Monitor | None:
        watched = self.roster.monitors.get(monitor)
        return None if watched is None else watched.polled
