"""Reports from outside: agents and jobs that tell us they live."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from defib.model.evidence import Fact
from defib.model.ids import MonitorId


class Signal(StrEnum):
    """What a beat says."""

    ALIVE = "alive"  #: all is well; for a job: it finished well
    START = "start"  #: a run began
    FAIL = "fail"  #: a run failed
    LOG = "log"  #: just a note; changes nothing
    STOPPING = "stopping"  #: it stops on purpose; silence is expected from now on


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One beat, accepted by a receiver."""

    monitor: MonitorId
    signal: Signal
    received_at: datetime
    protocol: str  #: the receiver that took it: ``ping``, …
    exit_status: int | None = None
    body: str = ""  #: bounded by the receiver
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """``rid`` names a run: it ties its end to its start."""
    metrics: Mapping[str, float] = field(default_factory=dict)  #: numbers worth a curve: ``cpu_percent``
    seq: int | None = None  #: as the sender counts its beats
    epoch: str | None = None  #: changes with each start of the sender, which then counts afresh
    eta: timedelta | None = None  #: the sender's own word on how often it beats
    age: timedelta = timedelta(0)  #: how long it waited at the sender before it was sent

    @property
    def sent_at(self) -> datetime:
        """When it would have arrived had it not waited; on our clock."""
        return self.received_at - self.age
