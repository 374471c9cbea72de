"""Beats, and where they wait while the server is away."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from defib_agent.sampling import Sample
from defib_agent.tasks import RunningTask

RUNNING, BUSY, STOPPING, ERROR = "running", "busy", "stopping", "error"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beat:
    """A sign of life, and how the machine did at that moment."""

    seq: int
    made_at: float  #: seconds, monotonic: its age is counted from here, whatever is done to the clock
    at: datetime  #: aware, UTC
    status: str = RUNNING
    sample: Sample = field(default_factory=Sample)
    tasks: Sequence[RunningTask] = ()
    error: str = ""  #: what is wrong, with :data:`ERROR`
    lost: int = 0  #: beats of this run that were never delivered, up to here


class Buffer:
    """Beats that wait for the server, the oldest first. When it is full the oldest is lost, and counted."""

    def __init__(self, size: int) -> None:
        self._waiting: deque[Beat] = deque()
        self._size = size
        self._arrival = asyncio.Event()
        self.lost = 0  #: beats that were never delivered

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, beat: Beat) -> None:
        """Add the newest."""
        self._waiting.append(beat)
        while len(self._waiting) > self._size:
            self._waiting.popleft()
            self.lost += 1
        self._arrival.set()

    async def oldest(self) -> Beat:
        """Wait for the next one to deliver; it stays."""
        while not self._waiting:
            self._arrival.clear()
            await self._arrival.wait()
        return self._waiting[0]

    def done(self, beat: Beat) -> None:
        """It was delivered."""
        if self._waiting and self._waiting[0] is beat:
            self._waiting.popleft()

    def drop(self, beat: Beat) -> None:
        """It will never be delivered."""
        if self._waiting and self._waiting[0] is beat:
            self._waiting.popleft()
            self.lost += 1

    def keep_newest(self) -> None:
        """Drop all but the newest one."""
        while len(self._waiting) > 1:
            self._waiting.popleft()
            self.lost += 1
