"""What is ahead: certificates that end, what fills up, jobs that did not report."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from defib.model.health import Health, Incident
from defib.model.history import MetricHour
from defib.model.ids import MonitorId
from defib.model.report import Expiry, Forecast, Missed
from defib.rules.forecasting import forecast

EXPIRES_SOON = timedelta(days=30)
FILLS_UP = ("disk_percent", "inodes_percent")
"""Metrics whose 100 is the end of something."""
LOOKED_BACK = timedelta(days=14)  #: for a forecast
FORESEEN_DAYS = 90.0  #: what is farther away is not worth a word
_MISSED_BEAT = "missed-beat"  #: cause of an incident of a job that did not report
_CERT_METRIC = "cert_days_left"
_DAY = timedelta(days=1)


def expiries(
    health: Mapping[MonitorId, Health], ids: AbstractSet[MonitorId], at: datetime
) -> tuple[Expiry, ...]:
    """Certificates that end soon, by each monitor's newest look; the soonest first."""
    found = []
    for monitor, known in health.items():
        days = known.last.evidence.metrics.get(_CERT_METRIC) if known.last and monitor in ids else None
        if days is not None and known.last is not None:
            ends = known.last.ended_at + timedelta(days=days)
            if ends - at <= EXPIRES_SOON:
                found.append(Expiry(monitor=monitor, ends_at=ends))
    return tuple(sorted(found, key=lambda expiry: (expiry.ends_at, expiry.monitor)))


def forecasts(
    hours: Mapping[str, Mapping[MonitorId, Sequence[MetricHour]]], ids: AbstractSet[MonitorId], at: datetime
) -> tuple[Forecast, ...]:
    """What will be full within :data:`FORESEEN_DAYS`, as far as the past supports to say so; the soonest first.

    :param hours: by metric, those of :data:`LOOKED_BACK` before ``at``, oldest first.
    """
    found = []
    for metric, monitors in hours.items():
        for monitor, known in monitors.items():
            trend = forecast([((hour.at - at) / _DAY, hour.mean) for hour in known])
            if monitor in ids and trend is not None and trend.full_in <= FORESEEN_DAYS:
                newest = known[-1].at
                found.append(
                    Forecast(
                        monitor=monitor,
                        metric=metric,
                        value=trend.level,
                        per_day=trend.slope,
                        full_at=newest + timedelta(days=trend.full_in),
                        full_lo=newest + timedelta(days=trend.full_in_lo),
                        full_hi=newest + timedelta(days=trend.full_in_hi),
                    )
                )
    return tuple(sorted(found, key=lambda one: (one.full_at, one.monitor, one.metric)))


def missed(
    incidents: Iterable[Incident], health: Mapping[MonitorId, Health], at: datetime
) -> tuple[Missed, ...]:
    """Jobs that did not report in time, by what became an incident."""
    found: dict[MonitorId, list[Incident]] = defaultdict(list)
    for incident in incidents:
        if incident.cause == _MISSED_BEAT:
            found[incident.monitor].append(incident)
    return tuple(
        Missed(
            monitor=monitor,
            times=len(some),
            is_missing=any(incident.closed_at is None or incident.closed_at > at for incident in some),
            next_due=health[monitor].deadline if monitor in health else None,
        )
        for monitor, some in sorted(found.items())
    )
