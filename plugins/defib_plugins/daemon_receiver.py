"""Receiver ``daemon``: the local daemon protocol, over a Unix socket and over HTTP.

``POST /heartbeat`` with ``{"agent_id", "pid", "cpu", "memory", "version", "status", "timestamp"}``; ``GET /stats``.
So many beats may wait for the store at once; one more is answered 503 with Retry-After, and none is ever dropped:
200 means that the beat is stored and judged.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from defib.plugin import (
    Agent,
    AgentId,
    ReceiverContext,
    ReceiverType,
    RegistrationRefusedError,
    Token,
    get_logger,
    hookimpl,
)
from defib_plugins.daemon_beat import DaemonBeat, NamedBeat
from defib_plugins.daemon_counts import Counts
from defib_plugins.receiving import (
    Endpoint,
    Gate,
    NotJsonError,
    RefusedError,
    answer,
    bearer,
    body,
    instant,
    parse,
)

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

log = get_logger("defib.daemon")

MOST_WAITING = 1000  #: beats over HTTP that wait for the store at once
_RETRY_AFTER_S = 1
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


class DaemonHttp:
    """The HTTP half."""

    def __init__(self, context: ReceiverContext, counts: Counts) -> None:
        self._context = context
        self._fleet = context.fleet
        self._clock = context.clock
        self._counts = counts
        self._gate = Gate(context)
        self._bad_clocks: set[AgentId] = set()  # of whom the log has told

    def say(self, status: int, why: str) -> Mapping[str, Any]:
        """The protocol's answer."""
        return {"success": status == 200, "message": why, "timestamp": instant(self._clock.now())}

    async def heartbeat(self, request: "Request") -> "Response":
        """``POST /heartbeat``."""
        if request.method != "POST":
            raise RefusedError(405, "method not allowed, expected POST", {"Allow": "POST"})
        if self._counts.waiting >= self._counts.limit:  # before the body is read: it is cheap to refuse
            raise self._is_full()
        token = self._token(request)
        beat = await self._beat(request)
        if self._counts.waiting >= self._counts.limit:
            raise self._is_full()
        self._counts.waiting += 1
        now = self._clock.now()
        self._counts.take(now)
        began = self._clock.monotonic()
        is_done = False
        try:
            agent = await self._agent(request, token, beat)
            with self._gate.refusing(request):
                await self._fleet.report(agent.id, beat.report(now))
            is_done = True
        finally:
            self._counts.waiting -= 1
            if is_done:
                self._counts.finish(self._clock.monotonic() - began)
            else:
                self._counts.fail()
        if beat.has_bad_time and agent.id not in self._bad_clocks:
            self._bad_clocks.add(agent.id)
            log.warning("unreadable timestamps; our own time counts", agent=agent.id)
        return answer(self.say(200, "heartbeat received"))

    async def stats(self, request: "Request") -> "Response":
        """``GET /stats``, for whoever may see the dashboard, or may report."""
        if not self._context.may_read(request):
            self._gate.admit(request, bearer(request))
        return answer(self._counts.document())

    def _is_full(self) -> RefusedError:
        return RefusedError(
            503,
            f"{self._counts.limit} heartbeats are waiting already, please retry later",
            {"Retry-After": str(_RETRY_AFTER_S)},
        )

    def _token(self, request: "Request") -> Token | None:
        """The token that was shown; None where none is needed.

        :raises RefusedError: 401.
        """
        shown = bearer(request)
        if not shown and not self._fleet.settings.require_token and _is_local(request):
            return None
        return self._gate.admit(request, shown)

    async def _beat(self, request: "Request") -> DaemonBeat:
        raw = await body(request)
        try:
            return parse(NamedBeat, raw)
        except RefusedError as error:
            self._counts.fail()
            if isinstance(error, NotJsonError):
                raise RefusedError(400, f"invalid JSON format: {error.place}") from None
            raise RefusedError(error.status, f"validation failed: {error.why}") from None

    async def _agent(self, request: "Request", token: Token | None, beat: DaemonBeat) -> Agent:
        """:raises RefusedError: 401 for somebody else's, 400 for a new one that is not let in, 429 for a flood."""
        try:
            if token is None:
                return await self._fleet.admit(beat.introduction(beat.agent_id))
            self._gate.pace(token, beat.agent_id)
            agent = await self._fleet.resolve(token, beat.agent_id)
        except RegistrationRefusedError as error:
            if self._fleet.find(beat.agent_id) is not None:
                raise self._gate.turn_away(request, error) from None
            raise RefusedError(400, f"validation failed: agent_id: {error}") from None
        if agent.version != beat.version or agent.offline_after is None:
            agent = await self._fleet.describe(agent.id, beat.introduction(""))
        return agent


def _is_local(connection: "HTTPConnection") -> bool:
    """Whether a program on this machine asks: no proxy that stands before others, and no page in a browser."""
    headers = connection.headers
    if any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via", "origin")):
        return False
    host = connection.client.host if connection.client is not None else ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def routes(context: ReceiverContext, counts: Counts) -> "Sequence[BaseRoute]":
    """``/heartbeat`` and ``/stats``."""
    from starlette.routing import Route

    http = DaemonHttp(context, counts)
    return [
        Route("/heartbeat", Endpoint(http.heartbeat, http.say), methods=_METHODS),
        Route("/stats", Endpoint(http.stats, http.say), methods=["GET"]),
    ]


async def serve(context: ReceiverContext, counts: Counts) -> None:
    """The Unix socket, where one is configured."""
    from defib_plugins.daemon_socket import DaemonSocket

    if context.unix_socket is not None:
        await DaemonSocket(context.unix_socket, context, counts).serve()


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    counts = Counts(MOST_WAITING)
    return [
        ReceiverType(
            kind="daemon", summary="Local daemon protocol: a Unix socket, and /heartbeat and /stats",
            routes=partial(routes, counts=counts), serve=partial(serve, counts=counts),
        )
    ]  # fmt: skip
