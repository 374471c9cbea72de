"""Reports: the numbers of a period, and the document made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from defib.model.alert import Alert
from defib.model.health import Incident
from defib.model.ids import MonitorId, ReportId
from defib.model.recovery import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorPeriod:
    """One monitor over the period."""

    monitor: MonitorId
    name: str
    kind: str
    family: str
    state: str  #: at the end of the period
    tags: tuple[str, ...]
    counts: Mapping[str, int]  #: observations by status: healthy, unhealthy, error, unknown
    up: timedelta  #: observed time well (degraded included)
    down: timedelta  #: observed time at fault (midpoint of the bounds)
    down_lo: timedelta  #: least
    down_hi: timedelta  #: most
    latencies_ms: tuple[float, float, float] | None  #: p50, p95, p99 of healthy answers
    latency_mean_ms: float | None
    incidents: int
    previous_p95_ms: float | None = None  #: of the period before

    @property
    def availability(self) -> float | None:
        """Share of observed time well, 0..1; None where nothing was observed."""
        observed = self.up + self.down
        return self.up / observed if observed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Everything a report is made of. Instants are aware; show them in ``timezone``."""

    report: ReportId
    name: str  #: ``daily``
    timezone: str
    start: datetime
    end: datetime  #: exclusive
    generated_at: datetime
    version: str
    monitors: tuple[MonitorPeriod, ...]
    incidents: tuple[Incident, ...]  #: open at any time of the period, oldest first
    attempts: tuple[Attempt, ...]
    alerts: tuple[Alert, ...]
    deliveries: Mapping[str, Mapping[str, int]]  #: channel → state → count
    observed: timedelta  #: how long Defib itself was watching in the period
    public_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDocument:
    """A finished report."""

    id: ReportId
    name: str
    start: datetime
    end: datetime
    generated_at: datetime
    subject: str
    html: str
    text: str
    data: str  #: JSON
    csv: str
    images: Mapping[str, bytes] = field(
        default_factory=dict
    )  #: content id → PNG, referenced as ``cid:…`` in ``html``
