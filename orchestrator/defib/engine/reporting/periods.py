"""The numbers of a report's period, read from the store."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from defib import __version__
from defib.engine.roster import Roster
from defib.model.alert import Alert, AlertKind
from defib.model.health import Health, State, Transition
from defib.model.history import Latencies
from defib.model.ids import MonitorId, ReportId
from defib.model.monitor import MonitorSpec, RecoveryMode
from defib.model.report import (
    MonitorPeriod,
    ObserverPeriod,
    OwnGap,
    Past,
    Period,
    ResponseHour,
    SickSpell,
    Span,
)
from defib.model.settings import ReportSpec
from defib.ports import Clock
from defib.rules import calendar, outlook
from defib.rules.availability import ZERO, Spans, Uptime, clip, timeline, uptime
from defib.rules.budget import WINDOW, budget
from defib.store import Reader

DECIDED_LATER = timedelta(hours=1)  #: what is decided so long after a period may have begun within it
GAP = timedelta(minutes=2)  #: not watching for shorter than that is no gap worth telling
_SLOWEST = 3  #: monitors whose response times are told by the hour


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of time with what happened in it."""

    start: datetime
    end: datetime
    watched: Spans
    initial: Mapping[MonitorId, Transition]
    changes: Mapping[MonitorId, Sequence[Transition]]  #: also those decided soon after the end

    def uptime(self, monitor: MonitorId) -> Uptime:
        return uptime(self.state(monitor), self.changes.get(monitor, ()), self.start, self.end, self.watched)

    def state(self, monitor: MonitorId) -> State | None:
        """At the start; None when it did not exist yet."""
        first = self.initial.get(monitor)
        return first.to_state if first else None

    def last_state(self, monitor: MonitorId) -> State | None:
        """At the end."""
        decided = [change for change in self.changes.get(monitor, ()) if change.decided_at < self.end]
        return decided[-1].to_state if decided else self.state(monitor)


class Periods:
    """Reads periods. Synchronous: runs in a thread."""

    def __init__(self, clock: Clock, reader: Reader, lateness: Callable[[], Sequence[float]]) -> None:
        """:param lateness: of the newest looks against their time, in seconds; empty where nobody looks here."""
        self._clock = clock
        self._reader = reader
        self._lateness = lateness

    def read(self, report: ReportId, spec: ReportSpec, span: Span, day: date, roster: Roster) -> Period:
        """The numbers of the span that ``day`` is in; of its part up to now, when it is not over."""
        now, reader = self._clock.now(), self._reader
        start, end = calendar.bounds(span, day, spec.timezone)
        until = max(start, min(end, now))
        scope = _scope(roster, spec.tags)
        ids = {monitor.id for monitor in scope}
        window = self._window(start, until)
        before_bounds = calendar.bounds(span, calendar.previous(span, day), spec.timezone)
        before = self._past(before_bounds, ids)
        week_before: dict[MonitorId | None, Past] = {}
        if span is Span.DAY:
            week_before = self._past(calendar.bounds(span, day - timedelta(days=7), spec.timezone), ids)
        incidents = [
            i for i in reader.incidents(overlapping=(start, end)) if i.monitor in ids or not spec.tags
        ]
        health = reader.health()
        latencies = reader.latencies(start, until)
        counts = reader.status_counts(start, until)
        budgets = self._budget_window(scope, until)
        falls = Counter(incident.monitor for incident in incidents)
        monitors = tuple(
            self._monitor(
                monitor, window, budgets, counts.get(monitor.id, {}), latencies.get(monitor.id), falls[monitor.id],
                before.get(monitor.id, Past()), week_before.get(monitor.id, Past()),
                health.get(monitor.id) if until == now else None, recovers=_recovers(monitor, roster),
            )
            for monitor in scope
        )  # fmt: skip
        alerts = [a for a in reader.alerts(since=start, until=end) if not spec.tags or a.monitor in ids]
        return Period(
            report=report,
            name=spec.name,
            timezone=spec.timezone,
            start=start,
            end=end,
            generated_at=now,
            version=__version__,
            monitors=monitors,
            incidents=tuple(incidents),
            attempts=tuple(
                a for a in reader.attempts(since=start, until=end) if a.monitor in ids or not spec.tags
            ),
            alerts=tuple(alerts),
            deliveries=reader.delivery_counts(start, end),
            observed=sum((b - a for a, b in window.watched), ZERO),
            public_url=roster.settings.server.public_url,
            span=span,
            tags=tuple(sorted(spec.tags)),
            before=before.get(None, Past()),
            week_before=week_before.get(None, Past()),
            forecasts=outlook.forecasts(
                {
                    metric: reader.metric_hours(metric, until - outlook.LOOKED_BACK, until)
                    for metric in outlook.FILLS_UP
                },
                ids,
                until,
            ),
            expiries=outlook.expiries(health, ids, until),
            missed=outlook.missed(incidents, health, until),
            responses=self._responses(span, start, until, latencies, ids),
            observer=self._observer(window, alerts),
            recorded_from=reader.watched_from(),
        )

    # --- parts -------------------------------------------------------------------------------------

    def _window(self, start: datetime, end: datetime) -> _Window:
        reader = self._reader
        spans = [(span.started_at, span.seen_at) for span in reader.watch_spans(start, end)]
        changes: dict[MonitorId, list[Transition]] = defaultdict(list)
        for transition in reader.transitions(since=start, until=end + DECIDED_LATER):
            if transition.t_lo < end:
                changes[transition.monitor].append(transition)
        return _Window(start, end, clip(spans, start, end), reader.states_at(start), changes)

    def _past(
        self, bounds: tuple[datetime, datetime], ids: Iterable[MonitorId]
    ) -> dict[MonitorId | None, Past]:
        """Each monitor in an earlier period, and under None all of them together."""
        start, end = bounds
        window, latencies = self._window(start, end), self._reader.latencies(start, end)
        if not window.watched:
            return {}
        past: dict[MonitorId | None, Past] = {}
        whole = Uptime()
        for monitor in ids:
            found = window.uptime(monitor)
            whole += found
            past[monitor] = Past(
                availability=found.availability, latencies_ms=_percentiles(latencies.get(monitor))
            )
        past[None] = Past(availability=whole.availability)
        return past

    def _budget_window(self, scope: Iterable[MonitorSpec], end: datetime) -> _Window | None:
        """What the budgets of those that have an objective are reckoned on; None when none has."""
        return self._window(end - WINDOW, end) if any(monitor.slo for monitor in scope) else None

    def _monitor(
        self, spec: MonitorSpec, window: _Window, budgets: _Window | None, counts: Mapping[str, int],
        latencies: Latencies | None, incidents: int, before: Past, week_before: Past, health: Health | None,
        *, recovers: bool,
    ) -> MonitorPeriod:  # fmt: skip
        time = window.uptime(spec.id)
        changes = window.changes.get(spec.id, ())
        state = window.last_state(spec.id) or (health.state if health else State.NEW)
        return MonitorPeriod(
            monitor=spec.id,
            name=spec.name,
            kind=spec.kind,
            family=spec.family,
            state=str(state),
            tags=tuple(sorted(spec.tags)),
            counts=counts,
            up=time.up,
            down=time.down,
            down_lo=time.down_lo,
            down_hi=time.down_hi,
            latencies_ms=_percentiles(latencies),
            latency_mean_ms=latencies.mean_ms if latencies else None,
            incidents=incidents,
            previous_p95_ms=before.latencies_ms[1] if before.latencies_ms else None,
            before=before,
            week_before=week_before,
            falls=sum(change.to_state is State.FAULT for change in changes if change.decided_at < window.end),
            timeline=timeline(window.state(spec.id), changes, window.start, window.end, window.watched),
            recovers=recovers,
            budget=budget(spec.slo, budgets.uptime(spec.id), time) if spec.slo and budgets else None,
        )

    def _responses(
        self, span: Span, start: datetime, until: datetime, latencies: Mapping[MonitorId, Latencies],
        ids: set[MonitorId]
    ) -> dict[MonitorId, tuple[ResponseHour, ...]]:  # fmt: skip
        """By the hour, of the monitors with the highest p95; not of a month, whose hours are too many to be seen."""
        if span is Span.MONTH:
            return {}
        known = sorted(
            (item for item in latencies.items() if item[0] in ids), key=lambda item: -item[1].p95_ms
        )
        return {
            monitor: tuple(
                ResponseHour(at=hour.at, p50_ms=hour.latencies.p50_ms, p95_ms=hour.latencies.p95_ms)
                for hour in self._reader.hours(monitor, start, until)
                if hour.latencies is not None
            )
            for monitor, _ in known[:_SLOWEST]
        }

    def _observer(self, window: _Window, alerts: Iterable[Alert]) -> ObserverPeriod:
        edges = [window.start, *(edge for span in window.watched for edge in span), window.end]
        gaps = [OwnGap(since=a, until=b) for a, b in list(pairwise(edges))[::2] if b - a >= GAP]
        lateness = sorted(self._lateness())
        return ObserverPeriod(
            gaps=tuple(gaps),
            sick=tuple(_sick_spells(alerts)),
            lateness_p99_ms=lateness[(len(lateness) - 1) * 99 // 100] * 1000 if lateness else None,
            store_bytes=self._reader.size_bytes(),
        )


def _scope(roster: Roster, tags: frozenset[str]) -> list[MonitorSpec]:
    """The monitors of the configuration and those made through an API; with any of ``tags``, if there are some."""
    specs = {spec.id: spec for spec in roster.settings.monitors}
    specs |= {name: watched.spec for name, watched in roster.monitors.items() if name not in specs}
    return [spec for spec in specs.values() if not tags or tags & spec.tags]


def _recovers(spec: MonitorSpec, roster: Roster) -> bool:
    return bool(spec.recovery.ladder) and roster.recovery_mode(spec) is RecoveryMode.AUTO


def _percentiles(latencies: Latencies | None) -> tuple[float, float, float] | None:
    return (latencies.p50_ms, latencies.p95_ms, latencies.p99_ms) if latencies else None


def _sick_spells(alerts: Iterable[Alert]) -> Iterable[SickSpell]:
    """By what people were told of the observer, oldest first."""
    since: Alert | None = None
    for alert in alerts:
        if alert.facts.event is AlertKind.OBSERVER_SICK and since is None:
            since = alert
        elif alert.facts.event is AlertKind.OBSERVER_WELL and since is not None:
            yield SickSpell(since=since.facts.since, until=alert.at, reason=since.facts.summary)
            since = None
    if since is not None:
        yield SickSpell(since=since.facts.since, until=None, reason=since.facts.summary)
