"""What receivers share: bounded bodies, tokens, limits on how often, and WebSockets.

A receiver raises :class:`RefusedError` wherever it would not go on, and says the refusal in its protocol's own words
in one place: :class:`Endpoint` for requests, :func:`refuse` for WebSockets that are not open yet.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import from_json, to_json

from defib.plugin import (
    AgentId,
    Clock,
    Fleet,
    KeptOutError,
    ReceiverContext,
    RegistrationRefusedError,
    StoreError,
    Token,
    get_logger,
    introductions,
    pacing,
)

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send
    from starlette.websockets import WebSocket

log = get_logger("defib.receiving")

BEAT_LIMIT_BYTES = 64 * 1024
DEPTH_LIMIT = 20  #: of arrays and objects in one another
BODY_WITHIN_S = 15.0  #: from a request's head to the end of its body
SEND_WITHIN_S = 10.0  #: a consumer that takes nothing for so long is dropped
RETRY_AFTER_S = 5  #: after which a beat that could not be stored is worth another try
_WRONG_TOKENS_PER_S, _WRONG_TOKENS_AT_ONCE = 1.0, 30
_BEATS_PER_S, _BEATS_AT_ONCE = 20.0, 200
_MOST_MISTAKES = 3
_REPLACED = 1008  #: close code

Say = Callable[[int, str], Mapping[str, Any]]
"""``say(status, why)``: a refusal as a protocol's JSON."""


class RefusedError(Exception):
    """A request that is not granted.

    :ivar why: for whoever sent it; holds nothing secret and nothing of what was sent.
    """

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.headers = headers or {}


class NotJsonError(RefusedError):
    """A body that is no JSON.

    :ivar place: what is wrong where.
    """

    def __init__(self, place: str) -> None:
        super().__init__(400, f"the body is not valid JSON: {place}")
        self.place = place


# --- bodies ----------------------------------------------------------------------------------------


def _on_one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


Line = Annotated[str, StringConstraints(max_length=200), AfterValidator(_on_one_line)]
"""A name or a word of an agent: one line, what cannot be printed (or stored, as NUL) replaced."""


_NO_ID = f"must be printable, not blank, and have at most {introductions.LONGEST_ID} characters"


def _as_id(text: str) -> str:
    if not introductions.is_id(text):
        raise ValueError(_NO_ID)
    return text


Id = Annotated[str, AfterValidator(_as_id)]
"""How an agent calls itself: nothing is put right, or two ids would become one."""


def checked_id(text: str) -> str:
    """An id that is part of an address, or of a header.

    :raises RefusedError: 400, it cannot be one.
    """
    if not introductions.is_id(text):
        raise RefusedError(400, f"agent_id: {_NO_ID}")
    return text


class Body(BaseModel):
    """Base of what clients send. Members that nobody knows are no mistake: clients are older or newer than we."""

    model_config = ConfigDict(
        extra="ignore", allow_inf_nan=False, coerce_numbers_to_str=True, frozen=True, defer_build=True
    )


B = TypeVar("B", bound=Body)


def parse(model: type[B], raw: bytes | str, *, misfit: int = 400) -> B:
    """JSON as a ``model``.

    :param misfit: the status for what is JSON, but not of this shape.
    :raises RefusedError: 400 with each wrong member by its name.
    """
    try:
        data = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise NotJsonError(str(error)) from None
    if _is_suspicious(raw) and _is_too_deep(data):
        raise RefusedError(400, f"the body is nested more than {DEPTH_LIMIT} levels deep")
    return read(model, data, misfit=misfit)


def read(model: type[B], data: object, *, misfit: int = 400) -> B:
    """Parsed JSON as a ``model``; raises like :func:`parse`."""
    if not isinstance(data, dict):
        raise RefusedError(misfit, "the body must be a JSON object")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        mistakes = error.errors(include_input=False, include_context=False, include_url=False)
        said = "; ".join(_mistake(item["loc"], item["msg"]) for item in mistakes[:_MOST_MISTAKES])
        more = f"; and {len(mistakes) - _MOST_MISTAKES} more" if len(mistakes) > _MOST_MISTAKES else ""
        raise RefusedError(misfit, said + more) from None


def _mistake(place: tuple[int | str, ...], what: str) -> str:
    where = ".".join(_on_one_line(str(part))[:60] for part in place) or "body"
    what = what.removeprefix("Value error, ")
    return f"{where}: {what[:1].lower()}{what[1:]}"


def _is_suspicious(raw: bytes | str) -> bool:
    if isinstance(raw, str):
        return raw.count("[") + raw.count("{") > DEPTH_LIMIT
    return raw.count(b"[") + raw.count(b"{") > DEPTH_LIMIT


def _is_too_deep(data: object) -> bool:
    level = [data]
    for _ in range(DEPTH_LIMIT + 1):
        containers = [item for item in level if isinstance(item, dict | list)]
        if not containers:
            return False
        level = [
            inner for item in containers for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return True


async def body(request: "Request", limit: int = BEAT_LIMIT_BYTES) -> bytes:
    """The whole body.

    :raises RefusedError: 413 beyond ``limit`` bytes, 408 when it does not end, 400 when the client goes.
    """
    if request.scope.get("defib.is_whole"):  # by our own server: nothing has to be waited for
        return await _whole(request, limit)
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await _whole(request, limit)
    except TimeoutError:
        raise RefusedError(408, "the body did not come to its end", {"Connection": "close"}) from None


async def _whole(request: "Request", limit: int) -> bytes:
    kept = b""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the request ended early")
        piece: bytes = message.get("body", b"")
        kept = kept + piece if kept else piece
        if len(kept) > limit:
            raise RefusedError(413, f"the body is longer than {limit} bytes", {"Connection": "close"})
        if not message.get("more_body", False):
            return kept


# --- who, and how often ----------------------------------------------------------------------------


class Allowance:
    """How often each of many may do something."""

    def __init__(self, clock: Clock, *, per_second: float, at_once: int) -> None:
        self._clock = clock
        self._allowances = pacing.Allowances(per_second=per_second, at_once=at_once)

    def spend(self, who: str) -> None:
        """Take one.

        :raises RefusedError: 429, with the seconds until the next one.
        """
        wait_s = self._allowances.spend(who, self._clock.monotonic())
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise RefusedError(429, "too many requests; try again later", headers)


class Gate:
    """Lets in who shows a good token.

    Only wrong tokens count against an address: whoever shares it with a fool, behind one proxy, comes in all the same.
    """

    def __init__(self, context: ReceiverContext) -> None:
        self._fleet = context.fleet
        self._wrong = Allowance(
            context.clock, per_second=_WRONG_TOKENS_PER_S, at_once=_WRONG_TOKENS_AT_ONCE
        )  # fmt: skip
        self._beats = Allowance(context.clock, per_second=_BEATS_PER_S, at_once=_BEATS_AT_ONCE)

    def admit(self, connection: "HTTPConnection", shown: str) -> Token:
        """The ingest token that was shown.

        :raises RefusedError: 401, or 429 after too many wrong ones from this address.
        """
        token = self._fleet.token(shown) if shown else None
        if token is None:
            raise self.refusal(connection)
        return token

    def refusal(self, connection: "HTTPConnection") -> RefusedError:
        """What whoever has no business here is told, and never more."""
        try:
            self._wrong.spend(pacing.source(address(connection)))
        except RefusedError as error:
            return error
        return RefusedError(401, "could not validate credentials", {"WWW-Authenticate": "Bearer"})

    def turn_away(self, connection: "HTTPConnection", error: RegistrationRefusedError) -> RefusedError:
        """What an agent that is not let in is told: no more than whoever shows a wrong token. The log says why.

        One that is kept out has shown a good key or token, and is told that it need not try again: 403.
        """
        refused = self.refusal(connection)
        if refused.status == 401:
            log.warning("agent refused", address=address(connection), why=str(error))
            if isinstance(error, KeptOutError):
                return RefusedError(403, "this agent is kept out until an operator lets it in again")
        return refused

    @contextlib.contextmanager
    def refusing(self, connection: "HTTPConnection") -> Iterator[None]:
        """Turn away whoever is not let in within this block.

        :raises RefusedError: see :meth:`turn_away`.
        """
        try:
            yield
        except RegistrationRefusedError as error:
            raise self.turn_away(connection, error) from None

    def pace(self, token: Token, agent: str) -> None:
        """One more beat of ``agent``.

        :raises RefusedError: 429, it floods us.
        """
        self._beats.spend(f"{token.root} {agent}")


def bearer(connection: "HTTPConnection", *, in_query: bool = False) -> str:
    """The token of the header ``Authorization``, else, where allowed, of ``?token=``; "" for none."""
    scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return shown.strip()
    return connection.query_params.get("token", "") if in_query else ""


def with_query_token(connection: "HTTPConnection") -> "HTTPConnection":
    """``connection`` as if the token of ``?token=`` stood in its header: browsers set none on a WebSocket."""
    from starlette.requests import HTTPConnection

    shown = bearer(connection, in_query=True)
    if not shown:
        return connection
    header = (b"authorization", f"Bearer {shown}".encode("latin-1", "replace"))
    others = [pair for pair in connection.scope["headers"] if pair[0] != b"authorization"]
    return HTTPConnection({**connection.scope, "headers": [*others, header]})


def address(connection: "HTTPConnection") -> str:
    """Where it comes from."""
    return connection.client.host if connection.client is not None else ""


def source(connection: "HTTPConnection") -> str:
    """Who comes from there, as registrations remember it: of an IPv6 address its network."""
    return pacing.source(address(connection))


# --- answers ---------------------------------------------------------------------------------------


def instant(at: datetime) -> str:
    """RFC 3339, UTC, with milliseconds: ``2025-07-27T17:47:54.661Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def answer(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> "Response":
    """JSON."""
    return _response_type()(
        to_json(data, inf_nan_mode="null"), status, headers, media_type="application/json"
    )


@cache
def _response_type() -> "type[Response]":
    """Imported when there is something to answer, and that once: a pass of cron answers nobody, and an import within
    a function costs each beat."""
    from starlette.responses import Response

    return Response


class Endpoint:
    """An endpoint that never fails: an ASGI application of its own, because Starlette's wrapping of a function costs
    as much as taking a beat.

    :param handle: answers; may raise :class:`RefusedError`.
    :param say: words a refusal.
    """

    def __init__(self, handle: "Callable[[Request], Awaitable[Response]]", say: Say) -> None:
        from starlette.requests import Request

        self._request = Request
        self._handle = handle
        self._say = say

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        try:
            response = await self._handle(self._request(scope, receive, send))
        except (RefusedError, StoreError) as error:
            refused = refusal(error)
            response = answer(self._say(refused.status, refused.why), refused.status, refused.headers)
        await response(scope, receive, send)


def refusal(error: RefusedError | StoreError) -> RefusedError:
    """What the client is told: of trouble with the store only that it may try again."""
    if isinstance(error, RefusedError):
        return error
    return RefusedError(503, "it cannot be stored now; try again", {"Retry-After": str(RETRY_AFTER_S)})


# --- WebSockets ------------------------------------------------------------------------------------


async def refuse(socket: "WebSocket", error: RefusedError | StoreError, say: Say) -> None:
    """Answer a WebSocket that was not accepted as an HTTP request."""
    refused = refusal(error)
    await socket.send_denial_response(
        answer(say(refused.status, refused.why), refused.status, refused.headers)
    )


async def frames(
    socket: "WebSocket", *, idle_s: float, ping: Callable[[], Awaitable[None]] | None = None
) -> AsyncGenerator[str | bytes, None]:
    """What the peer sends, until it goes.

    :param ping: asks for a sign of life after ``idle_s`` of silence; after as long again, or at once without it,
        the stream ends.
    """
    is_asked = ping is None
    while True:
        try:
            async with asyncio.timeout(idle_s):
                message = await socket.receive()
        except TimeoutError:
            if is_asked or ping is None:
                return
            is_asked = True
            await ping()
            continue
        if message["type"] == "websocket.disconnect":
            return
        is_asked = ping is None
        text = message.get("text")
        yield text if text is not None else message.get("bytes") or b""


async def send(socket: "WebSocket", text: str) -> None:
    """Send one message.

    :raises TimeoutError: the peer takes nothing.
    :raises WebSocketDisconnect: it is gone.
    """
    from starlette.websockets import WebSocketDisconnect

    async with asyncio.timeout(SEND_WITHIN_S):
        try:
            await socket.send_text(text)
        except RuntimeError:  # so starlette says that it was gone before
            raise WebSocketDisconnect(1006) from None


async def until_replaced(
    socket: "WebSocket", fleet: Fleet, agent: AgentId, listen: Coroutine[Any, Any, None]
) -> None:
    """Let an agent's stream ``listen`` until it ends, or a newer stream of the same agent takes over; then close it."""
    from starlette.websockets import WebSocketDisconnect

    listening = asyncio.ensure_future(listen)

    def hang_up() -> None:
        listening.cancel()

    try:
        with contextlib.suppress(RegistrationRefusedError), fleet.connect(agent, hang_up):
            await asyncio.wait({listening})
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
    # It is closed already, or takes nothing.
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(SEND_WITHIN_S):
            await socket.close(_REPLACED)


async def while_connected(socket: "WebSocket", work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` until it ends, the peer goes, or takes nothing any more. What the peer says is dropped."""
    from starlette.websockets import WebSocketDisconnect

    working = asyncio.ensure_future(work)
    listening = asyncio.ensure_future(_drain(socket))
    try:
        await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, listening):
            task.cancel()
        with contextlib.suppress(WebSocketDisconnect, TimeoutError, asyncio.CancelledError):
            await working
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def _drain(socket: "WebSocket") -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
