"""The API of the front desk: acknowledge, silence, plan maintenance, pause, and look into the log of deliveries."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from defib.engine.views import desk_views, row_views
from defib.errors import UsageError
from defib.model.agent import Scope
from defib.model.ids import DeliveryId, IncidentId, MonitorId
from defib.model.window import Matcher, Window, WindowKind
from defib.web import answers, questions
from defib.web.operations import Call, Operation
from defib.web.problems import Problem
from defib.web.reading import no_monitor, page
from defib.web.services import Services
from defib.web.snapshot import Snapshot

_NO_INCIDENT = {
    HTTPStatus.NOT_FOUND: "There is none of that id.",
    HTTPStatus.CONFLICT: "It is over, or nobody has acknowledged it.",
}
_NO_WINDOW = {HTTPStatus.NOT_FOUND: "None of that id is in force or to come."}


class DeskOperations:
    """Hands what is asked to :class:`defib.engine.alerting.desk.FrontDesk`; each act expires the snapshot."""

    def __init__(self, services: Services, snapshot: Snapshot) -> None:
        self._engine = services.engine
        self._views = services.views
        self._snapshot = snapshot

    def operations(self) -> list[Operation]:
        """What can be asked for."""
        return [
            Operation(
                method="POST", path="/incidents/{id}/ack", name="acknowledgeIncident", group="Incidents",
                scope=Scope.WRITE, answer=self.acknowledge, body=questions.AckBody, shape=answers.Acknowledged,
                summary="Say that you see to it: no reminder and no escalation. The id may be a monitor's, too.",
                refusals=_NO_INCIDENT,
            ),
            Operation(
                method="DELETE", path="/incidents/{id}/ack", name="withdrawAcknowledgement", group="Incidents",
                scope=Scope.WRITE, answer=self.withdraw, shape=answers.Acknowledged,
                summary="Say that nobody sees to it any more.", refusals=_NO_INCIDENT,
            ),
            *self._of_windows(
                "/silences", "Silence", "Silences", "Silences: everything goes on but the telling",
                WindowKind.SILENCE, questions.SilenceBody,
            ),
            *self._of_windows(
                "/maintenance", "Maintenance", "Maintenance", "Maintenance: it is looked, and nothing is judged",
                WindowKind.MAINTENANCE, questions.WindowBody,
            ),
            Operation(
                method="POST", path="/monitors/{id}/pause", name="pauseMonitor", group="Monitors", scope=Scope.WRITE,
                answer=self.pause, body=questions.PauseBody, shape=answers.Window, status=HTTPStatus.CREATED,
                summary="Leave a monitor alone: nobody looks, judges, tells or repairs.",
                refusals={HTTPStatus.NOT_FOUND: "There is none of that id.", HTTPStatus.CONFLICT: "It is paused."},
            ),
            Operation(
                method="POST", path="/monitors/{id}/resume", name="resumeMonitor", group="Monitors",
                scope=Scope.WRITE, answer=self.resume, body=questions.Nothing, shape=answers.Windows,
                summary="End every pause of a monitor; it is looked at at once.",
                refusals={HTTPStatus.NOT_FOUND: "There is none of that id.",
                          HTTPStatus.CONFLICT: "It is not paused, or together with others."},
            ),
            Operation(
                method="GET", path="/deliveries", name="listDeliveries", group="Alerts", answer=self.deliveries,
                summary="The log of deliveries with each try, newest first.", query=questions.DeliveriesQuery,
                shape=answers.DeliveryPage,
            ),
            Operation(
                method="POST", path="/deliveries/{id}/retry", name="retryDelivery", group="Alerts",
                scope=Scope.WRITE, answer=self.retry, body=questions.Nothing, shape=answers.Retried,
                status=HTTPStatus.ACCEPTED, summary="Try a dead letter again.",
                refusals={HTTPStatus.NOT_FOUND: "There is none of that id.",
                          HTTPStatus.CONFLICT: "It was delivered, or waits for its next try anyhow."},
            ),
        ]  # fmt: skip

    def _of_windows(
        self, path: str, noun: str, plural: str, what: str, kind: WindowKind, body: type[questions.WindowBody]
    ) -> list[Operation]:
        async def read(call: Call) -> dict[str, Any]:
            return await asyncio.to_thread(self._windows, (kind,), call.query.over)

        async def begin(call: Call) -> dict[str, Any]:
            return await self._begin(kind, call)

        async def end(call: Call) -> dict[str, Any]:
            return await self._end(kind, call)

        return [
            Operation(
                method="GET", path=path, name=f"list{plural}", group=_GROUP, answer=read, shape=answers.Windows,
                query=questions.WindowsQuery, summary=f"{what}. Those in force and those to come.",
            ),
            Operation(
                method="POST", path=path, name=f"begin{noun}", group=_GROUP, scope=Scope.WRITE, answer=begin,
                body=body, shape=answers.Window, status=HTTPStatus.CREATED,
                summary=f"Begin or plan one; the kind is {kind}.",
            ),
            Operation(
                method="DELETE", path=f"{path}/{{id}}", name=f"end{noun}", group=_GROUP, scope=Scope.WRITE,
                answer=end, shape=answers.Window, summary="End one before its time.", refusals=_NO_WINDOW,
            ),
        ]  # fmt: skip

    # --- who sees to it ----------------------------------------------------------------------------

    async def acknowledge(self, call: Call) -> dict[str, Any]:
        incident = self._incident(call)
        try:
            said = await self._engine.desk.acknowledge(incident, call.caller.actor, call.body.note)
        except UsageError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        return self._acked(incident, said)

    async def withdraw(self, call: Call) -> dict[str, Any]:
        incident = self._incident(call)
        try:
            said = await self._engine.desk.withdraw(incident, call.caller.actor)
        except UsageError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        return self._acked(incident, said)

    def _acked(self, incident: IncidentId, said: str) -> dict[str, Any]:
        self._snapshot.expire()
        found = self._engine.reader.incident(incident)
        assert found is not None
        return {"incident": row_views.incident(found), "said": said}

    def _incident(self, call: Call) -> IncidentId:
        name = call.part("id")
        if MonitorId(name) in self._engine.roster.monitors:
            health = self._engine.table[MonitorId(name)]
            if health.incident is None:
                raise Problem(HTTPStatus.CONFLICT, f"{name} is {health.state}: it has no open incident")
            return health.incident
        if self._engine.reader.incident(IncidentId(name)) is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no incident or monitor {name!r}")
        return IncidentId(name)

    # --- windows -----------------------------------------------------------------------------------

    def _windows(self, kinds: Collection[WindowKind], with_past: bool) -> dict[str, Any]:
        items = self._views.windows(kinds) + (self._views.past_windows(kinds) if with_past else [])
        return {"items": items, "total": len(items)}

    async def _begin(self, kind: WindowKind, call: Call) -> dict[str, Any]:
        wanted: questions.WindowBody = call.body
        begins = wanted.starts_at or self._engine.clock.now()
        matcher = Matcher(monitors=frozenset(map(MonitorId, wanted.monitors)), tags=frozenset(wanted.tags))
        if isinstance(wanted, questions.SilenceBody):
            incidents = frozenset(map(IncidentId, wanted.incidents))
            matcher = replace(matcher, incidents=incidents, severity=frozenset(wanted.severity))
        window = await self._engine.desk.begin(
            kind, matcher, until=wanted.end(begins), who=call.caller.actor, reason=wanted.reason,
            starts_at=wanted.starts_at, everything=wanted.everything,
        )  # fmt: skip
        return self._shown(window)

    async def _end(self, kind: WindowKind, call: Call) -> dict[str, Any]:
        try:
            return self._shown(await self._engine.windows.end(call.part("id"), call.caller.actor, kind))
        except UsageError as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error

    async def pause(self, call: Call) -> dict[str, Any]:
        monitor, wanted = self._monitor(call), call.body
        if self._engine.windows.pauses_of(monitor):
            raise Problem(HTTPStatus.CONFLICT, f"{monitor} is paused already")
        window = await self._engine.desk.begin(
            WindowKind.PAUSE, Matcher(monitors=frozenset({monitor})), until=wanted.end(self._engine.clock.now()),
            who=call.caller.actor, reason=wanted.reason,
        )  # fmt: skip
        return self._shown(window)

    async def resume(self, call: Call) -> dict[str, Any]:
        monitor = self._monitor(call)
        try:
            ended = await self._engine.windows.resume(monitor, call.caller.actor)
        except UsageError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        return {"items": [self._shown(window) for window in ended], "total": len(ended)}

    def _shown(self, window: Window) -> dict[str, Any]:
        self._snapshot.expire()
        [view] = desk_views.windows((window,), (window.kind,), self._engine.roster, self._engine.clock.now())
        return view

    def _monitor(self, call: Call) -> MonitorId:
        monitor = MonitorId(call.part("id"))
        if monitor not in self._engine.roster.monitors:
            raise no_monitor(monitor)
        return monitor

    # --- deliveries --------------------------------------------------------------------------------

    async def deliveries(self, call: Call) -> dict[str, Any]:
        wanted: questions.DeliveriesQuery = call.query

        def read() -> dict[str, Any]:
            items = self._views.delivery_log(wanted.limit, wanted.offset, wanted.state)
            return page(items, self._views.delivery_total(wanted.state), wanted)

        return await asyncio.to_thread(read)

    async def retry(self, call: Call) -> dict[str, Any]:
        delivery = DeliveryId(call.part("id"))
        if self._engine.reader.delivery(delivery) is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no delivery {delivery!r}")
        try:
            tried = await self._engine.desk.retry(delivery, call.caller.actor)
        except UsageError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        return {"id": tried.id, "state": str(tried.state)}


_GROUP = "Silences and maintenance"
