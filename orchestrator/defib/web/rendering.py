"""Templates and how they say things."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from defib import __version__
from defib.rules.spans import span
from defib.web import drawing, words

FOLDER = Path(__file__).parent / "templates"

Context = Mapping[str, Any]


class Pages:
    """Renders pages."""

    def __init__(self, asset: Callable[[str], str], about: Callable[[Request], Context]) -> None:
        """
        :param asset: the address of a static file.
        :param about: what every page is told besides its own matter: who looks, how things are called.
        """
        self._about = about
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self._environment.globals |= {
            "asset": asset, "version": __version__, "latency": words.latency, "percentage": words.percentage,
            "span": span, "since": words.seconds_between, "ago": words.ago, "ahead": words.ahead,
            "deliveries": words.deliveries,
            "heard": words.heard, "load": words.load, "level": words.level, "grades": words.GRADES, "size": words.size,
            "rate": words.rate,
            "about": words.about, "standing": words.standing, "work": words.work,
            "hour": drawing.hour, "trend": drawing.trend,
        }  # fmt: skip
        self._environment.filters |= {"local": local, "coded": coded}

    def macro(self, template: str, name: str) -> Callable[..., str]:
        """A macro of a template, to be called without a page around it."""
        macro: Callable[..., str] = getattr(self._environment.get_template(template).module, name)
        return macro

    def page(
        self, request: Request, template: str, status: int = 200, *, headers: Mapping[str, str] | None = None,
        **matter: Any,
    ) -> HTMLResponse:  # fmt: skip
        """Render ``template`` with its matter."""
        now = datetime.now(UTC).isoformat()
        context = {"now": now, "path": request.url.path, **self._about(request), **matter}
        text = self._environment.get_template(template).render(context)
        return HTMLResponse(text.encode("utf-8", "replace"), status, headers)

    def message(
        self,
        request: Request,
        status: int,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """A page that says one thing."""
        return self.page(request, "message.html", status, headers=headers, title=title, detail=detail)


def local(instant: str | None, timezone: str, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """An instant by the clock of a zone; a dash for none."""
    if instant is None:
        return "–"
    return datetime.fromisoformat(instant).astimezone(ZoneInfo(timezone)).strftime(form)


def coded(text: str) -> Markup:
    """Text whose parts between backticks are code."""
    parts = text.split("`")
    marked = [Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts)]
    return Markup("").join(marked)
