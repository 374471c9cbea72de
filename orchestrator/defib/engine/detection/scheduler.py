"""The due heap: looks at every monitor when its turn comes, and never lets one delay another.

A probe that is slow keeps running, but hands its place at the host on after a moment: the limit keeps
Defib from storming a host, not from waiting on it.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from defib.model.ids import MonitorId
from defib.ports import Clock
from defib.rules.phase import next_turn, phase

PER_HOST = 4  #: probes that may start at one host within HOLD
HOLD = 0.25  #: seconds after which a running probe no longer counts against its host
OVERALL = 500  #: probes in flight
START_SPREAD = 10.0  #: seconds over which the first look at everything is spread

Look = Callable[[MonitorId], Awaitable[timedelta | None]]
"""Probe and judge one monitor; returns when to look again if that is before its next turn."""


@dataclass(slots=True)
class _Entry:
    interval: float
    offset: float
    host: str
    due: float = 0.0
    in_flight: bool = False
    again: float | None = None  #: asked for while in flight


class Scheduler:
    """Runs looks at their due times.

    :ivar lateness: seconds between due and start of the newest looks.
    :ivar overruns: turns that were skipped because the look before was still running.
    """

    def __init__(self, clock: Clock, look: Look) -> None:
        self._clock = clock
        self._look = look
        self.take_step()
        self._entries: dict[MonitorId, _Entry] = {}
        self._heap: list[tuple[float, int, MonitorId]] = []
        self._sequence = 0
        self._wake = asyncio.Event()
        self._at_host: dict[str, int] = {}
        self._waiting: dict[str, deque[MonitorId]] = {}
        self._flights: set[asyncio.Task[None]] = set()
        self.lateness: deque[float] = deque(maxlen=4096)
        self.overruns = 0
        self._worst_lateness = 0.0

    # --- what to look at ---------------------------------------------------------------------------

    def add(
        self, monitor: MonitorId, interval: timedelta, host: str, *, first_in: float | None = None
    ) -> None:
        """Look at ``monitor`` each ``interval``; known ones keep their turn unless the interval changes.

        :param first_in: seconds until the first look; None spreads it over the start.
        """
        seconds = interval.total_seconds()
        offset = phase(monitor, seconds)
        entry = self._entries.get(monitor)
        if entry is not None:
            changed = entry.interval != seconds
            entry.interval, entry.offset, entry.host = seconds, offset, host
            if changed and not entry.in_flight:
                self._push(monitor, entry, min(entry.due, self._next_turn(entry)))
            return
        entry = self._entries[monitor] = _Entry(seconds, offset, host)
        if first_in is None:
            first_in = phase(monitor, min(seconds, START_SPREAD))
        self._push(monitor, entry, self._clock.monotonic() + first_in)

    def remove(self, monitor: MonitorId) -> None:
        """Look at it no more; a look in flight ends by itself."""
        self._entries.pop(monitor, None)

    def look_soon(self, monitor: MonitorId, within: float = 0.0) -> None:
        """Look at ``monitor`` within so many seconds, if it is not due before."""
        entry = self._entries.get(monitor)
        if entry is None:
            return
        due = self._clock.monotonic() + within
        if entry.in_flight:
            entry.again = due if entry.again is None else min(entry.again, due)
        elif due < entry.due:
            self._push(monitor, entry, due)

    @property
    def monitors(self) -> tuple[MonitorId, ...]:
        """Those that are scheduled."""
        return tuple(self._entries)

    def next_due(self) -> float | None:
        """Monotonic time of the next look; None when nothing is scheduled."""
        return min((entry.due for entry in self._entries.values() if not entry.in_flight), default=None)

    def take_worst_lateness(self) -> float:
        """The most seconds that a look started late since this was last asked."""
        worst, self._worst_lateness = self._worst_lateness, 0.0
        return worst

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    def take_step(self) -> None:
        """The wall clock was set: phases are tied to it."""
        self._epoch = self._clock.now().timestamp() - self._clock.monotonic()

    # --- the loop ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look when due, until cancelled."""
        try:
            while True:
                self._wake.clear()
                now = self._clock.monotonic()
                while self._heap and self._heap[0][0] <= now and len(self._flights) < OVERALL:
                    due, _, monitor = heapq.heappop(self._heap)
                    entry = self._entries.get(monitor)
                    if entry is not None and not entry.in_flight and entry.due == due:
                        self._start(monitor, entry)
                full = len(self._flights) >= OVERALL
                timeout = (
                    None if full or not self._heap else max(0.0, self._heap[0][0] - self._clock.monotonic())
                )
                try:
                    async with asyncio.timeout(
                        timeout
                    ):  # wait_for would lose a cancellation that meets a wake-up
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for flight in tuple(self._flights):
                flight.cancel()
            await asyncio.gather(*self._flights, return_exceptions=True)

    def _push(self, monitor: MonitorId, entry: _Entry, due: float) -> None:
        entry.due = due
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, monitor))
        if self._heap[0][1] == self._sequence:
            self._wake.set()

    def _next_turn(self, entry: _Entry) -> float:
        wall = self._clock.monotonic() + self._epoch
        return next_turn(wall, entry.offset, entry.interval) - self._epoch

    def _start(self, monitor: MonitorId, entry: _Entry) -> None:
        entry.in_flight = True
        if entry.host and self._at_host.get(entry.host, 0) >= PER_HOST:
            self._waiting.setdefault(entry.host, deque()).append(monitor)
            return
        self._launch(monitor, entry)

    def _launch(self, monitor: MonitorId, entry: _Entry) -> None:
        if entry.host:
            self._at_host[entry.host] = self._at_host.get(entry.host, 0) + 1
        flight = asyncio.ensure_future(self._fly(monitor, entry))
        self._flights.add(flight)

    async def _fly(self, monitor: MonitorId, entry: _Entry) -> None:
        late = self._clock.monotonic() - entry.due
        self.lateness.append(late)
        self._worst_lateness = max(self._worst_lateness, late)
        release = (
            asyncio.get_running_loop().call_later(HOLD, self._release, entry.host) if entry.host else None
        )
        again: timedelta | None = None
        try:
            again = await self._look(monitor)
        finally:
            if release is not None and release.when() > asyncio.get_running_loop().time():
                release.cancel()
                self._release(entry.host)
            self._land(monitor, entry, again)

    def _land(self, monitor: MonitorId, entry: _Entry, again: timedelta | None) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._flights.discard(task)
        entry.in_flight = False
        if self._entries.get(monitor) is not entry:
            self._wake.set()
            return
        now = self._clock.monotonic()
        due = self._next_turn(entry)
        if now - entry.due > entry.interval:
            self.overruns += int((now - entry.due) // entry.interval)
        if again is not None:
            due = min(due, now + again.total_seconds())
        if entry.again is not None:
            due, entry.again = min(due, max(now, entry.again)), None
        self._push(monitor, entry, due)
        self._wake.set()

    def _release(self, host: str) -> None:
        self._at_host[host] -= 1
        if not self._at_host[host]:
            del self._at_host[host]
        waiting = self._waiting.get(host)
        while waiting and self._at_host.get(host, 0) < PER_HOST:
            monitor = waiting.popleft()
            entry = self._entries.get(monitor)
            if entry is not None:
                self._launch(monitor, entry)
        if waiting is not None and not waiting:
            del self._waiting[host]
