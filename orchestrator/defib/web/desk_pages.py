"""The pages of the front desk: incidents, alerts, silences and maintenance."""

import asyncio
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from defib.engine.views.wording import STATE_WORDS
from defib.model.alert import Severity
from defib.model.ids import IncidentId
from defib.model.window import WindowKind
from defib.web import timeline
from defib.web.access import Access, Page
from defib.web.problems import Problem
from defib.web.rendering import Pages
from defib.web.services import Services

PER_PAGE = 50
_WINDOWS = (WindowKind.SILENCE, WindowKind.MAINTENANCE, WindowKind.PAUSE)


class DeskPages:
    """``/incidents``, ``/incidents/{id}``, ``/alerts`` and ``/silences``."""

    def __init__(self, services: Services, access: Access, pages: Pages) -> None:
        self._engine = services.engine
        self._views = services.views
        self._access = access
        self._pages = pages

    def routes(self) -> list[Route]:
        """All of them; each needs someone who may read."""
        pages: dict[str, Page] = {
            "/incidents": self.incidents,
            "/incidents/{id}": self.incident,
            "/alerts": self.alerts,
            "/silences": self.silences,
        }
        return [Route(path, self._access.for_readers(page), methods=["GET"]) for path, page in pages.items()]

    async def incidents(self, request: Request) -> Response:
        number = _number(request)

        def read() -> tuple[list[dict[str, Any]], int, int]:
            found = self._views.incident_list(PER_PAGE, (number - 1) * PER_PAGE)
            return (
                found,
                self._views.totals()["incidents"],
                len(self._engine.reader.incidents(only_open=True)),
            )

        found, total, are_open = await asyncio.to_thread(read)
        return self._pages.page(
            request, "incidents.html", incidents=found, are_open=are_open, **_paging(number, total)
        )

    async def incident(self, request: Request) -> Response:
        name = request.path_params["id"]
        story = await asyncio.to_thread(self._views.explain, IncidentId(name))
        if story is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"There is no incident “{name}”. Old ones are deleted in time."
            )
        watched = self._engine.roster.monitors.get(story["monitor"])
        return self._pages.page(
            request, "incident.html", story=story, moments=timeline.of_incident(story), why=timeline.why,
            is_watched=watched is not None, has_ladder=bool(watched and watched.actions),
            words={str(state): word for state, word in STATE_WORDS.items()},
        )  # fmt: skip

    async def alerts(self, request: Request) -> Response:
        number = _number(request)

        def read() -> tuple[list[dict[str, Any]], int, int]:
            found = self._views.alert_log(PER_PAGE, (number - 1) * PER_PAGE)
            dead = sum(states.get("dead", 0) for states in self._engine.reader.delivery_states().values())
            return found, self._views.totals()["alerts"], dead

        found, total, dead = await asyncio.to_thread(read)
        return self._pages.page(
            request, "alerts.html", alerts=found, dead=dead, why=timeline.why, **_paging(number, total)
        )

    async def silences(self, request: Request) -> Response:
        def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
            return self._views.windows(_WINDOWS), self._views.past_windows(_WINDOWS, 20)

        known, over = await asyncio.to_thread(read)
        monitors = self._engine.roster.monitors
        return self._pages.page(
            request, "silences.html", over=over,
            active=[item for item in known if item["phase"] == "active"],
            planned=[item for item in known if item["phase"] == "planned"],
            monitors=sorted((watched.spec for watched in monitors.values()), key=lambda spec: (spec.name, spec.id)),
            severities=[str(severity) for severity in Severity],
            tags=sorted({tag for watched in monitors.values() for tag in watched.spec.tags}),
        )  # fmt: skip


def _number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return min(max(1, int(text)), 100_000) if text.isascii() and text.isdigit() else 1


def _paging(number: int, total: int) -> dict[str, Any]:
    return {"page_number": number, "pages": max(1, -(-total // PER_PAGE)), "total": total}
