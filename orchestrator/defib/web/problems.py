"""Errors as RFC 9457 problem details for programs, and as a page for people."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from defib.errors import ActionRefusedError, ConfigError, RegistrationRefusedError, StoreError, UsageError
from defib.logs import get_logger
from defib.web.rendering import Pages

log = get_logger("defib.web")

MEDIA_TYPE = "application/problem+json"

_CAUSES: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (ConfigError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ActionRefusedError, HTTPStatus.CONFLICT),
    (RegistrationRefusedError, HTTPStatus.CONFLICT),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(HTTPException):
    """What an endpoint raises instead of answering.

    :ivar more: further members of the answer: ``errors``, ``mistakes``.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, detail, headers)
        self.more = more


def problem(
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """One problem, as a program reads it."""
    body = {
        "type": "about:blank",
        "title": _phrase(status),
        "status": status,
        "detail": detail,
        **(more or {}),
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def handlers(pages: Pages) -> dict[Any, ExceptionHandler]:
    """Starlette's exception handlers: the one place where errors become answers."""

    def answer(
        request: Request, status: int, detail: str, headers: Mapping[str, str] | None, more: Mapping[str, Any]
    ) -> Response:
        if wants_page(request):
            return pages.message(request, status, _phrase(status), detail, headers=headers)
        return problem(status, detail, headers=headers, more=more)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = error.detail
        if error.status_code == HTTPStatus.NOT_FOUND and detail == _phrase(HTTPStatus.NOT_FOUND):
            detail = f"there is nothing at {request.url.path}; /docs lists what there is"
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            detail = (
                f"{request.method} is not possible here; possible: {(error.headers or {}).get('Allow', '')}"
            )
        more = error.more if isinstance(error, Problem) else {}
        return answer(request, error.status_code, detail, error.headers, more)

    async def on_known(request: Request, error: Exception) -> Response:
        status = next(status for cause, status in _CAUSES if isinstance(error, cause))
        more = (
            {"mistakes": [str(mistake) for mistake in error.mistakes]}
            if isinstance(error, ConfigError)
            else {}
        )
        headers = {"Retry-After": "2"} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
        return answer(request, status, str(error), headers, more)

    async def on_unknown(request: Request, error: Exception) -> Response:
        log.error("request crashed", path=request.url.path, error=repr(error), exc_info=error)
        return answer(request, 500, "this should not happen; the log of Defib says more", None, {})

    known: dict[Any, ExceptionHandler] = {cause: on_known for cause, _ in _CAUSES}
    return {HTTPException: on_http, Exception: on_unknown, **known}


def wants_page(request: Request) -> bool:
    """Whether a person is asking, and not a program."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
