"""Tripwires: the next look comes at the moment when something happens, instead of at its turn.

A tripwire decides nothing. It brings a look forward, and what that look sees is judged like any other; a
tripwire that is wrong costs a look, and one that is broken leaves the monitor to its turns.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from defib.engine.roster import Roster
from defib.logs import get_logger
from defib.model.ids import MonitorId
from defib.ports import Clock, Tripwired

LEAST_GAP, MOST_GAP = 0.2, 5.0
"""Seconds between trips of one monitor. They grow while trips keep coming faster than they are taken, so that
a target that crashes all the time is not looked at all the time."""
LEAST_PAUSE, MOST_PAUSE = 1.0, 60.0  #: seconds before a tripwire that ended is set up again, doubling
LASTING = 60.0  #: seconds after which a tripwire that ended had worked
_FAREWELL = 2.0  #: seconds that a tripwire gets to end when it is told to

log = get_logger("defib.tripwires")


class Tripwires:
    """One task for each monitor that has a tripwire.

    :ivar trips: that were passed on so far.
    """

    def __init__(self, clock: Clock, roster: Roster, look_soon: Callable[[MonitorId], None]) -> None:
        self._clock = clock
        self.roster = roster
        self._look_soon = look_soon
        self._tasks: list[asyncio.Task[None]] = []
        self.trips = 0

    async def start(self) -> None:
        """Set up the tripwires of the roster, and take down those that were set up before."""
        before = self._tasks
        self._tasks = [
            asyncio.create_task(self._watch(monitor, watched.plugin), name=f"defib-tripwire-{monitor}")
            for monitor, watched in self.roster.monitors.items()
            if isinstance(watched.plugin, Tripwired)
        ]
        await _end(before)

    async def close(self) -> None:
        """Take all of them down."""
        tasks, self._tasks = self._tasks, []
        await _end(tasks)

    async def _watch(self, monitor: MonitorId, plugin: Tripwired) -> None:
        """Keep one tripwire set up, whatever becomes of it."""
        pause, is_told = LEAST_PAUSE, False
        while True:
            started = self._clock.monotonic()
            how = "ended"
            try:
                await self._pass_on(monitor, plugin)
            except Exception as error:  # a plugin may raise anything
                how = "crashed"
                log.debug("tripwire crashed", monitor=monitor, exc_info=error)
            if self._clock.monotonic() - started >= LASTING:
                pause, is_told = LEAST_PAUSE, False
            if not is_told:
                tell = log.info if how == "ended" else log.error
                tell(f"tripwire {how}; the monitor keeps its turns until it is set up again", monitor=monitor)
                is_told = True
            await self._clock.sleep(pause)
            pause = min(2 * pause, MOST_PAUSE)

    async def _pass_on(self, monitor: MonitorId, plugin: Tripwired) -> None:
        """Turn trips into looks until the tripwire ends."""
        gap, last = LEAST_GAP, float("-inf")
        async with aclosing(plugin.trips()) as trips:
            async for reason in trips:
                now = self._clock.monotonic()
                gap = min(2 * gap, MOST_GAP) if now - last < 2 * gap else LEAST_GAP
                last = now
                self.trips += 1
                log.info("tripwire", monitor=monitor, reason=reason)
                self._look_soon(monitor)
                await self._clock.sleep(gap)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        _, stuck = await asyncio.wait(tasks, timeout=_FAREWELL)
        for task in stuck:
            log.warning("tripwire does not end; it is left behind", task=task.get_name())
