"""The first page, with a row for each monitor."""

from datetime import datetime
from functools import cached_property, partial
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from defib.web.overview_rows import MonitorRows
from defib.web.rendering import Pages


class OverviewPage:
    """Renders it. Takes a while when they are thousands: not on the event loop."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def render(self, request: Request, view: dict[str, Any]) -> HTMLResponse:
        """:param view: the overview, see :class:`defib.engine.views.read_model.Views`."""
        fill = partial(
            self._rows.rows,
            now=datetime.fromisoformat(view["generated_at"]),
            state_words={item["state"]: item["word"] for item in view["states"]},
        )
        return self._pages.page(
            request, "overview.html", view=view, rows=fill(view["monitors"]), blank=fill([_BLANK]),
            blank_incident=_BLANK_INCIDENT,
        )  # fmt: skip

    @cached_property
    def _rows(self) -> MonitorRows:
        return MonitorRows(self._pages.macro("parts.html", "monitor_row"))


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
