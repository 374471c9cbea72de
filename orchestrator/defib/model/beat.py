"""Reports from outside: agents and jobs that tell us they live."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from defib.model.evidence import Fact
from defib.model.ids import MonitorId


class Signal(StrEnum):
    """What a beat says."""

    ALIVE = "alive"  #: all is well; for a job: it finished well
    START = "start"  #: a run began
    FAIL = "fail"  #: a run failed
    LOG = "log"  #: just a note; changes nothing


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
