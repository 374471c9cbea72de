"""Makes reports when they are due: numbers from the store, words from the report's plugin, rows to the outbox."""

import asyncio
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from cronsim import CronSim

from defib import __version__
from defib.engine.notifier import Notifier
from defib.engine.roster import Roster
from defib.errors import StoreError, UsageError
from defib.model.changes import Changes
from defib.model.health import Transition
from defib.model.ids import MonitorId, ReportId
from defib.model.report import MonitorPeriod, Period, ReportDocument
from defib.model.settings import ReportSpec
from defib.ports import Clock
from defib.rules.availability import ZERO, uptime
from defib.store import Reader, Writer

log = structlog.get_logger("defib.reporting")

_FIRED = "report-fired:"  #: run-time setting: when a report was last made


def report_id(name: str, day: date) -> ReportId:
    """``report_YYYYMMDD`` for the daily one; another report's name stands before it."""
    return ReportId(f"report_{day:%Y%m%d}" if name == "daily" else f"{name}_{day:%Y%m%d}")


def day_bounds(day: date, timezone: str) -> tuple[datetime, datetime]:
    """The local day as aware instants: 23, 24 or 25 hours."""
    zone = ZoneInfo(timezone)
    start = datetime.combine(day, time(), zone)
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    return start.astimezone(UTC), end.astimezone(UTC)


class Reporting:
    """The reports of a configuration."""

    def __init__(self, clock: Clock, roster: Roster, writer: Writer | None, reader: Reader) -> None:
        """:param writer: None where reports are only looked at."""
        self._clock = clock
        self.roster = roster
        self._writer = writer
        self._reader = reader
        self._problem = ""

    # --- when --------------------------------------------------------------------------------------

    def due(self, spec: ReportSpec, fired: str | None) -> datetime | None:
        """The newest time of ``spec`` that has come since it was last made; None when there is none.

        However many times were missed, one report makes up for them.
        """
        now = self._clock.now().astimezone(ZoneInfo(spec.timezone))
        newest = next(CronSim(spec.cron, now, reverse=True), None)
        if newest is None or fired is None:
            return None
        return newest if newest.astimezone(UTC) > datetime.fromisoformat(fired) else None

    async def make_due(self) -> Changes:
        """Make every report that is due; returns what was committed."""
        assert self._writer is not None
        settings = await asyncio.to_thread(self._reader.settings)
        done = Changes()
        for spec in self.roster.settings.reports:
            key = _FIRED + spec.kind
            fired = settings.get(key)
            stamp = self._clock.now().isoformat()
            if fired is None:  # a new installation owes no report for days it did not see
                await self._writer.commit(Changes(settings=((key, stamp),)))
                continue
            moment = self.due(spec, fired)
            if moment is None:
                continue
            try:
                document = await asyncio.to_thread(
                    self.write, spec.kind, moment.date() - timedelta(days=1), spec.timezone
                )
            except StoreError:
                raise
            except Exception as error:  # a report is a plugin
                log.error("report failed", report=spec.kind, error=repr(error), exc_info=error)
                self._problem = f"report {spec.kind} failed: {type(error).__name__}: {error}"
                await self._writer.commit(Changes(settings=((key, stamp),)))
                continue
            changes = Notifier(self.roster).report(document, spec.channels, self._clock.now())
            changes += Changes(settings=((key, stamp),))
            await self._writer.commit(changes)
            log.info("report made", report=document.id, channels=list(spec.channels))
            done += changes
        return done

    @property
    def problem(self) -> str:
        """What went wrong with the newest report; "" when nothing did."""
        return self._problem

    # --- what --------------------------------------------------------------------------------------

    def write(self, kind: str, day: date, timezone: str) -> ReportDocument:
        """The report of one local day. Reads the store; runs in a thread.

        :raises UsageError: there is no such report.
        """
        if kind not in self.roster.registry.reports:
            known = ", ".join(self.roster.registry.reports.names())
            raise UsageError(f"there is no report {kind!r}; there are: {known}")
        writer = self.roster.reports.get(kind) or self.roster.registry.reports[kind].create()
        return writer.write(self.period(kind, day, timezone))

    def period(self, kind: str, day: date, timezone: str) -> Period:
        """The numbers of one local day; of its part up to now, when it is not over."""
        now = self._clock.now()
        start, end = day_bounds(day, timezone)
        seen_until = min(end, now)
        reader = self._reader
        spans = [(span.started_at, span.seen_at) for span in reader.watch_spans(start, end)]
        observed = sum((max(ZERO, min(b, seen_until) - max(a, start)) for a, b in spans), ZERO)
        transitions: dict[MonitorId, list[Transition]] = defaultdict(list)
        for transition in reader.transitions(since=start, until=end):
            transitions[transition.monitor].append(transition)
        initial = reader.states_at(start)
        counts = reader.status_counts(start, end)
        latencies = reader.latencies(start, end)
        before_start, _ = day_bounds(day - timedelta(days=1), timezone)
        before = reader.latencies(before_start, start)
        incidents = reader.incidents(overlapping=(start, end))
        health = reader.health()
        monitors = []
        for spec in self.roster.settings.monitors:
            first = initial.get(spec.id)
            changes = transitions[spec.id]
            time_ = uptime(first.to_state if first else None, changes, start, seen_until, spans)
            final = changes[-1].to_state if changes else first.to_state if first else None
            known = health.get(spec.id)
            found, earlier = latencies.get(spec.id), before.get(spec.id)
            monitors.append(
                MonitorPeriod(
                    monitor=spec.id,
                    name=spec.name,
                    kind=spec.kind,
                    family=spec.family,
                    state=str(final or (known.state if known else "new")),
                    tags=tuple(sorted(spec.tags)),
                    counts=counts.get(spec.id, {}),
                    up=time_.up,
                    down=time_.down,
                    down_lo=time_.down_lo,
                    down_hi=time_.down_hi,
                    latencies_ms=(found.p50_ms, found.p95_ms, found.p99_ms) if found else None,
                    latency_mean_ms=found.mean_ms if found else None,
                    incidents=sum(incident.monitor == spec.id for incident in incidents),
                    previous_p95_ms=earlier.p95_ms if earlier else None,
                )
            )
        return Period(
            report=report_id(kind, day),
            name=kind,
            timezone=timezone,
            start=start,
            end=end,
            generated_at=now,
            version=__version__,
            monitors=tuple(monitors),
            incidents=tuple(incidents),
            attempts=tuple(reader.attempts(since=start, until=end)),
            alerts=tuple(reader.alerts(since=start, until=end)),
            deliveries=reader.delivery_counts(start, end),
            observed=observed,
            public_url=self.roster.settings.server.public_url,
        )
