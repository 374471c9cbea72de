"""``/api/v1/agents/live``: agents to open pages, all of them first, then those that changed.

    {"type": "agents",  "now", "items"}         all, or those of ``?pool=``, or the one of ``?agent=``
    {"type": "changes", "now", "items", "gone"} who reported or stands otherwise, and ids that belong here no more
    {"type": "alive"}                           nothing else for 15 seconds

What a page has not been told yet is a set of ids, and each agent is put into words when it is sent: a page that reads
slowly is told the newest, never all that came meanwhile, and one that takes nothing is dropped.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from defib.engine.engine import Engine
from defib.engine.events import Event
from defib.model.agent import AgentView
from defib.model.ids import AgentId
from defib.ports import LiveFeed
from defib.web.access import Access
from defib.web.agents import Agents
from defib.web.encoding import encode
from defib.web.problems import Problem, problem

QUIET_S = 15.0  #: without changes an ``alive`` goes out, so that a dead connection is noticed
PACE_S = 0.4  #: between two messages
SEND_WITHIN_S = 10.0  #: a page that takes nothing for so long is dropped
ASKED_AGAIN_S = 15.0  #: after which a session or token that has ended meanwhile sees nothing more
MOST_PAGES = 200  #: that are told at a time
_TRY_LATER = 1013  #: close code

_TELLING = ("agent", "monitor", "reload", "resync")
"""Events that may mean another status of an agent."""


class AgentStream:
    """The endpoint."""

    def __init__(self, engine: Engine, access: Access, agents: Agents) -> None:
        self._engine = engine
        self._access = access
        self._agents = agents
        self._pages = 0

    async def listen(self, socket: WebSocket) -> None:
        """Send until the page goes, or may read no more."""
        try:
            self._access.reader(socket)
            if not self._access.is_known_origin(socket):
                raise Problem(HTTPStatus.FORBIDDEN, "a page of another site may not listen here")
        except Problem as error:
            await socket.send_denial_response(problem(error.status_code, error.detail, headers=error.headers))
            return
        await socket.accept()
        if self._pages >= MOST_PAGES:
            await socket.close(_TRY_LATER, "too many pages are open")
            return
        self._pages += 1
        try:
            await self._tell(socket)
        finally:
            self._pages -= 1

    async def _tell(self, socket: WebSocket) -> None:
        pool, agent = socket.query_params.get("pool"), socket.query_params.get("agent")
        fleet = self._engine.fleet

        def belongs(view: AgentView) -> bool:
            return pool in (None, view.agent.pool) and agent in (None, view.agent.id)

        with fleet.watch() as feed, self._engine.bus.subscribe() as events:
            news = _News()
            work: list[Coroutine[Any, Any, None]] = [
                self._gather_reports(feed, news), self._gather_events(events, news),
                self._send(socket, news, belongs), self._check(socket), _drain(socket),
            ]  # fmt: skip
            tasks = [asyncio.ensure_future(item) for item in work]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    with contextlib.suppress(WebSocketDisconnect, TimeoutError, asyncio.CancelledError):
                        await task
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):  # it may be gone already
            async with asyncio.timeout(SEND_WITHIN_S):
                await socket.close()

    @staticmethod
    async def _gather_reports(feed: LiveFeed, news: "_News") -> None:
        while True:
            newer, gone = await feed.changes()
            news.add(*(live.agent for live in newer), *gone)

    async def _gather_events(self, events: "asyncio.Queue[Event]", news: "_News") -> None:
        while True:
            event = await events.get()
            if event.type not in _TELLING:
                continue
            if event.monitor is None:
                news.add_all()
            elif (agent := self._engine.fleet.watched_by(event.monitor)) is not None:
                news.add(agent)
            elif event.type == "agent":  # one was removed
                news.add_all()

    async def _send(self, socket: WebSocket, news: "_News", belongs: Callable[[AgentView], bool]) -> None:
        """Everything, then what is new, at most once in :data:`PACE_S`."""
        fleet, told = self._engine.fleet, set[AgentId]()
        while True:
            if (wanted := news.take()) is None:
                views = [view for view in fleet.agents() if belongs(view)]
                told = {view.agent.id for view in views}
                await self._say(socket, "agents", items=[self._agents.view(view) for view in views])
            else:
                known = [
                    view for agent in wanted if (view := fleet.find(agent)) is not None and belongs(view)
                ]
                gone = told & (wanted - {view.agent.id for view in known})
                told = (told | {view.agent.id for view in known}) - gone
                if known or gone:
                    items = [self._agents.view(view) for view in known]
                    await self._say(socket, "changes", items=items, gone=sorted(gone))
            await asyncio.sleep(PACE_S)
            while not await news.wait(QUIET_S):
                await self._say(socket, "alive")

    async def _check(self, socket: WebSocket) -> None:
        """Return when whoever looks may look no more: its session has ended, its token was revoked."""
        while True:
            await asyncio.sleep(ASKED_AGAIN_S)
            try:
                self._access.reader(socket)
            except Problem:
                return

    async def _say(self, socket: WebSocket, kind: str, **more: Any) -> None:
        """:raises TimeoutError: the page takes nothing."""
        message = {"type": kind, "now": self._engine.clock.now().isoformat(), **more}
        async with asyncio.timeout(SEND_WITHIN_S):
            await socket.send_text(encode(message).decode())


class _News:
    """Which agents a page has to be told of: everything at first."""

    def __init__(self) -> None:
        self._agents: set[AgentId] = set()
        self._is_all = True
        self._wake = asyncio.Event()

    def add(self, *agents: AgentId) -> None:
        self._agents.update(agents)
        self._wake.set()

    def add_all(self) -> None:
        self._is_all = True
        self._wake.set()

    def take(self) -> set[AgentId] | None:
        """What came since the last time; None for everything."""
        agents = None if self._is_all else self._agents
        self._agents, self._is_all = set(), False
        self._wake.clear()
        return agents

    async def wait(self, seconds: float) -> bool:
        """Whether something came within so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True


async def _drain(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass  # what a page says is of no interest, that it goes is
