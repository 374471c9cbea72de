"""The API's questions."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from defib.model.ids import IncidentId, MonitorId, ReportId
from defib.model.report import ReportDocument
from defib.web import answers, questions
from defib.web.front_door import DOCUMENT_POLICY
from defib.web.operations import Call, Operation
from defib.web.problems import Problem
from defib.web.questions import ReportFormat
from defib.web.reports import body_of
from defib.web.services import Services
from defib.web.snapshot import Snapshot

LONGEST_HISTORY = timedelta(days=31)
LONGEST_HOURS = timedelta(days=400)
MOST_HOURS = timedelta(hours=5000)

_NOT_FOUND = {HTTPStatus.NOT_FOUND: "There is none of that name."}


class Reading:
    """Answers from the read model."""

    def __init__(self, services: Services, snapshot: Snapshot) -> None:
        self._views = services.views
        self._services = services
        self._snapshot = snapshot

    def operations(self) -> list[Operation]:
        """What can be asked."""
        return [
            Operation(
                method="GET", path="/overview", name="getOverview", group="Overview", answer=self.overview,
                summary="Everything the first page shows.", shape=answers.Overview,
            ),
            Operation(
                method="GET", path="/monitors", name="listMonitors", group="Monitors", answer=self.monitors,
                summary="The monitors, those that need attention first.", query=questions.MonitorsQuery,
                shape=answers.MonitorPage,
            ),
            Operation(
                method="GET", path="/monitors/{id}", name="getMonitor", group="Monitors", answer=self.monitor,
                summary="One monitor with its story.", shape=answers.MonitorStory, refusals=_NOT_FOUND,
            ),
            Operation(
                method="GET", path="/monitors/{id}/history", name="getHistory", group="Monitors",
                answer=self.history, summary="Single observations, oldest first.", query=questions.HistoryQuery,
                shape=answers.History, refusals=_NOT_FOUND,
            ),
            Operation(
                method="GET", path="/monitors/{id}/hours", name="getHours", group="Monitors", answer=self.hours,
                summary="What its looks of each hour came to, oldest first.", query=questions.HoursQuery,
                shape=answers.Hours, refusals=_NOT_FOUND,
            ),
            Operation(
                method="GET", path="/monitors/{id}/explain", name="explainMonitor", group="Monitors",
                answer=self.explain, summary="Why it is in this state, in plain words.", shape=answers.Explanation,
                refusals=_NOT_FOUND,
            ),
            Operation(
                method="GET", path="/incidents", name="listIncidents", group="Incidents", answer=self.incidents,
                summary="The incidents, newest first.", query=questions.PageQuery, shape=answers.IncidentPage,
            ),
            Operation(
                method="GET", path="/incidents/{id}", name="getIncident", group="Incidents", answer=self.incident,
                summary="One incident with everything that was done and told.", shape=answers.IncidentStory,
                refusals=_NOT_FOUND,
            ),
            Operation(
                method="GET", path="/alerts", name="listAlerts", group="Alerts", answer=self.alerts,
                summary="The alerts with their deliveries, newest first.", query=questions.PageQuery,
                shape=answers.AlertPage,
            ),
            Operation(
                method="GET", path="/recoveries", name="listRecoveries", group="Recovery", answer=self.recoveries,
                summary="The recovery cases with their attempts, newest first.", query=questions.PageQuery,
                shape=answers.CasePage,
            ),
            Operation(
                method="GET", path="/recovery", name="getArming", group="Recovery", answer=self.arming,
                summary="Whether recovery acts, and for whom.", shape=answers.Arming,
            ),
            Operation(
                method="GET", path="/strategies", name="listStrategies", group="Strategies",
                answer=self.strategies, summary="The strategies, and who follows which.", shape=answers.Strategies,
            ),
            Operation(
                method="GET", path="/reports", name="listReports", group="Reports", answer=self.reports,
                summary="The newest stored reports.", shape=answers.ReportTitles,
            ),
            Operation(
                method="GET", path="/reports/{date}", name="getReport", group="Reports", answer=self.report,
                summary="A stored report, by the day it covers or by its id.", query=questions.ReportQuery,
                shape=dict[str, Any], refusals=_NOT_FOUND,
                media=("application/json", "text/html", "text/plain", "text/csv"),
            ),
            Operation(
                method="GET", path="/plugins", name="listPlugins", group="Plugins", answer=self.plugins,
                summary="What the plugins offer, and those that do not load.", shape=answers.Plugins,
            ),
        ]  # fmt: skip

    # --- monitors ----------------------------------------------------------------------------------

    async def overview(self, call: Call) -> Response:
        newest = await self._snapshot.get()
        if "gzip" in call.request.headers.get("accept-encoding", ""):
            headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            compressed = await asyncio.to_thread(lambda: newest.compressed)
            return Response(compressed, headers=headers, media_type="application/json")
        return Response(newest.body, headers={"Vary": "Accept-Encoding"}, media_type="application/json")

    async def monitors(self, call: Call) -> dict[str, Any]:
        wanted: questions.MonitorsQuery = call.query
        states = wanted.state.split(",") if wanted.state else None
        found = [
            item
            for item in (await self._snapshot.get()).view["monitors"]
            if (states is None or item["state"] in states)
            and (wanted.tag is None or wanted.tag in item["tags"])
            and (wanted.type is None or wanted.type == item["type"])
        ]
        return page(found[wanted.offset : wanted.offset + wanted.limit], len(found), wanted)

    async def monitor(self, call: Call) -> dict[str, Any]:
        return await self._of_monitor(self._views.monitor, call.part("id"))

    async def explain(self, call: Call) -> dict[str, Any]:
        return await self._of_monitor(self._views.why, call.part("id"))

    async def _of_monitor(
        self, view: Callable[[MonitorId], dict[str, Any] | None], monitor: str
    ) -> dict[str, Any]:
        found = await asyncio.to_thread(view, MonitorId(monitor))
        if found is None:
            raise no_monitor(monitor)
        return found

    async def history(self, call: Call) -> dict[str, Any]:
        monitor = call.part("id")
        wanted: questions.HistoryQuery = call.query
        until = wanted.until or datetime.now(UTC)
        since = wanted.since or until - timedelta(days=1)
        if not timedelta(0) < until - since <= LONGEST_HISTORY:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"since must be before until, by {LONGEST_HISTORY.days} days at most",
            )
        if monitor not in (item["id"] for item in (await self._snapshot.get()).view["monitors"]):
            raise no_monitor(monitor)
        found = await asyncio.to_thread(self._views.history, MonitorId(monitor), since, until)
        part = page(found[wanted.offset : wanted.offset + wanted.limit], len(found), wanted)
        return {"monitor": monitor, "since": since.isoformat(), "until": until.isoformat()} | part

    async def hours(self, call: Call) -> dict[str, Any]:
        monitor = call.part("id")
        wanted: questions.HoursQuery = call.query
        until = wanted.until or datetime.now(UTC)
        since = wanted.since or until - timedelta(days=7)
        is_long = until - since > wanted.per * MOST_HOURS or until - since > LONGEST_HOURS
        if since >= until or is_long:
            most = MOST_HOURS // timedelta(hours=1)
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"since must be before until, by {LONGEST_HOURS.days} days and {most} items at most; "
                "'per' takes hours together",
            )
        if monitor not in (item["id"] for item in (await self._snapshot.get()).view["monitors"]):
            raise no_monitor(monitor)
        found = await asyncio.to_thread(self._views.hours, MonitorId(monitor), since, until, wanted.per)
        return {"monitor": monitor, "since": since.isoformat(), "until": until.isoformat(), "items": found}

    # --- what happened -----------------------------------------------------------------------------

    async def incidents(self, call: Call) -> dict[str, Any]:
        return await self._archive(self._views.incidents, "incidents", call.query)

    async def alerts(self, call: Call) -> dict[str, Any]:
        return await self._archive(self._views.alerts, "alerts", call.query)

    async def recoveries(self, call: Call) -> dict[str, Any]:
        return await self._archive(self._views.recoveries, "cases", call.query)

    async def _archive(
        self, view: Callable[[int, int], list[dict[str, Any]]], name: str, wanted: questions.PageQuery
    ) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            return page(view(wanted.limit, wanted.offset), self._views.totals()[name], wanted)

        return await asyncio.to_thread(read)

    async def incident(self, call: Call) -> dict[str, Any]:
        found = await asyncio.to_thread(self._views.explain, IncidentId(call.part("id")))
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no incident {call.part('id')!r}")
        return found

    # --- what there is -----------------------------------------------------------------------------

    async def arming(self, call: Call) -> dict[str, Any]:
        return await asyncio.to_thread(self._views.recovery)

    async def strategies(self, call: Call) -> dict[str, Any]:
        return self._views.strategies()

    async def plugins(self, call: Call) -> dict[str, Any]:
        return self._views.plugins()

    async def reports(self, call: Call) -> dict[str, Any]:
        titles = await asyncio.to_thread(self._views.reports)
        return {"items": titles, "total": len(titles)}

    async def report(self, call: Call) -> Response:
        wanted: questions.ReportQuery = call.query
        document = await self._report(call.part("date"), wanted.kind)
        content, media_type = body_of(document, wanted.format)
        headers = {"Content-Disposition": f'inline; filename="{document.id}.{_SUFFIX[wanted.format]}"'}
        if wanted.format is ReportFormat.HTML:
            headers["Content-Security-Policy"] = DOCUMENT_POLICY
        return Response(content.encode("utf-8", "replace"), headers=headers, media_type=media_type)

    async def _report(self, name: str, kind: str) -> ReportDocument:
        try:
            key = self._services.engine.reporting.id_of(kind, date.fromisoformat(name))
        except ValueError:
            key = ReportId(name)
        found = await asyncio.to_thread(self._views.report, key)
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                f"no report {name!r} is stored; 'defib report --date' makes one, as does POST /api/v1/reports",
            )
        return found


_SUFFIX = {
    ReportFormat.JSON: "json",
    ReportFormat.HTML: "html",
    ReportFormat.TEXT: "txt",
    ReportFormat.CSV: "csv",
}


def no_monitor(monitor: str) -> Problem:
    """There is none of that id."""
    return Problem(HTTPStatus.NOT_FOUND, f"there is no monitor {monitor!r}; 'defib status' lists them")


def page(items: Sequence[Any], total: int, wanted: Any) -> dict[str, Any]:
    """Part of a list, with what part it is."""
    return {"items": list(items), "total": total, "limit": wanted.limit, "offset": wanted.offset}
