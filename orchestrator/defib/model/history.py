"""What history is asked for and answers: looks by the hour, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from defib.model.ids import MonitorId


class Sample(NamedTuple):
    """One look, as history keeps it."""

    at_us: int  #: when its outcome was known, in microseconds since 1970
    status: str  #: a :class:`~defib.model.evidence.ProbeStatus`
    cause: str | None  #: None when all was well
    latency_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """How long a monitor's healthy answers took, in milliseconds.

    Percentiles are those of a DDSketch: within 2 % of the value at their rank.
    """

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One monitor's looks of one hour."""

    at: datetime  #: its beginning, in UTC
    counts: Mapping[str, int]  #: looks by status; what did not occur is missing
    latencies: Latencies | None  #: of healthy answers; None when there was none that was timed
    min_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricHour:
    """One metric of one monitor within one hour; the numbers have seven digits."""

    at: datetime  #: its beginning, in UTC
    n: int
    sum: float
    min: float
    max: float
    last: float

    @property
    def mean(self) -> float:
        return self.sum / self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledHour:
    """What the looks of one monitor and hour become, ready to be written."""

    monitor: int  #: its number in the store
    samples: bytes
    counts: Mapping[str, int]
    sum_us: int | None  #: of healthy answers, as are the next three; None when none was timed
    min_us: int | None
    max_us: int | None
    sketch: bytes | None
    metrics: bytes | None
    names: tuple[int, ...]  #: numbers of its metrics' names


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """One slice of the journal on its way into hours: these rows replace what is there, and that part goes."""

    hour: int  #: hours since 1970
    shard: int
    upto: int  #: the newest part of the journal that is in it
    hours: tuple[RolledHour, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Looks that came into the journal, for one who follows it."""

    looks: Mapping[MonitorId, list[Sample]]
    upto: int  #: where to go on
