"""One beat of the local daemon protocol, read and translated. Pure."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from defib.plugin import AgentId, AgentReport, Fact, Introduction, Signal
from defib_plugins.daemon_stream import parse_instant
from defib_plugins.receiving import Body, Id, Line

PROTOCOL = "daemon"
EVERY = timedelta(seconds=30)
HEARTBEAT_TIMEOUT = timedelta(seconds=90)  #: of silence; then it is a fault
SKEW = timedelta(seconds=5)  #: a sender's clock that is farther from ours is told
_GREATEST = 2**63 - 1


class DaemonBeat(Body):
    """What a beat says. Senders leave out what they do not know."""

    agent_id: Id | Literal[""] = ""  #: "" where it does not name itself
    pid: int = Field(gt=0, le=_GREATEST)
    version: Line = ""
    status: Line = "running"  #: ``running``, ``stopping``, ``error``
    cpu: float | None = Field(default=None, ge=0, le=1e9)
    """Its process's use in percent of one core: several cores make it more than 100."""
    memory: int | None = Field(default=None, ge=0, le=_GREATEST)  #: its process's resident set in bytes
    timestamp: object = None  #: by the sender's clock

    @property
    def has_bad_time(self) -> bool:
        """Whether it has a timestamp, and that cannot be read."""
        return self.timestamp not in (None, "") and parse_instant(self.timestamp) is None

    def introduction(self, agent: str, hostname: str = "") -> Introduction:
        """Who beats."""
        return Introduction(
            id=AgentId(agent), name=agent, hostname=hostname, version=self.version, protocol=PROTOCOL, every=EVERY,
            offline_after=HEARTBEAT_TIMEOUT,
        )  # fmt: skip

    def report(self, now: datetime) -> AgentReport:
        """What it means. It counts as sent when it came: a foreign clock makes nobody late."""
        metrics = {"process_cpu_percent": self.cpu, "process_memory_bytes": self.memory}
        facts: dict[str, Fact] = {"pid": self.pid}
        if self.version:
            facts["version"] = self.version
        sent_at = parse_instant(self.timestamp)
        if sent_at is not None and abs(now - sent_at) > SKEW:
            facts["clock_off_s"] = round((sent_at - now).total_seconds(), 3)
        signal, error = Signal.ALIVE, ""
        if self.status == "stopping":
            signal = Signal.STOPPING
        elif self.status == "error":
            signal, error = Signal.FAIL, "it reports the status 'error'"
        return AgentReport(
            signal=signal, protocol=PROTOCOL, status=self.status, facts=facts, error=error,
            metrics={name: float(value) for name, value in metrics.items() if value is not None},
        )  # fmt: skip


class NamedBeat(DaemonBeat):
    """A beat over HTTP, where nothing else tells who sends it."""

    agent_id: Id
