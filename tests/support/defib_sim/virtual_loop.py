"""An event loop whose time passes only while everybody waits.

The engine runs on it unchanged: a wait of an hour takes no time at all, and two runs of one seed are the
same to the last step.
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

BEGINNING = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday without a change of clocks


class _Jump(selectors.SelectSelector):
    """Instead of waiting for time to pass, lets it pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.on_idle: Callable[[], None] | None = None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("the simulation waits for something that will never happen")
        if timeout > 0:
            if self.on_idle is not None:
                self.on_idle()
            self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at second 0."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    @property
    def _clock_resolution(self) -> float:
        """What asyncio takes for the same instant: the least difference there is, at any time.

        With more, a timer that is due within it goes off before its time; who then finds that it is not time
        yet, and waits for the rest, waits for ever: here no time passes by itself.
        """
        return math.ulp(self._jump.now)

    @_clock_resolution.setter
    def _clock_resolution(self, seconds: float) -> None:
        """Asyncio sets that of the real clock."""

    def time(self) -> float:
        return self._jump.now

    def on_idle(self, call: Callable[[], None]) -> None:
        self._jump.on_idle = call

    def pass_by(self, seconds: float) -> None:
        """Let time pass although somebody works."""
        self._jump.now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """What the engine hands to a thread is done at once."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class VirtualClock:
    """The engine's clock on a :class:`VirtualLoop`."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._left_out_s = 0.0
        self._set_s = 0.0
        self.slept_s = 0.0  #: in suspension, so far

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.elapsed() + self.slept_s + self._set_s)

    def elapsed(self) -> float:
        """Seconds since the beginning, those that were left out included."""
        return self._loop.time() + self._left_out_s

    def leave_out(self, seconds: float) -> None:
        """Move the wall clock on: so long, nothing happened that would have changed anything.

        No timer notices; whoever leaves out whole turns of a schedule leaves its phase as it is.
        """
        self._left_out_s += seconds

    def hold_up(self, seconds: float) -> None:
        """Let time pass while everybody waits for the caller: a loop that is held up, a process that is stopped."""
        self._loop.pass_by(seconds)

    def sleep_through(self, seconds: float) -> None:
        """Suspend the machine: no timer notices, only the wall clock and that of the boot go on."""
        self.slept_s += seconds

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock, by so much."""
        self._set_s += seconds

    def on_idle(self, call: Callable[[], None]) -> None:
        """Call it each time when everybody waits, before time passes."""
        self._loop.on_idle(call)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def seconds_at(instant: datetime) -> float:
    """Virtual seconds since the beginning."""
    return (instant - BEGINNING).total_seconds()


def run(main: Callable[[VirtualClock], Coroutine[Any, Any, T]]) -> T:
    """Run ``main(clock)`` to its end in virtual time.

    :raises RuntimeError: it waits for something that nobody will ever do.
    """
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main(VirtualClock(loop)))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
