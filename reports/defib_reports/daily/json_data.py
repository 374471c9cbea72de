"""The report for programs. Its schema is documented and stable: ``docs/reference/report-json.md``."""

import json
from collections import Counter
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from defib.plugin import Alert, Attempt, AttemptOutcome, Budget, ObserverPeriod, Past, ProbeStatus, Ruling
from defib_reports.daily.concerns import Concern
from defib_reports.daily.figures import Availability, Component, Digest, Overall
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.outages import Ending, Outage
from defib_reports.daily.summary import Headline
from defib_reports.daily.wording import plain

SCHEMA = "defib.report.v1"
"""Changes only when a key is removed or means something else; new keys may come at any time."""

E = TypeVar("E", bound=StrEnum)


def write_json(figures: Digest, concerns: tuple[Concern, ...], head: Headline, local: LocalTime) -> str:
    """Everything: nothing is shortened or left out. Ends with a newline."""
    period = figures.period
    data = {
        "schema": SCHEMA,
        "id": period.report,
        "name": period.name,
        "period": period.span,
        "language": period.language,
        "tags": list(period.tags),
        "date": str(local.first_day),
        "timezone": period.timezone,
        "start": local.iso(period.start),
        "end": local.iso(period.end),
        "generated_at": local.iso(period.generated_at),
        "complete": figures.is_complete,
        "defib_version": period.version,
        "subject": head.subject,
        "summary": [plain(sentence) for sentence in head.sentences],
        "concerns": [
            {
                "urgency": c.urgency,
                "topic": c.topic,
                "component": c.monitor,
                "subject": c.subject,
                "text": plain(c.text),
            }
            for c in concerns
        ],
        "overall": _overall(figures.overall),
        "observer": {
            "due_s": _seconds(figures.due),
            "watched_s": _seconds(figures.due - figures.unwatched),
            "watched_share": figures.watched_share,
            **_observer(period.observer, local),
        },
        "trend": {
            "before": {"availability": period.before.availability},
            "week_before": {"availability": period.week_before.availability},
        },
        "ahead": _ahead(figures, local),
        "noisiest": [
            {"component": n.monitor, "incidents": n.incidents, "falls": n.falls, "alerts": n.alerts}
            for n in figures.noisiest
        ],
        "components": [_component(component) for component in figures.components],
        "incidents": [_incident(outage, local) for outage in figures.outages],
        "attempts": [_attempt(attempt, figures, local) for attempt in figures.attempts],
        "alerts": [_alert(alert, figures, local) for alert in figures.alerts],
        "deliveries": {channel: dict(states) for channel, states in sorted(period.deliveries.items())},
    }
    text = _laid_out(data)
    # What a command printed may carry surrogates, which UTF-8 cannot.
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"


def _laid_out(data: dict[str, Any]) -> str:
    """One line for each key, and for each item of a list: readable, and many times as fast as a full indentation."""

    def flat(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    def block(value: Any) -> str:
        if not isinstance(value, list) or not value:
            return flat(value)
        return "[\n" + ",\n".join(f"    {flat(item)}" for item in value) + "\n  ]"

    return "{\n" + ",\n".join(f"  {flat(key)}: {block(value)}" for key, value in data.items()) + "\n}"


def _overall(overall: Overall) -> dict[str, Any]:
    return {
        "components": overall.components,
        "components_observed": overall.observed_components,
        "components_without_downtime": overall.flawless_components,
        "heartbeats": overall.heartbeats,
        "heartbeats_healthy": overall.healthy,
        "healthy_share": overall.healthy_share,
        "response_mean_ms": overall.response_mean_ms,
        **_availability(overall.availability),
        "up_s": _seconds(overall.up),
        "down_s": _seconds(overall.down),
        "down_lo_s": _seconds(overall.down_lo),
        "down_hi_s": _seconds(overall.down_hi),
        "incidents": _all(Ending, overall.endings),
        "attempts": _all(AttemptOutcome, overall.attempts),
        "mttd_s": _seconds(overall.mttd),
        "mttr_s": _seconds(overall.mttr),
        "mean_heal_s": _seconds(overall.mean_heal),
    }


def _component(component: Component) -> dict[str, Any]:
    row = component.of
    p50, p95, p99 = row.latencies_ms or (None, None, None)
    return {
        "id": row.monitor,
        "name": row.name,
        "kind": row.kind,
        "family": row.family,
        "tags": sorted(row.tags),
        "state": row.state,
        **_availability(component.availability),
        "up_s": _seconds(row.up),
        "down_s": _seconds(row.down),
        "down_lo_s": _seconds(row.down_lo),
        "down_hi_s": _seconds(row.down_hi),
        "counts": {status.value: component.count(status) for status in ProbeStatus},
        "response_ms": {"mean": row.latency_mean_ms, "p50": p50, "p95": p95, "p99": p99,
                        "previous_p95": row.previous_p95_ms},
        "p95_change": component.p95_change,
        "before": _past(row.before),
        "week_before": _past(row.week_before),
        "budget": None if row.budget is None else _budget(row.budget),
        "falls": row.falls,
        "incidents": row.incidents,
        "open_incidents": component.open_incidents,
    }  # fmt: skip


def _incident(outage: Outage, local: LocalTime) -> dict[str, Any]:
    incident = outage.incident
    return {
        "id": incident.id,
        "component": incident.monitor,
        "component_name": outage.name,
        "cause": incident.cause,
        "grade": incident.grade,
        "summary": incident.summary,
        "began_at": local.iso(outage.began),
        "began_lo": local.iso(incident.fault_lo),
        "began_hi": local.iso(incident.fault_hi),
        "opened_at": local.iso(incident.opened_at),
        "closed_at": _instant(incident.closed_at, local),
        "ending": outage.ending,
        "resolution": incident.resolution,
        "detect_s": _seconds(outage.detect),
        "heal_s": _seconds(outage.heal),
        "duration_s": _seconds(outage.duration),
        "attempts": [attempt.id for attempt in outage.attempts],
    }


def _attempt(attempt: Attempt, figures: Digest, local: LocalTime) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "incident": attempt.incident,
        "component": attempt.monitor,
        "component_name": figures.name_of(attempt.monitor),
        "number": attempt.number,
        "kind": attempt.kind,
        "description": attempt.description,
        "actor": attempt.actor,
        "at": local.iso(attempt.started_at or attempt.intent_at),
        "ended_at": _instant(attempt.ended_at, local),
        "verified_at": _instant(attempt.verified_at, local),
        "outcome": attempt.outcome,
        "exit_status": attempt.exit_status,
        "detail": attempt.detail,
    }


def _alert(alert: Alert, figures: Digest, local: LocalTime) -> dict[str, Any]:
    return {
        "id": alert.id,
        "type": alert.kind,
        "severity": alert.severity,
        "title": alert.title,
        "component": alert.monitor,
        "component_name": None if alert.monitor is None else figures.name_of(alert.monitor),
        "incident": alert.incident,
        "at": local.iso(alert.at),
        "held": [
            {"stage": v.stage, "ruling": v.ruling, "reason": v.reason, "until": _instant(v.until, local)}
            for v in alert.verdicts
            if v.ruling is not Ruling.PASSED
        ],
    }


def _past(past: Past) -> dict[str, float | None]:
    p50, p95, p99 = past.latencies_ms or (None, None, None)
    return {"availability": past.availability, "p50": p50, "p95": p95, "p99": p99}


def _budget(budget: Budget) -> dict[str, float | None]:
    return {
        "objective": budget.objective,
        "window_s": budget.window.total_seconds(),
        "allowed_s": budget.allowed.total_seconds(),
        "spent_s": budget.spent.total_seconds(),
        "spent_share": budget.spent_share,
        "burn_rate": budget.burn,
    }


def _observer(observer: ObserverPeriod, local: LocalTime) -> dict[str, Any]:
    return {
        "gaps": [{"since": local.iso(gap.since), "until": local.iso(gap.until)} for gap in observer.gaps],
        "sick": [
            {"since": local.iso(spell.since), "until": _instant(spell.until, local), "reason": spell.reason}
            for spell in observer.sick
        ],
        "lateness_p99_ms": observer.lateness_p99_ms,
        "store_bytes": observer.store_bytes,
    }


def _ahead(figures: Digest, local: LocalTime) -> dict[str, Any]:
    period = figures.period
    return {
        "forecasts": [
            {
                "component": f.monitor,
                "metric": f.metric,
                "percent": f.value,
                "percent_per_day": f.per_day,
                "full_at": local.iso(f.full_at),
                "full_at_lo": local.iso(f.full_lo),
                "full_at_hi": local.iso(f.full_hi),
            }
            for f in period.forecasts
        ],
        "certificates": [
            {"component": e.monitor, "ends_at": local.iso(e.ends_at)} for e in period.expiries
        ],
        "missed": [
            {"component": m.monitor, "times": m.times, "missing": m.is_missing, "next_due": _instant(m.next_due, local)}
            for m in period.missed
        ],
    }  # fmt: skip


def _availability(availability: Availability | None) -> dict[str, float | None]:
    if availability is None:
        return {"availability": None, "availability_lo": None, "availability_hi": None}
    return {
        "availability": availability.value,
        "availability_lo": availability.lo,
        "availability_hi": availability.hi,
    }


def _all(kinds: type[E], counts: Counter[E]) -> dict[str, int]:
    return {kind.value: counts[kind] for kind in kinds}


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _instant(instant: datetime | None, local: LocalTime) -> str | None:
    return None if instant is None else local.iso(instant)
