"""The newest report of every agent, in memory, and who wants to know of it.

A consumer never holds anybody up: what it has not been told yet is one report of each agent, the newest, however
long it sleeps; and it is told at most once in :data:`BATCH_S`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from defib.engine.agents.agent_history import AgentHistory
from defib.model.agent import Live
from defib.model.ids import AgentId
from defib.ports import Clock

EXPIRES = timedelta(minutes=5)  #: a report that was not renewed for so long is dropped
BATCH_S = 0.1  #: reports that come within it go out together


class Feed:
    """See :class:`defib.ports.LiveFeed`."""

    def __init__(self, board: "LiveBoard", clock: Clock, pool: str | None) -> None:
        self.pool = pool
        self._board = board
        self._clock = clock
        self._newer: dict[AgentId, Live] = {}
        self._gone: dict[AgentId, None] = {}
        self._wake = asyncio.Event()

    def snapshot(self) -> list[Live]:
        """See :class:`defib.ports.LiveFeed`."""
        self._newer.clear()
        self._gone.clear()
        self._wake.clear()
        return self._board.reports(self.pool)

    async def changes(self) -> tuple[list[Live], list[AgentId]]:
        """See :class:`defib.ports.LiveFeed`."""
        await self._wake.wait()
        await self._clock.sleep(BATCH_S)
        self._wake.clear()
        newer, gone = list(self._newer.values()), list(self._gone)
        self._newer.clear()
        self._gone.clear()
        return newer, gone

    def put(self, live: Live) -> None:
        self._gone.pop(live.agent, None)
        self._newer[live.agent] = live
        self._wake.set()

    def put_gone(self, agent: AgentId) -> None:
        self._newer.pop(agent, None)
        self._gone[agent] = None
        self._wake.set()


class LiveBoard:
    """Live reports by agent."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._live: dict[AgentId, Live] = {}
        self._feeds: set[Feed] = set()
        self.history = AgentHistory(clock.now())

    def put(self, live: Live) -> None:
        """A newer report."""
        if self._live.get(live.agent) is not live:
            self.history.put(live)
        self._live[live.agent] = live
        for feed in self._feeds:
            if feed.pool in (None, live.pool):
                feed.put(live)

    def renew(self, agent: AgentId) -> bool:
        """It was heard, and told nothing: what it told before stays until it is too old; False when there is none."""
        live = self.get(agent)
        if live is None:
            return False
        live = self._live[agent] = replace(live)
        self.put(live)
        return True

    def get(self, agent: AgentId) -> Live | None:
        """The newest report of ``agent``, unless it is too old."""
        live = self._live.get(agent)
        return None if live is None or self._clock.now() - live.at > EXPIRES else live

    def reports(self, pool: str | None) -> list[Live]:
        """All of a pool, or all."""
        self._sweep()
        return [live for live in self._live.values() if pool in (None, live.pool)]

    def put_gone(self, agent: AgentId, pool: str) -> None:
        """An agent is offline, or no more in ``pool``. What it reported last stays until it is too old."""
        for feed in self._feeds:
            if feed.pool in (None, pool):
                feed.put_gone(agent)

    def take_change(self, agent: AgentId, pool: str, *, is_gone: bool) -> None:
        """An agent stands otherwise. Its report stays, as a new object: what was made of the one before is outdated."""
        live = self.get(agent)
        if live is not None:
            live = self._live[agent] = replace(live)
        if is_gone:
            self.put_gone(agent, pool)
        elif live is not None:
            self.put(live)

    def forget(self, agent: AgentId) -> None:
        """An agent that was removed."""
        self._live.pop(agent, None)
        self.history.forget(agent)

    @contextmanager
    def watch(self, pool: str | None) -> Iterator[Feed]:
        """A feed for one consumer."""
        feed = Feed(self, self._clock, pool)
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    def _sweep(self) -> None:
        oldest = self._clock.now() - EXPIRES
        for agent in [agent for agent, live in self._live.items() if live.at < oldest]:
            del self._live[agent]
