"""Agents that introduce themselves, what they report, and the tokens that let them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from defib.model.beat import Signal
from defib.model.evidence import Fact
from defib.model.ids import AgentId, MonitorId, TokenId


class Scope(StrEnum):
    """What a token allows. Each is apart: a token that ingests can do nothing else."""

    READ = "read"  #: see everything
    WRITE = "write"  #: and steer: pause, acknowledge, recover
    ADMIN = "admin"  #: and make tokens
    INGEST = "ingest"  #: report beats, and introduce agents


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A key that was given out. Only its hash is kept."""

    id: TokenId
    root: TokenId  #: of the first token in whose place this one was made; its own id for a first one
    name: str
    scope: Scope
    digest: str  #: SHA-256 of the token, in hexadecimal
    created_at: datetime
    agent: AgentId | None = None  #: the only agent it may report for; None: for those it introduced
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class AgentStatus(StrEnum):
    """How an agent stands, by the age of its last beat and by what it says."""

    ONLINE = "online"
    DEGRADED = "degraded"  #: it is heard, and beyond a limit
    ERROR = "error"  #: it is heard, and says itself that it fails
    WARNING = "warning"  #: its beat is late
    OFFLINE = "offline"
    STOPPED = "stopped"  #: it said that it stops
    UNKNOWN = "unknown"  #: it has never been heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What an agent says of itself when it registers."""

    id: AgentId | None = None  #: as it would like to be called
    name: str = ""
    hostname: str = ""
    address: str = ""
    os: str = ""
    version: str = ""
    tags: tuple[str, ...] = ()
    pool: str = ""
    protocol: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)  #: of its host: ``cpu_name``, ``mem_total``
    every: timedelta | None = None  #: between two beats
    offline_after: timedelta | None = None  #: silence that is a fault; None: by ``every``
    told: "AgentReport | None" = None
    """How its host does, where it says that when it registers; this is no beat."""
    source: str = ""  #: address that it registers from
    is_anonymous: bool = False  #: its protocol has no ids: it registers as somebody new each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A registered agent. It is watched by a monitor of its own."""

    id: AgentId  #: on the wire
    monitor: MonitorId
    name: str
    registered_at: datetime
    hostname: str = ""
    address: str = ""
    os: str = ""
    version: str = ""
    tags: tuple[str, ...] = ()
    pool: str = ""
    protocol: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    every: timedelta | None = None
    offline_after: timedelta | None = None
    token: TokenId | None = None  #: the root of the tokens that it reports with
    aliases: tuple[AgentId, ...] = ()  #: other ids that it beats under
    given: tuple[str, ...] = ()
    """Of ``name``, ``tags`` and ``pool`` those that an operator set: what the agent says of them is passed over."""
    source: str = ""  #: address that it registered from last
    called: str = ""  #: its name in its own words, whatever an operator has set
    kept_out_at: datetime | None = None  #: when an operator shut it out: it neither reports nor registers
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that an agent works on."""

    id: str
    kind: str = ""
    workspace: str = ""
    started_at: str = ""  #: as the agent wrote it


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """What one beat of an agent tells."""

    signal: Signal = Signal.ALIVE
    protocol: str = ""
    status: str = ""  #: the agent's own word: ``running``, ``busy``, ``idle``
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Numbers under the names of the ``agent`` monitor: ``cpu_percent``, ``memory_percent``, ``net_in`` …"""
    disks: Mapping[str, float] = field(default_factory=dict)  #: partition → % used
    tasks: tuple[Task, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)  #: details worth showing as evidence
    error: str = ""  #: with FAIL: what is wrong, in the agent's words
    seq: int | None = None
    epoch: str | None = None
    every: timedelta | None = None
    age: timedelta = timedelta(0)

    @property
    def tells_something(self) -> bool:
        """Of the host or of what it does; the beats of the oldest clients say only that they live."""
        return bool(self.status or self.metrics or self.disks or self.tasks or self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The newest report of an agent, in memory only."""

    agent: AgentId
    name: str
    pool: str
    report: AgentReport
    at: datetime  #: when it came


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """An agent as it stands now."""

    agent: Agent
    status: AgentStatus
    last_seen: datetime | None
    seconds_since: float | None  #: since its last beat
    is_connected: bool  #: over a WebSocket or a socket that it holds open
    aside: str  #: ``maintenance`` or ``paused`` while nothing is judged, else ""
    live: Live | None  #: None when it has not reported for five minutes
