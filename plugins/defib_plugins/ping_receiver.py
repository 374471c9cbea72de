"""Receiver ``ping``: the Healthchecks ping API, so that whatever pings there today can ping here.

``/ping/{uuid}`` and ``/ping/{ping-key}/{slug}`` with ``/start``, ``/fail``, ``/log`` and ``/{exit-status}``, by HEAD,
GET or POST. A ping key is a token of scope ``ingest``, a slug the id of a monitor, or its name as a slug. The body is
kept as it is, whatever its type says, because wrappers post a traceback as a form; what exceeds the limit is
dropped and never an error.

A monitor's id works in place of its UUID. It can be guessed; therefore it needs a token beside it, unless the operator
says otherwise or the server listens on this machine only.
"""

import asyncio
import re
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from defib.plugin import (
    Fact,
    MonitorId,
    ReceiverContext,
    ReceiverType,
    RegistrationRefusedError,
    Signal,
    StoreError,
    Token,
    hookimpl,
)
from defib_plugins.display import clip
from defib_plugins.receiving import BODY_WITHIN_S, Gate, RefusedError, bearer, refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

BODY_LIMIT_BYTES = 100_000
#: What a monitor that a ping makes expects, as its senders are used to from elsewhere.
MADE_OPTIONS = {"every": "1d", "grace": "1h", "misses": 1}
_LONGEST_KEY = 100
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHAPE = re.compile(r"(?:[0-9a-f]-?){32}", re.IGNORECASE)  #: of something that is meant as a UUID
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
_NUMBER = re.compile(r"[0-9]+")
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private",
    "Ping-Body-Limit": str(BODY_LIMIT_BYTES),
}
_SIGNALS = {"": Signal.ALIVE, "start": Signal.START, "fail": Signal.FAIL, "log": Signal.LOG}
_BY_ID = "a monitor's id needs an ingest token beside it here (Authorization: Bearer …), or use its ping UUID instead"


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What the end of an address says."""

    signal: Signal
    exit_status: int | None = None


class PingApi:
    """Takes pings for one server."""

    def __init__(self, context: ReceiverContext) -> None:
        self._context = context
        self._gate = Gate(context)

    async def by_key(self, request: "Request") -> "Response":
        """``/ping/{uuid}``, ``/ping/{uuid}/{word}`` and ``/ping/{ping-key}/{slug}``."""
        key, word = request.path_params["key"], request.path_params.get("word", "")
        token = None if _SHAPE.fullmatch(key) else self._ping_key(key)
        is_word = word in _SIGNALS or _NUMBER.fullmatch(word)
        if (token is not None and word) or not (is_word or _SHAPE.fullmatch(key)):
            return await self._guarded(self._by_slug(request, token, word, ""))
        return await self._guarded(self._direct(request, key, word))

    async def by_slug(self, request: "Request") -> "Response":
        """``/ping/{ping-key}/{slug}/{word}``."""
        at = request.path_params
        token = self._ping_key(at["key"])
        return await self._guarded(self._by_slug(request, token, at["slug"], at["word"]))

    async def _guarded(self, taking: "Awaitable[Response]") -> "Response":
        from starlette.requests import ClientDisconnect

        try:
            return await taking
        except (RefusedError, StoreError) as error:
            refused = refusal(error)
            return _answer(refused.status, refused.why, **refused.headers)
        except ClientDisconnect:
            return _answer(400, "the request ended early")

    # --- who is meant ------------------------------------------------------------------------------

    async def _direct(self, request: "Request", key: str, word: str) -> "Response":
        meaning = _meaning(word)
        is_id = not _SHAPE.fullmatch(key)
        if is_id and not self._may_use_ids(request):
            raise RefusedError(401, _BY_ID, {"WWW-Authenticate": "Bearer"})
        monitor = self._context.sink.find(key) if len(key) <= _LONGEST_KEY else None
        if monitor is None:
            raise self._unknown(request) if is_id else _not_found()
        return await self._take(request, monitor, meaning)

    async def _by_slug(self, request: "Request", token: Token | None, slug: str, word: str) -> "Response":
        if slug != slug.lower():
            raise RefusedError(400, "invalid url format")
        meaning = _meaning(word)
        if token is None:
            raise self._unknown(request)
        if not _SLUG.fullmatch(slug) or len(slug) > _LONGEST_KEY:
            raise _not_found()
        found: Sequence[MonitorId] = self._context.jobs.named(slug)
        is_new = False
        if not found and request.query_params.get("create") == "1":
            _run_id(request)  # nothing is made for a ping that is refused
            found, is_new = await self._make(slug, token)
        if not found:
            raise _not_found()
        if len(found) > 1:
            raise RefusedError(409, "ambiguous slug")
        return await self._take(request, found[0], meaning, is_new=is_new)

    async def _make(self, slug: str, token: Token) -> tuple[Sequence[MonitorId], bool]:
        try:
            return await self._context.jobs.ensure(slug, MADE_OPTIONS, actor=f"ping key {token.name}")
        except RegistrationRefusedError:
            raise _not_found() from None

    def _ping_key(self, key: str) -> Token | None:
        token = self._context.fleet.token(key) if len(key) <= _LONGEST_KEY else None
        return token if token is not None and token.agent is None else None

    def _may_use_ids(self, request: "Request") -> bool:
        fleet = self._context.fleet
        if not fleet.settings.require_token or self._context.may_read(request):
            return True
        token = fleet.token(bearer(request))
        return token is not None and token.agent is None

    def _unknown(self, request: "Request") -> RefusedError:
        """Of a key that can be guessed: 404, or 429 when this address guesses too often."""
        told = self._gate.refusal(request)
        return told if told.status == 429 else _not_found()

    # --- what is said ------------------------------------------------------------------------------

    async def _take(
        self, request: "Request", monitor: MonitorId, meaning: _Meaning, *, is_new: bool = False
    ) -> "Response":
        """Answer one ping. Its 200 or 201 comes once it cannot be lost."""
        facts: dict[str, Fact] = {"method": request.method}
        if run_id := _run_id(request):
            facts["rid"] = run_id
        if agent := request.headers.get("user-agent"):
            facts["user_agent"] = clip(agent)
        await self._context.sink.accept(
            monitor, meaning.signal, protocol="ping", exit_status=meaning.exit_status, body=await _body(request),
            facts=facts,
        )  # fmt: skip
        return _answer(201, "Created") if is_new else _answer(200, "OK")


def routes(context: ReceiverContext) -> "Sequence[BaseRoute]":
    """The routes below ``/ping``."""
    from starlette.routing import Route

    api = PingApi(context)
    methods = ["HEAD", "GET", "POST"]
    return [
        Route("/ping/{key}", api.by_key, methods=methods),
        Route("/ping/{key}/", api.by_key, methods=methods),
        Route("/ping/{key}/{word}", api.by_key, methods=methods),
        Route("/ping/{key}/{slug}/{word}", api.by_slug, methods=methods),
    ]


def _not_found() -> RefusedError:
    return RefusedError(404, "not found")


def _meaning(word: str) -> _Meaning:
    """:raises RefusedError: 404 for a word that means nothing, 400 for no exit status."""
    if word in _SIGNALS:
        return _Meaning(_SIGNALS[word])
    if not _NUMBER.fullmatch(word):
        raise _not_found()
    if len(word) > 9 or int(word) > 255:
        raise RefusedError(400, "invalid url format")
    status = int(word)
    return _Meaning(Signal.FAIL if status else Signal.ALIVE, status)


def _run_id(request: "Request") -> str:
    """What ties the end of a run to its start; "" when nothing does.

    :raises RefusedError: 400, it is none.
    """
    shown = request.query_params.get("rid")
    if shown is None:
        return ""
    if not _UUID.fullmatch(shown.lower()):
        raise RefusedError(400, "invalid uuid format")
    return shown.lower()


async def _body(request: "Request") -> str:
    """The first bytes of the body as text; NUL, which no store keeps, and bad UTF-8 are replaced.

    :raises RefusedError: 408, it does not come to its end.
    """
    kept = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                kept += chunk[: BODY_LIMIT_BYTES - len(kept)]
    except TimeoutError:
        raise RefusedError(408, "the body did not come to its end", {"Connection": "close"}) from None
    return kept.decode("utf-8", "replace").replace("\x00", "\ufffd")


def _answer(status: int, text: str, **headers: str) -> "Response":
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(text, status, {**_HEADERS, **headers})


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    return [
        ReceiverType(
            kind="ping", summary="Healthchecks ping API: /ping/{uuid}, /ping/{ping-key}/{slug}", routes=routes
        )
    ]
