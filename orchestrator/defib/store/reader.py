"""Questions to the store. Synchronous: the event loop asks from a thread."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from defib.model.agent import Agent, Token
from defib.model.alert import Alert, Delivery, DeliveryState
from defib.model.beat import Beat, Signal
from defib.model.changes import DeliveryTry, WatchSpan
from defib.model.decision import DecisionRecord
from defib.model.health import Health, Incident, Transition
from defib.model.ids import AlertId, CaseId, DeliveryId, IncidentId, MonitorId, ReportId
from defib.model.monitor import MadeMonitor
from defib.model.recovery import Attempt, AuditEntry, Case, CaseState
from defib.model.report import ReportDocument
from defib.model.snapshot import Snapshot
from defib.model.window import Window, WindowKind
from defib.store import rows, schema
from defib.store.audit import Verdict, verify
from defib.store.database import size_bytes, translated
from defib.store.history import HistoryReader

_TERMINAL_CASES = [state.value for state in CaseState if state.is_terminal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Who decides over a store, or did last."""

    epoch: int  #: of its term; 0 when there was none yet
    owner: str
    taken_at: datetime
    renewed_at: datetime


class Reader(HistoryReader):
    """Reads committed state."""

    def _rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with translated(self._database.place), self._database.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # --- monitors ----------------------------------------------------------------------------------

    def health(self) -> dict[MonitorId, Health]:
        """The state of every monitor ever seen."""
        return {h.monitor: h for h in map(rows.health_from_row, self._rows(sa.select(schema.health)))}

    def transitions(
        self, *, monitor: MonitorId | None = None, since: datetime | None = None, until: datetime | None = None,
        newest: int | None = None,
    ) -> list[Transition]:  # fmt: skip
        """Decided in ``[since, until)``; newest first when ``newest`` limits them, else oldest first."""
        table = schema.transition
        query = _between(sa.select(table), table.c.decided_at, since, until, monitor, table.c.monitor)
        order = (table.c.decided_at.desc(), table.c.id.desc()) if newest else (table.c.decided_at, table.c.id)
        return [rows.transition_from_row(row) for row in self._rows(query.order_by(*order).limit(newest))]

    def states_at(self, at: datetime) -> dict[MonitorId, Transition]:
        """The newest transition of every monitor decided before ``at``."""
        table = schema.transition
        newest = (
            sa.select(sa.func.max(table.c.id).label("id"))
            .where(table.c.decided_at < at)
            .group_by(table.c.monitor)
        ).subquery()
        query = sa.select(table).join(newest, table.c.id == newest.c.id)
        return {t.monitor: t for t in map(rows.transition_from_row, self._rows(query))}

    def decisions(
        self,
        *,
        monitor: MonitorId | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[DecisionRecord]:
        """What was decided in ``[since, until)``, oldest first."""
        table = schema.decision
        query = _between(sa.select(table), table.c.decided_at, since, until, monitor, table.c.monitor)
        return [rows.decision_from_row(row) for row in self._rows(query.order_by(table.c.id))]

    # --- incidents and recovery --------------------------------------------------------------------

    def incidents(
        self, *, monitor: MonitorId | None = None, overlapping: tuple[datetime, datetime] | None = None,
        only_open: bool = False, story: IncidentId | None = None, newest: int | None = None, skip: int = 0,
    ) -> list[Incident]:  # fmt: skip
        """Incidents; newest first when ``newest`` limits them, after ``skip`` newer ones, else oldest first."""
        table = schema.incident
        query = sa.select(table)
        if monitor is not None:
            query = query.where(table.c.monitor == monitor)
        if only_open:
            query = query.where(table.c.closed_at.is_(None))
        if story is not None:
            query = query.where(sa.or_(table.c.id == story, table.c.root == story))
        if overlapping is not None:
            start, end = overlapping
            query = query.where(
                table.c.opened_at < end, sa.or_(table.c.closed_at.is_(None), table.c.closed_at >= start)
            )
        order = table.c.opened_at.desc() if newest else table.c.opened_at
        query = query.order_by(order).limit(newest).offset(skip)
        return [rows.incident_from_row(row) for row in self._rows(query)]

    def affected(self, incident: IncidentId) -> list[MonitorId]:
        """Monitors that became unreachable because of an incident, in that order."""
        table = schema.transition
        query = sa.select(table.c.monitor, sa.func.min(table.c.id).label("first")).where(
            table.c.incident == incident, table.c.to_state == "unreachable"
        )
        return [
            MonitorId(row["monitor"]) for row in self._rows(query.group_by(table.c.monitor).order_by("first"))
        ]

    def incident(self, incident: IncidentId) -> Incident | None:
        found = self._rows(sa.select(schema.incident).where(schema.incident.c.id == incident))
        return rows.incident_from_row(found[0]) if found else None

    def cases(
        self, *, only_active: bool = False, incident: IncidentId | None = None,
        incidents: Sequence[IncidentId] | None = None, monitor: MonitorId | None = None, newest: int | None = None,
        skip: int = 0,
    ) -> list[Case]:  # fmt: skip
        """Recovery cases; order and ``skip`` as above."""
        table = schema.recovery_case
        query = sa.select(table)
        if only_active:
            query = query.where(table.c.state.not_in(_TERMINAL_CASES))
        if incident is not None:
            query = query.where(table.c.incident == incident)
        if incidents is not None:
            query = query.where(table.c.incident.in_(incidents))
        if monitor is not None:
            query = query.where(table.c.monitor == monitor)
        order = table.c.opened_at.desc() if newest else table.c.opened_at
        return [
            rows.case_from_row(row) for row in self._rows(query.order_by(order).limit(newest).offset(skip))
        ]

    def attempts(
        self, *, monitor: MonitorId | None = None, case: CaseId | None = None, incident: IncidentId | None = None,
        since: datetime | None = None, until: datetime | None = None, newest: int | None = None,
    ) -> list[Attempt]:  # fmt: skip
        """Attempts whose intent is in ``[since, until)``; order as above."""
        table = schema.attempt
        query = _between(sa.select(table), table.c.intent_at, since, until, monitor, table.c.monitor)
        if case is not None:
            query = query.where(table.c.case == case)
        if incident is not None:
            query = query.where(table.c.incident == incident)
        order = table.c.intent_at.desc() if newest else table.c.intent_at
        return [rows.attempt_from_row(row) for row in self._rows(query.order_by(order).limit(newest))]

    def attempt(self, attempt: str) -> Attempt | None:
        found = self._rows(sa.select(schema.attempt).where(schema.attempt.c.id == attempt))
        return rows.attempt_from_row(found[0]) if found else None

    def snapshot(self, incident: IncidentId) -> Snapshot | None:
        """What was seen before the first action of an incident; None when nothing was done."""
        found = self._rows(sa.select(schema.snapshot).where(schema.snapshot.c.incident == incident))
        return rows.snapshot_from_row(found[0]) if found else None

    def audit(self, newest: int = 100) -> list[AuditEntry]:
        """The newest audit entries, newest first."""
        table = schema.audit
        columns = (table.c.at, table.c.actor, table.c.event, table.c.subject, table.c.facts)
        return [
            AuditEntry(**row)
            for row in self._rows(sa.select(*columns).order_by(table.c.id.desc()).limit(newest))
        ]

    def audited(self, event: str) -> Iterator[AuditEntry]:
        """Audit entries whose event begins like this, oldest first."""
        table = schema.audit
        columns = (table.c.at, table.c.actor, table.c.event, table.c.subject, table.c.facts)
        query = sa.select(*columns).where(table.c.event.startswith(event, autoescape=True))
        return (AuditEntry(**row) for row in self._rows(query.order_by(table.c.id)))

    def leader(self) -> Leader:
        """Whose term of office over the store is the newest."""
        table = schema.leader
        columns = (table.c.epoch, table.c.owner, table.c.taken_at, table.c.renewed_at)
        return Leader(**self._rows(sa.select(*columns))[0])

    def verify_audit(self) -> Verdict:
        """Whether the audit log is what was written."""
        with translated(self._database.place), self._database.engine.connect() as connection:
            return verify(connection)

    # --- alerts and deliveries ---------------------------------------------------------------------

    def alerts(
        self, *, since: datetime | None = None, until: datetime | None = None, incident: IncidentId | None = None,
        monitor: MonitorId | None = None, newest: int | None = None, skip: int = 0,
    ) -> list[Alert]:  # fmt: skip
        """Alerts made in ``[since, until)``; order and ``skip`` as above."""
        table = schema.alert
        query = _between(sa.select(table), table.c.at, since, until, monitor, table.c.monitor)
        if incident is not None:
            query = query.where(table.c.incident == incident)
        order = table.c.at.desc() if newest else table.c.at
        return [
            rows.alert_from_row(row) for row in self._rows(query.order_by(order).limit(newest).offset(skip))
        ]

    def told_channels(self, incident: IncidentId) -> tuple[str, ...]:
        """Channels that took or will take an alert of an incident, the first one leading."""
        alert, delivery = schema.alert, schema.delivery
        query = (
            sa.select(delivery.c.channel, sa.func.min(delivery.c.id).label("first"))
            .join_from(alert, delivery, delivery.c.notice == alert.c.id)
            .where(alert.c.incident == incident, delivery.c.state != DeliveryState.DEAD)
            .group_by(delivery.c.channel)
        )
        return tuple(row["channel"] for row in sorted(self._rows(query), key=lambda row: str(row["first"])))

    def story_alerts(self, story: IncidentId) -> list[Alert]:
        """Those of the incidents that are told as one story, oldest first."""
        table, incident = schema.alert, schema.incident
        members = sa.select(incident.c.id).where((incident.c.id == story) | (incident.c.root == story))
        query = sa.select(table).where(table.c.incident.in_(members))
        return [rows.alert_from_row(row) for row in self._rows(query.order_by(table.c.at, table.c.id))]

    def alert(self, alert: AlertId) -> Alert | None:
        found = self._rows(sa.select(schema.alert).where(schema.alert.c.id == alert))
        return rows.alert_from_row(found[0]) if found else None

    def pending_deliveries(self) -> list[Delivery]:
        """The outbox, oldest first."""
        table = schema.delivery
        query = (
            sa.select(table)
            .where(table.c.state == DeliveryState.PENDING)
            .order_by(table.c.created_at, table.c.id)
        )
        return [rows.delivery_from_row(row) for row in self._rows(query)]

    def alerts_of(self, alerts: Sequence[AlertId]) -> list[Alert]:
        """The alerts of these ids; those that are none are left out."""
        found = self._rows(sa.select(schema.alert).where(schema.alert.c.id.in_(alerts)))
        return [rows.alert_from_row(row) for row in found]

    def deliveries(
        self, *, notices: Sequence[str] | None = None, state: DeliveryState | None = None, newest: int | None = None,
        skip: int = 0,
    ) -> list[Delivery]:  # fmt: skip
        """Deliveries, of the given notices and in the given state, or all; newest first, after ``skip`` newer ones."""
        table = schema.delivery
        query = sa.select(table)
        if notices is not None:
            query = query.where(table.c.notice.in_(notices))
        if state is not None:
            query = query.where(table.c.state == state)
        return [
            rows.delivery_from_row(row)
            for row in self._rows(
                query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(newest).offset(skip)
            )
        ]

    def delivery(self, delivery: DeliveryId) -> Delivery | None:
        found = self._rows(sa.select(schema.delivery).where(schema.delivery.c.id == delivery))
        return rows.delivery_from_row(found[0]) if found else None

    def accepted(self, channel: str, since: datetime) -> list[Delivery]:
        """What a channel has accepted since then, oldest first."""
        table = schema.delivery
        query = (
            sa.select(table)
            .where(table.c.channel == channel, table.c.state == DeliveryState.DELIVERED)
            .where(table.c.accepted_at >= since)
            .order_by(table.c.accepted_at, table.c.created_at, table.c.id)
        )
        return [rows.delivery_from_row(row) for row in self._rows(query)]

    def conversation(self, channel: str, thread: str) -> list[Delivery]:
        """What a channel has accepted of a conversation, oldest first."""
        table = schema.delivery
        query = (
            sa.select(table)
            .where(table.c.channel == channel, table.c.thread == thread)
            .where(table.c.state == DeliveryState.DELIVERED)
            .order_by(table.c.accepted_at, table.c.created_at, table.c.id)
        )
        return [rows.delivery_from_row(row) for row in self._rows(query)]

    def with_receipt(self, channel: str, receipt: str) -> list[Delivery]:
        """Everything that a channel carried in one message, by the far end's id of it; oldest first."""
        table = schema.delivery
        query = (
            sa.select(table)
            .where(table.c.channel == channel, table.c.receipt == receipt)
            .order_by(table.c.created_at, table.c.id)
        )
        return [rows.delivery_from_row(row) for row in self._rows(query)]

    def delivery_tries(self, deliveries: Sequence[DeliveryId]) -> list[DeliveryTry]:
        """Each try to deliver any of these, oldest first: the delivery log."""
        table = schema.delivery_try
        query = sa.select(table).where(table.c.delivery.in_(deliveries)).order_by(table.c.id)
        return [
            DeliveryTry(**{name: value for name, value in row.items() if name != "id"})
            for row in self._rows(query)
        ]

    def delivery_states(self) -> dict[str, dict[str, int]]:
        """All deliveries that wait or are dead letters: channel → state → count."""
        table = schema.delivery
        query = (
            sa.select(table.c.channel, table.c.state, sa.func.count().label("n"))
            .where(table.c.state != DeliveryState.DELIVERED)
            .group_by(table.c.channel, table.c.state)
        )
        counts: dict[str, dict[str, int]] = {}
        for row in self._rows(query):
            counts.setdefault(row["channel"], {})[row["state"]] = row["n"]
        return counts

    def delivery_counts(self, since: datetime, until: datetime) -> dict[str, dict[str, int]]:
        """Deliveries created in ``[since, until)``: channel → state → count."""
        table = schema.delivery
        query = (
            sa.select(table.c.channel, table.c.state, sa.func.count().label("n"))
            .where(table.c.created_at >= since, table.c.created_at < until)
            .group_by(table.c.channel, table.c.state)
        )
        counts: dict[str, dict[str, int]] = {}
        for row in self._rows(query):
            counts.setdefault(row["channel"], {})[row["state"]] = row["n"]
        return counts

    # --- the rest ----------------------------------------------------------------------------------

    def totals(self) -> dict[str, int]:
        """How many ``incidents``, ``alerts``, ``cases`` and ``deliveries`` there are."""
        tables = {
            "incidents": schema.incident, "alerts": schema.alert, "cases": schema.recovery_case,
            "deliveries": schema.delivery,
        }  # fmt: skip
        counts = [
            sa.select(sa.func.count()).select_from(table).scalar_subquery().label(name)
            for name, table in tables.items()
        ]
        return self._rows(sa.select(*counts))[0]

    def newest_beats(self) -> dict[MonitorId, Beat]:
        """Each monitor's newest beat that is more than a note."""
        table = schema.beat
        newest = sa.select(sa.func.max(table.c.id)).where(table.c.signal != "log").group_by(table.c.monitor)
        found = self._rows(sa.select(table).where(table.c.id.in_(newest)))
        return {MonitorId(row["monitor"]): rows.beat_from_row(row) for row in found}

    def report(self, report: ReportId) -> ReportDocument | None:
        found = self._rows(sa.select(schema.report).where(schema.report.c.id == report))
        if not found:
            return None
        images = self._rows(sa.select(schema.report_image).where(schema.report_image.c.report == report))
        return ReportDocument(**found[0], images={row["cid"]: row["png"] for row in images})

    def report_titles(self, newest: int = 200, name: str | None = None) -> list[dict[str, Any]]:
        """id, name, subject, start, end and generated_at of the newest reports, of one name or all, newest first."""
        table = schema.report
        columns = (
            table.c.id,
            table.c.name,
            table.c.subject,
            table.c.start,
            table.c.end,
            table.c.generated_at,
        )
        query = sa.select(*columns).order_by(table.c.start.desc(), table.c.id).limit(newest)
        return self._rows(query if name is None else query.where(table.c.name == name))

    def size_bytes(self) -> int | None:
        """What the store takes on disk; None where its server does not say."""
        return size_bytes(self._database)

    def settings(self) -> dict[str, str]:
        return {row["key"]: row["value"] for row in self._rows(sa.select(schema.setting))}

    def agents(self) -> list[Agent]:
        """Every agent that is registered, in the order of their registration."""
        table = schema.agent
        query = (
            sa.select(table).where(table.c.removed_at.is_(None)).order_by(table.c.registered_at, table.c.id)
        )
        return [rows.agent_from_row(row) for row in self._rows(query)]

    def made_monitors(self) -> list[MadeMonitor]:
        """Every monitor that was made through an API and not removed, in the order of their making."""
        table = schema.made_monitor
        query = sa.select(table).where(table.c.removed_at.is_(None)).order_by(table.c.made_at, table.c.id)
        return [rows.made_monitor_from_row(row) for row in self._rows(query)]

    def beat_totals(self) -> dict[MonitorId, tuple[int, datetime | None]]:
        """Of each monitor how many beats are kept, and when the newest came that ended a run or said that it lives."""
        table = schema.beat
        is_end = table.c.signal.in_((Signal.ALIVE, Signal.FAIL))
        newest = sa.func.max(sa.case((is_end, table.c.received_at)), type_=table.c.received_at.type)
        query = sa.select(table.c.monitor, sa.func.count().label("total"), newest.label("newest"))
        found = self._rows(query.group_by(table.c.monitor))
        return {MonitorId(row["monitor"]): (row["total"], row["newest"]) for row in found}

    def beats(self, monitor: MonitorId, newest: int = 100) -> list[Beat]:
        """The newest kept beats of a monitor, newest first."""
        table = schema.beat
        query = sa.select(table).where(table.c.monitor == monitor)
        found = self._rows(query.order_by(table.c.received_at.desc(), table.c.id.desc()).limit(newest))
        return [rows.beat_from_row(row) for row in found]

    def tokens(self) -> list[Token]:
        """Every token that was given out, also revoked ones, the oldest first."""
        table = schema.token
        return [rows.token_from_row(row) for row in self._rows(sa.select(table).order_by(table.c.created_at))]

    def windows(
        self, *, since: datetime | None = None, over_at: datetime | None = None,
        kinds: Collection[WindowKind] = tuple(WindowKind), newest: int | None = None,
    ) -> list[Window]:  # fmt: skip
        """Silences, maintenance and pauses; newest first when ``newest`` limits them, else those that began first.

        :param since: only those that were to last beyond this, also if they were ended before it.
        :param over_at: only those that were over by then.
        """
        table = schema.window
        query = sa.select(table).where(table.c.kind.in_([str(kind) for kind in kinds]))
        if since is not None:
            is_endless = sa.and_(table.c.ends_at.is_(None), table.c.ended_at.is_(None))
            query = query.where(sa.or_(is_endless, table.c.ends_at > since))
        if over_at is not None:
            query = query.where(sa.or_(table.c.ends_at <= over_at, table.c.ended_at <= over_at))
        order = (table.c.starts_at.desc(), table.c.id) if newest else (table.c.starts_at, table.c.id)
        return [rows.window_from_row(row) for row in self._rows(query.order_by(*order).limit(newest))]

    def watch_spans(self, since: datetime, until: datetime) -> list[WatchSpan]:
        """When Defib itself was watching, overlapping ``[since, until)``, oldest first."""
        table = schema.watch
        query = sa.select(table).where(table.c.seen_at >= since, table.c.started_at < until)
        return [WatchSpan(**row) for row in self._rows(query.order_by(table.c.started_at))]

    def watched_from(self) -> datetime | None:
        """When Defib began to watch, as far as the store remembers; None: it never has."""
        found = self._rows(sa.select(schema.watch).order_by(schema.watch.c.started_at).limit(1))
        return WatchSpan(**found[0]).started_at if found else None

    def newest_watch_span(self) -> WatchSpan | None:
        found = self._rows(sa.select(schema.watch).order_by(schema.watch.c.seen_at.desc()).limit(1))
        return WatchSpan(**found[0]) if found else None


def _between(
    query: sa.Select[Any], at: sa.Column[datetime], since: datetime | None, until: datetime | None,
    monitor: MonitorId | None, owner: sa.Column[str],
) -> sa.Select[Any]:  # fmt: skip
    if since is not None:
        query = query.where(at >= since)
    if until is not None:
        query = query.where(at < until)
    return query if monitor is None else query.where(owner == monitor)
