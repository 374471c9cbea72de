"""Agents that hold a WebSocket open: the beats of :mod:`defib_plugins.agent_heartbeat_receiver` as messages over it.

Messages are ``{"type": …, "data": {…}, "timestamp": …}`` both ways. The agent sends ``register``, ``heartbeat``,
``pong``; it is sent ``welcome``, ``ping``, ``error``, and ``heartbeat_ack`` for a beat that has a ``seq``. A message
that is no good is answered by an ``error``, and the stream goes on.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from defib.plugin import Agent, AgentId, RegistrationRefusedError, StoreError
from defib_plugins.agent_intake import Intake, say
from defib_plugins.agent_words import Heartbeat, Registration
from defib_plugins.receiving import (
    SEND_WITHIN_S,
    Body,
    RefusedError,
    bearer,
    checked_id,
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
# close codes
IDLE = 1001
REFUSED = 1008  #: the token is good no more
REPLACED = 4000  #: a newer stream of the agent has taken over


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
            agent_id = checked_id(socket.path_params["agent_id"])
            agent = await self._intake.resolve(socket, token, agent_id)
        except (RefusedError, StoreError) as error:
            await refuse(socket, error, say)
            return
        await socket.accept()
        await self._keep(socket, shown, agent)

    async def unnamed(self, socket: "WebSocket") -> None:
        """``/ws/agent``: the first message is a ``register`` that holds the id."""
        from starlette.websockets import WebSocketDisconnect

        shown = bearer(socket, in_query=True)
        try:
            self._intake.gate.admit(socket, shown)
        except RefusedError as error:
            await refuse(socket, error, say)
            return
        await socket.accept()
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            agent = await self._first_words(socket, shown)
            if agent is not None:
                await self._keep(socket, shown, agent)
            else:
                await socket.close(REFUSED)

    async def _first_words(self, socket: "WebSocket", shown: str) -> Agent | None:
        """The agent that introduces itself; None when it does not."""
        async with aclosing(frames(socket, idle_s=PING_AFTER_S)) as incoming:
            async for frame in incoming:
                try:
                    message = parse(_Message, frame)
                    if message.type != "register":
                        raise RefusedError(400, "the first message must be a registration")
                    said = read(Registration, message.data or {})
                    if not (said.id or said.agent_id):
                        raise RefusedError(400, "a registration needs the agent's id")
                    agent, _ = await self._intake.register(socket, shown, said)
                    await self._intake.take(agent, read(Heartbeat, message.data or {}))
                except (RefusedError, StoreError) as error:
                    await self._tell(socket, "error", message=refusal(error).why)
                    return None
                return agent
        return None

    async def _keep(self, socket: "WebSocket", shown: str, agent: Agent) -> None:
        """Take what comes until one side goes, or a newer stream of the same agent takes over."""
        from starlette.websockets import WebSocketDisconnect

        listening = asyncio.ensure_future(self._listen(socket, shown, agent))
        code = REPLACED

        def give_way() -> None:
            listening.cancel()

        async def ask(kind: str, data: Mapping[str, object]) -> None:
            await self._tell(socket, kind, **data)

        try:
            with suppress(RegistrationRefusedError), self._fleet.connect(agent.id, give_way, ask):
                await asyncio.wait({listening})
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                code = await listening
        with suppress(
            RuntimeError, WebSocketDisconnect, TimeoutError
        ):  # it is gone already, or takes nothing
            async with asyncio.timeout(SEND_WITHIN_S):
                await socket.close(code)

    async def _listen(self, socket: "WebSocket", shown: str, agent: Agent) -> int:
        """Take messages; answers the code to close with."""
        from starlette.websockets import WebSocketDisconnect

        async def ping() -> None:
            await self._tell(socket, "ping")

        with suppress(WebSocketDisconnect, TimeoutError):
            await self._tell(
                socket, "welcome", agent_id=agent.id, connection_id=uuid4().hex, message="connected to Defib",
                server_info={"name": "Defib"},
            )  # fmt: skip
            async with aclosing(frames(socket, idle_s=PING_AFTER_S, ping=ping)) as incoming:
                async for frame in incoming:
                    token = self._fleet.token(shown)
                    if token is None or not self._fleet.may_report(token, agent.id):
                        return REFUSED
                    try:
                        self._intake.gate.pace(token, agent.id)
                        await self._hear(socket, agent.id, parse(_Message, frame))
                    except (RefusedError, StoreError) as error:
                        await self._tell(socket, "error", message=refusal(error).why)
        return IDLE

    async def _hear(self, socket: "WebSocket", agent_id: AgentId, message: _Message) -> None:
        """One message; types that nobody knows are left alone, as answers to what was never asked are."""
        data = message.data or {}
        agent = self._intake.view(agent_id).agent
        if message.type == "register":
            agent = await self._fleet.describe(agent_id, read(Registration, data).introduction())
        if message.type in ("register", "heartbeat"):
            try:
                beat = read(Heartbeat, data)
                await self._intake.take(agent, beat)
            except (RefusedError, StoreError) as error:
                if not isinstance(data.get("seq"), int):
                    raise
                # told so that the agent knows which beat it is, and whether to repeat it
                refused = refusal(error)
                await self._tell(socket, "error", message=refused.why, status=refused.status, seq=data["seq"])
                return
            if beat.seq is not None:
                await self._tell(socket, "heartbeat_ack", seq=beat.seq)
        else:
            self._fleet.hear(agent_id, message.type, data)

    async def _tell(self, socket: "WebSocket", kind: str, /, **data: Any) -> None:
        message = {"type": kind, "data": data, "timestamp": instant(self._intake.clock.now())}
        await send(socket, json.dumps(message))
