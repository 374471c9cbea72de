"""Between rows and values of the model, both ways."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from defib.model.alert import Alert, AlertFacts, AlertKind, Delivery, DeliveryState, Severity
from defib.model.beat import Beat, Signal
from defib.model.evidence import Evidence, Grade, Observation, Outcome, ProbeStatus, Source
from defib.model.health import Health, Incident, State, Transition
from defib.model.ids import MonitorId
from defib.model.recovery import Attempt, AttemptOutcome, Case, CaseState

Row = Mapping[str, Any]


def plain(value: Any) -> dict[str, Any]:
    """The fields of a value as they are: for tables whose columns are named like the fields."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def observation_json(observation: Observation | None) -> dict[str, Any] | None:
    if observation is None:
        return None
    evidence = observation.evidence
    return {
        "source": observation.source,
        "started_at": observation.started_at.isoformat(),
        "ended_at": observation.ended_at.isoformat(),
        "outcome": evidence.outcome,
        "grade": evidence.grade,
        "status": evidence.status,
        "cause": evidence.cause,
        "summary": evidence.summary,
        "latency_ms": None if evidence.latency is None else evidence.latency / timedelta(milliseconds=1),
        "metrics": dict(evidence.metrics),
        "facts": dict(evidence.facts),
    }


def observation_from_json(monitor: MonitorId, data: Row | None) -> Observation | None:
    if data is None:
        return None
    latency = data["latency_ms"]
    return Observation(
        monitor=monitor,
        source=Source(data["source"]),
        started_at=datetime.fromisoformat(data["started_at"]),
        ended_at=datetime.fromisoformat(data["ended_at"]),
        evidence=Evidence(
            outcome=Outcome(data["outcome"]),
            grade=Grade(data["grade"]),
            status=ProbeStatus(data["status"]),
            cause=data["cause"],
            summary=data["summary"],
            latency=None if latency is None else timedelta(milliseconds=latency),
            metrics=data["metrics"],
            facts=data["facts"],
        ),
    )


def health_row(health: Health) -> dict[str, Any]:
    return plain(health) | {
        "memory": dict(health.memory), "beats": dict(health.beats), "last": observation_json(health.last),
    }  # fmt: skip


def health_from_row(row: Row) -> Health:
    monitor = MonitorId(row["monitor"])
    return Health(**{**row, "monitor": monitor, "state": State(row["state"]),
                     "last": observation_from_json(monitor, row["last"])})  # fmt: skip


def observation_row(observation: Observation) -> dict[str, Any]:
    evidence = observation.evidence
    return {
        "monitor": observation.monitor,
        "at": observation.ended_at,
        "status": evidence.status,
        "cause": None if evidence.cause == "ok" else evidence.cause[:60],
        "latency_us": None if evidence.latency is None else evidence.latency // timedelta(microseconds=1),
        "metrics": {name: round(value, 3) for name, value in evidence.metrics.items()} or None,
    }


def transition_row(transition: Transition) -> dict[str, Any]:
    return plain(transition) | {"evidence": observation_json(transition.evidence)}


def transition_from_row(row: Row) -> Transition:
    monitor = MonitorId(row["monitor"])
    values = {field.name: row[field.name] for field in fields(Transition)}
    return Transition(**{**values, "monitor": monitor, "from_state": State(row["from_state"]),
                         "to_state": State(row["to_state"]),
                         "evidence": observation_from_json(monitor, row["evidence"])})  # fmt: skip


def incident_from_row(row: Row) -> Incident:
    return Incident(**row)


def case_from_row(row: Row) -> Case:
    return Case(**{**row, "state": CaseState(row["state"])})


def attempt_from_row(row: Row) -> Attempt:
    return Attempt(**{**row, "outcome": AttemptOutcome(row["outcome"])})


def alert_row(alert: Alert) -> dict[str, Any]:
    facts = asdict(alert.facts)
    facts["at"], facts["since"] = alert.facts.at.isoformat(), alert.facts.since.isoformat()
    return plain(alert) | {
        "evidence": list(alert.evidence), "recommendations": list(alert.recommendations), "facts": facts,
    }  # fmt: skip


def alert_from_row(row: Row) -> Alert:
    facts = dict(row["facts"])
    facts |= {
        "event": AlertKind(facts["event"]),
        "at": datetime.fromisoformat(facts["at"]),
        "since": datetime.fromisoformat(facts["since"]),
        "evidence": tuple(facts["evidence"]),
        "tags": tuple(facts["tags"]),
    }
    return Alert(**{**row, "severity": Severity(row["severity"]), "evidence": tuple(row["evidence"]),
                    "recommendations": tuple(row["recommendations"]), "facts": AlertFacts(**facts)})  # fmt: skip


def delivery_from_row(row: Row) -> Delivery:
    return Delivery(**{**row, "state": DeliveryState(row["state"])})


def beat_row(beat: Beat) -> dict[str, Any]:
    """What few beats have goes with the facts."""
    millisecond = timedelta(milliseconds=1)
    extra = {
        "seq": beat.seq,
        "epoch": beat.epoch,
        "eta_ms": beat.eta and round(beat.eta / millisecond),
        "age_ms": round(beat.age / millisecond) or None,
    }
    facts = dict(beat.facts) | {name: value for name, value in extra.items() if value is not None}
    row = {name: value for name, value in plain(beat).items() if name not in ("seq", "epoch", "eta", "age")}
    return row | {"facts": facts}


def beat_from_row(row: Row) -> Beat:
    """As it was taken, but for what :func:`beat_row` put with the facts: it stays there."""
    values = {name: row[name] for name in ("received_at", "protocol", "exit_status", "body", "facts")}
    return Beat(**values, monitor=MonitorId(row["monitor"]), signal=Signal(row["signal"]))
