"""Alerts and reports as the engine hands them to channels."""

import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from defib.plugin import (
    Alert,
    AlertFacts,
    AlertId,
    AlertKind,
    IncidentId,
    MonitorId,
    ReportDocument,
    ReportId,
    SendContext,
)
from defib_alerts.texts import StandardTexts

NOW = datetime(2026, 1, 3, 14, 15, 19, tzinfo=UTC)
"""22:15:19 in Hong Kong."""


def make_facts(**changes: Any) -> AlertFacts:
    """An agent that refuses connections since 72 seconds."""
    facts: dict[str, Any] = {
        "event": AlertKind.DOWN,
        "monitor": MonitorId("main"),
        "monitor_name": "Main Agent",
        "monitor_kind": "http",
        "family": "agent",
        "target": "http://localhost:8000/health",
        "at": NOW,
        "since": NOW - timedelta(seconds=72),
        "cause": "refused",
        "summary": "connection refused by localhost:8000",
        "evidence": ("22:15:17 refused in 1 ms", "22:15:19 refused in 1 ms: 3 of 3 failures in a row"),
        "recovery": "will run: systemctl restart openclaw-main",
        "timezone": "Asia/Hong_Kong",
        "url": "https://health.example.com/monitors/main",
    }
    return AlertFacts(**{**facts, **changes})


def make_alert(alert_id: str = "a-1", incident: str | None = "inc-7", **changes: Any) -> Alert:
    """An alert in the standard words about :func:`make_facts`."""
    facts = make_facts(**changes)
    text = StandardTexts().compose(facts)
    return Alert(
        id=AlertId(alert_id),
        kind=text.kind,
        severity=text.severity,
        title=text.title,
        description=text.description,
        evidence=text.evidence,
        recommendations=text.recommendations,
        at=facts.at,
        monitor=facts.monitor,
        incident=None if incident is None else IncidentId(incident),
        facts=facts,
    )


def make_report(**changes: Any) -> ReportDocument:
    """A daily report with one picture."""
    report: dict[str, Any] = {
        "id": ReportId("report_20260102"),
        "name": "daily",
        "start": NOW - timedelta(days=1),
        "end": NOW,
        "generated_at": NOW,
        "subject": "[Defib] Daily report, Fri 2 Jan 2026: 99.98 % well",
        "html": '<html><body><h1>Daily report</h1><img src="cid:latency" alt="Latency"></body></html>',
        "text": "Daily report, Fri 2 Jan 2026\n\nHeartbeats  2880\nWell        99.98 %\n",
        "data": '{"heartbeats": 2880}',
        "csv": "monitor,availability\r\nmain,0.9998\r\n",
        "images": {"latency": tiny_png()},
    }
    return ReportDocument(**{**report, **changes})


def make_context(**changes: Any) -> SendContext:
    context: dict[str, Any] = {
        "key": "inc-7|down|1|ops",
        "timeout": timedelta(seconds=5),
        "thread_key": "inc-7",
        "product_url": "https://health.example.com",
    }
    return SendContext(**{**context, **changes})


def tiny_png() -> bytes:
    """One white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
