"""Where a request came from, when it came through a reverse proxy."""

from collections.abc import Callable
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from defib.web.front_door import FrontDoor


class BehindProxies:
    """Takes the word of the reverse proxies that are trusted for where a request came from; nobody else's."""

    def __init__(self, app: FrontDoor, trusted: Callable[[], tuple[str, ...]]) -> None:
        """:param trusted: asked for each request: a reload may change them."""
        self.routes = app.routes
        self._app = app
        self._trusted = trusted
        self._behind: tuple[tuple[str, ...], ASGIApp] = (), app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trusted = self._trusted()
        if trusted != self._behind[0]:
            app = ProxyHeadersMiddleware(cast(Any, self._app), trusted_hosts=list(trusted))
            self._behind = trusted, cast(ASGIApp, app) if trusted else self._app
        await self._behind[1](scope, receive, send)
