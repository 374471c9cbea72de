"""Receiver ``agent-heartbeat``: agents that beat over HTTP or a WebSocket, each under an id of its own.

    POST /api/v1/agents/register            an agent introduces itself
    POST /api/v1/agents/{id}/heartbeat      a beat; its body may be empty
    GET  /api/v1/agents/status/{id}         how one stands
    GET  /api/v1/agents/offline             who is offline
         /api/v1/ws/{id}, /api/v1/ws/agent  the same over a WebSocket: :mod:`defib_plugins.agent_stream`

Refusals are ``{"detail": "…"}``.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from defib.plugin import AgentStatus, ReceiverContext, ReceiverType, Token, hookimpl
from defib_plugins.agent_intake import NOT_FOUND, Intake, say
from defib_plugins.agent_stream import Streams
from defib_plugins.agent_words import Heartbeat, Registration, brief, full, status_word
from defib_plugins.receiving import (
    Endpoint,
    RefusedError,
    answer,
    bearer,
    body,
    checked_id,
    instant,
    parse,
)

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

API = "/api/v1"
_RECENT = {
    AgentStatus.ONLINE: "recent",
    AgentStatus.DEGRADED: "recent",
    AgentStatus.ERROR: "recent",
    AgentStatus.WARNING: "stale",
    AgentStatus.OFFLINE: "offline",
    AgentStatus.STOPPED: "offline",
    AgentStatus.UNKNOWN: "unknown",
}


class Heartbeats:
    """The endpoints for requests."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._fleet = intake.fleet

    async def register(self, request: "Request") -> "Response":
        """Take in an agent, or renew what is known of it. Shown a registration key, it is given a token."""
        shown = bearer(request)
        if not shown and not self._fleet.settings.open_registration:
            raise self._intake.gate.refusal(request)
        said = parse(Registration, await body(request) or b"{}")
        agent, text = await self._intake.register(request, shown, said)
        given = {"token": text} if text else {}
        return answer({**full(self._intake.view(agent.id)), "agent_id": agent.id, **given})

    async def heartbeat(self, request: "Request") -> "Response":
        """Take one beat."""
        token = self._intake.gate.admit(request, bearer(request))
        agent_id = checked_id(request.path_params["agent_id"])
        self._intake.gate.pace(token, agent_id)
        said = parse(Heartbeat, await body(request) or b"{}")
        agent = await self._intake.resolve(request, token, agent_id, said.hostname or "")
        await self._intake.take(agent, said)
        view, now = self._intake.view(agent.id), self._intake.clock.now()
        return answer({"message": "Heartbeat received", "agent": brief(view), "timestamp": instant(now)})

    async def status(self, request: "Request") -> "Response":
        """How an agent stands; for whoever may report for it, and whoever may read."""
        agent_id = request.path_params["agent_id"]
        token = self._asking(request)
        if token is not None and not self._fleet.may_report(token, agent_id):
            raise RefusedError(404, NOT_FOUND)
        view = self._intake.view(agent_id)
        overall = AgentStatus.OFFLINE if view.status is AgentStatus.UNKNOWN else status_word(view)
        return answer(
            {
                "agent_id": agent_id,
                "overall_status": overall,
                "websocket_connected": view.is_connected,
                "heartbeat_status": _RECENT[view.status],
                "seconds_since_heartbeat": view.seconds_since,
                "last_seen": _seen(view.last_seen),
                "agent_data": full(view),
            }
        )

    async def offline(self, request: "Request") -> "Response":
        """Who is offline or has stopped, of those whom the caller may see."""
        token = self._asking(request)
        return answer(
            [
                {
                    "id": view.agent.id,
                    "hostname": view.agent.hostname,
                    "status": AgentStatus.OFFLINE,
                    "last_seen": _seen(view.last_seen),
                }
                for view in self._fleet.agents()
                if view.status in (AgentStatus.OFFLINE, AgentStatus.STOPPED)
                and (token is None or self._fleet.may_report(token, view.agent.id))
            ]
        )

    def _asking(self, connection: "HTTPConnection") -> Token | None:
        """The ingest token of whoever asks, or None for somebody who may read everything.

        :raises RefusedError: 401.
        """
        token = self._fleet.token(bearer(connection))
        if token is None and not self._intake.may_read(connection):
            raise self._intake.gate.refusal(connection)
        return token


def _seen(at: datetime | None) -> str | None:
    return instant(at) if at is not None else None


def routes(context: ReceiverContext) -> "Sequence[BaseRoute]":
    """The routes below ``/api/v1/agents`` and ``/api/v1/ws``."""
    from starlette.routing import Route, WebSocketRoute

    intake = Intake(context)
    heartbeats, streams = Heartbeats(intake), Streams(intake)
    agents = f"{API}/agents"
    return [
        Route(f"{agents}/register", Endpoint(heartbeats.register, say), methods=["POST"]),
        Route(f"{agents}/offline", Endpoint(heartbeats.offline, say), methods=["GET"]),
        Route(f"{agents}/status/{{agent_id}}", Endpoint(heartbeats.status, say), methods=["GET"]),
        Route(f"{agents}/{{agent_id}}/heartbeat", Endpoint(heartbeats.heartbeat, say), methods=["POST"]),
        WebSocketRoute(f"{API}/ws/agent", streams.unnamed),
        WebSocketRoute(f"{API}/ws/{{agent_id}}", streams.named),
    ]


@hookimpl
def defib_receivers() -> Iterable[ReceiverType]:
    return [
        ReceiverType(
            kind="agent-heartbeat",
            summary="Agents: POST /api/v1/agents/{id}/heartbeat, WebSocket /api/v1/ws/{id}",
            routes=routes,
        )
    ]
