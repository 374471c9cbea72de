"""Receiver ``komari``: the unmodified Komari agent reports to ``/api/clients``, in versions 1 and 2 of its protocol.

    POST /api/clients/register?name=    {"key": …}                   → {"status": "success", "data": {"uuid", "token"}}
    POST /api/clients/v2/rpc            JSON-RPC, gzip or plain       → empty for a notification, else its result
    GET  /api/clients/v2/rpc            WebSocket: notifications      (nothing is sent)
    POST /api/clients/uploadBasicInfo   what the host is              → {"status": "success"}
    POST /api/clients/report            how it does                   → {"status": "success"}
    GET  /api/clients/report            WebSocket: reports            (only errors are sent)
    POST /api/clients/task/result       accepted and dropped: nothing is ever run on its host
    GET  /api/clients/terminal          404: there are no terminals here

All but the first show the agent's token as ``?token=``. A token that was made by hand stands for one agent of its name.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from defib.plugin import (
    Agent,
    AgentId,
    Introduction,
    ReceiverContext,
    ReceiverType,
    RegistrationRefusedError,
    StoreError,
    get_logger,
    hookimpl,
)
from defib_plugins.komari_wire import (
    PROTOCOL,
    Call,
    Info,
    Registration,
    Report,
    Rhythm,
    RpcCode,
    failure,
    result,
    unpacked,
)
from defib_plugins.receiving import (
    BEAT_LIMIT_BYTES,
    Allowance,
    Body,
    Endpoint,
    Gate,
    RefusedError,
    address,
    answer,
    bearer,
    body,
    frames,
    parse,
    read,
    refusal,
    refuse,
    send,
    source,
    until_replaced,
)

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

log = get_logger("defib.komari")

PULL_HELD_S = 22.0  #: an agent asks again at once, and gives up after 35 s
MOST_PULLS = 4  #: held at once for one agent
_REGISTRATIONS_PER_S, _REGISTRATIONS_AT_ONCE = 0.2, 10  #: from one address
_MOST_GARBAGE = 100  #: messages in a row that are no good; then the connection is closed
_BREATHER_S = 0.1  #: after each
_IDLE_S = 3600.0  #: pings of the WebSocket tell sooner that a peer is gone
_SUCCESS: Mapping[str, Any] = {"status": "success"}
_LONGEST_NAME = 200

Hear = Callable[[Agent, str | bytes], Awaitable[Mapping[str, Any] | None]]
"""Takes one message of a stream; what is to be answered, or None."""


class _Typed(Body):
    type: str = ""


def say(status: int, why: str) -> Mapping[str, Any]:
    """A refusal in the protocol's words."""
    return {"status": "error", "message": "Unauthorized." if status == 401 else why}


def _say_on_stream(status: int, why: str) -> Mapping[str, Any]:
    return {"status": "error", "error": why}


class Komari:
    """The protocol's endpoints."""

    def __init__(self, context: ReceiverContext) -> None:
        self._fleet = context.fleet
        self._clock = context.clock
        self._gate = Gate(context)
        self._registrations = Allowance(
            context.clock, per_second=_REGISTRATIONS_PER_S, at_once=_REGISTRATIONS_AT_ONCE
        )
        self._rhythms: dict[AgentId, Rhythm] = {}
        self._pulls: Counter[AgentId] = Counter()

    # --- requests ----------------------------------------------------------------------------------

    async def register(self, request: "Request") -> "Response":
        """``POST /api/clients/register``: the registration key, or a token, in the header or as ``key``."""
        self._registrations.spend(address(request))
        said = parse(Registration, await self._body(request))
        shown = bearer(request) or said.key
        token = self._fleet.token(shown) if shown else None
        known = None if token is None else AgentId(token.agent or token.name)
        name = request.query_params.get("name", "").strip()
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise RefusedError(400, f"name: must be one line of at most {_LONGEST_NAME} characters")
        introduction = Introduction(
            id=known or AgentId(str(uuid4())), name=name, hostname=name, protocol=PROTOCOL, address=address(request),
            source=source(request), is_anonymous=token is None,
        )  # fmt: skip
        try:
            agent, text = await self._fleet.register(introduction, token=token, key=shown)
        except RegistrationRefusedError as error:
            refused = self._gate.turn_away(request, error)
            if refused.status == 401:
                raise RefusedError(403, "the key is not the one of this server") from None
            raise refused from None
        return answer({**_SUCCESS, "message": "", "data": {"uuid": agent.id, "token": text or shown}})

    async def rpc(self, request: "Request") -> "Response":
        """``POST /api/clients/v2/rpc``."""
        from starlette.responses import Response

        agent = await self._agent(request)
        raw = await self._body(request)
        call: Call | None = None
        try:
            call = parse(Call, raw)
            if call.method == "agent.pull":
                await self._hold(request, agent.id)
            told = await self._call(request, agent, call)
        except RefusedError as error:
            if error.status != 400:
                raise
            code = RpcCode.NO_CALL if call is None else RpcCode.BAD_PARAMS
            return answer(failure(call, code, error.why), 400)
        return Response() if call.id is None else answer(told)

    async def info(self, request: "Request") -> "Response":
        """``POST /api/clients/uploadBasicInfo``."""
        agent = await self._agent(request)
        await self._describe(request, agent, parse(Info, await self._body(request)))
        return answer(_SUCCESS)

    async def report(self, request: "Request") -> "Response":
        """``POST /api/clients/report``."""
        agent = await self._agent(request)
        await self._take(request, agent, parse(Report, await self._body(request)))
        return answer(_SUCCESS)

    async def task_result(self, request: "Request") -> "Response":
        """``POST /api/clients/task/result``: of a task that was never given."""
        await self._agent(request)
        await self._body(request)
        return answer(_SUCCESS)

    async def no_terminal(self, socket: "WebSocket") -> None:
        """``GET /api/clients/terminal``."""
        await refuse(socket, RefusedError(404, "there are no terminals here"), say)

    # --- streams -----------------------------------------------------------------------------------

    async def stream_v2(self, socket: "WebSocket") -> None:
        """``GET /api/clients/v2/rpc``: a call in each message; only those with an ``id`` are answered."""

        async def hear(agent: Agent, frame: str | bytes) -> Mapping[str, Any] | None:
            call = parse(Call, frame)
            told = await self._call(socket, agent, call)
            return None if call.id is None else told

        await self._stream(socket, hear, lambda status, why: failure(None, RpcCode.NO_CALL, why))

    async def stream_v1(self, socket: "WebSocket") -> None:
        """``GET /api/clients/report``: a report in each message; what else agents send is left alone."""

        async def hear(agent: Agent, frame: str | bytes) -> Mapping[str, Any] | None:
            if parse(_Typed, frame).type in ("", "report"):
                await self._take(socket, agent, parse(Report, frame))
            return None

        await self._stream(socket, hear, _say_on_stream)

    async def _stream(
        self, socket: "WebSocket", hear: Hear, complain: Callable[[int, str], Mapping[str, Any]]
    ) -> None:
        """Take messages until one side goes, or a newer stream of the same agent takes over."""
        try:
            agent = await self._agent(socket)
        except (RefusedError, StoreError) as error:
            await refuse(socket, error, say)
            return
        await socket.accept()
        self._rhythms[agent.id] = Rhythm()  # it may have been started anew with another interval
        await until_replaced(socket, self._fleet, agent.id, self._listen(socket, agent, hear, complain))

    async def _listen(
        self, socket: "WebSocket", agent: Agent, hear: Hear, complain: Callable[[int, str], Mapping[str, Any]]
    ) -> None:
        """Take messages until the peer goes, its token is good no more, or it writes nothing but garbage."""
        from starlette.websockets import WebSocketDisconnect

        garbage = 0
        with suppress(WebSocketDisconnect, TimeoutError):  # it goes while it is answered
            async with aclosing(frames(socket, idle_s=_IDLE_S)) as incoming:
                async for frame in incoming:
                    token = self._fleet.token(bearer(socket, in_query=True))
                    if (
                        garbage > _MOST_GARBAGE
                        or token is None
                        or not self._fleet.may_report(token, agent.id)
                    ):
                        return
                    try:
                        self._gate.pace(token, agent.id)
                        told = await hear(agent, frame)
                        garbage = 0
                    except (RefusedError, StoreError) as error:
                        refused = refusal(error)
                        log.warning("message of an agent not taken", agent=agent.id, why=refused.why)
                        told = complain(refused.status, refused.why)
                        garbage += isinstance(error, RefusedError)
                        await asyncio.sleep(_BREATHER_S)
                    if told is not None:
                        await send(socket, json.dumps(told))

    # --- what both do ------------------------------------------------------------------------------

    async def _call(self, connection: "HTTPConnection", agent: Agent, call: Call) -> Mapping[str, Any]:
        match call.method:
            case "agent.report":
                await self._take(connection, agent, read(Report, call.member("report")))
                return result(call, events=[])
            case "agent.basicInfo":
                await self._describe(connection, agent, read(Info, call.member("info")))
                return result(call, **_SUCCESS)
            case "agent.pull":
                return result(call, events=[])
            case "agent.pingResult" | "agent.taskResult":  # of what was never asked for
                return result(call, **_SUCCESS)
        return failure(call, RpcCode.NO_METHOD, "there is no such method")

    async def _take(self, connection: "HTTPConnection", agent: Agent, said: Report) -> None:
        """One report; it cannot be lost any more when this returns."""
        every = self._rhythms.setdefault(agent.id, Rhythm()).heard(self._clock.monotonic())
        with self._gate.refusing(connection):
            await self._fleet.report(agent.id, said.report(every))

    async def _describe(self, connection: "HTTPConnection", agent: Agent, said: Info) -> None:
        with self._gate.refusing(connection):
            await self._fleet.describe(agent.id, said.introduction(address(connection)))

    async def _hold(self, request: "Request", agent: AgentId) -> None:
        """Wait for as long as an agent that nobody has a word for is to wait, or until it is gone.

        :raises RefusedError: 429, so many are held for this agent already.
        """
        if self._pulls[agent] >= MOST_PULLS:
            raise RefusedError(429, "too many requests; try again later", {"Retry-After": "22"})
        self._pulls[agent] += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PULL_HELD_S):
                    while (await request.receive())["type"] != "http.disconnect":
                        pass
        finally:
            self._pulls[agent] -= 1
            if not self._pulls[agent]:
                del self._pulls[agent]

    async def _agent(self, connection: "HTTPConnection") -> Agent:
        """Who shows its token."""
        token = self._gate.admit(connection, bearer(connection, in_query=True))
        with self._gate.refusing(connection):
            agent = await self._fleet.resolve(token, token.agent or token.name)
        self._gate.pace(token, agent.id)
        return agent

    async def _body(self, request: "Request") -> bytes:
        raw = await body(request)
        return unpacked(raw, request.headers.get("content-encoding", ""), BEAT_LIMIT_BYTES)


def routes(context: ReceiverContext) -> "Sequence[BaseRoute]":
    """The routes below ``/api/clients``."""
    from starlette.routing import Route, WebSocketRoute

    komari = Komari(context)
    return [
        Route("/api/clients/register", Endpoint(komari.register, say), methods=["POST"]),
        Route("/api/clients/v2/rpc", Endpoint(komari.rpc, say), methods=["POST"]),
        WebSocketRoute("/api/clients/v2/rpc", komari.stream_v2),
        Route("/api/clients/uploadBasicInfo", Endpoint(komari.info, say), methods=["POST"]),
        Route("/api/clients/report", Endpoint(komari.report, say), methods=["POST"]),
        WebSocketRoute("/api/clients/report", komari.stream_v1),
        Route("/api/clients/task/result", Endpoint(komari.task_result, say), methods=["POST"]),
        WebSocketRoute("/api/clients/terminal", komari.no_terminal),
    ]


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    return [
        ReceiverType(
            kind="komari",
            summary="Komari agents: /api/clients, versions 1 and 2 of their protocol",
            routes=routes,
        )
    ]
