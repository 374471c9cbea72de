"""What the API can do: one table from which both the routes and their description are made."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from defib.model.agent import Scope
from defib.web import questions
from defib.web.access import Access, Caller
from defib.web.encoding import encode

API = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, ready to be answered."""

    request: Request
    caller: Caller
    query: Any  #: of the operation's ``query`` model; None without
    body: Any  #: of the operation's ``body`` model; None without

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing the API can do."""

    method: str
    path: str  #: below :data:`API`: ``/monitors/{id}``
    name: str  #: unique, for clients that are generated: ``checkMonitor``
    group: str
    summary: str
    answer: Callable[[Call], Awaitable[Any]]  #: answers JSON-ready data, or a Response
    shape: Any  #: the answer's type, for its description
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    scope: Scope = Scope.READ  #: that a token needs for it; a session needs its CSRF token for more than READ
    status: HTTPStatus = HTTPStatus.OK
    media: Sequence[str] = ("application/json",)
    refusals: Mapping[HTTPStatus, str] = field(default_factory=dict)  #: beyond those that each operation has

    @property
    def steers(self) -> bool:
        """Whether a caller needs more than to be let in to read."""
        return self.scope is not Scope.READ


def routes(operations: Iterable[Operation], access: Access) -> list[Route]:
    """One route for each path, so that a method it lacks is answered with all that it has."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        Route(API + path, _endpoint(methods, access), methods=list(methods), name=path)
        for path, methods in by_path.items()
    ]


def _endpoint(methods: Mapping[str, Operation], access: Access) -> Callable[[Request], Awaitable[Response]]:
    """Who may, what is asked, what is answered."""

    async def endpoint(request: Request) -> Response:
        operation = methods["GET" if request.method == "HEAD" else request.method]
        caller = access.require(request, operation.scope)
        call = Call(
            request=request,
            caller=caller,
            query=questions.query(request, operation.query) if operation.query else None,
            body=await questions.body(request, operation.body) if operation.body else None,
        )
        answer = await operation.answer(call)
        return answer if isinstance(answer, Response) else json_response(answer, operation.status)

    return endpoint


def json_response(data: Any, status: int = HTTPStatus.OK) -> Response:
    """Data as JSON."""
    return Response(encode(data), status, media_type="application/json")
