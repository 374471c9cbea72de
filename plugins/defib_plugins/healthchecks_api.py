"""Receiver ``healthchecks-api``: the management API of Healthchecks, versions 1 to 3, over heartbeats.

``X-Api-Key`` (or ``api_key`` in the body of a POST) is a token of scope ``read``, or of ``write`` for whatever changes
something. Checks that are made here live in the store; those of the configuration are shown, and changed there only. A
paused check is expected no more until its next ping, or with ``manual_resume`` until it is resumed.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from pydantic_core import from_json

from defib.plugin import (
    JobView,
    MadeMonitor,
    ReceiverContext,
    ReceiverType,
    RegistrationRefusedError,
    Scope,
    StoreError,
    Token,
    UsageError,
    hookimpl,
)
from defib_plugins import healthchecks_check as shown
from defib_plugins.healthchecks_badges import Badges
from defib_plugins.healthchecks_fields import Fields
from defib_plugins.healthchecks_fields import read as read_fields
from defib_plugins.receiving import Gate, RefusedError, answer, body, refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_VERSIONS = (1, 2, 3)
_MOST_PINGS = 100
_FLIPS_REACH = timedelta(days=366)
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "X-Api-Key",
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Max-Age": "600",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request whose key is good."""

    request: "Request"
    version: int
    token: Token
    data: Any  #: of its body; an empty object without one

    @property
    def may_write(self) -> bool:
        return self.token.scope in (Scope.WRITE, Scope.ADMIN)

    @property
    def actor(self) -> str:
        return f"{self.token.name} (API key)"

    @property
    def site(self) -> str:
        return str(self.request.base_url).rstrip("/")


_Handler = Callable[[_Asked], Awaitable["Response"]]


class ManagementApi:
    """Answers for one server."""

    def __init__(self, context: ReceiverContext) -> None:
        self._context = context
        self._gate = Gate(context)
        self._signs = Badges(context)

    def routes(self) -> "list[BaseRoute]":
        """Each call in each version, with and without a slash at its end."""
        check = "/checks/{key}"
        calls: list[tuple[str, dict[str, tuple[_Handler, bool]]]] = [
            ("/checks", {"GET": (self._list, False), "POST": (self._create, True)}),
            (
                check,
                {"GET": (self._get, False), "POST": (self._update, True), "DELETE": (self._delete, True)},
            ),
            (f"{check}/pause", {"POST": (self._pause, True)}),
            (f"{check}/resume", {"POST": (self._resume, True)}),
            (f"{check}/pings", {"GET": (self._pings, True)}),
            (f"{check}/pings/{{number:int}}/body", {"GET": (self._ping_body, True)}),
            (f"{check}/flips", {"GET": (self._flips, False)}),
            ("/channels", {"GET": (self._channels, True)}),
            ("/badges", {"GET": (self._badges, False)}),
        ]
        return [
            _keyed(f"/api/v{version}{path}{slash}", self._endpoint(version, methods), methods)
            for version in _VERSIONS
            for path, methods in calls
            for slash in ("", "/")
        ]

    # --- keys --------------------------------------------------------------------------------------

    def _endpoint(
        self, version: int, methods: dict[str, tuple[_Handler, bool]]
    ) -> "Callable[[Request], Awaitable[Response]]":
        from starlette.responses import Response

        async def endpoint(request: "Request") -> "Response":
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=_CORS)
            handle, needs_write = methods["GET" if request.method == "HEAD" else request.method]
            try:
                asked = await self._admit(request, version)
                if needs_write and not asked.may_write:
                    raise self._wrong_key(request)
                found = await handle(asked)
            except (RefusedError, StoreError) as error:
                refused = refusal(error)
                found = answer({"error": refused.why}, refused.status, refused.headers)
            found.headers.update(_CORS)
            return found

        return endpoint

    async def _admit(self, request: "Request", version: int) -> _Asked:
        raw = await body(request) if request.method == "POST" else b""
        data = _parsed(raw) if raw.strip() else {}
        key = request.headers.get("x-api-key") or (data.get("api_key", "") if isinstance(data, dict) else "")
        if not key:
            raise RefusedError(401, "missing api key")
        token = self._context.fleet.api_key(key) if isinstance(key, str) else None
        if token is None:
            raise self._wrong_key(request)
        return _Asked(request, version, token, data)

    def _wrong_key(self, request: "Request") -> RefusedError:
        told = self._gate.refusal(request)
        return told if told.status == 429 else RefusedError(401, "wrong api key")

    # --- checks ------------------------------------------------------------------------------------

    async def _list(self, asked: _Asked) -> "Response":
        tags = set(asked.request.query_params.getlist("tag"))
        slug = asked.request.query_params.get("slug")
        views = [
            view
            for view in await self._context.jobs.views()
            if tags <= view.spec.tags and slug in (None, view.spec.id)
        ]
        return answer({"checks": [self._shown(asked, view) for view in views]})

    async def _get(self, asked: _Asked) -> "Response":
        return answer(self._shown(asked, await self._view(asked)))

    async def _create(self, asked: _Asked) -> "Response":
        fields = read_fields(asked.data)
        wanted = {name: fields.values.get(name, "") for name in fields.unique}
        if wanted:
            for view in await self._context.jobs.views():
                if shown.fits(view, wanted):
                    return await self._change(asked, view, fields)
        values = fields.values
        name = values.get("name") or values.get("slug") or "check"
        try:
            made = await self._context.jobs.make(
                name, fields.options({}), slug=values.get("slug", ""), tags=values.get("tags", "").split(),
                description=values.get("desc", ""), actor=asked.actor,
            )  # fmt: skip
        except ValueError as error:
            raise _refused_options(error, fields) from None
        except RegistrationRefusedError:
            raise RefusedError(403, "") from None
        return answer(self._shown(asked, await self._view_of(made)), 201)

    async def _update(self, asked: _Asked) -> "Response":
        return await self._change(asked, await self._view(asked, needs_uuid=True), read_fields(asked.data))

    async def _change(self, asked: _Asked, view: JobView, fields: Fields) -> "Response":
        made, values = _changeable(view), fields.values
        after = replace(
            made, name=values.get("name", made.name), description=values.get("desc", made.description),
            tags=tuple(values["tags"].split()) if "tags" in values else made.tags, options=fields.options(made.options),
        )  # fmt: skip
        try:
            made = await self._context.jobs.change(after, actor=asked.actor)
        except ValueError as error:
            raise _refused_options(error, fields) from None
        return answer(self._shown(asked, await self._view_of(made)))

    async def _delete(self, asked: _Asked) -> "Response":
        view = await self._view(asked, needs_uuid=True)
        _changeable(view)
        try:
            await self._context.jobs.remove(view.spec.id, actor=asked.actor)
        except KeyError:  # somebody else was faster
            raise RefusedError(404, "not found") from None
        return answer(self._shown(asked, view))

    async def _pause(self, asked: _Asked) -> "Response":
        view = await self._view(asked, needs_uuid=True)
        await self._context.jobs.pause(view.spec.id, actor=asked.actor)
        return answer(self._shown(asked, await self._view(asked)))

    async def _resume(self, asked: _Asked) -> "Response":
        view = await self._view(asked, needs_uuid=True)
        try:
            is_resumed = await self._context.jobs.resume(view.spec.id, actor=asked.actor)
        except UsageError as error:
            raise RefusedError(409, str(error)) from None
        if not is_resumed:
            raise RefusedError(409, "check is not paused")
        return answer(self._shown(asked, await self._view(asked)))

    # --- history -----------------------------------------------------------------------------------

    async def _pings(self, asked: _Asked) -> "Response":
        view = await self._view(asked, needs_uuid=True)
        beats = await self._context.jobs.beats(view.spec.id, _MOST_PINGS)
        pings = [
            shown.ping(view, beat, view.beats - behind, version=asked.version, site=asked.site)
            for behind, beat in enumerate(beats)
        ]
        return answer({"pings": pings})

    async def _ping_body(self, asked: _Asked) -> "Response":
        from starlette.responses import PlainTextResponse

        view = await self._view(asked, needs_uuid=True)
        behind = view.beats - asked.request.path_params["number"]
        if not 0 <= behind < _MOST_PINGS:
            raise RefusedError(404, "not found")
        beats = await self._context.jobs.beats(view.spec.id, behind + 1)
        if len(beats) <= behind or not beats[behind].body:
            raise RefusedError(404, "not found")
        return PlainTextResponse(beats[behind].body)

    async def _flips(self, asked: _Asked) -> "Response":
        view = await self._view(asked)
        now = self._context.clock.now()
        query = asked.request.query_params
        since, until = now - _FLIPS_REACH, now
        if "seconds" in query:
            since = now - timedelta(seconds=_whole(query["seconds"], "seconds", 31_536_000))
        if "start" in query:
            since = datetime.fromtimestamp(_whole(query["start"], "start", 10_000_000_000), UTC)
        if "end" in query:
            until = datetime.fromtimestamp(_whole(query["end"], "end", 10_000_000_000), UTC)
        return answer(shown.flips(await self._context.jobs.changes(view.spec.id, since, until)))

    async def _channels(self, asked: _Asked) -> "Response":
        channels = [
            {"id": str(uuid5(NAMESPACE_URL, f"defib:channel:{name}")), "name": name, "kind": kind}
            for name, kind in self._context.jobs.channels()
        ]
        return answer({"channels": channels})

    async def _badges(self, asked: _Asked) -> "Response":
        return answer({"badges": await self._signs.of_tags(asked.site)})

    # --- which -------------------------------------------------------------------------------------

    async def _view(self, asked: _Asked, *, needs_uuid: bool = False) -> JobView:
        key = asked.request.path_params["key"]
        for view in await self._context.jobs.views():
            if key == view.uuid or (not needs_uuid and key == shown.unique_key(view)):
                return view
        raise RefusedError(404, "not found")

    async def _view_of(self, made: MadeMonitor) -> JobView:
        return next(view for view in await self._context.jobs.views() if view.spec.id == made.id)

    def _shown(self, asked: _Asked, view: JobView) -> dict[str, Any]:
        return shown.check(
            view, version=asked.version, site=asked.site, now=self._context.clock.now(), may_write=asked.may_write,
            badge=self._signs.of_check(view),
        )  # fmt: skip


def _keyed(path: str, endpoint: Any, methods: Iterable[str]) -> "BaseRoute":
    """A route of requests that show an API key, or begin under ``/checks``: the rest of ``/api`` is Defib's own."""
    from starlette.routing import Match, Route

    class Keyed(Route):
        def matches(self, scope: Any) -> tuple[Match, Any]:
            is_ours = "/checks" in path or any(name == b"x-api-key" for name, _ in scope.get("headers", ()))
            return super().matches(scope) if is_ours else (Match.NONE, {})

    return Keyed(path, endpoint, methods=[*methods, "OPTIONS"])


def _parsed(raw: bytes) -> Any:
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise RefusedError(400, "could not parse request body") from None


def _whole(text: str, name: str, most: int) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 12 or int(text) > most:
        raise RefusedError(400, f"invalid value for {name}")
    return int(text)


def _changeable(view: JobView) -> MadeMonitor:
    if view.made is None:
        raise RefusedError(403, f"{view.spec.id} is in the configuration; change it there")
    return view.made


def _refused_options(error: ValueError, fields: Fields) -> RefusedError:
    name = "schedule" if "schedule" in fields.values else "value"
    return RefusedError(400, f"json validation error: {name} is not valid: {error}")


def routes(context: ReceiverContext) -> "Sequence[BaseRoute]":
    """The calls below ``/api/v1``, ``/api/v2`` and ``/api/v3``."""
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def status(request: "Request") -> "Response":
        return PlainTextResponse("OK")

    statuses = [
        Route(f"/api/v{version}/status{slash}", status) for version in _VERSIONS for slash in ("", "/")
    ]
    return [*ManagementApi(context).routes(), *statuses, *Badges(context).routes()]


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    return [
        ReceiverType(
            kind="healthchecks-api",
            summary="Healthchecks management API and badges: /api/v{1,2,3}/checks, /badge, /b",
            routes=routes,
        )
    ]
