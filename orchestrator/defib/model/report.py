"""Reports: the numbers of a period, and the document made of them."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from defib.model.alert import Alert
from defib.model.health import Incident, State
from defib.model.ids import MonitorId, ReportId
from defib.model.recovery import Attempt

_CID = re.compile(r"cid:([A-Za-z0-9._@-]+)")


class Span(StrEnum):
    """What a report covers: a day, week (from Monday) or month of the calendar of its time zone."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of one state."""

    state: State
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One monitor, or all of them, over an earlier period: what a trend is measured against."""

    availability: float | None = None  #: 0..1
    latencies_ms: tuple[float, float, float] | None = None  #: p50, p95, p99 of healthy answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The error budget of a monitor that has a service level objective.

    Source: B. Beyer et al., "The Site Reliability Workbook", chapters 2 and 5.
    """

    objective: float  #: share of the time that it is to be well, 0..1
    window: timedelta  #: that the budget is for, up to the end of the period
    allowed: timedelta  #: downtime, of the observed part of the window
    spent: timedelta  #: downtime that was
    burn: float | None  #: downtime of the period as a multiple of what it may be; None: nothing observed

    @property
    def spent_share(self) -> float | None:
        """1 and above is exhausted; None where nothing was observed."""
        return self.spent / self.allowed if self.allowed else None


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
    before: Past = Past()  #: the period before
    week_before: Past = Past()  #: the same day a week before; of a day only
    falls: int = 0  #: into a fault
    timeline: tuple[Stretch, ...] = ()  #: the observed time by state, oldest first; the midpoint where unsure
    budget: Budget | None = None
    recovers: bool = True  #: Defib may heal it: it has a ladder, and recovery acts

    @property
    def availability(self) -> float | None:
        """Share of observed time well, 0..1; None where nothing was observed."""
        observed = self.up + self.down
        return self.up / observed if observed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """When something that fills up will be full, if it goes on as it did. Only made where the past supports it."""

    monitor: MonitorId
    metric: str  #: ``disk_percent``
    value: float  #: percent in use at the end of the period
    per_day: float  #: percent points
    full_at: datetime  #: likely
    full_lo: datetime  #: at the earliest
    full_hi: datetime  #: at the latest


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """A certificate that a monitor has seen, and when it ends."""

    monitor: MonitorId
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A job that did not report in time in the period."""

    monitor: MonitorId
    times: int
    is_missing: bool  #: it still had not at the end
    next_due: datetime | None = None  #: when silence becomes a fault again


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHour:
    """Response times of one monitor in an hour (of a day in longer periods)."""

    at: datetime  #: its beginning
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGap:
    """A stretch in which Defib itself did not watch."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SickSpell:
    """A stretch in which Defib itself was too ill to judge, by what it told people."""

    since: datetime
    until: datetime | None  #: None: it still was at the end
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverPeriod:
    """Defib itself over the period."""

    gaps: tuple[OwnGap, ...] = ()
    sick: tuple[SickSpell, ...] = ()
    lateness_p99_ms: float | None = None  #: of looks against their time, lately; None: not known
    store_bytes: int | None = None  #: None: a server's, or not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Everything a report is made of. Instants are aware; show them in ``timezone``."""

    report: ReportId
    name: str  #: of the report in the configuration: ``daily``
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
    span: Span = Span.DAY
    language: str = "en"
    tags: tuple[str, ...] = ()  #: only monitors with any of them; empty: all
    before: Past = Past()  #: all of these monitors in the period before
    week_before: Past = Past()  #: and on the same day a week before; of a day only
    forecasts: tuple[Forecast, ...] = ()  #: the soonest first
    expiries: tuple[Expiry, ...] = ()  #: the soonest first
    missed: tuple[Missed, ...] = ()
    responses: Mapping[MonitorId, tuple[ResponseHour, ...]] = field(default_factory=dict)
    """Of those with the worst response times, the worst first."""
    observer: ObserverPeriod = ObserverPeriod()
    recorded_from: datetime | None = None
    """Defib has watched since then, as far as it remembers; None: not known."""


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
    images: Mapping[str, bytes] = field(default_factory=dict)
    """Content id → PNG, referenced as ``cid:…`` in ``html``."""

    @property
    def page(self) -> str:
        """The HTML with its pictures inside: a mail attaches them, a page or a file cannot."""

        def picture(match: re.Match[str]) -> str:
            png = self.images.get(match[1])
            return match[0] if png is None else f"data:image/png;base64,{base64.b64encode(png).decode()}"

        return _CID.sub(picture, self.html)
