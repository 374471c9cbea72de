"""Badges of monitors, tags and everything: ``/badge/monitor/{id}.svg``, ``/badge/tag/{tag}.svg``, ``/badge/all.svg``.

In place of ``svg`` stand ``json``, ``shields`` (for shields.io) and ``txt``. They need no login, and are not there
unless ``server.badges`` is on: with ``signed`` an address ends in ``?key=…``, with ``public`` it does without.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from defib.engine.engine import Engine
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.settings import BadgeAccess
from defib.rules import badges
from defib.rules.badges import Badge, Tone
from defib.web.operations import json_response
from defib.web.problems import Problem

_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-cache, must-revalidate",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_WORDS = {
    State.FAULT: ("down", Tone.BAD),
    State.UNREACHABLE: ("unreachable", Tone.BAD),
    State.SUSPECT: ("suspect", Tone.WEAK),
    State.DEGRADED: ("degraded", Tone.WEAK),
    State.UP: ("up", Tone.GOOD),
    State.WATCH: ("up", Tone.GOOD),
    State.MAINTENANCE: ("maintenance", Tone.QUIET),
    State.PAUSED: ("paused", Tone.QUIET),
    State.STOPPED: ("stopped", Tone.QUIET),
    State.NEW: ("unknown", Tone.QUIET),
}
"""By what needs attention most: the first that is among the states of several monitors is told."""


@dataclass(frozen=True, slots=True)
class _Shown:
    label: str
    states: Sequence[State]


class Badges:
    """Draws them for one server."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/badge/all.{form}", self._all),
            Route("/badge/monitor/{name}", self._monitor),
            Route("/badge/tag/{name:path}", self._tag),
        ]

    def address(self, monitor: MonitorId) -> str:
        """Where the badge of a monitor is on this server; "" while badges are off."""
        path = f"/badge/monitor/{monitor}.svg"
        match self._access:
            case BadgeAccess.OFF:
                return ""
            case BadgeAccess.PUBLIC:
                return path
        return f"{path}?key={quote(self._key(f'monitor {monitor}'))}"

    @property
    def _access(self) -> BadgeAccess:
        return self._engine.roster.settings.server.badges

    def _key(self, subject: str) -> str:
        return urlsafe_b64encode(self._engine.roster.sign(f"badge {subject}"))[:22].decode()

    async def _all(self, request: Request) -> Response:
        self._admit(request, "all")
        states = self._states(self._engine.roster.monitors)
        return _drawn(_Shown("status", states), request.path_params["form"])

    async def _monitor(self, request: Request) -> Response:
        name, _, form = request.path_params["name"].rpartition(".")
        self._admit(request, f"monitor {name}")
        watched = self._engine.roster.monitors.get(MonitorId(name))
        if watched is None:
            raise _nothing()
        return _drawn(_Shown(watched.spec.name, self._states([watched.spec.id])), form)

    async def _tag(self, request: Request) -> Response:
        name, _, form = request.path_params["name"].rpartition(".")
        self._admit(request, f"tag {name}")
        monitors = self._engine.roster.monitors
        states = self._states(monitor for monitor, watched in monitors.items() if name in watched.spec.tags)
        if not states:
            raise _nothing()
        return _drawn(_Shown(name, states), form)

    def _admit(self, request: Request, subject: str) -> None:
        """:raises Problem: 404: badges are off, or the address lacks the key that it needs."""
        shown = request.query_params.get("key", "").encode("utf-8", "replace")
        is_signed = hmac.compare_digest(shown, self._key(subject).encode())
        if self._access is BadgeAccess.OFF or (self._access is BadgeAccess.SIGNED and not is_signed):
            raise _nothing()

    def _states(self, monitors: Iterable[MonitorId]) -> list[State]:
        return [self._engine.table[monitor].state for monitor in monitors]


def _drawn(shown: _Shown, form: str) -> Response:
    worst = next((state for state in _WORDS if state in shown.states), State.NEW)
    word, tone = _WORDS[worst]
    badge = Badge(shown.label, word, tone)
    match form:
        case "svg":
            return Response(badges.svg(badge), media_type="image/svg+xml", headers=_HEADERS)
        case "txt":
            return PlainTextResponse(f"{word}\n", headers=_HEADERS)
        case "shields":
            found = json_response(badges.shields(badge))
        case "json":
            tones = [_WORDS[state][1] for state in shown.states]
            found = json_response(
                {
                    "status": word,
                    "total": len(tones),
                    "degraded": tones.count(Tone.WEAK),
                    "down": tones.count(Tone.BAD),
                }
            )
        case _:
            raise _nothing()
    found.headers.update(_HEADERS)
    return found


def _nothing() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "there is no such badge")
