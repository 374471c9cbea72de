"""Logging a browser in and out."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from defib.web.access import Access
from defib.web.rendering import Pages
from defib.web.services import LoginKeys

_HOW = (
    "A login link works once and for a day. Defib prints one when it starts; on its machine, "
    "POST /api/v1/login-links with the token makes another."
)


class Login:
    """``/login`` and ``/logout``."""

    def __init__(self, access: Access, keys: LoginKeys, pages: Pages) -> None:
        self._access = access
        self._keys = keys
        self._pages = pages

    def routes(self) -> list[Route]:
        return [
            Route("/login", self._login, methods=["GET"]),
            Route("/logout", self._logout, methods=["POST"]),
        ]

    async def _login(self, request: Request) -> Response:
        """Redeem a key. A link that is only looked at (HEAD, prefetch, a preview) stays good."""
        key = request.query_params.get("key", "")
        if request.method == "HEAD" or "prefetch" in request.headers.get("sec-purpose", ""):
            return Response(status_code=HTTPStatus.NO_CONTENT)
        if not self._keys.redeem(key):
            return self._pages.message(request, HTTPStatus.FORBIDDEN, "This link does not log in", _HOW)
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        self._access.begin_session(request, response)
        return response

    async def _logout(self, request: Request) -> Response:
        self._access.operator(request)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        self._access.end_session(response)
        return response
