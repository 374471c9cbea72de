"""The streams that agents hold open: of each agent the newest one. An end without a word is reason for suspicion."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from defib.engine.agents.remote import Remote, Send
from defib.model.ids import AgentId

Lost = Callable[[AgentId], Coroutine[Any, Any, None] | None]
"""``on_loss(agent)``: what is to be done about a stream that ended; None: nothing."""


class AgentStreams:
    """Keeps them, for one engine."""

    def __init__(self, remote: Remote, on_change: Callable[[AgentId], None], on_loss: Lost) -> None:
        """:param on_change: told when a stream begins, and when one ends."""
        self._remote = remote
        self._on_change = on_change
        self._on_loss = on_loss
        self._closers: dict[AgentId, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False

    def __contains__(self, agent: AgentId) -> bool:
        return agent in self._closers

    @contextmanager
    def hold(self, agent: AgentId, close: Callable[[], None], send: Send | None) -> Iterator[None]:
        """See :meth:`defib.ports.Fleet.connect`."""
        if (before := self._closers.get(agent)) is not None:
            before()
        self._closers[agent] = close
        self._on_change(agent)
        try:
            with self._remote.stream(agent, send):
                yield
        finally:
            if self._closers.get(agent) is close:
                del self._closers[agent]
                self._lose(agent)

    def hang_up(self, agent: AgentId) -> None:
        """Close the stream of an agent that is no more; nobody is told of its end."""
        if (close := self._closers.pop(agent, None)) is not None:
            close()

    def close(self) -> None:
        """Streams that end from now on are ended by ourselves."""
        self._is_closing = True
        for task in self._tasks:
            task.cancel()

    def _lose(self, agent: AgentId) -> None:
        if self._is_closing:  # we hang up ourselves: nobody is to blame
            return
        self._on_change(agent)
        if (work := self._on_loss(agent)) is not None:
            task = asyncio.ensure_future(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
