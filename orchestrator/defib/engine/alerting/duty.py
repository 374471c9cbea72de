"""Sets monitors aside while a maintenance or pause is in force for them, and calls them back when it is over.

What holds follows from the windows and the clock alone, so that a restart or a reload finds it again. A monitor
that comes under a window late is set aside when it is next looked at, if not before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from defib.engine.alerting.windows import Windows
from defib.engine.detection.judge import Judge
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.logs import get_logger
from defib.model.health import State
from defib.model.window import Window, WindowKind
from defib.ports import Clock

log = get_logger("defib.duty")

STORE_RETRY_S = 1.0
_STATES = {WindowKind.MAINTENANCE: State.MAINTENANCE, WindowKind.PAUSE: State.PAUSED}


class Duty:
    """Keeps the states MAINTENANCE and PAUSED true.

    :ivar on_aside: called when a monitor was set aside, or is aside in another way than before.
    :ivar on_back: called when a monitor is judged again.
    """

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, judge: Judge, windows: Windows
    ) -> None:
        self._clock = clock
        self.roster = roster
        self._table = table
        self._judge = judge
        self._windows = windows
        self._wake = asyncio.Event()
        self._reviewing = asyncio.Lock()  # what one review goes by is true until it has done it
        self.on_aside: Callable[[Watched, State], None] = lambda watched, state: None
        self.on_back: Callable[[Watched], Awaitable[None]] = _ignore

    def window_of(self, watched: Watched) -> Window | None:
        """The maintenance or pause that a monitor is in; it need not be aside yet, but will be in a moment."""
        window = self._windows.chief_of(watched)
        if window is not None and not self._table[watched.spec.id].state.is_aside:
            self._wake.set()
        return window

    def wake(self) -> None:
        """Other windows hold, or hold for others, than at the last review."""
        self._wake.set()

    async def run(self) -> None:
        """Review whenever a window begins or ends, until cancelled."""
        while True:
            self._wake.clear()
            is_done = await self.review()
            due = self._windows.next_change()
            wait = None if due is None else max(0.0, (due - self._clock.now()).total_seconds())
            if not is_done:
                wait = STORE_RETRY_S
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def review(self) -> bool:
        """Set aside and call back whom it is time for; False when the store did not take all of it."""
        is_done = True
        async with self._reviewing:
            for watched in tuple(self.roster.monitors.values()):
                try:
                    await self._review(watched)
                except StoreError as error:
                    is_done = False
                    log.error("set aside or called back later", monitor=watched.spec.id, error=str(error))
        return is_done

    async def _review(self, watched: Watched) -> None:
        before, window = self._table[watched.spec.id], self._windows.chief_of(watched)
        if window is None:
            if before.state.is_aside:
                await self._judge.call_back(watched)
                await self.on_back(watched)
            return
        state, reason = _STATES[window.kind], self._words(window)
        if before.state is not state or before.reason != reason:
            await self._judge.set_aside(watched, state, reason, window)
        if before.state is not state:
            self.on_aside(watched, state)

    def _words(self, window: Window) -> str:
        what = "maintenance" if window.kind is WindowKind.MAINTENANCE else "paused"
        until = window.until
        zone = ZoneInfo(self.roster.settings.timezone)
        when = f"until {_moment(until, self._clock.now(), zone)}" if until else "until somebody ends it"
        return f"{what} {when}" + (f": {window.reason}" if window.reason else f", by {window.made_by}")


def _moment(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    is_near = abs(at - now) < timedelta(hours=20)
    return f"{local:%H:%M}" if is_near else f"{local:%Y-%m-%d %H:%M}"


async def _ignore(watched: Watched) -> None:
    """Nobody is waiting for it."""
