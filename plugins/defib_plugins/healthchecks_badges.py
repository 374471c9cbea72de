"""The badges of Healthchecks: of one check, of a tag, and of all, at addresses that nobody can guess.

``/b/{2,3}/{uuid}.{svg,json,shields}`` is one check's, ``/badge/{key}/{signature}[-2]/{tag}.…`` a tag's and
``/badge/{key}/{signature}[-2].…`` that of all. A badge has three words, ``up``, ``late`` and ``down``; with two states
what is late is up. They need no login, and are not there unless ``server.badges`` is on.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID, uuid5

from defib.plugin import JobView, ReceiverContext, badges
from defib_plugins.healthchecks_check import status
from defib_plugins.receiving import answer

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

ALL = "*"
_LABEL_OF_ALL = "status"
_FORMATS = ("svg", "json", "shields")
_TWO_STATES = "-2"
_TONES = {"up": badges.Tone.GOOD, "late": badges.Tone.WEAK, "down": badges.Tone.BAD}
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-cache, must-revalidate",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@dataclass(frozen=True, slots=True)
class Count:
    """How the checks that a badge stands for are."""

    total: int
    grace: int
    down: int

    def word(self, *, states: int) -> str:
        """The worst of them: ``up``, ``late`` or ``down``."""
        if self.down:
            return "down"
        return "late" if self.grace and states > 2 else "up"


def count(views: Iterable[JobView], now: "datetime") -> Count:
    """Who is new or paused is not down. Pure."""
    words = [status(view, now) for view in views]
    return Count(total=len(words), grace=words.count("grace"), down=words.count("down"))


class Badges:
    """Draws the badges of one server, and knows their addresses."""

    def __init__(self, context: ReceiverContext) -> None:
        self._context = context
        self._key = str(UUID(bytes=context.sign("badge key").ljust(16, b"\0")[:16], version=4))

    # --- addresses ---------------------------------------------------------------------------------

    def of_check(self, view: JobView) -> str:
        """Where a check's badge is; "" while badges are off."""
        return f"/b/2/{_uuid(view)}.svg" if self._context.has_badges() else ""

    async def of_tags(self, site: str) -> Mapping[str, Mapping[str, str]]:
        """By tag, and by ``*`` for all: the address of each format, with a 3 behind those of three states."""
        if not self._context.has_badges():
            return {}
        tags = {tag for view in await self._context.jobs.views() for tag in view.spec.tags}
        return {tag: self._addresses(site, tag) for tag in (*sorted(tags), ALL)}

    def _addresses(self, site: str, tag: str) -> Mapping[str, str]:
        rest = "" if tag == ALL else f"/{quote(tag, safe='')}"
        start = f"{site}/badge/{self._key}/{self._signature(tag)}"
        return {
            f"{form}{suffix}": f"{start}{states}{rest}.{form}"
            for form in _FORMATS
            for suffix, states in (("", _TWO_STATES), ("3", ""))
        }

    def _signature(self, tag: str) -> str:
        return urlsafe_b64encode(self._context.sign(f"badge of {tag}"))[:8].decode()

    # --- answers -----------------------------------------------------------------------------------

    def routes(self) -> "list[BaseRoute]":
        """Where they are."""
        from starlette.routing import Route

        return [
            Route("/b/{states:int}/{name}", self._check),
            Route(f"/badge/{self._key}/{{name}}", self._all),
            Route(f"/badge/{self._key}/{{signature}}/{{name:path}}", self._tag),
        ]

    async def _check(self, request: "Request") -> "Response":
        states, (name, form) = request.path_params["states"], _split(request)
        found = [view for view in await self._context.jobs.views() if _uuid(view) == name]
        if states not in (2, 3) or not found:
            return _not_found()
        return self._drawn(found[0].spec.name, found, states, form)

    async def _all(self, request: "Request") -> "Response":
        signature, form = _split(request)
        return await self._signed(ALL, signature, form)

    async def _tag(self, request: "Request") -> "Response":
        tag, form = _split(request)
        return await self._signed(tag, request.path_params["signature"], form)

    async def _signed(self, tag: str, shown: str, form: str) -> "Response":
        states = 2 if shown.endswith(_TWO_STATES) and len(shown) == 10 else 3
        signature = shown[:8] if states == 2 else shown
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(tag).encode()):
            return _not_found()
        views = await self._context.jobs.views()
        found = [view for view in views if tag == ALL or tag in view.spec.tags]
        return self._drawn(_LABEL_OF_ALL if tag == ALL else tag, found, states, form)

    def _drawn(self, label: str, views: Sequence[JobView], states: int, form: str) -> "Response":
        from starlette.responses import Response

        if not self._context.has_badges() or form not in _FORMATS:
            return _not_found()
        counted = count(views, self._context.clock.now())
        word = counted.word(states=states)
        badge = badges.Badge(label, word, _TONES[word])
        if form == "svg":
            return Response(badges.svg(badge), media_type="image/svg+xml", headers=_HEADERS)
        told: dict[str, Any] = (
            dict(badges.shields(badge))
            if form == "shields"
            else {"status": word, "total": counted.total, "grace": counted.grace, "down": counted.down}
        )
        return answer(told, headers=_HEADERS)


def _split(request: "Request") -> tuple[str, str]:
    """Name and format."""
    name, _, form = request.path_params["name"].rpartition(".")
    return name, form


def _uuid(view: JobView) -> str:
    """Of its badge: who knows it cannot ping."""
    return str(uuid5(UUID(view.uuid), "badge"))


def _not_found() -> "Response":
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("not found", 404)
