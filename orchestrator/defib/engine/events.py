"""What just happened, for pages that are open: lossy by design, a slow reader never holds up the engine."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from defib.model.ids import MonitorId

_BACKLOG = 256  #: events a reader may fall behind by; then it is told to read everything afresh


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something changed: monitor, incident, recovery, delivery, windows, strategy, observer, reload; or ``resync``."""

    type: str
    monitor: MonitorId | None = None


@dataclass(slots=True)
class EventBus:
    """Fans events out to whoever subscribed."""

    _queues: set["asyncio.Queue[Event]"] = field(default_factory=set)

    def publish(self, event: Event) -> None:
        for queue in self._queues:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                event = Event(type="resync")
            queue.put_nowait(event)

    @contextmanager
    def subscribe(self) -> "Iterator[asyncio.Queue[Event]]":
        """A queue of events from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)
