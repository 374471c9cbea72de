"""Receiver ``host-agent``: agents that register, describe their host once, and report how it does.

``POST /api/agent/register``, ``/info`` and ``/report``, and reports as messages over the WebSocket ``/api/agent/ws``.
No message names the agent: its token does. A token that was made by hand for several (``defib token create``) stands
for one agent here, which is called as the token is.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from pydantic import Field

from defib.plugin import (
    Agent,
    AgentId,
    AgentReport,
    Introduction,
    ReceiverContext,
    ReceiverType,
    RegistrationRefusedError,
    StoreError,
    Token,
    get_logger,
    hookimpl,
)
from defib_plugins.host_info import HostInfo
from defib_plugins.receiving import (
    Allowance,
    Body,
    Endpoint,
    Gate,
    Line,
    RefusedError,
    address,
    answer,
    bearer,
    body,
    frames,
    parse,
    refuse,
    source,
    until_replaced,
)

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

log = get_logger("defib.host-agent")

PROTOCOL = "host-agent"
UNNAMED = "New Server"
_WORDS = {
    400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 408: "BAD_REQUEST",
    409: "CONFLICT", 413: "BAD_REQUEST", 422: "BAD_REQUEST", 429: "TOO_MANY_REQUESTS", 503: "DATABASE_ERROR",
}  # fmt: skip
_REGISTRATIONS_PER_S, _REGISTRATIONS_AT_ONCE = 0.2, 10  #: from one address
_MOST_GARBAGE = 100  #: messages in a row that are no reports; then the connection is closed
_BREATHER_S = 0.1  #: after each
_IDLE_S = 3600.0  #: pings of the WebSocket tell sooner that a peer is gone

Number = Annotated[float, Field(ge=0, le=1e18)]


class Registration(Body):
    """``POST /api/agent/register``."""

    name: Line = ""
    key: Line = Field(default="", repr=False)  #: where the header carries none


class Info(HostInfo):
    """``POST /api/agent/info``."""

    protocol = PROTOCOL
    cpu_cores: Number | None = None
    disk_total: Number | None = None
    mem_total: Number | None = None
    swap_total: Number | None = None


class Report(Body):
    """``POST /api/agent/report``: sizes and totals in bytes, rates in bytes per second, shares in percent."""

    cpu: Number
    ram: Number
    ram_total: Number
    disk: Number
    disk_total: Number
    net_in: Number
    net_out: Number
    net_total_up: Number
    net_total_down: Number
    gpu: Number | None = None
    swap: Number | None = None
    swap_total: Number | None = None
    load: Number | None = None
    temp: float | None = Field(default=None, ge=-274, le=1e6)
    process: Number | None = None
    connections: Number | None = None
    connections_udp: Number | None = None
    uptime: Number | None = None

    def report(self) -> AgentReport:
        """What it means."""
        metrics = {
            "cpu_percent": self.cpu, "memory_used_bytes": self.ram, "memory_total_bytes": self.ram_total,
            "memory_percent": _share(self.ram, self.ram_total), "disk_used_bytes": self.disk,
            "disk_total_bytes": self.disk_total, "disk_percent": _share(self.disk, self.disk_total),
            "net_in_bytes_per_s": self.net_in, "net_out_bytes_per_s": self.net_out,
            "net_in_total_bytes": self.net_total_down, "net_out_total_bytes": self.net_total_up,
            "gpu_percent": self.gpu, "swap_used_bytes": self.swap, "swap_total_bytes": self.swap_total,
            "swap_percent": _share(self.swap, self.swap_total), "load1": self.load, "temperature_c": self.temp,
            "processes": self.process, "connections_tcp": self.connections, "connections_udp": self.connections_udp,
            "uptime_s": self.uptime,
        }  # fmt: skip
        sent = {name: float(value) for name, value in metrics.items() if value is not None}
        return AgentReport(protocol=PROTOCOL, metrics=sent)


def _share(used: float | None, total: float | None) -> float | None:
    """Percent; None where it cannot be told."""
    return round(100 * used / total, 2) if used is not None and total else None


def say(status: int, why: str) -> Mapping[str, Any]:
    """A refusal in the protocol's words."""
    return {"error": _WORDS.get(status, "INTERNAL_ERROR"), "message": why}


class HostAgents:
    """The protocol's endpoints."""

    def __init__(self, context: ReceiverContext) -> None:
        self._fleet = context.fleet
        self._gate = Gate(context)
        self._registrations = Allowance(
            context.clock, per_second=_REGISTRATIONS_PER_S, at_once=_REGISTRATIONS_AT_ONCE
        )

    async def register(self, request: "Request") -> "Response":
        """``POST /api/agent/register``: the registration key or a token in the header, or as ``key`` in the body."""
        self._registrations.spend(address(request))
        said = parse(Registration, await body(request), misfit=422)
        shown = bearer(request) or said.key
        token = self._fleet.token(shown) if shown else None
        known = None if token is None else AgentId(token.agent or token.name)
        introduction = Introduction(
            id=known or AgentId(str(uuid4())), name=said.name.strip() or UNNAMED, protocol=PROTOCOL,
            address=address(request), source=source(request), is_anonymous=token is None,
        )  # fmt: skip
        with self._gate.refusing(request):
            agent, text = await self._fleet.register(introduction, token=token, key=shown)
        return answer({"uuid": agent.id, "token": text or shown})

    async def info(self, request: "Request") -> "Response":
        """``POST /api/agent/info``."""
        agent = await self._agent(request, self._gate.admit(request, bearer(request)))
        said = parse(Info, await body(request), misfit=422)
        with self._gate.refusing(request):
            await self._fleet.describe(agent.id, said.introduction(address(request)))
        return answer({"status": "ok"})

    async def report(self, request: "Request") -> "Response":
        """``POST /api/agent/report``."""
        token = self._gate.admit(request, bearer(request))
        agent = await self._agent(request, token)
        self._gate.pace(token, agent.id)
        said = parse(Report, await body(request), misfit=422)
        with self._gate.refusing(request):
            await self._fleet.report(agent.id, said.report())
        return answer({"status": "ok"})

    async def stream(self, socket: "WebSocket") -> None:
        """``GET /api/agent/ws``: a report in each message. Nothing is sent; one that is none changes nothing."""
        try:
            agent = await self._agent(socket, self._gate.admit(socket, bearer(socket)))
        except (RefusedError, StoreError) as error:
            await refuse(socket, error, say)
            return
        await socket.accept()
        await until_replaced(socket, self._fleet, agent.id, self._listen(socket, agent))

    async def _listen(self, socket: "WebSocket", agent: Agent) -> None:
        """Take reports until the peer goes, its token is good no more, or it writes nothing but garbage."""
        garbage = 0
        async for frame in frames(socket, idle_s=_IDLE_S):
            token = self._fleet.token(bearer(socket))
            if token is None or garbage > _MOST_GARBAGE:
                return
            try:
                self._gate.pace(token, agent.id)
                said = parse(Report, frame)
                await self._fleet.report(agent.id, said.report())
            except RegistrationRefusedError:  # it was removed
                return
            except RefusedError as error:
                garbage += 1
                log.warning("message of an agent not taken", agent=agent.id, why=error.why)
                await asyncio.sleep(_BREATHER_S)
            except StoreError as error:
                log.warning("report of an agent not stored", agent=agent.id, error=str(error))
            else:
                garbage = 0

    async def _agent(self, connection: "HTTPConnection", token: Token) -> Agent:
        with self._gate.refusing(connection):
            return await self._fleet.resolve(token, token.agent or token.name)


def routes(context: ReceiverContext) -> "Sequence[BaseRoute]":
    """The routes below ``/api/agent``."""
    from starlette.routing import Route, WebSocketRoute

    agents = HostAgents(context)
    return [
        Route("/api/agent/register", Endpoint(agents.register, say), methods=["POST"]),
        Route("/api/agent/info", Endpoint(agents.info, say), methods=["POST"]),
        Route("/api/agent/report", Endpoint(agents.report, say), methods=["POST"]),
        WebSocketRoute("/api/agent/ws", agents.stream),
    ]


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    return [
        ReceiverType(
            kind="host-agent", summary="Host agents: /api/agent/register, info, report and ws", routes=routes
        )
    ]
