"""What is shown of one monitor, JSON-ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from defib.engine.roster import Watched
from defib.engine.views import row_views, wording
from defib.engine.views.recent import Recent
from defib.engine.views.sources import Sources
from defib.model.evidence import Outcome
from defib.model.health import FaultLabel, Health, Incident, State
from defib.model.ids import IncidentId, MonitorId
from defib.model.options import format_duration
from defib.model.recovery import Case
from defib.rules.availability import uptime
from defib.rules.flapping import NAGIOS_STATES, nagios_percent, scheduled
from defib.rules.heartbeat import suspicion
from defib.rules.recovery import budgets

Json = dict[str, Any]

SPANS = (("24h", timedelta(days=1)), ("7d", timedelta(days=7)), ("30d", timedelta(days=30)))


class MonitorList:
    """Every monitor as :func:`monitor` shows it, made again where something of it has changed.

    Of thousands hardly any has changed since half a second ago. The views are handed out again and again: nobody
    may change them.
    """

    def __init__(self) -> None:
        self._known: dict[MonitorId, _Made] = {}

    def views(self, s: Sources, recent: Recent, labels: Mapping[IncidentId, FaultLabel]) -> list[Json]:
        """By state and name.

        :param labels: of the open incidents.
        """
        known, self._known = self._known, {}
        for watched in s.roster.monitors.values():
            made = _Made.of(s, recent, watched, labels, known.get(watched.spec.id))
            self._known[watched.spec.id] = made
        return [made.view for made in sorted(self._known.values(), key=attrgetter("place"))]


@dataclass(frozen=True, slots=True)
class _Made:
    """The view of a monitor, and what it was made of."""

    view: Json
    place: tuple[int, str]  #: in the list
    parts: tuple[object, ...]

    @classmethod
    def of(
        cls, s: Sources, recent: Recent, watched: Watched, labels: Mapping[IncidentId, FaultLabel],
        before: "_Made | None",
    ) -> "_Made":  # fmt: skip
        spec = watched.spec
        health = s.health(spec.id)
        incident = health.incident if health else None
        label = labels.get(incident, FaultLabel.NONE) if incident else FaultLabel.NONE
        parts = (
            health, label, s.case(spec.id), s.roster.strategy(spec.id), recent.cells(spec.id),
            recent.latencies_ms(spec.id), spec, watched.plugin,
            s.roster.recovery_mode(spec) if watched.actions else None,
        )  # fmt: skip
        is_lasting = health is not None and health.state is not State.SUSPECT  # a suspicion grows by itself
        if before is not None and is_lasting and before.parts == parts:
            return before
        view = monitor(s, recent, watched, label)
        return cls(view, (wording.RANK[view["state"]], view["name"].lower()), parts)


def monitor(s: Sources, recent: Recent, watched: Watched, label: FaultLabel | None = None) -> Json:
    """:param label: of its open incident; None where it is to be read."""
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
        "says": _says(health),
        "status": str(last.status) if last else "unknown",
        "summary": last.summary if last else "",
        "inconclusive": last is not None and str(last.outcome) == "inconclusive",
        "latency_ms": last.latency / timedelta(milliseconds=1) if last and last.latency is not None else None,
        "last_seen": health.last.ended_at.isoformat() if health.last else None,
        "deadline": health.deadline.isoformat() if health.deadline else None,
        "strategy": s.roster.strategy(spec.id).name,
        "interval": format_duration(s.roster.strategy(spec.id).interval),
        "incident": health.incident,
        "label": str(_label(s, health) if label is None else label),
        "flapping": _flapping(health),
        "suspicion": _suspicion(health, s.clock.now()),
        "recovery": recovery(s, watched, s.case(spec.id)),
        "hours": recent.cells(spec.id),
        "latencies_ms": recent.latencies_ms(spec.id),
        "metrics": dict(last.metrics) if last else {},
    }


def _label(s: Sources, health: Health) -> FaultLabel:
    incident = s.reader.incident(health.incident) if health.incident else None
    return incident.label if incident else FaultLabel.NONE


def recovery(s: Sources, watched: Watched | None, case: Case | None) -> Json:
    """How a monitor recovers, and how far its case is; ``watched`` is None once it is not configured any more."""
    mode = str(s.roster.recovery_mode(watched.spec)) if watched and watched.actions else "none"
    actions = watched.actions if watched else ()
    view = None
    if case is not None:
        known = case.rung < len(actions)
        view = row_views.case(case) | {"action": actions[case.rung].description if known else "an action"}
    return {"mode": mode, "case": view, "doing": wording.doing(mode, view)}


def availability(s: Sources, monitor: MonitorId, start: datetime, end: datetime) -> float | None:
    before = s.reader.states_at(start).get(monitor)
    spans = [(span.started_at, span.seen_at) for span in s.reader.watch_spans(start, end)]
    changes = s.reader.transitions(monitor=monitor, since=start, until=end)
    return uptime(before.to_state if before else None, changes, start, end, spans).availability


def together(s: Sources, incidents: list[Incident]) -> list[str]:
    """The other monitors of the newest incident's story, while it is open."""
    if not incidents or incidents[0].closed_at is not None:
        return []
    story = s.reader.incidents(story=incidents[0].story)
    return sorted(item.monitor for item in story if item.monitor != incidents[0].monitor)


def flap_percent(s: Sources, watched: Watched, now: datetime) -> float | None:
    """How much it changes, as Nagios counts it over its last 21 scheduled looks; None for what is not looked at."""
    if watched.polled is None:
        return None
    interval = s.roster.strategy(watched.spec.id).interval
    samples = s.reader.samples(monitor=watched.spec.id, since=now - (NAGIOS_STATES + 4) * interval, until=now)
    looks = [(row["at"], row["status"] == "healthy") for row in samples if row["status"] != "unknown"]
    return round(nagios_percent(scheduled(looks, interval)), 1)


def budget(s: Sources, watched: Watched, now: datetime) -> Json | None:
    """What recovery has spent on a monitor, and what it may spend; None without a ladder."""
    policy, monitor = watched.spec.recovery, watched.spec.id
    if not watched.actions:
        return None
    since = now - budgets.DAY
    settled_at = budgets.settled_at(s.reader.transitions(monitor=monitor, since=since), since, now)
    spent = budgets.count(
        s.reader.attempts(monitor=monitor, since=since), policy, now, settled_at=settled_at,
        reset_at=s.roster.budgets_reset_at(monitor),
    )  # fmt: skip
    return {
        "failed": spent.failed, "max_attempts": policy.max_attempts, "window_s": policy.window.total_seconds(),
        "relapses": spent.relapses, "max_relapses": policy.max_relapses,
        "today": spent.today, "max_per_day": policy.max_per_day,
    }  # fmt: skip


def _says(health: Health) -> str:
    """What to show beside a state: what was seen while all is well, else why it is not."""
    last = health.last.evidence if health.last else None
    if last is None:
        return health.reason
    if last.outcome is Outcome.INCONCLUSIVE:
        return f"could not look: {last.summary}"
    return last.summary if health.state is State.UP else health.reason or last.summary


def name(s: Sources, monitor: MonitorId) -> str:
    watched = s.roster.monitors.get(monitor)
    return watched.spec.name if watched else monitor


def _flapping(health: Health) -> Json | None:
    """Since when it goes up and down, and how often it fell; None when it does not."""
    if health.flaps.since is None:
        return None
    return {"since": health.flaps.since.isoformat(), "falls": health.flaps.falls}


def _suspicion(health: Health, now: datetime) -> float | None:
    """How far a beat that is late is on its way to a fault, 0 to 1; None while none is."""
    if health.state is not State.SUSPECT or health.last is None:
        return None
    facts = health.last.evidence.facts
    expected_at, fault_at = facts.get("expected_at"), facts.get("fault_at")
    if not isinstance(expected_at, str) or not isinstance(fault_at, str):
        return None
    expected, fault = (datetime.fromisoformat(item).timestamp() for item in (expected_at, fault_at))
    return round(suspicion(expected, fault, now.timestamp()), 3)
