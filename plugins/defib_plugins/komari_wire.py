"""The words of the Komari agent, and what they mean here. Pure.

Version 1 of its protocol sends bare objects; version 2 wraps the same objects in JSON-RPC 2.0.
"""

import math
import zlib
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from statistics import median
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from defib.plugin import AgentReport, Fact
from defib_plugins.display import clip
from defib_plugins.host_info import HostInfo
from defib_plugins.receiving import Body, Line, RefusedError

PROTOCOL = "komari"
_MOST = 1e18
_GZIP = 16 + zlib.MAX_WBITS  #: zlib's name for gzip's header and trailer
_NO_GPU = "None"


def _credible(value: object) -> object:
    """A number that cannot be is left out: counters wrap, and the host lives all the same."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number and not 0 <= value <= _MOST else value  # type: ignore[operator] # is_number says so


Number = Annotated[float | None, BeforeValidator(_credible)]


class Registration(Body):
    """``POST /api/clients/register``."""

    key: Line = Field(default="", repr=False)


class Info(HostInfo):
    """``agent.basicInfo`` and ``POST /api/clients/uploadBasicInfo``."""

    protocol = PROTOCOL
    gpu_name: Annotated[Line | None, BeforeValidator(lambda name: None if name == _NO_GPU else name)] = None
    cpu_cores: Number = None
    disk_total: Number = None
    mem_total: Number = None
    swap_total: Number = None


class _Cpu(Body):
    usage: Number = None


class _Used(Body):
    total: Number = None
    used: Number = None

    def share(self) -> float | None:
        """Percent; None where it cannot be told."""
        return round(100 * self.used / self.total, 2) if self.used is not None and self.total else None


class _Load(Body):
    load1: Number = None
    load5: Number = None
    load15: Number = None


class _Network(Body):
    up: Number = None
    down: Number = None
    totalUp: Number = None  # so it is called on the wire
    totalDown: Number = None


class _Connections(Body):
    tcp: Number = None
    udp: Number = None


class _Gpu(Body):
    average_usage: Number = None


class Report(Body):
    """``agent.report``, and each message of version 1: sizes and totals in bytes, rates in bytes per second."""

    cpu: _Cpu
    ram: _Used = _Used()
    swap: _Used = _Used()
    load: _Load = _Load()
    disk: _Used = _Used()
    network: _Network = _Network()
    connections: _Connections = _Connections()
    gpu: _Gpu | None = None
    uptime: Number = None
    process: Number = None
    message: str = ""  #: what the agent could not measure

    def report(self, every: timedelta) -> AgentReport:
        """What it means.

        :param every: the interval that the next one is awaited within.
        """
        metrics = {
            "cpu_percent": self.cpu.usage, "memory_used_bytes": self.ram.used, "memory_total_bytes": self.ram.total,
            "memory_percent": self.ram.share(), "swap_used_bytes": self.swap.used,
            "swap_total_bytes": self.swap.total, "swap_percent": self.swap.share(), "load1": self.load.load1,
            "load5": self.load.load5, "load15": self.load.load15, "disk_used_bytes": self.disk.used,
            "disk_total_bytes": self.disk.total, "disk_percent": self.disk.share(),
            "net_in_bytes_per_s": self.network.down, "net_out_bytes_per_s": self.network.up,
            "net_in_total_bytes": self.network.totalDown, "net_out_total_bytes": self.network.totalUp,
            "connections_tcp": self.connections.tcp, "connections_udp": self.connections.udp,
            "processes": self.process, "uptime_s": self.uptime,
            "gpu_percent": None if self.gpu is None else self.gpu.average_usage,
        }  # fmt: skip
        sent = {name: value for name, value in metrics.items() if value is not None}
        facts: dict[str, Fact] = {"not_measured": clip(self.message, 300)} if self.message.strip() else {}
        return AgentReport(protocol=PROTOCOL, metrics=sent, facts=facts, every=every)


class Call(Body):
    """A request of JSON-RPC 2.0, or, without an ``id``, a notification, which nobody answers."""

    jsonrpc: Literal["2.0"]
    method: Line
    params: dict[str, Any] = Field(default_factory=dict)
    id: Annotated[int, Field(ge=-(2**63), lt=2**63)] | Line | None = None

    def member(self, name: str) -> object:
        """A parameter; None when there is none."""
        return self.params.get(name)


class RpcCode:
    """What went wrong with a call, as JSON-RPC 2.0 numbers it (section 5.1 of its specification)."""

    NO_CALL = -32600
    NO_METHOD = -32601
    BAD_PARAMS = -32602


def result(call: Call, **members: Any) -> Mapping[str, Any]:
    """The answer to a call."""
    return {"jsonrpc": "2.0", "id": call.id, "result": members}


def failure(call: Call | None, code: int, why: str) -> Mapping[str, Any]:
    """The answer to a call that failed.

    :param call: None where it could not be read.
    """
    return {
        "jsonrpc": "2.0",
        "id": None if call is None else call.id,
        "error": {"code": code, "message": why},
    }


def unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    """A body without its ``Content-Encoding``; never more than ``limit`` bytes are unpacked.

    :raises RefusedError: 415 for another encoding than gzip, 413 for what is longer, 400 for what is no gzip.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return raw
        case "gzip" | "x-gzip":
            pass
        case _:
            raise RefusedError(415, "the body must be plain or packed with gzip", {"Accept-Encoding": "gzip"})
    stream = zlib.decompressobj(_GZIP)
    try:
        plain = stream.decompress(raw, limit + 1)
    except zlib.error:
        raise RefusedError(400, "the body is not valid gzip") from None
    if len(plain) > limit:
        raise RefusedError(413, f"the body is longer than {limit} bytes", {"Connection": "close"})
    if not stream.eof or stream.unused_data:
        raise RefusedError(400, "the body is not one whole gzip stream")
    return plain


class Rhythm:
    """How often an agent reports. It never says so: what is seen counts."""

    _FIRST = timedelta(minutes=1)  #: while too little was seen
    _LEAST_S, _MOST_S = 3, 3600
    _ENOUGH = 3  #: intervals: one may be short because a report was held up before it

    def __init__(self) -> None:
        self._last: float | None = None
        self._gaps: deque[float] = deque(maxlen=9)

    def heard(self, now: float) -> timedelta:
        """A report came.

        :param now: seconds, monotonic.
        :return: the interval that the next one is awaited within: what is usual and a quarter, between one and five
            seconds more; in whole seconds, so that it does not tremble.
        """
        if self._last is not None:
            self._gaps.append(now - self._last)
        self._last = now
        if len(self._gaps) < self._ENOUGH:
            return self._FIRST
        usual = median(self._gaps)
        every = math.ceil(usual + min(5.0, max(1.0, usual / 4)))
        return timedelta(seconds=min(self._MOST_S, max(self._LEAST_S, every)))
