"""The outbound dead-man ping: while Defib works, it says so to a service that raises the alarm when it falls silent.

It is the only thing that tells of a Defib that was killed, of a machine that is off, of a site without power. So
it is never sent on behalf of a Defib that does not really work: not while judgement is frozen, the store cannot be
written, or the schedule stands still. Of whatever befalls our own network it tells by itself.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from defib.engine.roster import Roster
from defib.logs import get_logger
from defib.model.settings import DeadManSettings
from defib.ports import Clock

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0
CHECK_EVERY_S = 1.0  #: how often the configuration is asked whether a ping is due
TELL_EVERY_S = 900.0  #: between two lines in the log of pings that fail

log = get_logger("defib.dead_man")


class DeadMan:
    """Pings."""

    def __init__(self, clock: Clock, roster: Roster, obstacle: Callable[[], str]) -> None:
        """:param obstacle: why Defib does not really work now; "" when it does."""
        self._clock = clock
        self.roster = roster
        self._obstacle = obstacle
        self._told_at: float | None = None  # when the log last told of failing pings; None while they succeed
        self.problem = ""  #: why the newest ping failed; "" when it did not

    async def watch(self) -> None:
        """Ping as often as is configured, until cancelled."""
        due = self._clock.monotonic()
        while True:
            settings = self.roster.settings.observer.dead_man
            now = self._clock.monotonic()
            if settings is None:
                due, self.problem = now, ""
            elif now >= due:
                due = now + settings.every.total_seconds()
                await self.ping()
            await self._clock.sleep(CHECK_EVERY_S)

    async def ping(self) -> None:
        """Ping once, if that is configured and Defib works. Never raises; what goes wrong is :attr:`problem`."""
        settings = self.roster.settings.observer.dead_man
        if settings is None:
            return
        if why_not := self._obstacle():
            log.debug("no dead-man ping", reason=why_not)
            return
        self._take(await _ask(settings))

    def _take(self, problem: str) -> None:
        before, self.problem = self._told_at, problem
        now = self._clock.monotonic()
        if not problem:
            if before is not None:
                log.info("the dead-man ping is accepted again")
            self._told_at = None
        elif before is None or now - before >= TELL_EVERY_S:
            log.warning("the dead-man ping fails", error=problem)
            self._told_at = now


async def _ask(settings: DeadManSettings) -> str:
    """GET the address; why it failed, without the address, or "" when it was accepted."""
    client = await asyncio.to_thread(_open)
    import httpx

    try:
        async with client:
            return _refusal(await client.get(settings.url))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"the dead-man service cannot be reached: {type(error).__name__}"


def _open() -> "httpx.AsyncClient":
    """Off the loop: it loads a library and certificates."""
    import httpx

    return httpx.AsyncClient(timeout=TIMEOUT_S, headers={"User-Agent": "Defib"})


def _refusal(response: "httpx.Response") -> str:
    if response.is_success:
        return ""
    remedy = ": check observer.dead_man.url" if response.is_client_error or response.is_redirect else ""
    return f"the dead-man service answered HTTP {response.status_code}{remedy}"
