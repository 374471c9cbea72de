"""Agents that hold a WebSocket open: the beats of :mod:`defib_plugins.agent_heartbeat_receiver` as messages over it.

Messages are ``{"type": …, "data": {…}, "timestamp": …}`` both ways. The agent sends ``register``, ``heartbeat``,
``pong``; it is sent ``welcome``, ``ping``, ``error``, and ``heartbeat_ack`` for a beat that has a ``seq``. A message
that is no good is answered by an ``error``, and the stream goes on.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from defib.plugin import Agent, RegistrationRefusedError, StoreError, Token
from defib_plugins.agent_intake import Intake, say
from defib_plugins.agent_words import Heartbeat, Registration
from defib_plugins.receiving import (
    Body,
    RefusedError,
    bearer,
    frames,
    instant,
    parse,
    read,
    refusal,
    refuse,
    send,
)

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

PING_AFTER_S = 45.0  #: of silence; after as long again the stream is ended
REPLACED, REFUSED = 4000, 1008  #: close codes: a newer stream of the agent has taken over; the token does not count


class _Message(Body):
    type: str = ""
    data: dict[str, Any] | None = None


class Streams:
    """The endpoints for WebSockets."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._fleet = intake.fleet

    async def named(self, socket: "WebSocket") -> None:
        """``/ws/{agent_id}``: the agent's id stands in the address."""
        shown = bearer(socket, in_query=True)
        try:
            token = self._intake.gate.admit(socket, shown)
            agent = await self._intake.resolve(socket, token, socket.path_params["agent_id"])
        except (RefusedError, StoreError) as error:
            await refuse(socket, error, say)
            return
        await socket.accept()
        await self._keep(socket, shown, agent)

    async def unnamed(self, socket: "WebSocket") -> None:
        """``/ws/agent``: the first message is a ``register`` that holds the id."""
        shown = bearer(socket, in_query=True)
        try:
            self._intake.gate.admit(socket, shown)
        except RefusedError as error:
            await refuse(socket, error, say)
            return
        await socket.accept()
        agent = await self._first_words(socket, shown)
        if agent is None:
            await socket.close(REFUSED)
        else:
            await self._keep(socket, shown, agent)

    async def _first_words(self, socket: "WebSocket", shown: str) -> Agent | None:
        async for frame in frames(socket, idle_s=PING_AFTER_S):
            try:
                message = parse(_Message, frame)
                if message.type != "register":
                    raise RefusedError(400, "the first message must be a registration")
                said = read(Registration, message.data or {})
                if not (said.id or said.agent_id):
                    raise RefusedError(400, "a registration needs the agent's id")
                return (await self._intake.register(socket, shown, said))[0]
            except (RefusedError, StoreError) as error:
                await self._send(socket, "error", message=refusal(error).why)
                return None
        return None

    async def _keep(self, socket: "WebSocket", shown: str, agent: Agent) -> None:
        """Take what comes until one side goes, or a newer stream of the same agent takes over."""
        from starlette.websockets import WebSocketDisconnect

        listening = asyncio.ensure_future(self._listen(socket, shown, agent))
        try:
            with self._fleet.connect(agent.id, listening.cancel):
                await asyncio.wait({listening})
        except RegistrationRefusedError:  # it was removed this very moment
            pass
        finally:
            listening.cancel()
            ...
