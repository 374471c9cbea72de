"""Rows of the store as pages and programs are shown them, JSON-ready."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from defib.model.alert import Alert, Delivery, Verdict
from defib.model.changes import DeliveryTry
from defib.model.health import Incident, Transition
from defib.model.ids import MonitorId
from defib.model.recovery import Attempt, Case
from defib.model.snapshot import Snapshot
from defib.model.window import Window
from defib.rules.windows import is_active, is_over
from defib.store import rows

Json = dict[str, Any]


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


# --- what happened -------------------------------------------------------------------------------------


def transition(item: Transition) -> Json:
    return {
        "monitor": item.monitor,
        "from": str(item.from_state),
        "to": str(item.to_state),
        "decided_at": item.decided_at.isoformat(),
        "not_before": item.t_lo.isoformat(),
        "not_after": item.t_hi.isoformat(),
        "reason": item.reason,
        "incident": item.incident,
        "evidence": rows.observation_json(item.evidence),
    }


def incident(item: Incident) -> Json:
    return {
        "id": item.id,
        "monitor": item.monitor,
        "opened_at": item.opened_at.isoformat(),
        "fault_at": item.fault_hi.isoformat(),
        "closed_at": _iso(item.closed_at),
        "cause": item.cause,
        "summary": item.summary,
        "healed_by": item.healed_by,
        "resolution": item.resolution,
        "root": item.root,
        "label": str(item.label),
        "acked_at": _iso(item.acked_at),
        "acked_by": item.acked_by,
        "ack_note": item.ack_note,
    }


def snapshot(item: Snapshot | None) -> Json | None:
    """Parts as a list, since their order says something."""
    if item is None:
        return None
    return {
        "incident": item.incident,
        "taken_at": item.taken_at.isoformat(),
        "took_ms": item.took / timedelta(milliseconds=1),
        "parts": [{"heading": heading, "text": text} for heading, text in item.parts.items()],
        "missing": [{"who": who, "why": why} for who, why in item.missing.items()],
    }


# --- what was done -------------------------------------------------------------------------------------


def case(item: Case) -> Json:
    return {
        "id": item.id,
        "incident": item.incident,
        "monitor": item.monitor,
        "state": str(item.state),
        "reason": item.reason,
        "rung": item.rung + 1,
        "attempts": item.attempts,
        "failures": item.failures,
        "dry_run": item.dry_run,
        "gate": str(item.gate) if item.gate else None,
        "gated_since": _iso(item.gated_since),
        "actor": item.actor,
        "opened_at": item.opened_at.isoformat(),
        "due_at": item.due_at.isoformat(),
        "closed_at": _iso(item.closed_at),
    }


def attempt(item: Attempt) -> Json:
    return {
        "id": item.id,
        "case": item.case,
        "incident": item.incident,
        "monitor": item.monitor,
        "number": item.number,
        "kind": item.kind,
        "action": item.description,
        "actor": item.actor,
        "outcome": str(item.outcome),
        "exit_status": item.exit_status,
        "intent_at": item.intent_at.isoformat(),
        "ended_at": _iso(item.ended_at),
        "verified_at": _iso(item.verified_at),
        "relapsed_at": _iso(item.relapsed_at),
        "output": item.output,
        "detail": item.detail,
    }


# --- what was told -------------------------------------------------------------------------------------


def alert(item: Alert) -> Json:
    return {
        "id": item.id,
        "kind": item.kind,
        "severity": str(item.severity),
        "title": item.title,
        "description": item.description,
        "evidence": list(item.evidence),
        "recommendations": list(item.recommendations),
        "at": item.at.isoformat(),
        "monitor": item.monitor,
        "incident": item.incident,
        "verdicts": [verdict(one) for one in item.verdicts],
    }


def verdict(item: Verdict) -> Json:
    return {
        "stage": str(item.stage),
        "ruling": str(item.ruling),
        "reason": item.reason,
        "until": _iso(item.until),
        "channels": list(item.channels),
    }


def delivery(item: Delivery) -> Json:
    return {
        "id": item.id,
        "channel": item.channel,
        "notice": item.notice,
        "state": str(item.state),
        "purpose": item.purpose,
        "tries": item.tries,
        "created_at": item.created_at.isoformat(),
        "due_at": item.due_at.isoformat(),
        "accepted_at": _iso(item.accepted_at),
        "sent_with": item.sent_with,
        "stands_in_for": item.stands_in_for,
        "error": item.error,
    }


def delivery_try(item: DeliveryTry) -> Json:
    return {
        "at": item.at.isoformat(),
        "accepted": item.accepted,
        "detail": item.detail,
        "duration_ms": round(item.duration_s * 1000, 1),
    }


# --- what was agreed on --------------------------------------------------------------------------------


def window(item: Window, now: datetime, covered: Collection[MonitorId]) -> Json:
    """:param covered: the monitors that it is about, of those that are watched."""
    matcher = item.matcher
    if is_over(item, now):
        phase = "over"
    else:
        phase = "active" if is_active(item, now) else "planned"
    return {
        "id": item.id,
        "kind": str(item.kind),
        "phase": phase,
        "monitors": sorted(matcher.monitors),
        "tags": sorted(matcher.tags),
        "incidents": sorted(matcher.incidents),
        "severity": sorted(matcher.severity),
        "everything": matcher.is_everything,
        "covered": sorted(covered),
        "starts_at": item.starts_at.isoformat(),
        "ends_at": _iso(item.ends_at),
        "reason": item.reason,
        "made_by": item.made_by,
        "made_at": item.made_at.isoformat(),
        "ended_at": _iso(item.ended_at),
        "ended_by": item.ended_by,
    }
