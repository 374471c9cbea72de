"""The report's numbers: pure arithmetic over a period, no words.

Durations are differences of aware instants, so days of 23 and 25 hours need no special care.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from defib.plugin import (
    Alert,
    Attempt,
    AttemptOutcome,
    MonitorId,
    MonitorPeriod,
    Period,
    ProbeStatus,
    Ruling,
    State,
)
from defib_reports.daily.outages import NOTHING, Ending, Outage, find_outages

_EXCUSED = frozenset((State.PAUSED, State.MAINTENANCE, State.STOPPED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Share of the observed time that was well, 0..1."""

    value: float  #: at the midpoint of the bounds
    lo: float  #: if every outage was as long as it can have been
    hi: float  #: if every outage was as short as it can have been

    @property
    def shares(self) -> tuple[float, float, float]:
        return self.value, self.lo, self.hi


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One monitor over the period."""

    of: MonitorPeriod
    availability: Availability | None  #: None where nothing was observed
    open_incidents: int
    heartbeats: int

    def count(self, status: ProbeStatus) -> int:
        return self.of.counts.get(status, 0)

    @property
    def failures(self) -> int:
        """Heartbeats that showed the component unwell; ``unknown`` says nothing about it."""
        return self.count(ProbeStatus.UNHEALTHY) + self.count(ProbeStatus.ERROR)

    @property
    def p95_change(self) -> float | None:
        """Against the period before: 0.12 is 12 % slower."""
        if self.of.latencies_ms is None or not self.of.previous_p95_ms:
            return None
        return self.of.latencies_ms[1] / self.of.previous_p95_ms - 1

    @property
    def is_unobserved(self) -> bool:
        """Nothing is known of it although it should have been watched."""
        return self.availability is None and not self.heartbeats and self.of.state not in _EXCUSED

    @property
    def is_well(self) -> bool:
        """Nothing about it is worth a reader's time."""
        return (
            (self.of.state == State.UP or self.of.state in _EXCUSED)
            and not (self.of.incidents or self.open_incidents or self.failures or self.of.down_hi)
            and not self.is_unobserved
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """Everything together."""

    components: int
    observed_components: int
    flawless_components: int  #: observed, and certainly without any downtime
    heartbeats: int
    healthy: int  #: heartbeats
    response_mean_ms: float | None  #: of healthy answers: the components' means weighted by their number
    availability: Availability | None
    up: timedelta
    down: timedelta
    down_lo: timedelta
    down_hi: timedelta
    endings: Counter[Ending]
    attempts: Counter[AttemptOutcome]
    mttd: timedelta | None  #: mean of ``detect`` over the incidents that were opened in the period
    mttr: timedelta | None  #: mean of ``duration`` over those of them that have ended
    mean_heal: timedelta | None  #: mean of ``heal`` over those of them that Defib healed

    @property
    def healthy_share(self) -> float | None:
        return self.healthy / self.heartbeats if self.heartbeats else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How much a monitor made people look."""

    monitor: MonitorId
    incidents: int
    falls: int  #: into a fault; those that flapping hides are counted
    alerts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The period and what follows from it."""

    period: Period
    names: dict[str, str]  #: of the components, by id
    components: tuple[Component, ...]  #: worst first
    outages: tuple[Outage, ...]  #: open ones first, each group by its beginning
    attempts: tuple[Attempt, ...]  #: by time
    alerts: tuple[Alert, ...]  #: by time
    noisiest: tuple[
        Noise, ...
    ]  #: those with more than one incident, fall or alert about a fault, worst first
    overall: Overall

    @property
    def due(self) -> timedelta:
        """How long Defib could have watched: the period, or what has passed of it."""
        return max(NOTHING, min(self.period.end, self.period.generated_at) - self.period.start)

    @property
    def unwatched(self) -> timedelta:
        """How much of it Defib was not running or not able to look."""
        return max(NOTHING, self.due - self.period.observed)

    @property
    def watched_share(self) -> float | None:
        return (self.due - self.unwatched) / self.due if self.due else None

    @property
    def held_back(self) -> tuple[Alert, ...]:
        """Alerts that people did not hear of at once, or not at all."""
        return tuple(alert for alert in self.alerts if is_held_back(alert))

    @property
    def is_complete(self) -> bool:
        """The period was over when the report was made."""
        return self.period.generated_at >= self.period.end

    @property
    def is_before_records(self) -> bool:
        """It was over before Defib watched anything, as far as it remembers."""
        first = self.period.recorded_from
        return first is not None and self.period.end <= first

    @property
    def is_unbegun(self) -> bool:
        """Nothing was ever watched: monitors are configured, and neither a daemon nor a pass has run."""
        is_blank = self.period.recorded_from is None and not self.period.observed and not self.outages
        return (
            is_blank and bool(self.due and self.components) and not any(c.heartbeats for c in self.components)
        )

    @property
    def has_nothing_to_tell(self) -> bool:
        """It is about a time in which Defib did not watch at all, for nobody's fault."""
        return self.is_before_records or self.is_unbegun

    def name_of(self, monitor: str) -> str:
        """The component's name; its id when it is no longer watched."""
        return self.names.get(monitor) or monitor


def is_held_back(alert: Alert) -> bool:
    """A stage kept it from people, for a while or for good."""
    return any(verdict.ruling is not Ruling.PASSED for verdict in alert.verdicts)


def digest(period: Period) -> Digest:
    """Work out everything the renderings show."""
    outages = find_outages(period)
    open_incidents = Counter(outage.incident.monitor for outage in outages if outage.is_open)
    components = [
        Component(
            of=row,
            availability=_availability(row.up, row.down, row.down_lo, row.down_hi),
            open_incidents=open_incidents[row.monitor],
            heartbeats=sum(row.counts.values()),
        )
        for row in period.monitors
    ]
    return Digest(
        period=period,
        names={row.monitor: row.name for row in period.monitors},
        components=tuple(sorted(components, key=_by_trouble)),
        outages=outages,
        attempts=tuple(sorted(period.attempts, key=lambda attempt: (attempt.intent_at, attempt.id))),
        alerts=tuple(sorted(period.alerts, key=lambda alert: (alert.at, alert.id))),
        noisiest=_noisiest(period),
        overall=_overall(period, components, outages),
    )


def _noisiest(period: Period) -> tuple[Noise, ...]:
    incidents = Counter(incident.monitor for incident in period.incidents)
    alerts = Counter(alert.monitor for alert in period.alerts if alert.monitor is not None)
    noise = [
        Noise(
            monitor=row.monitor,
            incidents=incidents[row.monitor],
            falls=max(row.falls, incidents[row.monitor]),
            alerts=alerts[row.monitor],
        )
        for row in period.monitors
    ]
    loud = [one for one in noise if one.falls > 1]
    return tuple(sorted(loud, key=lambda one: (-one.falls, -one.alerts, one.monitor)))


def _by_trouble(component: Component) -> tuple[object, ...]:
    """Sorting key: broken now, then least available, then unobserved, then unwell in any way, then by name."""
    return (
        -component.open_incidents,
        component.availability.value if component.availability else 1.0,
        not component.is_unobserved,
        component.is_well,
        -component.of.incidents,
        -component.failures,
        component.of.name.casefold(),
        component.of.monitor,
    )


def _availability(
    up: timedelta, down: timedelta, down_lo: timedelta, down_hi: timedelta
) -> Availability | None:
    observed = up + down
    if not observed:
        return None

    def share_well(unwell: timedelta) -> float:
        return (observed - min(max(unwell, NOTHING), observed)) / observed

    return Availability(
        value=share_well(down), lo=share_well(max(down, down_hi)), hi=share_well(min(down, down_lo))
    )  # fmt: skip


def _overall(period: Period, components: Sequence[Component], outages: Sequence[Outage]) -> Overall:
    up, down, down_lo, down_hi = (
        sum(spans, NOTHING)
        for spans in zip(*((row.up, row.down, row.down_lo, row.down_hi) for row in period.monitors), strict=True)
    ) if period.monitors else (NOTHING,) * 4  # fmt: skip
    fresh = [outage for outage in outages if outage.incident.opened_at >= period.start]
    return Overall(
        components=len(components),
        observed_components=sum(component.availability is not None for component in components),
        flawless_components=sum(
            component.availability is not None and not component.of.down_hi for component in components
        ),
        heartbeats=sum(component.heartbeats for component in components),
        healthy=sum(component.count(ProbeStatus.HEALTHY) for component in components),
        response_mean_ms=_mean_response(components),
        availability=_availability(up, down, down_lo, down_hi),
        up=up,
        down=down,
        down_lo=down_lo,
        down_hi=down_hi,
        endings=Counter(outage.ending for outage in outages),
        attempts=Counter(attempt.outcome for attempt in period.attempts),
        mttd=_mean(outage.detect for outage in fresh),
        mttr=_mean(outage.duration for outage in fresh if not outage.is_open),
        mean_heal=_mean(
            outage.heal for outage in fresh if outage.ending is Ending.DEFIB and outage.heal is not None
        ),
    )


def _mean_response(components: Iterable[Component]) -> float | None:
    weighted = [
        (component.of.latency_mean_ms, component.count(ProbeStatus.HEALTHY))
        for component in components
        if component.of.latency_mean_ms is not None
    ]
    answers = sum(weight for _, weight in weighted)
    return sum(mean * weight for mean, weight in weighted) / answers if answers else None


def _mean(spans: Iterable[timedelta]) -> timedelta | None:
    known = list(spans)
    return sum(known, NOTHING) / len(known) if known else None
