"""Receiver ``host-agent``: agents that register, describe their host once, and report how it does.

``POST /api/agent/register``, ``/info`` and ``/report``, and reports as messages over the WebSocket ``/api/agent/ws``.
No message names the agent: its token does. A token that was made by hand for several (``defib token create``) stands
for one agent here, which is called as the token is.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
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
    hookimpl,
)
from defib_plugins.receiving import (
    Allowance,
    Body,
    Gate,
    Line,
    RefusedError,
    address,
    answer,
    bearer,
    body,
    endpoint,
    frames,
    parse,
    read,
    refuse,
)

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

PROTOCOL = "host-agent"
UNNAMED = "New Server"
_WORDS = {
    400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 408: "BAD_REQUEST",
    409: "CONFLICT", 413: "BAD_REQUEST", 422: "BAD_REQUEST", 429: "TOO_MANY_REQUESTS", 503: "DATABASE_ERROR",
}  # fmt: skip
_REGISTRATIONS_PER_S, _REGISTRATIONS_AT_ONCE = 0.2, 10  #: from one address
_MOST_BAD_FRAMES = 100  #: in a row
_IDLE_S = 3600.0  #: pings of the WebSocket tell sooner that a peer is gone
_GREATEST = 2**63 - 1


class Registration(Body):
    """``POST /api/agent/register``."""

    name: Line = ""
    key: Line = Field(default="", repr=False)  #: where the header carries none


class Info(Body):
    """``POST /api/agent/info``."""

    cpu_name: Line | None = None
    arch: Line | None = None
    cpu_cores: int | None = Field(default=None, ge=0, le=_GREATEST)
    os: Line | None = None
    kernel_version: Line | None = None
    gpu_name: Line | None = None
    virtualization: Line | None = None
    mem_total: int | None = Field(default=None, ge=0, le=_GREATEST)
    swap_total: int | None = Field(default=None, ge=0, le=_GREATEST)
    disk_total: int | None = Field(default=None, ge=0, le=_GREATEST)
    version: Line | None = None
    ipv4: Line | None = None
    ipv6: Line | None = None

    def introduction(self, where: str) -> Introduction:
        """What it says of its host.

        :param where: it comes from.
        """
        facts = {
            "cpu_name": self.cpu_name, "cpu_cores": self.cpu_cores, "arch": self.arch, "kernel": self.kernel_version,
            "gpu_name": self.gpu_name, "virtualization": self.virtualization, "mem_total_bytes": self.mem_total,
            "swap_total_bytes": self.swap_total, "disk_total_bytes": self.disk_total, "ipv4": self.ipv4,
            "ipv6": self.ipv6,
        }  # fmt: skip
        return Introduction(
            os=self.os or "", version=self.version or "", address=self.ipv4 or self.ipv6 or where, protocol=PROTOCOL,
            facts={name: value for name, value in facts.items() if value not in (None, "")},
        )  # fmt: skip


class Report(Body):
    """``POST /api/agent/report``: sizes and totals in bytes, rates in bytes per second, shares in percent."""

    cpu: float = Field(ge=0, le=1e6)
    ram: int = Field(ge=0, le=_GREATEST)
    ram_total: int = Field(ge=0, le=_GREATEST)
    disk: int = Field(ge=0, le=_GREATEST)
    disk_total: int = Field(ge=0, le=_GREATEST)
    net_in: int = Field(ge=0, le=_GREATEST)
    net_out: int = Field(ge=0, le=_GREATEST)
    net_total_up: int = Field(ge=0, le=_GREATEST)
    net_total_down: int = Field(ge=0, le=_GREATEST)
    gpu: float | None = Field(default=None, ge=0, le=1e6)
    swap: int | None = Field(default=None, ge=0, le=_GREATEST)
    swap_total: int | None = Field(default=None, ge=0, le=_GREATEST)
    load: float | None = Field(default=None, ge=0, le=1e6)
    temp: float | None = Field(default=None, ge=-300, le=1e6)
    process: int | None = Field(default=None, ge=0, le=_GREATEST)
    connections: int | None = Field(default=None, ge=0, le=_GREATEST)
    connections_udp: int | None = Field(default=None, ge=0, le=_GREATEST)
    uptime: int | None = Field(default=None, ge=0, le=_GREATEST)

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


def _share(used: int | None, total: int | None) -> float | None:
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
        """``POST /api/agent/register``, with the registration key or a token in the header, or ``key`` in the body."""
        self._registrations.spend(address(request))
        said = _shaped(Registration, await body(request) or b"{}")
        name = said.name.strip() or UNNAMED
        shown = bearer(request) or said.key
        token = self._fleet.token(shown) if shown else None
        try:
            if token is not None:
                agent = await self._renamed(token, name, address(request))
                return answer({"uuid": agent.id, "token": shown})
            introduction = Introduction(
                id=AgentId(str(uuid4())), name=name, protocol=PROTOCOL, address=address(request)
            )
            agent, text = await self._fleet.register(introduction, key=shown)
        except RegistrationRefusedError:
            raise self._gate.refusal(request) from None
        return answer({"uuid": agent.id, "token": text})

    async def info(self, request: "Request") -> "Response":
        """``POST /api/agent/info``."""
        agent = await self._agent(request)
        said = _shaped(Info, await body(request))
        with _refusals(self._gate, request):
            await self._fleet.describe(agent.id, said.introduction(address(request)))
        return answer({"status": "ok"})
