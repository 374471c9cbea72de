"""What agents say of themselves over the protocols of agents and of pools, and what they are told. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, field_validator

from defib.plugin import AgentId, AgentReport, AgentStatus, AgentView, Fact, Introduction, Signal, Task
from defib_plugins.receiving import Body, Id, Line, instant

METRICS = frozenset(
    {
        "cpu_percent", "memory_percent", "swap_percent", "load1", "load5", "load15", "temperature_c",
        "memory_used_bytes", "memory_total_bytes", "swap_used_bytes", "swap_total_bytes", "disk_used_bytes",
        "disk_total_bytes", "disk_percent", "net_in_bytes_per_s", "net_out_bytes_per_s", "net_in_total_bytes",
        "net_out_total_bytes", "processes", "connections_tcp", "connections_udp", "uptime_s", "gpu_percent",
        "process_cpu_percent", "process_memory_bytes",
    }
)  # fmt: skip
"""Numbers that an agent may report by these names; others are left out."""
FACTS = frozenset(
    {
        "cpu_name", "cpu_cores", "arch", "kernel", "gpu_name", "virtualization", "mem_total_bytes",
        "swap_total_bytes", "disk_total_bytes", "ipv4", "ipv6",
    }
)  # fmt: skip
"""What an agent may tell of its host by these names."""
PROTOCOL = "agent"
_MOST_DISKS = 64
_MOST_TASKS = 500

Share = Annotated[float, Field(ge=0, le=100)]
Amount = Annotated[float, Field(ge=0)]


class RunningTask(Body):
    """Something that an agent works on."""

    task_id: Line
    task_type: Line = ""
    workspace_id: Line = ""
    started_at: Line = ""

    def task(self) -> Task:
        return Task(
            id=self.task_id, kind=self.task_type, workspace=self.workspace_id, started_at=self.started_at
        )


RunningTasks = Annotated[list[RunningTask], Field(max_length=_MOST_TASKS)]


class SystemInfo(Body):
    """How its host does."""

    cpu_usage: Amount | None = None
    memory_usage: Share | None = None
    disk_usage: Annotated[dict[Line, Share], Field(max_length=_MOST_DISKS)] | Share | None = None

    def metrics(self) -> dict[str, float]:
        overall = self.disk_usage if isinstance(self.disk_usage, float) else None
        told = {
            "cpu_percent": self.cpu_usage,
            "memory_percent": self.memory_usage,
            "disk_percent": overall,
        }  # fmt: skip
        return {name: value for name, value in told.items() if value is not None}

    def disks(self) -> Mapping[str, float]:
        return self.disk_usage if isinstance(self.disk_usage, dict) else {}

    def report(self) -> AgentReport:
        return AgentReport(protocol=PROTOCOL, metrics=self.metrics(), disks=self.disks())


class Heartbeat(Body):
    """One beat; every member may be missing, and an empty body is one, too."""

    hostname: Line | None = None
    os: Line | None = None
    status: Line | None = None  #: ``stopping`` is a planned stop, ``error`` a fault of its own making
    error: Annotated[str, Field(max_length=2000)] | None = None  #: with ``error``: what is wrong
    system_info: SystemInfo | None = None
    # beyond the protocol's first clients
    metrics: dict[str, float] | None = None  #: of :data:`METRICS`
    running_tasks: RunningTasks | None = None
    seq: Annotated[int, Field(ge=0, lt=2**63)] | None = None  #: number of this beat
    epoch: Line | None = None  #: differs after each start of the agent
    lost: Annotated[int, Field(ge=0, lt=2**63)] = (
        0  #: beats since then that it could not keep until they were taken
    )
    interval: Annotated[float, Field(gt=0, le=7 * 86400)] | None = None  #: seconds between two beats
    age_ms: Annotated[float, Field(ge=0, le=30 * 86_400_000)] | None = None  #: that it waited at the agent

    def introduction(self) -> Introduction:
        return Introduction(hostname=self.hostname or "", os=self.os or "")

    def report(self) -> AgentReport:
        info = self.system_info or SystemInfo()
        named = {name: value for name, value in (self.metrics or {}).items() if name in METRICS}
        signal = {"stopping": Signal.STOPPING, "error": Signal.FAIL}.get(self.status or "", Signal.ALIVE)
        return AgentReport(
            signal=signal,
            protocol=PROTOCOL,
            status=self.status or "",
            metrics={**info.metrics(), **named},
            disks=info.disks(),
            tasks=tuple(item.task() for item in self.running_tasks or ()),
            error=(self.error or "").replace("\x00", "\ufffd"),
            seq=self.seq,
            epoch=self.epoch,
            facts={"beats_lost": self.lost} if self.lost else {},
            every=timedelta(seconds=self.interval) if self.interval is not None else None,
            age=timedelta(milliseconds=self.age_ms or 0),
        )


class Registration(Body):
    """How an agent introduces itself."""

    agent_id: Id | None = None
    id: Id | None = None  #: the same, in a WebSocket's first message
    hostname: Line | None = None
    ip: Line | None = None
    os: Line | None = None
    version: Line | None = None
    tags: Annotated[list[Line], Field(max_length=50)] | None = None
    system_info: SystemInfo | None = (
        None  #: the oldest client's only word on how its host does: its beats are empty
    )
    # beyond the protocol's first clients
    name: Line | None = None
    pool: Line | None = None
    interval: Annotated[float, Field(gt=0, le=7 * 86400)] | None = None
    facts: dict[str, Line | float | None] | None = None  #: of :data:`FACTS`

    @field_validator("agent_id", "id")
    @classmethod
    def _addressable(cls, value: str | None) -> str | None:
        if value is not None and "/" in value:
            raise ValueError("an id becomes part of an address and holds no '/'")
        return value

    def introduction(self) -> Introduction:
        wanted = self.agent_id or self.id
        facts: dict[str, Fact] = {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in (self.facts or {}).items()
            if name in FACTS and value is not None
        }
        return Introduction(
            id=AgentId(wanted) if wanted else None,
            name=self.name or "",
            hostname=self.hostname or "",
            address=self.ip or "",
            os=self.os or "",
            version=self.version or "",
            tags=tuple(self.tags or ()),
            pool=self.pool or "",
            protocol=PROTOCOL,
            facts=facts,
            told=None if self.system_info is None else self.system_info.report(),
            every=timedelta(seconds=self.interval) if self.interval is not None else None,
        )


# --- what they are told ----------------------------------------------------------------------------


def status_word(view: AgentView) -> str:
    """``online``, ``warning`` or ``offline``, which is also one that stopped; ``unknown`` before its first beat.

    The protocol goes by the age of the last beat alone: one that says itself that it fails, or is beyond a limit, is
    there, and online.
    """
    match view.status:
        case AgentStatus.STOPPED:
            return AgentStatus.OFFLINE
        case AgentStatus.ERROR | AgentStatus.DEGRADED:
            return AgentStatus.ONLINE
    return view.status


def system_info(view: AgentView) -> dict[str, Any]:
    """What it told last, in its own words; nothing where that is old."""
    if view.live is None:
        return {}
    metrics = view.live.report.metrics
    told: dict[str, Any] = {
        word: metrics[name]
        for word, name in (("cpu_usage", "cpu_percent"), ("memory_usage", "memory_percent"))
        if name in metrics
    }
    if view.live.report.disks:
        told["disk_usage"] = dict(view.live.report.disks)
    elif "disk_percent" in metrics:
        told["disk_usage"] = metrics["disk_percent"]
    return told


def brief(view: AgentView) -> dict[str, Any]:
    """An agent in the answer to its beat."""
    return {
        "id": view.agent.id,
        "hostname": view.agent.hostname,
        "status": status_word(view),
        "last_seen": instant(view.last_seen) if view.last_seen is not None else None,
        "system_info": system_info(view),
    }


def full(view: AgentView) -> dict[str, Any]:
    """Everything that its protocol has a word for."""
    agent = view.agent
    return {
        **brief(view),
        "ip": agent.address,
        "os": agent.os,
        "version": agent.version,
        "tags": list(agent.tags),
        "connection_id": None,  # clients of the protocol's first server read the member; a stream's welcome has it
        "is_connected": view.is_connected,
    }
