"""One timer for each monitor, which its beats put off again and again at next to no cost."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from defib.model.evidence import Observation
from defib.model.ids import MonitorId
from defib.ports import Clock, Deadline


@dataclass(frozen=True, slots=True, eq=False)
class Timer:
    """Something to do for a monitor."""

    due: float  #: monotonic: a wall clock that is set makes nobody late
    what: Deadline | Observation  #: a silence to judge, or an observation to judge again


class Timers:
    """At most one timer of each monitor.

    Nearly every beat moves a timer to later. Such a move leaves the queue alone: the entry that waits there comes up
    at the earlier time, finds the later one, and is queued anew. So the queue grows with the number of monitors, and
    not with that of beats.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timers: dict[MonitorId, Timer] = {}
        self._queue: list[tuple[float, int, MonitorId]] = []
        self._queued: dict[MonitorId, float] = {}  # the earliest entry of each; others come up for nothing
        self._sequence = 0
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Entries that wait in the queue."""
        return len(self._queue)

    def get(self, monitor: MonitorId) -> Timer | None:
        return self._timers.get(monitor)

    def all(self) -> tuple[tuple[MonitorId, Timer], ...]:
        return tuple(self._timers.items())

    def set(self, monitor: MonitorId, due: float, what: Deadline | Observation) -> None:
        """Do ``what`` at ``due`` (monotonic seconds), instead of what was to be done."""
        self._timers[monitor] = Timer(due, what)
        queued = self._queued.get(monitor)
        if queued is None or due < queued:
            self._enqueue(monitor, due)

    def set_in(self, monitor: MonitorId, seconds: float, what: Deadline | Observation) -> None:
        """The same, so many seconds from now."""
        self.set(monitor, self._clock.monotonic() + seconds, what)

    def drop(self, monitor: MonitorId) -> None:
        """Nothing is to be done for it any more."""
        self._timers.pop(monitor, None)

    async def run(self, fire: Callable[[MonitorId, Timer], Awaitable[None]]) -> None:
        """Call ``fire`` with each timer as it is due, one at a time, until cancelled. It stays set until then, and
        whoever is called drops it or sets another."""
        while True:
            self._wake.clear()
            while self._queue and self._queue[0][0] <= self._clock.monotonic():
                queued_for, _, monitor = heapq.heappop(self._queue)
                if self._queued.get(monitor) != queued_for:
                    continue
                del self._queued[monitor]
                timer = self._timers.get(monitor)
                if timer is None:
                    continue
                if timer.due > self._clock.monotonic():
                    self._enqueue(monitor, timer.due)
                else:
                    await fire(monitor, timer)
            wait = max(0.0, self._queue[0][0] - self._clock.monotonic()) if self._queue else None
            try:
                async with asyncio.timeout(wait):  # wait_for would lose a cancellation that meets a wake-up
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _enqueue(self, monitor: MonitorId, due: float) -> None:
        self._queued[monitor] = due
        self._sequence += 1
        heapq.heappush(self._queue, (due, self._sequence, monitor))
        if self._queue[0][2] == monitor:
            self._wake.set()
