"""The pages: rendered whole by the server, kept up to date by their scripts."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from defib.engine.roster import STRATEGY_KEY
from defib.engine.views.wording import STATE_WORDS
from defib.model.ids import MonitorId, ReportId
from defib.model.report import ReportDocument
from defib.web.access import Access
from defib.web.addresses import addresses
from defib.web.drawing import Chart, chart, chart_of_hours
from defib.web.front_door import DOCUMENT_POLICY
from defib.web.problems import Problem
from defib.web.questions import ReportFormat
from defib.web.rendering import Pages
from defib.web.reports import body_of, neighbours
from defib.web.services import Services
from defib.web.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Period:
    """What a chart shows."""

    name: str  #: in the address
    words: str
    span: timedelta
    per: int | None  #: hours in one slice; None: single looks


PERIODS = (
    Period("24h", "24 hours", timedelta(days=1), None),
    Period("7d", "7 days", timedelta(days=7), 1),
    Period("30d", "30 days", timedelta(days=30), 4),
    Period("90d", "90 days", timedelta(days=90), 12),
)

Endpoint = Callable[[Request], Awaitable[Response]]


class PageRoutes:
    """What browsers open."""

    def __init__(
        self,
        services: Services,
        access: Access,
        pages: Pages,
        snapshot: Snapshot,
        description: Callable[[], dict[str, Any]],
    ) -> None:
        """:param description: makes that of the API, for ``/docs``; takes its time."""
        self._services = services
        self._access = access
        self._pages = pages
        self._snapshot = snapshot
        self._description = description

    def routes(self) -> list[Route]:
        """All of them; each needs someone who may read."""
        pages: dict[str, Endpoint] = {
            "/": self.overview,
            "/monitors/{id}": self.monitor,
            "/reports": self.reports,
            "/reports/{id}": self.report,
            "/reports/{id}/document": self.document,
            "/docs": self.docs,
        }
        return [Route(path, self._for_readers(page), methods=["GET"]) for path, page in pages.items()]

    def _for_readers(self, page: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._access.reader(request)
            return await page(request)

        return endpoint

    async def overview(self, request: Request) -> Response:
        view = (await self._snapshot.get()).view
        render = partial(self._pages.page, request, "overview.html", view=view)
        return await asyncio.to_thread(render, blank=_BLANK, blank_incident=_BLANK_INCIDENT)

    async def monitor(self, request: Request) -> Response:
        monitor = MonitorId(request.path_params["id"])
        period = request.query_params.get("period", PERIODS[0].name)
        charted = next((item for item in PERIODS if item.name == period), PERIODS[0])

        def read() -> tuple[dict[str, Any] | None, dict[str, Any] | None, Chart]:
            views = self._services.views
            return views.monitor(monitor), views.why(monitor), self._chart(monitor, charted)

        view, why, drawn = await asyncio.to_thread(read)
        if view is None or why is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"There is no monitor “{monitor}”. It may have been renamed or removed."
            )
        settings = self._services.engine.roster.settings
        watched = self._services.engine.roster.monitors.get(monitor)
        return self._pages.page(
            request, "monitor.html", view=view, why=why, chart=drawn, charted=charted, periods=PERIODS,
            strategies=sorted(settings.strategies), switched=self._switched(monitor),
            words={str(state): word for state, word in STATE_WORDS.items()},
            is_pushed=watched is not None and watched.is_pushed,
            addresses=addresses(request, self._services.engine, self._access, monitor),
        )  # fmt: skip

    def _chart(self, monitor: MonitorId, period: "Period") -> Chart:
        """The newest ``period`` of a monitor: a day out of single looks, longer ones out of hours."""
        views, timezone = self._services.views, self._services.engine.roster.settings.timezone
        until = datetime.now(UTC)
        if period.per is None:
            since = until - period.span
            return chart(views.history(monitor, since, until), since, until, timezone)
        until = until.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        since = until - period.span
        return chart_of_hours(
            views.hours(monitor, since, until, period.per), since, until, period.per, timezone
        )

    def _switched(self, monitor: MonitorId) -> str | None:
        """The strategy this monitor was switched to at run time."""
        return self._services.engine.roster.switched.get(f"{STRATEGY_KEY}:{monitor}")

    async def reports(self, request: Request) -> Response:
        titles = await asyncio.to_thread(self._services.views.reports)
        roster = self._services.engine.roster
        configured = [spec.name for spec in roster.settings.reports]
        makeable = dict.fromkeys([*configured, *roster.registry.reports.names()])
        names = list(dict.fromkeys([*configured, *(title["name"] for title in titles)]))
        wanted = request.query_params.get("name", "")
        shown = [title for title in titles if wanted in ("", title["name"])]
        return self._pages.page(
            request, "reports.html", reports=shown, kinds=list(makeable), names=names, wanted=wanted
        )

    async def report(self, request: Request) -> Response:
        document = await self._document(request)
        titles = await asyncio.to_thread(self._services.views.reports, document.name)
        older, newer = neighbours(document.id, titles)
        return self._pages.page(request, "report.html", report=document, older=older, newer=newer)

    async def document(self, request: Request) -> Response:
        """The report's own page, which may run nothing; its links lead out of the frame."""
        content, media_type = body_of(await self._document(request), ReportFormat.HTML)
        content = content.replace("<head>", '<head><base target="_top">', 1)
        headers = {"Content-Security-Policy": DOCUMENT_POLICY}
        return Response(content.encode("utf-8", "replace"), headers=headers, media_type=media_type)

    async def _document(self, request: Request) -> ReportDocument:
        name = request.path_params["id"]
        found = await asyncio.to_thread(self._services.views.report, ReportId(name))
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"There is no report “{name}”.")
        return found

    async def docs(self, request: Request) -> Response:
        return self._pages.page(request, "docs.html", api=await asyncio.to_thread(self._description))


_BLANK_RECOVERY = {"mode": "none", "doing": "", "case": None}

_BLANK: dict[str, Any] = {
    "id": "", "name": "", "type": "", "target": "", "tags": [], "state": "new", "since": None, "says": "",
    "inconclusive": False, "latency_ms": None, "last_seen": None, "deadline": None, "incident": None,
    "flapping": None, "suspicion": None,
    "recovery": _BLANK_RECOVERY, "hours": [], "latencies_ms": [],
}  # fmt: skip
"""A row without a monitor: the browser fills copies of it."""

_BLANK_INCIDENT: dict[str, Any] = {
    "id": "", "monitor": "", "name": "", "fault_at": None, "summary": "", "together": [],
    "acked_at": None, "acked_by": "",
    "recovery": _BLANK_RECOVERY,
}  # fmt: skip
