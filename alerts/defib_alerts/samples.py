"""One alert of each kind, as true to life as can be made up: what templates are tried out with, and pictures show."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from defib.plugin import (
    ENGLISH,
    Alert,
    AlertFacts,
    AlertId,
    AlertKind,
    Held,
    Hold,
    IncidentId,
    Lapse,
    Moment,
    MonitorId,
    Phrases,
    ReportDocument,
    ReportId,
    Severity,
    Size,
    Together,
)
from defib_alerts.phrases import phrase
from defib_alerts.texts import StandardTexts

_AT = datetime(2026, 3, 14, 18, 12, 40, tzinfo=UTC)
_ZONES = {"zh-Hant": "Asia/Taipei", "tr": "Europe/Istanbul"}
_MINUTE = timedelta(minutes=1)

_said = Phrases("defib_plugins")
_own = Phrases("defib")
_REFUSED = _said("connection refused by {address}", address="db1.example.com:5432")
_ANSWERED = _said("answered in {took:.0f} ms", took=3)
_FULL = _said(
    "{reading} (limit {limit})",
    reading=_said("{what} at {share:.1f} %", what=_said("disk {place}", place="/srv/backup"), share=91.2),
    limit=_said("{share} %", share=85),
)
_KILLED = _said("{name} ran out of memory and was killed", name="gateway")
_RUNNING = _said("{name} is running ({health})", name="gateway", health="healthy")
_SLOW = _said("no answer within {limit}, while {phase}", limit=Lapse(5), phase=_said("connecting"))
_EXPIRED = _said(
    "certificate of {address} refused: {why}",
    address="payments.example.com:443",
    why="certificate has expired",
)
_DUE = _said(
    "due {schedule}",
    schedule=_said("at {expression} in {zone}", expression="'0 2 * * *'", zone="Asia/Taipei"),
)
_LATE = _said(
    "no beat by {expected_by}; they come {due}, {last}", expected_by=Moment(_AT - timedelta(hours=16)),
    due=_DUE,
    last=_said("the last came at {last_beat_at}", last_beat_at=Moment(_AT - timedelta(hours=40))),
)  # fmt: skip


def _answer(status: int, took: int) -> str:
    answer = _said("HTTP {status} in {took:.0f} ms", status=status, took=took)
    return _said("{answer}, expected {wanted}", answer=answer, wanted="200")


_DATABASE: dict[str, Any] = {
    "monitor": MonitorId("orders"), "monitor_name": "Orders", "monitor_kind": "postgres", "family": "database",
    "target": "db1.example.com:5432/orders", "cause": "refused",
    "summary": _REFUSED, "evidence": ((155, _REFUSED), (150, _REFUSED), (145, _REFUSED)),
    "recovery": "Defib will run: docker restart -t 10 orders-db", "tags": ("production", "shop"),
    "facts": {"error": "refused"}, "state": "fault",
}  # fmt: skip
_HOST: dict[str, Any] = {
    "monitor": MonitorId("nas"), "monitor_name": "nas", "monitor_kind": "host", "family": "host",
    "target": _said("this machine"), "cause": "disk", "summary": _FULL, "evidence": ((1, _FULL),), "state": "degraded",
    "facts": {"disk /srv/backup": _said("{share:.1f} % of {size}", share=91.2, size=Size(2.1e12)), "processors": 4},
}  # fmt: skip
_CONTAINER: dict[str, Any] = {
    "monitor": MonitorId("gateway"), "monitor_name": "Gateway", "monitor_kind": "docker", "family": "docker",
    "target": "gateway", "cause": "oom-killed", "summary": _KILLED, "evidence": ((155, _KILLED),), "state": "fault",
    "recovery": "Defib will run: docker restart -t 10 gateway", "facts": {"restart_count": 4, "exit_code": 137},
}  # fmt: skip
_JOB: dict[str, Any] = {
    "monitor": MonitorId("backup"), "monitor_name": "Nightly backup", "monitor_kind": "heartbeat", "family": "job",
    "target": _DUE, "cause": "missed-beat", "summary": _LATE,
    "evidence": ((140_000, _said("beat received")), (57_600, _LATE)), "state": "fault",
    "recovery": "Defib will not act: no recovery is configured",
}  # fmt: skip
_DEFIB: dict[str, Any] = {
    "monitor": MonitorId(""), "monitor_name": "Defib", "monitor_kind": "observer", "family": "observer", "target": "",
    "cause": "observer-cut-off", "summary": _own("Defib lost its network"), "evidence": (),
    "recovery": "What lies beyond the uplink counts as unreachable: nobody is told of it one by one, and it is not "
    "repaired",
}  # fmt: skip
_CHANNEL: dict[str, Any] = {
    **_DEFIB, "monitor_name": "ops-mail", "monitor_kind": "channel", "family": "channel", "cause": "channel",
    "summary": phrase("{target} did not answer in time", target="mail.example.com:587"),
    "recovery": "Defib goes on trying, and sends alerts through ops-chat instead",
}  # fmt: skip


def _member(name: str, minutes_ago: float, **more: Any) -> Together:
    known: dict[str, Any] = {
        "monitor": MonitorId(name.lower()), "name": name, "family": "service", "cause": "refused",
        "summary": _said("connection refused by {address}", address=f"{name.lower()}.example.com:443"),
        "since": _AT - minutes_ago * _MINUTE,
        "severity": Severity.HIGH, "recovery": "Defib will not act: no recovery is configured",
    }  # fmt: skip
    return Together(**{**known, **more})


_TOGETHER = (_member("Shop", 2.6), _member("Search", 2.58), _member("Payments", 2.55), _member("Mail", 2.5))
_BACK = tuple(
    _member(name, 2.6, recovery="recovered by itself", duration_s=94.0 + 7 * number)
    for number, name in enumerate(("Shop", "Search", "Payments", "Mail"))
)
_DIGEST = (
    _member("Orders", 9, family="database", severity=Severity.SEVERE),
    _member("Shop", 8, cause="http-502", summary=_answer(502, 31)),
    _member("Gateway", 7.5, family="docker", cause="oom-killed", summary=_KILLED),
    _member("nas", 5, event=AlertKind.DEGRADED, family="host", severity=Severity.LOW, cause="disk",
            summary=_FULL),
    _member("Search", 6, cause="timeout", summary=_SLOW, is_over=True, duration_s=133.0),
    _member("Payments", 4, cause="tls-expired", summary=_EXPIRED, is_over=True, duration_s=61.0),
)  # fmt: skip

SAMPLES: dict[str, dict[str, Any]] = {
    "down": {**_DATABASE, "event": AlertKind.DOWN},
    "down-http-500": {
        **_DATABASE, "event": AlertKind.DOWN, "monitor": MonitorId("shop"), "monitor_name": "Shop",
        "monitor_kind": "http", "family": "network", "target": "https://shop.example.com/health",
        "cause": "http-500", "summary": _answer(500, 12), "recovery":
        "Defib would run: systemctl restart shop (recovery is in dry-run mode)",
        "evidence": ((155, _answer(500, 14)), (150, _answer(500, 12))),
    },
    "down-oom": {**_CONTAINER, "event": AlertKind.DOWN},
    "down-job": {**_JOB, "event": AlertKind.DOWN, "since": _AT - timedelta(hours=16)},
    "down-held": {
        **_DATABASE, "event": AlertKind.DOWN, "since": _AT - timedelta(hours=2),
        "held": Held(by=Hold.SILENCE, name="deploy of the shop", until=_AT - _MINUTE), "late_since": _AT - _MINUTE,
    },
    "together": {**_DATABASE, "event": AlertKind.DOWN, "family": "service", "together": _TOGETHER},
    "degraded": {**_HOST, "event": AlertKind.DEGRADED},
    "recovered": {
        **_DATABASE, "event": AlertKind.RECOVERED, "summary": _ANSWERED, "healed_by": "defib", "attempts": 1,
        "recovery": "recovered by Defib in 6.4 s: docker restart -t 10 orders-db", "duration_s": 155.0, "state": "up",
        "evidence": ((20, _REFUSED), (0, _ANSWERED)),
    },
    "recovered-together": {**_DATABASE, "event": AlertKind.RECOVERED, "together": _BACK},
    "flapping": {**_CONTAINER, "event": AlertKind.FLAPPING, "falls": 3, "duration_s": 720.0},
    "still_flapping": {**_CONTAINER, "event": AlertKind.STILL_FLAPPING, "falls": 9, "duration_s": 2_520.0},
    "settled": {**_CONTAINER, "event": AlertKind.SETTLED, "falls": 9, "state": "up", "summary": _RUNNING,
                "recovery": ""},
    "stopped": {**_CONTAINER, "event": AlertKind.STOPPED, "state": "stopped", "cause": "stopped",
                "summary": _said("{name} exited with {status}", name="gateway", status=0), "recovery": ""},
    "started": {**_CONTAINER, "event": AlertKind.STARTED, "state": "up", "summary": _RUNNING, "recovery": ""},
    "relapsed": {**_DATABASE, "event": AlertKind.RELAPSED, "recovery": "Defib tries again after a short wait"},
    "crash_looping": {
        **_CONTAINER, "event": AlertKind.CRASH_LOOPING,
        "recovery": "it fell again after 3 good recoveries within an hour; Defib goes on, but at long intervals",
    },
    "recovery_late": {
        **_DATABASE, "event": AlertKind.RECOVERY_LATE, "attempts": 1,
        "recovery": "1 attempt so far; Defib is at it: verifying: waiting for good answers",
    },
    "recovery_blocked": {
        **_DATABASE, "event": AlertKind.RECOVERY_BLOCKED,
        "recovery": "Defib has been held back for 10 min: another action runs on db1",
    },
    "recovery_failed": {
        **_DATABASE, "event": AlertKind.RECOVERY_FAILED, "attempts": 3, "duration_s": 340.0,
        "recovery": "3 failed attempts within 30 min: needs a human",
        "snapshot": ("docker logs orders-db:", "FATAL: could not write lock file: No space left on device"),
    },
    "reminder": {**_DATABASE, "event": AlertKind.REMINDER, "since": _AT - timedelta(hours=4), "reminders": 2},
    "escalated": {**_DATABASE, "event": AlertKind.ESCALATED, "since": _AT - 10 * _MINUTE, "level": 2, "step": 2},
    "acknowledged": {
        **_DATABASE, "event": AlertKind.ACKNOWLEDGED, "actor": "Ayşe", "note": "the disk is full, cleaning up",
    },
    "unacknowledged": {**_DATABASE, "event": AlertKind.UNACKNOWLEDGED, "actor": "Ayşe"},
    "set_aside": {
        **_DATABASE, "event": AlertKind.SET_ASIDE, "actor": "Ayşe", "note": "a new disk", "state": "maintenance",
        "until": _AT + timedelta(hours=2), "recovery": "",
    },
    "unwatched": {
        **_DATABASE, "event": AlertKind.UNWATCHED, "recovery": "it is not in the configuration any more",
    },
    "observer_sick": {**_DEFIB, "event": AlertKind.OBSERVER_SICK},
    "observer_well": {
        **_DEFIB, "event": AlertKind.OBSERVER_WELL, "recovery": "Whatever was seen meanwhile is looked at afresh",
        "duration_s": 340.0,
    },
    "channel_broken": {**_CHANNEL, "event": AlertKind.CHANNEL_BROKEN},
    "channel_works": {
        **_CHANNEL, "event": AlertKind.CHANNEL_WORKS, "duration_s": 3_720.0,
        "recovery": "What it owed is delivered now",
    },
    "digest": {**_DEFIB, "event": AlertKind.DIGEST, "together": _DIGEST, "since": _AT - 9 * _MINUTE, "recovery": ""},
    "test": {**_DEFIB, "event": AlertKind.TEST, "cause": "test", "summary": "a test of the channel ops-mail",
             "recovery": ""},
}  # fmt: skip
"""The facts of each sample by its name, its evidence with the seconds that have passed since; every kind of alert is
among them."""


@lru_cache(maxsize=8)
def sample_alerts(language: str = ENGLISH) -> tuple[Alert, ...]:
    """Every sample in the standard words of one language."""
    return tuple(sample_alert(name, language) for name in SAMPLES)


def sample_alert(name: str, language: str = ENGLISH) -> Alert:
    """One of :data:`SAMPLES`."""
    known: dict[str, Any] = {
        "at": _AT, "since": _AT - timedelta(seconds=155), "timezone": _ZONES.get(language, "UTC"),
        "url": "https://defib.example.com/monitors/orders",
    }  # fmt: skip
    known |= SAMPLES[name]
    here = _AT.astimezone(ZoneInfo(known["timezone"]))
    known["evidence"] = tuple(
        _own("{clock}  {text}", clock=f"{here - timedelta(seconds=ago):%H:%M:%S}", text=seen)
        for ago, seen in known["evidence"]
    )
    facts = AlertFacts(**known)
    text = StandardTexts().compose(facts, language)
    return Alert(
        id=AlertId(f"sample-{name}"), kind=text.kind, severity=text.severity, title=text.title,
        description=text.description, evidence=text.evidence, recommendations=text.recommendations, at=facts.at,
        monitor=facts.monitor or None, incident=IncidentId("sample") if facts.monitor else None, facts=facts,
    )  # fmt: skip


def sample_report() -> ReportDocument:
    return ReportDocument(
        id=ReportId("report_20260313"), name="daily", start=_AT - timedelta(days=1), end=_AT, generated_at=_AT,
        subject="Daily report", html="<p>Daily report</p>", text="Daily report\n", data="{}", csv="", images={},
    )  # fmt: skip
