"""Notices as CloudEvents 1.0. Pure.

Source: cloudevents/spec.md and formats/json-format.md, version 1.0; structured content mode.
"""

import json
import math
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from defib.plugin import Alert, AlertFacts, Fact, ReportDocument

CONTENT_TYPE = "application/cloudevents+json"


def event_of(notice: Alert | ReportDocument, *, source: str) -> bytes:
    """The body of the request: UTF-8, the same for every try of one notice.

    :param source: who sends, an address or a path: with the notice's id it names the event for ever.
    """
    if isinstance(notice, Alert):
        event = _event("defib.alert", notice.id, source, notice.at, _alert_data(notice))
        if notice.monitor:
            event["subject"] = notice.monitor
    else:
        event = _event("defib.report", notice.id, source, notice.generated_at, _report_data(notice))
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return text.encode("utf-8", "replace")


def _event(kind: str, event_id: str, source: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": kind,
        "time": at,
        "datacontenttype": "application/json",
        "data": data,
    }


def _alert_data(alert: Alert) -> dict[str, Any]:
    return {
        "kind": alert.kind,
        "severity": alert.severity,
        "title": alert.title,
        "description": alert.description,
        "evidence": alert.evidence,
        "recommendations": alert.recommendations,
        "monitor": alert.monitor,
        "incident": alert.incident,
        "at": alert.at,
        "facts": _facts(alert.facts),
    }


def _facts(facts: AlertFacts) -> dict[str, Any]:
    flat = {field.name: getattr(facts, field.name) for field in fields(facts)}
    return flat | {
        "facts": {key: _finite(value) for key, value in facts.facts.items()},
        "together": [asdict(member) for member in facts.together],
        "held": None if facts.held is None else asdict(facts.held),
    }


def _finite(value: Fact) -> Fact:
    """JSON has no infinity and no "not a number"."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _report_data(report: ReportDocument) -> dict[str, Any]:
    return {
        "name": report.name,
        "start": report.start,
        "end": report.end,
        "generated_at": report.generated_at,
        "subject": report.subject,
        "text": report.text,
        "report": json.loads(report.data) if report.data else None,
    }


def _plain(value: object) -> str | float:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
    raise TypeError(f"{type(value).__name__} has no place in an event")
