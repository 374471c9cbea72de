"""The pages: rendered whole by the server, kept up to date by their scripts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from defib.engine.roster import STRATEGY_KEY
from defib.engine.views.wording import STATE_WORDS
from defib.model.ids import MonitorId, ReportId
from defib.model.report import ReportDocument
from defib.web.access import Access, Page
from defib.web.addresses import addresses
from defib.web.beat_chart import BeatChart, beat_chart
from defib.web.drawing import Chart, chart, chart_of_hours
from defib.web.front_door import DOCUMENT_POLICY
from defib.web.overview_page import OverviewPage
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

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """The newest one; of hours until the end of the present one."""
        if self.per is not None:
            now = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return now - self.span, now


PERIODS = (
    Period("24h", "24 hours", timedelta(days=1), None),
    Period("7d", "7 days", timedelta(days=7), 1),
    Period("30d", "30 days", timedelta(days=30), 4),
    Period("90d", "90 days", timedelta(days=90), 12),
)


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
        self._overview = OverviewPage(pages)

    def routes(self) -> list[Route]:
        """All of them; each needs someone who may read."""
        pages: dict[str, Page] = {
            "/": self.overview,
            "/monitors/{id}": self.monitor,
            "/reports": self.reports,
            "/reports/{id}": self.report,
            "/reports/{id}/document": self.document,
            "/docs": self.docs,
        }
        return [Route(path, self._access.for_readers(page), methods=["GET"]) for path, page in pages.items()]

    async def overview(self, request: Request) -> Response:
        view = (await self._snapshot.get()).view
        return await asyncio.to_thread(self._overview.render, request, view)

    async def monitor(self, request: Request) -> Response:
        monitor = MonitorId(request.path_params["id"])
        period = request.query_params.get("period", PERIODS[0].name)
        charted = next((item for item in PERIODS if item.name == period), PERIODS[0])

        watched = self._services.engine.roster.monitors.get(monitor)
        is_pushed = watched is not None and watched.is_pushed
        draw = self._beat_chart if is_pushed else self._chart

        def read() -> tuple[dict[str, Any] | None, dict[str, Any] | None, Chart | BeatChart]:
            views = self._services.views
            return views.monitor(monitor), views.why(monitor), draw(monitor, charted)

        view, why, drawn = await asyncio.to_thread(read)
        if view is None or why is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"There is no monitor “{monitor}”. It may have been renamed or removed."
            )
        settings = self._services.engine.roster.settings
        return self._pages.page(
            request, "monitor.html", view=view, why=why, chart=drawn, charted=charted, periods=PERIODS,
            strategies=sorted(settings.strategies), switched=self._switched(monitor),
            words={str(state): word for state, word in STATE_WORDS.items()},
            is_pushed=is_pushed,
            addresses=addresses(request, self._services.engine, self._access, monitor),
        )  # fmt: skip

    def _chart(self, monitor: MonitorId, period: "Period") -> Chart:
        """The newest ``period`` of a monitor: a day out of single looks, longer ones out of hours."""
        views, timezone = self._services.views, self._services.engine.roster.settings.timezone
        since, until = period.bounds(datetime.now(UTC))
        if period.per is None:
            return chart(views.history(monitor, since, until), since, until, timezone)
        hours = views.hours(monitor, since, until, period.per)
        return chart_of_hours(hours, since, until, period.per, timezone)

    def _beat_chart(self, monitor: MonitorId, period: "Period") -> BeatChart:
        """The same of one that is told."""
        views, timezone = self._services.views, self._services.engine.roster.settings.timezone
        since, until = period.bounds(datetime.now(UTC))
        if period.per is None:
            seen = views.history(monitor, since, until)
        else:
            seen = views.hours(monitor, since, until, period.per)
        return beat_chart(seen, views.runs(monitor), since, until, timezone, per=period.per)

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
