"""What an agent says in each of the protocols that Defib understands. Pure: values in, JSON objects out."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from defib_agent import __version__
from defib_agent.beat import ERROR, RUNNING, STOPPING, Beat
from defib_agent.errors import RejectedError
from defib_agent.sampling import Host
from defib_agent.settings import AGENT, DAEMON, Settings
from defib_agent.tasks import RunningTask

Words = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we are to the server."""

    agent_id: str
    token: str = field(default="", repr=False)  #: that we were given; "" for the one of the settings


class Dialect(Protocol):
    """One protocol."""

    carries_age: bool  #: whether a beat can say how old it is; if not, only the newest is worth delivering
    acknowledges: bool  #: whether the server confirms beats over a stream
    registers: bool

    def registration(self, settings: Settings, host: Host, agent_id: str) -> tuple[str, Words]:
        """Path and body."""

    def registered(self, answer: Mapping[str, Any]) -> Identity:
        """Who we are by the server's answer.

        :raises RejectedError: it says nothing that can be used.
        """

    def description(self, host: Host) -> tuple[str, Words] | None:
        """Path and body of what comes once after registration, if anything."""

    def post(self, beat: Beat, identity: Identity, now: float) -> tuple[str, Words]:
        """Path and body of a beat as a request; ``now`` as in :attr:`Beat.made_at`."""

    def stream_path(self, identity: Identity) -> str:
        """Where the WebSocket is."""

    def message(self, beat: Beat, identity: Identity, now: float) -> Words:
        """A beat as a message on a stream."""


class AgentDialect:
    """Protocol A in our richest form: numbered beats that tell their age, tasks and every number there is."""

    carries_age = True
    acknowledges = True
    registers = True

    def __init__(self, settings: Settings, epoch: str | None) -> None:
        self._interval = settings.interval
        self._epoch = epoch

    def registration(self, settings: Settings, host: Host, agent_id: str) -> tuple[str, Words]:
        body: Words = {
            "name": settings.agent_name or host.hostname, "hostname": host.hostname, "ip": host.address, "os": host.os,
            "version": f"defib-agent {__version__}", "tags": list(settings.tags), "interval": settings.interval,
            "facts": dict(host.facts),
        }  # fmt: skip
        if settings.pool:
            body["pool"] = settings.pool
        if agent_id:
            body["agent_id"] = agent_id
        return "/api/v1/agents/register", body

    def registered(self, answer: Mapping[str, Any]) -> Identity:
        agent_id = answer.get("agent_id") or answer.get("id")
        if not isinstance(agent_id, str):
            raise RejectedError(
                "the answer to the registration names no 'id'; is 'server_url' the address of Defib?"
            )
        return Identity(agent_id=agent_id, token=_given(answer))

    def description(self, host: Host) -> tuple[str, Words] | None:
        return None

    def post(self, beat: Beat, identity: Identity, now: float) -> tuple[str, Words]:
        metrics = beat.sample.metrics
        body: Words = {"status": beat.status, "interval": self._interval, "metrics": dict(metrics)}
        info = {
            word: metrics[name]
            for word, name in (("cpu_usage", "cpu_percent"), ("memory_usage", "memory_percent"))
            if name in metrics
        }
        body["system_info"] = info | {"disk_usage": dict(beat.sample.disks)}
        if self._epoch is not None:
            body |= {"seq": beat.seq, "epoch": self._epoch}
        if (age := now - beat.made_at) >= 0.001:
            body["age_ms"] = round(1000 * age)
        if beat.lost:
            body["lost"] = beat.lost
        if beat.error:
            body["error"] = beat.error
        body["running_tasks"] = [_task(item) for item in beat.tasks]
        return f"/api/v1/agents/{quote(identity.agent_id, safe='')}/heartbeat", body

    def stream_path(self, identity: Identity) -> str:
        return f"/api/v1/ws/{quote(identity.agent_id, safe='')}"

    def message(self, beat: Beat, identity: Identity, now: float) -> Words:
        data = self.post(beat, identity, now)[1]
        return {
            "type": "heartbeat",
            "data": data,
            "timestamp": _instant(beat.at),
            "agent_id": identity.agent_id,
        }


class DaemonDialect:
    """Protocol B: the process itself, to a Defib on the same machine or near by."""

    carries_age = False
    acknowledges = False
    registers = False

    def registration(self, settings: Settings, host: Host, agent_id: str) -> tuple[str, Words]:
        raise RejectedError("the protocol daemon has no registration")

    def registered(self, answer: Mapping[str, Any]) -> Identity:
        raise RejectedError("the protocol daemon has no registration")

    def description(self, host: Host) -> tuple[str, Words] | None:
        return None

    def post(self, beat: Beat, identity: Identity, now: float) -> tuple[str, Words]:
        return "/heartbeat", self.message(beat, identity, now)

    def stream_path(self, identity: Identity) -> str:
        return ""

    def message(self, beat: Beat, identity: Identity, now: float) -> Words:
        metrics = beat.sample.metrics
        name = {"agent_id": identity.agent_id} if identity.agent_id else {}
        return name | {
            "pid": os.getpid(), "timestamp": _instant(beat.at), "version": __version__,
            "status": beat.status if beat.status in (STOPPING, ERROR) else RUNNING,
            "cpu": metrics.get("process_cpu_percent", 0.0), "memory": int(metrics.get("process_memory_bytes", 0)),
        }  # fmt: skip


class HostDialect:
    """Protocol D: what a host is, once, and how it does."""

    carries_age = False
    acknowledges = False
    registers = True

    def registration(self, settings: Settings, host: Host, agent_id: str) -> tuple[str, Words]:
        return "/api/agent/register", {"name": settings.agent_name or host.hostname}

    def registered(self, answer: Mapping[str, Any]) -> Identity:
        uuid, token = answer.get("uuid"), _given(answer)
        if not isinstance(uuid, str) or not token:
            raise RejectedError("the answer to the registration names no 'uuid' and 'token'")
        return Identity(agent_id=uuid, token=token)

    def description(self, host: Host) -> tuple[str, Words] | None:
        words = {
            "cpu_name": "cpu_name", "arch": "arch", "cpu_cores": "cpu_cores", "kernel": "kernel_version",
            "virtualization": "virtualization", "mem_total_bytes": "mem_total", "swap_total_bytes": "swap_total",
            "disk_total_bytes": "disk_total", "ipv4": "ipv4", "ipv6": "ipv6",
        }  # fmt: skip
        told = {word: host.facts[name] for name, word in words.items() if name in host.facts}
        return "/api/agent/info", {**told, "os": host.os, "gpu_name": "", "version": __version__}

    def post(self, beat: Beat, identity: Identity, now: float) -> tuple[str, Words]:
        return "/api/agent/report", self.message(beat, identity, now)

    def stream_path(self, identity: Identity) -> str:
        return "/api/agent/ws"

    def message(self, beat: Beat, identity: Identity, now: float) -> Words:
        metrics = beat.sample.metrics
        told: Words = {word: metrics.get(name, 0.0) for word, name in _HOST_NUMBERS.items()}
        return told | ({"temp": metrics["temperature_c"]} if "temperature_c" in metrics else {})


_HOST_NUMBERS = {
    "cpu": "cpu_percent", "ram": "memory_used_bytes", "ram_total": "memory_total_bytes", "swap": "swap_used_bytes",
    "swap_total": "swap_total_bytes", "load": "load1", "disk": "disk_used_bytes", "disk_total": "disk_total_bytes",
    "net_in": "net_in_bytes_per_s", "net_out": "net_out_bytes_per_s", "net_total_up": "net_out_total_bytes",
    "net_total_down": "net_in_total_bytes", "process": "processes", "connections": "connections_tcp",
    "connections_udp": "connections_udp", "uptime": "uptime_s",
}  # fmt: skip


def dialect_for(settings: Settings, epoch: str | None) -> Dialect:
    """The one that the settings name.

    :param epoch: differs after each start; None for an agent that does not stay and repeats nothing.
    """
    if settings.protocol == AGENT:
        return AgentDialect(settings, epoch)
    return DaemonDialect() if settings.protocol == DAEMON else HostDialect()


def _task(item: RunningTask) -> Words:
    return {
        "task_id": item.id, "task_type": item.kind, "workspace_id": item.workspace,
        "started_at": _instant(item.started_at),
    }  # fmt: skip


def _given(answer: Mapping[str, Any]) -> str:
    token = answer.get("token")
    return token if isinstance(token, str) else ""


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
