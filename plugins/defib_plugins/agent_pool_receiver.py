"""Receiver ``agent-pool``: agents of a pool, and what they do, live.

    POST /api/v1/agents/{id}/ping               a beat, with the headers X-App-Key and X-App-Secret
         /api/v1/ws/agent-pools/{pool}/metrics  a WebSocket for those who look; also without /api/v1

The secret is an ingest token, the key its id or its name; agents that first beat with it are in the pool of that name.
Refusals are ``{"error": "…"}``.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from defib.plugin import (
    Agent,
    AgentReport,
    Introduction,
    ReceiverContext,
    ReceiverType,
    RegistrationRefusedError,
    Token,
    hookimpl,
)
from defib_plugins.agent_words import RunningTasks, Share
from defib_plugins.pool_feed import PoolFeeds
from defib_plugins.receiving import (
    Body,
    Endpoint,
    Gate,
    Line,
    RefusedError,
    answer,
    body,
    checked_id,
    instant,
    parse,
    refuse,
    while_connected,
    with_query_token,
)

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

PROTOCOL = "pool"
EVERY = timedelta(seconds=60)  #: agents are told to beat each 30 to 60 s
FOREIGN = "agent not found or does not belong to this application"


class Ping(Body):
    """One beat."""

    status: Line
    cpu_usage: Share | None = None
    memory_usage: Share | None = None
    running_tasks: RunningTasks | None = None

    @field_validator("status")
    @classmethod
    def _said(cls, value: str) -> str:
        if not value:
            raise ValueError("must not be empty")
        return value

    def report(self) -> AgentReport:
        told = {"cpu_percent": self.cpu_usage, "memory_percent": self.memory_usage}
        return AgentReport(
            protocol=PROTOCOL,
            status=self.status,
            metrics={name: value for name, value in told.items() if value is not None},
            tasks=tuple(item.task() for item in self.running_tasks or ()),
        )


def say(status: int, why: str) -> Mapping[str, Any]:
    """A refusal in this protocol's words; of a body that is no good also with what is wrong with it."""
    if status == 400:
        return {"error": "invalid request body", "detail": why}
    return {"error": why}


class Pools:
    """The endpoints."""

    def __init__(self, context: ReceiverContext) -> None:
        self._clock = context.clock
        self._fleet = context.fleet
        self._may_read = context.may_read
        self._gate = Gate(context)
        self._feeds = PoolFeeds(context)

    async def ping(self, request: "Request") -> "Response":
        """Take one beat."""
        token = self._admit(request)
        agent_id = checked_id(request.headers.get("x-agent-id") or request.path_params["agent_id"])
        self._gate.pace(token, agent_id)
        said = parse(Ping, await body(request))
        try:
            agent = await self._settle(await self._fleet.resolve(token, agent_id), token)
            await self._fleet.report(agent.id, said.report())
        except RegistrationRefusedError as error:
            if self._fleet.find(agent_id) is not None:
                raise RefusedError(403, FOREIGN) from None
            if not self._fleet.settings.new_agents:
                raise RefusedError(404, "agent not found") from None
            raise RefusedError(403, str(error)) from None
        return answer({"message": "ping received", "last_ping_at": instant(self._clock.now())})

    def _admit(self, request: "Request") -> Token:
        """The token of key and secret.

        :raises RefusedError: 401.
        """
        key, secret = request.headers.get("x-app-key", ""), request.headers.get("x-app-secret", "")
        if not key or not secret:
            raise RefusedError(401, "missing application credentials")
        token = self._fleet.token(secret)
        if token is None or not any(_equal(key, name) for name in (token.id, token.root, token.name)):
            refused = self._gate.refusal(request)
            why = "invalid application credentials" if refused.status == 401 else refused.why
            raise RefusedError(refused.status, why, refused.headers)
        return token

    async def _settle(self, agent: Agent, token: Token) -> Agent:
        """An agent that is new is in the pool of its token, and beats as often as agents of pools do."""
        if agent.pool:
            return agent
        every = None if agent.protocol else EVERY
        protocol = agent.protocol or PROTOCOL
        return await self._fleet.describe(
            agent.id, Introduction(pool=token.name, protocol=protocol, every=every)
        )

    async def metrics(self, socket: "WebSocket") -> None:
        """Show a pool to somebody who may read."""
        if not self._may_read(with_query_token(socket)):
            await refuse(socket, self._gate.refusal(socket), say)
            return
        await socket.accept()
        await while_connected(socket, self._feeds.show(socket, socket.path_params["pool"]))


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def routes(context: ReceiverContext) -> "Sequence[BaseRoute]":
    """The routes of beats and of those who look."""
    from starlette.routing import Route, WebSocketRoute

    pools = Pools(context)
    metrics = "/ws/agent-pools/{pool}/metrics"
    return [
        Route("/api/v1/agents/{agent_id}/ping", Endpoint(pools.ping, say), methods=["POST"]),
        WebSocketRoute(f"/api/v1{metrics}", pools.metrics),
        WebSocketRoute(metrics, pools.metrics),
    ]


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    return [
        ReceiverType(
            kind="agent-pool",
            summary="Agents of pools: POST /api/v1/agents/{id}/ping, WebSocket /ws/agent-pools/{pool}/metrics",
            routes=routes,
        )
    ]
