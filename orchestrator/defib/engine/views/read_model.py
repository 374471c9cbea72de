"""What people and programs are shown: one read model for pages, API, metrics and command line."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from defib import __version__
from defib.engine.views import desk_views, inventory, monitor_views, row_views, wording
from defib.engine.views.beat_runs import runs
from defib.engine.views.recent import Recent
from defib.engine.views.sources import Sources
from defib.model.alert import Alert, DeliveryState
from defib.model.health import Incident, State
from defib.model.ids import IncidentId, MonitorId, ReportId
from defib.model.report import ReportDocument
from defib.model.window import WindowKind
from defib.store import Reader, rows

Json = dict[str, Any]

DEAD_LETTERS_TOLD = timedelta(days=1)  #: how long they count as a problem; they are kept for ever


class Views:
    """Builds JSON-ready views. Synchronous and read-only; the event loop calls it from a thread."""

    def __init__(self, sources: Callable[[], Sources]) -> None:
        """:param sources: asked afresh for each view, since a reload swaps the roster."""
        self._sources = sources
        self._recent = Recent()
        self._monitors = monitor_views.MonitorList()

    # --- overview ----------------------------------------------------------------------------------

    def overview(self) -> Json:
        """Everything the first page shows."""
        s = self._sources()
        self._recent.renew(s.reader, s.clock.now())
        incidents = s.reader.incidents(only_open=True)
        monitors = self._monitors.views(s, self._recent, {item.id: item.label for item in incidents})
        counts = Counter(item["state"] for item in monitors)
        headline, tone = wording.headline(counts)
        if tone == "ok" and s.observer() is not None:
            headline, tone = wording.UNTRUSTED, "warn"
        return {
            "version": __version__,
            "generated_at": s.clock.now().isoformat(),
            "started_at": s.started_at.isoformat() if s.started_at else None,
            "timezone": s.roster.settings.timezone,
            "strategy": s.roster.global_strategy,
            "strategies": sorted(s.roster.settings.strategies),
            "state": worst(counts),
            "headline": headline,
            "tone": tone,
            "counts": dict(counts),
            "states": [
                {"state": str(state), "word": word, "count": counts.get(state, 0)}
                for state, word in wording.STATE_WORDS.items()
            ],
            "monitors": monitors,
            "incidents": self._open_incidents(s, incidents),
            "alerts": self._told(s.reader, s.reader.alerts(newest=8)),
            "problems": self.problems(),
        }

    def _open_incidents(self, s: Sources, every: Iterable[Incident]) -> list[Json]:
        """Stories that are not over, newest first, with what recovery is doing about each.

        Of those that began together the first that is still open stands for all.
        """
        stories: dict[IncidentId, list[Incident]] = {}
        for incident in every:
            stories.setdefault(incident.story, []).append(incident)
        incidents = [story[0] for story in stories.values()][::-1]
        newest = {
            case.incident: case for case in s.reader.cases(incidents=[incident.id for incident in incidents])
        }
        found = []
        for incident in incidents:
            watched = s.roster.monitors.get(incident.monitor)
            active = s.case(incident.monitor)
            if active is not None and active.incident == incident.id:
                newest[incident.id] = active
            found.append(
                row_views.incident(incident)
                | {
                    "name": watched.spec.name if watched else incident.monitor,
                    "together": [
                        monitor_views.name(s, other.monitor)
                        for other in stories[incident.story]
                        if other is not incident
                    ],
                    "recovery": monitor_views.recovery(s, watched, newest.get(incident.id)),
                }
            )
        return found

    def problems(self) -> list[Json]:
        """What is wrong with Defib itself: shown loudly everywhere."""
        s = self._sources()
        found = [
            {"what": "plugin", "message": f"plugin {fault.origin} does not load: {fault.message}"}
            for fault in s.roster.registry.faults
        ]
        found += [{"what": "configuration", "message": warning} for warning in s.roster.settings.warnings]
        if trouble := s.observer():
            found.append(
                {"what": "observer", "message": wording.observer(trouble, s.roster.settings.timezone)}
            )
        if problem := s.dead_man_problem():
            found.append({"what": "dead-man", "message": problem})
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
        counts = s.reader.delivery_counts(now - DEAD_LETTERS_TOLD, now)
        found += [
            {
                "what": "channel",
                "message": f"channel {name} refused {dead} {'notice' if dead == 1 else 'notices'} for good: see the "
                "dead letters among the deliveries",
            }
            for name, states in counts.items()
            if (dead := states.get(DeliveryState.DEAD, 0))
        ]
        return found

    # --- one monitor -------------------------------------------------------------------------------

    def monitor(self, monitor: MonitorId) -> Json | None:
        """One monitor with its story; None when there is none of that id."""
        s = self._sources()
        watched = s.roster.monitors.get(monitor)
        if watched is None:
            return None
        now = s.clock.now()
        self._recent.renew(s.reader, now)
        health = s.health(monitor)
        view = monitor_views.monitor(s, self._recent, watched)
        if health is not None and health.incident is not None:
            cases = s.reader.cases(incident=health.incident)
            view["recovery"] = monitor_views.recovery(
                s, watched, s.case(monitor) or (cases[-1] if cases else None)
            )
        transitions = s.reader.transitions(monitor=monitor, newest=30)
        attempts = s.reader.attempts(monitor=monitor, newest=20)
        snapshot = s.reader.snapshot(attempts[0].incident) if attempts else None
        incidents = s.reader.incidents(monitor=monitor, newest=20)
        story = view | {
            "flap_percent": monitor_views.flap_percent(s, watched, now),
            "together": monitor_views.together(s, incidents),
            "requires": [*watched.spec.requires, *watched.spec.requires_any],
            "ladder": [action.description for action in watched.actions],
            "strategy_detail": inventory.strategy(s.roster, monitor),
            "last": rows.observation_json(health.last) if health else None,
            "availability": {
                name: monitor_views.availability(s, monitor, now - span, now)
                for name, span in monitor_views.SPANS
            },
            "transitions": [row_views.transition(item) for item in transitions],
            "incidents": [row_views.incident(item) for item in incidents],
            "attempts": [row_views.attempt(item) for item in attempts],
            "budget": monitor_views.budget(s, watched, now),
            "snapshot": row_views.snapshot(snapshot),
            "alerts": self._told(s.reader, s.reader.alerts(monitor=monitor, newest=20)),
            "windows": desk_views.of_monitor(s.windows.known(), watched, s.roster, now),
        }
        parents = {
            parent: str(known.state)
            for parent in story["requires"]
            if (known := s.health(parent)) is not None
        }
        return story | {
            "parents": parents, "sentences": wording.why(
                story, parents, s.roster.settings.timezone, acks_from=self._acks_from()
            ),
        }  # fmt: skip

    def why(self, monitor: MonitorId) -> Json | None:
        """Why a monitor is in its state, in words and with what was known; None when there is none of that id."""
        view = self.monitor(monitor)
        if view is None:
            return None
        keys = (
            "id",
            "name",
            "state",
            "since",
            "reason",
            "last",
            "incident",
            "label",
            "together",
            "flapping",
            "suspicion",
            "recovery",
            "transitions",
            "alerts",
            "sentences",
            "parents",
        )
        return {key: view[key] for key in keys}

    def history(self, monitor: MonitorId, since: datetime, until: datetime) -> list[Json]:
        """Single observations, oldest first."""
        return [
            {"at": row["at"].isoformat(), "status": row["status"], "cause": row["cause"],
             "latency_ms": None if row["latency_us"] is None else row["latency_us"] / 1000,
             "metrics": row["metrics"] or {}}
            for row in self._sources().reader.samples(monitor=monitor, since=since, until=until)
        ]  # fmt: skip

    def hours(self, monitor: MonitorId, since: datetime, until: datetime, per: int = 1) -> list[Json]:
        """What the looks of each hour came to, or of ``per`` hours together, oldest first."""
        return [
            {
                "at": hour.at.isoformat(),
                "counts": dict(hour.counts),
                "latency_ms": None
                if hour.latencies is None
                else {
                    "min": hour.min_ms,
                    "mean": round(hour.latencies.mean_ms, 3),
                    "p50": round(hour.latencies.p50_ms, 3),
                    "p95": round(hour.latencies.p95_ms, 3),
                    "p99": round(hour.latencies.p99_ms, 3),
                    "max": hour.max_ms,
                },
            }
            for hour in self._sources().reader.hours(monitor, since, until, per)
        ]

    def runs(self, monitor: MonitorId, newest_beats: int = 2000) -> list[Json]:
        """Runs of a job that beats, out of its newest kept beats, oldest first."""
        return runs(reversed(self._sources().reader.beats(monitor, newest_beats)))

    # --- what happened -----------------------------------------------------------------------------

    def alerts(self, newest: int = 100, skip: int = 0) -> list[Json]:
        """The newest alerts with how each channel took them."""
        reader = self._sources().reader
        return self._told(reader, reader.alerts(newest=newest, skip=skip))

    def _told(self, reader: Reader, alerts: list[Alert]) -> list[Json]:
        deliveries: dict[str, list[Json]] = {}
        for item in reader.deliveries(notices=[alert.id for alert in alerts]):
            deliveries.setdefault(item.notice, []).append(row_views.delivery(item))
        return [row_views.alert(alert) | {"deliveries": deliveries.get(alert.id, [])} for alert in alerts]

    def incidents(self, newest: int = 100, skip: int = 0) -> list[Json]:
        return [
            row_views.incident(item) for item in self._sources().reader.incidents(newest=newest, skip=skip)
        ]

    def recoveries(self, newest: int = 100, skip: int = 0) -> list[Json]:
        """The newest recovery cases with their attempts."""
        reader = self._sources().reader
        cases = reader.cases(newest=newest, skip=skip)
        return [
            row_views.case(case)
            | {"tries": [row_views.attempt(item) for item in reader.attempts(case=case.id)]}
            for case in cases
        ]

    def totals(self) -> dict[str, int]:
        """How many ``incidents``, ``alerts`` and ``cases`` there are."""
        return self._sources().reader.totals()

    def explain(self, incident: IncidentId) -> Json | None:
        """One incident with everything that was decided, done and told about it."""
        s = self._sources()
        reader = s.reader
        found = reader.incident(incident)
        if found is None:
            return None
        until = None if found.closed_at is None else found.closed_at + timedelta(seconds=1)
        changes = reader.transitions(monitor=found.monitor, since=found.fault_hi, until=until)
        story = row_views.incident(found) | {
            "name": monitor_views.name(s, found.monitor),
            "transitions": [row_views.transition(item) for item in changes],
            "cases": [row_views.case(case) for case in reader.cases(incident=incident)],
            "attempts": [row_views.attempt(item) for item in reader.attempts(incident=incident)],
            "alerts": desk_views.with_tries(reader, self._told(reader, reader.alerts(incident=incident))),
            "affected": reader.affected(incident),
            "snapshot": row_views.snapshot(reader.snapshot(incident)),
            "members": [
                row_views.incident(item)
                for item in reader.incidents(story=found.story)
                if item.id != incident
            ],
        }
        sentences = wording.of_incident(story, s.roster.settings.timezone, acks_from=self._acks_from())
        return story | {"sentences": sentences}

    def _acks_from(self) -> datetime | None:
        """Older acknowledgements have run out; None: none does."""
        timeout = self._sources().roster.settings.ack_timeout
        return None if timeout is None else self._sources().clock.now() - timeout

    def sentences(self, subject: str) -> list[str] | None:
        """An incident, or why a monitor is in its state, in plain words; None when there is none of that id."""
        story = self.explain(IncidentId(subject)) or self.why(MonitorId(subject))
        return None if story is None else list(story["sentences"])

    def alert_log(self, newest: int = 100, skip: int = 0) -> list[Json]:
        """The newest alerts with each delivery and each of its tries."""
        s = self._sources()
        found = desk_views.with_tries(s.reader, self.alerts(newest, skip))
        return [
            item | {"name": monitor_views.name(s, item["monitor"]) if item["monitor"] else ""}
            for item in found
        ]

    def incident_list(self, newest: int = 100, skip: int = 0) -> list[Json]:
        """The newest incidents with the names of their monitors."""
        s = self._sources()
        return [
            item | {"name": monitor_views.name(s, item["monitor"])} for item in self.incidents(newest, skip)
        ]

    def delivery_log(
        self, newest: int = 100, skip: int = 0, state: DeliveryState | None = None
    ) -> list[Json]:
        """See :func:`defib.engine.views.desk_views.delivery_log`."""
        return desk_views.delivery_log(self._sources().reader, newest, skip, state)

    def delivery_total(self, state: DeliveryState | None) -> int:
        """How many deliveries there are, of all or in one state."""
        undelivered = self._sources().reader.delivery_states().values()
        if state is None or state is DeliveryState.DELIVERED:
            every = self.totals()["deliveries"]
            return every if state is None else every - sum(sum(counts.values()) for counts in undelivered)
        return sum(counts.get(state, 0) for counts in undelivered)

    def windows(self, kinds: Collection[WindowKind] = tuple(WindowKind)) -> list[Json]:
        """Silences, maintenance and pauses that are in force or to come, those that began first leading."""
        s = self._sources()
        return desk_views.windows(s.windows.known(), kinds, s.roster, s.clock.now())

    def past_windows(self, kinds: Collection[WindowKind], newest: int = 50) -> list[Json]:
        """Those that are over, newest first; of the configuration's only what was ended early."""
        s = self._sources()
        now = s.clock.now()
        over = s.reader.windows(over_at=now, kinds=kinds, newest=newest)
        return desk_views.windows(over, kinds, s.roster, now)

    # --- what there is -----------------------------------------------------------------------------

    def strategies(self) -> Json:
        """See :func:`defib.engine.views.inventory.strategies`."""
        return inventory.strategies(self._sources().roster)

    def recovery(self) -> Json:
        """See :func:`defib.engine.views.inventory.recovery`."""
        return inventory.recovery(self._sources().roster)

    def plugins(self) -> Json:
        """See :func:`defib.engine.views.inventory.plugins`."""
        return inventory.plugins(self._sources().roster)

    def reports(self, name: str | None = None) -> list[Json]:
        """The newest reports that are stored, of one name or all."""
        return [
            item | {key: item[key].isoformat() for key in ("start", "end", "generated_at")}
            for item in self._sources().reader.report_titles(name=name)
        ]

    def report(self, report: ReportId) -> ReportDocument | None:
        """A stored report; None when there is none of that id."""
        return self._sources().reader.report(report)


def worst(states: Iterable[str]) -> str:
    """The state that needs attention most; ``up`` when there is none."""
    return min(states, key=wording.RANK.__getitem__, default=str(State.UP))
