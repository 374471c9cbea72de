"""What holds for every request before any route: whose name it came to, and the headers of every answer."""

import inspect
from collections.abc import Collection, Iterable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from defib.web.access import Access
from defib.web.problems import problem

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content security of our own pages: nothing inline, nothing from elsewhere."""

DOCUMENT_POLICY = "; ".join(
    (
        "default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "base-uri 'none'",
        "frame-ancestors 'self'", "sandbox allow-top-navigation-by-user-activation",
    )
)  # fmt: skip
"""Of a report: a mail's page with styles of its own, which may run nothing, and lead on by its links only."""

_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


_RAW_HEADERS = tuple((name.lower().encode(), value.encode()) for name, value in _HEADERS.items())
_RAW_HEADERS_OF_DATA = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Of answers to programs, where the rest means nothing, and a beat is answered more often than anything else."""


class FrontDoor:
    """The outermost ASGI application.

    Beats are what a server is asked most often, and Starlette's middlewares and its wrapping of functions cost more
    than taking one does: a receiver's route whose endpoint is an ASGI application of its own is served without them.
    """

    def __init__(self, app: Starlette, access: Access, receivers: Iterable[BaseRoute] = ()) -> None:
        """:param receivers: routes of ``app`` that are looked at first; what they do not take goes the usual way."""
        self._app = app
        self.routes = app.routes
        self._access = access
        self._receivers = [
            route for route in receivers if isinstance(route, Route) and not inspect.isroutine(route.endpoint)
        ]
        self._by_path = {
            route.path: self._find(route.path) for route in self._receivers if "{" not in route.path
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        if not self._access.is_known_host(host.decode("latin-1")):
            await _misdirected(scope, receive, send)
            return
        if scope["type"] == "http":
            path: str = scope["path"]
            for route in self._by_path.get(path) or self._find(path):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    await route.app(scope, receive, _sending(send, _RAW_HEADERS_OF_DATA))
                    return
        await self._app(scope, receive, _sending(send, _RAW_HEADERS))

    def _find(self, path: str) -> list[Route]:
        """The routes of receivers that may take a path."""
        return [route for route in self._receivers if route.path_regex.match(path)]


def _sending(send: Send, headers: Collection[tuple[bytes, bytes]]) -> Send:
    """``send``, which adds those of ``headers`` that an answer does not have."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", [])
            names = {name.lower() for name, _ in given}
            message["headers"] = [*given, *[item for item in headers if item[0] not in names]]
        await send(message)

    return send_with_headers


async def _misdirected(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(
        HTTPStatus.MISDIRECTED_REQUEST,
        "this server knows itself as localhost only; open it by 127.0.0.1, or name its address in 'server.public_url'",
    )
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(answer)
    else:
        await answer(scope, receive, send)
