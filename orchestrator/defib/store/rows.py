"""Between rows and values of the model, both ways."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Any

from defib.model.agent import Agent, Scope, Token
from defib.model.alert import (
    Alert,
    AlertFacts,
    AlertKind,
    Delivery,
    DeliveryState,
    Held,
    Hold,
    Purpose,
    Ruling,
    Severity,
    Stage,
    Together,
    Verdict,
)
from defib.model.beat import Beat, Signal
from defib.model.changes import Heard
from defib.model.decision import DecisionRecord
from defib.model.evidence import Evidence, Fact, Grade, Observation, Outcome, ProbeStatus, Source
from defib.model.health import FaultLabel, Flaps, Health, Incident, State, Transition
from defib.model.ids import AgentId, IncidentId, MonitorId, WindowId
from defib.model.monitor import MadeMonitor
from defib.model.phrase import glossary, made_again
from defib.model.recovery import Attempt, AttemptOutcome, Case, CaseState, Gate
from defib.model.snapshot import Snapshot
from defib.model.strategy import Strategy
from defib.model.window import Matcher, Window, WindowKind

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


def _observation_json(observation: Observation | None) -> dict[str, Any] | None:
    """The same with what its texts are made of."""
    row = observation_json(observation)
    if observation is None or row is None:
        return None
    evidence = observation.evidence
    known = glossary((evidence.summary, *_texts(evidence.facts)))
    return row | {"said": known} if known else row


def _texts(facts: Mapping[str, Fact]) -> Iterator[str]:
    return (value for value in facts.values() if isinstance(value, str))


def _facts_again(facts: Mapping[str, Fact], known: Row) -> dict[str, Fact]:
    return {
        name: made_again(value, known.get(value)) if isinstance(value, str) else value
        for name, value in facts.items()
    }


def observation_from_json(monitor: MonitorId, data: Row | None) -> Observation | None:
    if data is None:
        return None
    latency = data["latency_ms"]
    known = data.get("said", {})
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
            summary=made_again(data["summary"], known.get(data["summary"])),
            latency=None if latency is None else timedelta(milliseconds=latency),
            metrics=data["metrics"],
            facts=_facts_again(data["facts"], known) if known else data["facts"],
        ),
    )


def health_row(health: Health) -> dict[str, Any]:
    return plain(health) | {
        "memory": dict(health.memory), "beats": dict(health.beats), "last": _observation_json(health.last),
        "flaps": _flaps_json(health.flaps),
    }  # fmt: skip


def heard_row(heard: Heard) -> dict[str, Any]:
    return {"monitor": heard.monitor, "beats": dict(heard.beats), "deadline": heard.deadline}


def health_from_row(row: Row) -> Health:
    monitor = MonitorId(row["monitor"])
    return Health(**{**row, "monitor": monitor, "state": State(row["state"]),
                     "last": observation_from_json(monitor, row["last"]),
                     "flaps": _flaps_from_json(row["flaps"])})  # fmt: skip


def _flaps_json(flaps: Flaps) -> dict[str, Any]:
    return {
        "swings": [swing.isoformat() for swing in flaps.swings],
        "since": flaps.since and flaps.since.isoformat(),
        "falls": flaps.falls,
        "told_at": flaps.told_at and flaps.told_at.isoformat(),
    }


def _flaps_from_json(data: Row) -> Flaps:
    return Flaps(
        swings=tuple(map(datetime.fromisoformat, data["swings"])),
        since=data["since"] and datetime.fromisoformat(data["since"]),
        falls=data["falls"],
        told_at=data["told_at"] and datetime.fromisoformat(data["told_at"]),
    )


def transition_row(transition: Transition) -> dict[str, Any]:
    return plain(transition) | {"evidence": _observation_json(transition.evidence)}


def transition_from_row(row: Row) -> Transition:
    monitor = MonitorId(row["monitor"])
    values = {field.name: row[field.name] for field in fields(Transition)}
    return Transition(**{**values, "monitor": monitor, "from_state": State(row["from_state"]),
                         "to_state": State(row["to_state"]),
                         "evidence": observation_from_json(monitor, row["evidence"])})  # fmt: skip


_BEFORE_INSTANTS = ("since", "last_ok_at", "first_fail_at")


def decision_row(record: DecisionRecord) -> dict[str, Any]:
    before = record.before
    instants = {name: getattr(before, name) for name in _BEFORE_INSTANTS}
    return {
        "monitor": record.monitor,
        "decided_at": record.decided_at,
        "version": record.version,
        "before": {
            "state": before.state, "reason": before.reason, "memory": dict(before.memory),
            "was_up": before.was_up, "incident": before.incident, "last": _observation_json(before.last),
            **{name: None if at is None else at.isoformat() for name, at in instants.items()},
        },
        "observation": _observation_json(record.observation),
        "strategy": strategy_json(record.strategy),
        "is_told": record.is_told,
        "required": {"bad": list(record.bad), "suspect": list(record.suspect), "hold": record.hold},
        "state": record.state,
        "memory": dict(record.memory),
    }  # fmt: skip


def decision_from_row(row: Row) -> DecisionRecord:
    """As it was written, but for the beats' memory in ``before``."""
    monitor = MonitorId(row["monitor"])
    before = dict(row["before"])
    for name in _BEFORE_INSTANTS:
        before[name] = None if before[name] is None else datetime.fromisoformat(before[name])
    before |= {"state": State(before["state"]), "last": observation_from_json(monitor, before["last"])}
    observation = observation_from_json(monitor, row["observation"])
    assert observation is not None
    required = row["required"]
    return DecisionRecord(
        monitor=monitor,
        decided_at=row["decided_at"],
        version=row["version"],
        before=Health(monitor=monitor, **before),
        observation=observation,
        strategy=strategy_from_json(row["strategy"]),
        is_told=row["is_told"],
        bad=tuple(map(MonitorId, required["bad"])),
        suspect=tuple(map(MonitorId, required["suspect"])),
        hold=required["hold"],
        state=State(row["state"]),
        memory=row["memory"],
    )


def strategy_json(strategy: Strategy) -> dict[str, Any]:
    """Durations in seconds."""
    again = strategy.recover_confirm
    return plain(strategy) | {
        "interval": strategy.interval.total_seconds(),
        "timeout": strategy.timeout.total_seconds(),
        "confirm": [wait.total_seconds() for wait in strategy.confirm],
        "recover_confirm": None if again is None else again.total_seconds(),
    }


def strategy_from_json(data: Row) -> Strategy:
    again = data["recover_confirm"]
    return Strategy(**{
        **data,
        "interval": timedelta(seconds=data["interval"]),
        "timeout": timedelta(seconds=data["timeout"]),
        "confirm": tuple(timedelta(seconds=wait) for wait in data["confirm"]),
        "recover_confirm": None if again is None else timedelta(seconds=again),
    })  # fmt: skip


def incident_row(incident: Incident) -> dict[str, Any]:
    return plain(incident) | {"said": glossary((incident.summary, incident.resolution))}


def incident_from_row(row: Row) -> Incident:
    values = dict(row)
    known = values.pop("said")
    again = {name: made_again(row[name], known.get(row[name])) for name in ("summary", "resolution")}
    return Incident(**{**values, **again, "label": FaultLabel(row["label"])})


def case_from_row(row: Row) -> Case:
    gate = None if row["gate"] is None else Gate(row["gate"])
    return Case(**{**row, "state": CaseState(row["state"]), "gate": gate, "pages": tuple(row["pages"])})


def attempt_from_row(row: Row) -> Attempt:
    return Attempt(**{**row, "outcome": AttemptOutcome(row["outcome"])})


def snapshot_row(snapshot: Snapshot) -> dict[str, Any]:
    """``parts`` as pairs: their order says something, and PostgreSQL's JSON need not keep that of keys."""
    return {
        "incident": snapshot.incident, "monitor": snapshot.monitor, "taken_at": snapshot.taken_at,
        "took_ms": snapshot.took // timedelta(milliseconds=1),
        "parts": [[name, text.replace("\0", "")] for name, text in snapshot.parts.items()],
        "missing": [list(pair) for pair in snapshot.missing.items()],
    }  # fmt: skip


def snapshot_from_row(row: Row) -> Snapshot:
    return Snapshot(
        incident=IncidentId(row["incident"]), monitor=MonitorId(row["monitor"]), taken_at=row["taken_at"],
        took=timedelta(milliseconds=row["took_ms"]), parts=dict(row["parts"]), missing=dict(row["missing"]),
    )  # fmt: skip


def alert_row(alert: Alert) -> dict[str, Any]:
    facts = asdict(alert.facts)
    facts["at"], facts["since"] = alert.facts.at.isoformat(), alert.facts.since.isoformat()
    if alert.facts.held is not None:
        facts["held"]["until"] = alert.facts.held.until.isoformat()
    for name in ("acked_at", "until"):
        facts[name] = facts[name] and facts[name].isoformat()
    facts["together"] = [  # of several alerts in one message they are made when that is
        item | {"since": item["since"].isoformat()} for item in facts["together"]
    ]
    facts["said"] = glossary(_texts_of(alert.facts))
    return plain(alert) | {
        "evidence": list(alert.evidence), "recommendations": list(alert.recommendations), "facts": facts,
        "verdicts": [_verdict_json(verdict) for verdict in alert.verdicts],
    }  # fmt: skip


def _texts_of(facts: AlertFacts) -> Iterator[str]:
    """What may know what it is made of."""
    yield from (facts.summary, facts.recovery, facts.target, *facts.evidence)
    yield from _texts(facts.facts)
    for member in facts.together:
        yield from (member.summary, member.recovery)


def _made_again(facts: AlertFacts, known: Row) -> AlertFacts:
    def again(text: str) -> str:
        return made_again(text, known.get(text))

    return replace(
        facts, summary=again(facts.summary), recovery=again(facts.recovery), target=again(facts.target),
        facts=_facts_again(facts.facts, known),
        evidence=tuple(map(again, facts.evidence)),
        together=tuple(
            replace(member, summary=again(member.summary), recovery=again(member.recovery)) for member in facts.together
        ),
    )  # fmt: skip


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    row = plain(verdict) | {"until": verdict.until and verdict.until.isoformat()}
    return row | {"channels": list(verdict.channels)}


def _verdict_from_json(data: Row) -> Verdict:
    return Verdict(
        stage=Stage(data["stage"]), ruling=Ruling(data["ruling"]), reason=data["reason"],
        until=data["until"] and datetime.fromisoformat(data["until"]), by=data["by"] and Hold(data["by"]),
        name=data["name"], channels=tuple(data["channels"]),
    )  # fmt: skip


def _together_from_json(data: Row) -> Together:
    return Together(
        **{**data, "since": datetime.fromisoformat(data["since"]), "event": AlertKind(data["event"]),
           "severity": Severity(data["severity"])}
    )  # fmt: skip


def _held_from_json(data: Row) -> Held:
    return Held(by=Hold(data["by"]), name=data["name"], until=datetime.fromisoformat(data["until"]))


def alert_from_row(row: Row) -> Alert:
    facts = dict(row["facts"])
    known = facts.pop("said", {})
    facts |= {
        "event": AlertKind(facts["event"]),
        "at": datetime.fromisoformat(facts["at"]),
        "since": datetime.fromisoformat(facts["since"]),
        "evidence": tuple(facts["evidence"]),
        "tags": tuple(facts["tags"]),
        "snapshot": tuple(facts.get("snapshot", ())),
        "together": tuple(map(_together_from_json, facts.get("together", ()))),
        "held": None if facts.get("held") is None else _held_from_json(facts["held"]),
        **{name: facts[name] and datetime.fromisoformat(facts[name]) for name in ("acked_at", "until")},
    }
    return Alert(**{**row, "severity": Severity(row["severity"]), "evidence": tuple(row["evidence"]),
                    "recommendations": tuple(row["recommendations"]), "facts": _made_again(AlertFacts(**facts), known),
                    "verdicts": tuple(map(_verdict_from_json, row["verdicts"]))})  # fmt: skip


def delivery_from_row(row: Row) -> Delivery:
    return Delivery(**{**row, "state": DeliveryState(row["state"]), "purpose": Purpose(row["purpose"])})


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
    apart = ("seq", "epoch", "eta", "age", "metrics")
    row = {name: value for name, value in plain(beat).items() if name not in apart}
    return row | {"facts": facts}


def beat_from_row(row: Row) -> Beat:
    """As it was taken, but for what :func:`beat_row` put with the facts: it stays there."""
    values = {name: row[name] for name in ("received_at", "protocol", "exit_status", "body", "facts")}
    return Beat(**values, monitor=MonitorId(row["monitor"]), signal=Signal(row["signal"]))


def agent_row(agent: Agent) -> dict[str, Any]:
    row = plain(agent)
    return row | {
        "tags": list(agent.tags), "facts": dict(agent.facts), "aliases": list(agent.aliases),
        "given": list(agent.given),
        "every_ms": _milliseconds(row.pop("every")), "offline_after_ms": _milliseconds(row.pop("offline_after")),
    }  # fmt: skip


def agent_from_row(row: Row) -> Agent:
    values = dict(row)
    every, offline_after = _span(values.pop("every_ms")), _span(values.pop("offline_after_ms"))
    return Agent(**{**values, "tags": tuple(row["tags"]), "aliases": tuple(map(AgentId, row["aliases"])),
                    "given": tuple(row["given"]), "every": every, "offline_after": offline_after})  # fmt: skip


def _milliseconds(span: timedelta | None) -> int | None:
    return None if span is None else span // timedelta(milliseconds=1)


def _span(milliseconds: int | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)


def made_monitor_row(made: MadeMonitor) -> dict[str, Any]:
    return plain(made) | {
        "options": dict(made.options), "settings": dict(made.settings), "tags": list(made.tags),
    }  # fmt: skip


def made_monitor_from_row(row: Row) -> MadeMonitor:
    return MadeMonitor(**{**row, "id": MonitorId(row["id"]), "tags": tuple(row["tags"])})


def token_from_row(row: Row) -> Token:
    return Token(**{**row, "scope": Scope(row["scope"])})


def window_row(window: Window) -> dict[str, Any]:
    return plain(window) | {
        "matcher": {name: sorted(values) for name, values in asdict(window.matcher).items()}
    }


def window_from_row(row: Row) -> Window:
    matcher = row["matcher"]
    return Window(**{
        **row, "id": WindowId(row["id"]), "kind": WindowKind(row["kind"]),
        "matcher": Matcher(
            monitors=frozenset(map(MonitorId, matcher["monitors"])), tags=frozenset(matcher["tags"]),
            incidents=frozenset(map(IncidentId, matcher["incidents"])),
            severity=frozenset(map(Severity, matcher["severity"])),
        ),
    })  # fmt: skip
