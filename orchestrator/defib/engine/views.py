"""What people and programs are shown: one read model for pages, API, metrics and command line."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from defib import __version__
from defib.engine.roster import Roster, Watched
from defib.model.alert import Alert, Delivery
from defib.model.health import Health, Incident, State, Transition
from defib.model.ids import IncidentId, MonitorId
from defib.model.options import format_duration
from defib.model.recovery import Attempt, Case
from defib.ports import Clock
from defib.rules.availability import uptime
from defib.store import Reader, rows

HOURS = 24  #: cells of an uptime bar
SPARK = 40  #: points of a latency line
_CACHE_S = 15.0  #: how old the hourly cells may be

Json = dict[str, Any]

_ORDER = [State.FAULT, State.UNREACHABLE, State.SUSPECT, State.DEGRADED, State.STOPPED, State.NEW, State.WATCH,
          State.MAINTENANCE, State.PAUSED, State.UP]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the read model gets its state from: a running engine, or the store alone."""

    roster: Roster
    reader: Reader
    clock: Clock
    health: Callable[[MonitorId], Health | None]
    case: Callable[[MonitorId], Case | None]
    store_error: Callable[[], str]
    report_problem: Callable[[], str]
    started_at: datetime | None


class Views:
    """Builds JSON-ready views. Synchronous and read-only; the event loop calls it from a thread."""

    def __init__(self, sources: Callable[[], Sources]) -> None:
        """:param sources: asked afresh for each view, since a reload swaps the roster."""
        self._sources = sources
        self._cells: Mapping[MonitorId, list[str]] = {}
        self._spark: Mapping[MonitorId, list[float]] = {}
        self._cells_until = 0.0

    # --- overview ----------------------------------------------------------------------------------

    def overview(self) -> Json:
        """Everything the first page shows."""
        s = self._sources()
        self._refresh(s)
        monitors = [self._monitor(s, watched) for watched in s.roster.monitors.values()]
        monitors.sort(key=lambda item: (_ORDER.index(State(item["state"])), item["name"].lower()))
        counts: dict[str, int] = {}
        for item in monitors:
            counts[item["state"]] = counts.get(item["state"], 0) + 1
        incidents = s.reader.incidents(only_open=True)
        return {
            "version": __version__,
            "generated_at": s.clock.now().isoformat(),
            "started_at": s.started_at.isoformat() if s.started_at else None,
            "timezone": s.roster.settings.timezone,
            "strategy": s.roster.global_strategy,
            "strategies": sorted(s.roster.settings.strategies),
            "state": worst(item["state"] for item in monitors),
            "counts": counts,
            "monitors": monitors,
            "incidents": [self.incident(incident) for incident in incidents],
            "alerts": [self.alert(alert) for alert in s.reader.alerts(newest=8)],
            "problems": self.problems(),
        }

    def problems(self) -> list[Json]:
        """What is wrong with Defib itself: shown loudly everywhere."""
        s = self._sources()
        found = [
            {"what": "plugin", "message": f"plugin {fault.origin} does not load: {fault.message}"}
            for fault in s.roster.registry.faults
        ]
        found += [{"what": "configuration", "message": warning} for warning in s.roster.settings.warnings]
        if error := s.store_error():
            found.append({"what": "store", "message": error})
        if problem := s.report_problem():
            found.append({"what": "report", "message": problem})
        now = s.clock.now()
        stuck: dict[str, tuple[int, str]] = {}
        for delivery in s.reader.pending_deliveries():
            if delivery.tries and now - delivery.created_at > timedelta(seconds=30):
                stuck[delivery.channel] = (stuck.get(delivery.channel, (0, ""))[0] + 1, delivery.error)
        found += [
            {
                "what": "channel",
                "message": f"channel {name} does not take {n} notices; newest answer: {error}",
            }
            for name, (n, error) in stuck.items()
        ]
        return found

    # --- one monitor -------------------------------------------------------------------------------

    def monitor(self, monitor: MonitorId) -> Json | None:
        """One monitor with its story; None when there is none of that id."""
        s = self._sources()
        watched = s.roster.monitors.get(monitor)
        if watched is None:
            return None
        self._refresh(s)
        now = s.clock.now()
        health = s.health(monitor)
        view = self._monitor(s, watched)
        transitions = s.reader.transitions(monitor=monitor, newest=30)
        return view | {
            "requires": list(watched.spec.requires),
            "ladder": [action.description for action in watched.actions],
            "strategy_detail": strategy_json(s.roster, monitor),
            "last": rows.observation_json(health.last) if health else None,
            "availability": {name: self._availability(s, monitor, now - span, now) for name, span in _SPANS},
            "transitions": [self.transition(item) for item in transitions],
            "incidents": [self.incident(item) for item in s.reader.incidents(monitor=monitor, newest=20)],
            "attempts": [self.attempt(item) for item in s.reader.attempts(monitor=monitor, newest=20)],
            "alerts": [self.alert(item) for item in s.reader.alerts(monitor=monitor, newest=20)],
        }

    def history(self, monitor: MonitorId, since: datetime, until: datetime) -> list[Json]:
        """Single observations, oldest first."""
        return [
            {"at": row["at"].isoformat(), "status": row["status"], "cause": row["cause"],
             "latency_ms": None if row["latency_us"] is None else row["latency_us"] / 1000,
             "metrics": row["metrics"] or {}}
            for row in self._sources().reader.samples(monitor=monitor, since=since, until=until)
        ]  # fmt: skip

    def _monitor(self, s: Sources, watched: Watched) -> Json:
        spec = watched.spec
        health = s.health(spec.id) or Health(monitor=spec.id, since=s.clock.now())
        last = health.last.evidence if health.last else None
        return {
            "id": spec.id,
            "name": spec.name,
            "type": spec.kind,
            "family": str(spec.family),
            "target": watched.plugin.target,
            "tags": sorted(spec.tags),
            "state": str(health.state),
            "since": health.since.isoformat(),
            "reason": health.reason,
            "status": str(last.status) if last else "unknown",
            "summary": last.summary if last else "",
            "inconclusive": last is not None and str(last.outcome) == "inconclusive",
            "latency_ms": last.latency / timedelta(milliseconds=1)
            if last and last.latency is not None
            else None,
            "last_seen": health.last.ended_at.isoformat() if health.last else None,
            "deadline": health.deadline.isoformat() if health.deadline else None,
            "strategy": s.roster.strategy(spec.id).name,
            "interval": format_duration(s.roster.strategy(spec.id).interval),
            "incident": health.incident,
            "recovery": self._recovery(s, watched),
            "hours": self._cells.get(spec.id, ["none"] * HOURS),
            "latencies_ms": self._spark.get(spec.id, []),
            "metrics": dict(last.metrics) if last else {},
        }

    def _recovery(self, s: Sources, watched: Watched) -> Json:
        case = s.case(watched.spec.id)
        return {
            "mode": str(watched.spec.recovery.mode) if watched.spec.recovery.ladder else "none",
            "case": self.case(case) if case else None,
        }

    def _availability(self, s: Sources, monitor: MonitorId, start: datetime, end: datetime) -> float | None:
        before = s.reader.states_at(start).get(monitor)
        spans = [(span.started_at, span.seen_at) for span in s.reader.watch_spans(start, end)]
        changes = s.reader.transitions(monitor=monitor, since=start, until=end)
        return uptime(before.to_state if before else None, changes, start, end, spans).availability

    # --- rows --------------------------------------------------------------------------------------

    @staticmethod
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

    @staticmethod
    def incident(item: Incident) -> Json:
        return {
            "id": item.id,
            "monitor": item.monitor,
            "opened_at": item.opened_at.isoformat(),
            "fault_at": item.fault_hi.isoformat(),
            "closed_at": item.closed_at.isoformat() if item.closed_at else None,
            "cause": item.cause,
            "summary": item.summary,
            "healed_by": item.healed_by,
            "resolution": item.resolution,
        }

    @staticmethod
    def case(item: Case) -> Json:
        return {
            "id": item.id,
            "incident": item.incident,
            "monitor": item.monitor,
            "state": str(item.state),
            "reason": item.reason,
            "attempts": item.attempts,
            "failures": item.failures,
            "dry_run": item.dry_run,
            "actor": item.actor,
            "opened_at": item.opened_at.isoformat(),
            "due_at": item.due_at.isoformat(),
            "closed_at": item.closed_at.isoformat() if item.closed_at else None,
        }

    @staticmethod
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
            "ended_at": item.ended_at.isoformat() if item.ended_at else None,
            "verified_at": item.verified_at.isoformat() if item.verified_at else None,
            "output": item.output,
            "detail": item.detail,
        }

    def alert(self, item: Alert) -> Json:
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
        }

    @staticmethod
    def delivery(item: Delivery) -> Json:
        return {
            "id": item.id,
            "channel": item.channel,
            "notice": item.notice,
            "state": str(item.state),
            "tries": item.tries,
            "created_at": item.created_at.isoformat(),
            "due_at": item.due_at.isoformat(),
            "accepted_at": item.accepted_at.isoformat() if item.accepted_at else None,
            "error": item.error,
        }

    def alerts(self, newest: int = 100) -> list[Json]:
        """The newest alerts with how each channel took them."""
        reader = self._sources().reader
        alerts = reader.alerts(newest=newest)
        deliveries: dict[str, list[Json]] = {}
        for item in reader.deliveries(notices=[alert.id for alert in alerts]):
            deliveries.setdefault(item.notice, []).append(self.delivery(item))
        return [self.alert(alert) | {"deliveries": deliveries.get(alert.id, [])} for alert in alerts]

    def incidents(self, newest: int = 100) -> list[Json]:
        return [self.incident(item) for item in self._sources().reader.incidents(newest=newest)]

    def recoveries(self, newest: int = 100) -> list[Json]:
        """The newest recovery cases with their attempts."""
        reader = self._sources().reader
        cases = reader.cases(newest=newest)
        return [
            self.case(case) | {"tries": [self.attempt(item) for item in reader.attempts(case=case.id)]}
            for case in cases
        ]

    def explain(self, incident: IncidentId) -> Json | None:
        """One incident with everything that was decided, done and told about it."""
        reader = self._sources().reader
        found = reader.incident(incident)
        if found is None:
            return None
        return self.incident(found) | {
            "cases": [self.case(case) for case in reader.cases(incident=incident)],
            "attempts": [self.attempt(item) for item in reader.attempts(incident=incident)],
            "alerts": [self.alert(item) for item in reader.alerts(incident=incident)],
        }

    # --- cells and lines ---------------------------------------------------------------------------

    def _refresh(self, s: Sources) -> None:
        """Hourly cells and latency lines, at most every few seconds: they are the costly part."""
        if time.monotonic() < self._cells_until:
            return
        now = s.clock.now()
        this_hour = int(now.timestamp() // 3600)
        counts = s.reader.hourly_counts(now - timedelta(hours=HOURS))
        self._cells = {
            monitor: [_cell(hours.get(hour, {})) for hour in range(this_hour - HOURS + 1, this_hour + 1)]
            for monitor, hours in counts.items()
        }
        spark: dict[MonitorId, list[float]] = {}
        for row in s.reader.samples(since=now - timedelta(minutes=30), until=now + timedelta(seconds=1)):
            if row["latency_us"] is not None:
                spark.setdefault(row["monitor"], []).append(row["latency_us"] / 1000)
        self._spark = {monitor: values[-SPARK:] for monitor, values in spark.items()}
        self._cells_until = time.monotonic() + _CACHE_S


_SPANS = (("24h", timedelta(days=1)), ("7d", timedelta(days=7)), ("30d", timedelta(days=30)))


def _cell(counts: Mapping[str, int]) -> str:
    """How an hour went: ``none``, ``ok``, ``some`` (now and then bad) or ``bad`` (at least a tenth of it)."""
    total = sum(counts.values()) - counts.get("unknown", 0)
    if not total:
        return "none"
    bad = counts.get("unhealthy", 0) + counts.get("error", 0)
    return "ok" if not bad else "bad" if bad * 10 >= total else "some"


def worst(states: "Any") -> str:
    """The state that needs attention most; ``up`` when there is none."""
    return str(min((State(state) for state in states), key=_ORDER.index, default=State.UP))


def strategy_json(roster: Roster, monitor: MonitorId) -> Json:
    """The strategy in force for a monitor, as a configuration would write it."""
    strategy = roster.strategy(monitor)
    return {
        "name": strategy.name,
        "interval": format_duration(strategy.interval),
        "timeout": format_duration(strategy.timeout),
        "confirm": [format_duration(wait) for wait in strategy.confirm],
        "fail_threshold": strategy.fail_threshold,
        "recovery_threshold": strategy.recovery_threshold,
        "detector": strategy.detector,
    }
