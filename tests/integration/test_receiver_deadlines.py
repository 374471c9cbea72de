"""An agent that falls silent is late at 30 s and offline at 60 s, wherever one looks, and though nobody asks.

The receivers run on the event loop whose time is virtual, so that the bounds are exact.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from defib.model.agent import Introduction, Scope
from defib.model.ids import AgentId
from defib.plugin import ReceiverContext
from defib_plugins import agent_heartbeat_receiver, agent_pool_receiver
from fleet_world import World, in_world

BEAT = "/api/v1/agents/agent-1/heartbeat"


def application(world: World) -> Starlette:
    context = ReceiverContext(
        sink=world.engine.beats, jobs=world.engine.jobs, fleet=world.fleet, clock=world.clock,
        may_read=lambda connection: True,
    )  # fmt: skip
    return Starlette(routes=[*agent_heartbeat_receiver.routes(context), *agent_pool_receiver.routes(context)])


async def look(app: Starlette, path: str, take: Callable[[Any], None]) -> None:
    """Hold a WebSocket open, and take what comes."""
    scope = {
        "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
        "scheme": "ws", "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "subprotocols": [],
        "http_version": "1.1", "asgi": {"version": "3.0"}, "extensions": {},
    }  # fmt: skip
    came: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    came.put_nowait({"type": "websocket.connect"})

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            take(json.loads(message["text"]))

    await app(scope, came.get, send)


@pytest.mark.parametrize("beats", [1, 2, 120])
def test_late_after_30_s_and_offline_after_60_s_within_250_ms(beats: int) -> None:
    found: list[tuple[float, str]] = []  # over the API: when it changed, and to what
    told: list[tuple[float, str]] = []  # over the WebSocket

    async def play(world: World) -> None:
        app = application(world)
        _, token = await world.fleet.access.make_token("pool-1", Scope.INGEST, "a test")
        headers = {"Authorization": f"Bearer {token}"}
        registered = world.fleet.token(token)
        await world.fleet.register(Introduction(id=AgentId("agent-1"), pool="pool-1"), token=registered)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            await client.post(BEAT, headers=headers)
            for _ in range(beats - 1):
                await world.clock.sleep(29.0)
                await client.post(BEAT, headers=headers)
            began = world.clock.monotonic()

            def take(message: Any) -> None:
                at = world.clock.monotonic() - began
                match message["type"]:
                    case "metrics_update":
                        told.append((at, message["metrics"]["health"]))
                    case "agent_offline":
                        told.append((at, message["metrics"]["status"]))

            looking = asyncio.create_task(look(app, "/ws/agent-pools/pool-1/metrics", take))
            while (at := world.clock.monotonic() - began) < 70:
                response = await client.get("/api/v1/agents/status/agent-1")
                status = response.json()["overall_status"]
                if not found or found[-1][1] != status:
                    found.append((at, status))
                await world.clock.sleep(0.02)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    in_world(play)
    assert [status for _, status in found] == ["online", "warning", "offline"]
    assert [status for _, status in told] == ["warning", "offline"]
    for moments in ([at for at, _ in found[1:]], [at for at, _ in told]):
        assert 30.0 <= moments[0] <= 30.31
        assert 60.0 <= moments[1] <= 60.31
    assert 30.0 <= found[1][0] <= 30.25
    assert 60.0 <= found[2][0] <= 60.25


def test_nobody_has_to_ask() -> None:
    """The same without a single request after the beat."""
    told: list[tuple[float, str]] = []

    async def play(world: World) -> None:
        app = application(world)
        _, token = await world.fleet.access.make_token("pool-1", Scope.INGEST, "a test")
        headers = {"X-App-Key": "pool-1", "X-App-Secret": token}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            await client.post("/api/v1/agents/agent-1/ping", headers=headers, json={"status": "idle"})

        def take(message: Any) -> None:
            if message["type"] == "agent_offline":
                told.append((world.clock.monotonic(), message["metrics"]["agent_id"]))

        looking = asyncio.create_task(look(app, "/api/v1/ws/agent-pools/pool-1/metrics", take))
        await world.clock.sleep(400.0)
        assert world.fleet.board.reports("pool-1") == []  # after five minutes nothing is live any more
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    in_world(play)
    assert [agent for _, agent in told] == ["agent-1"]
    assert 120.0 <= told[0][0] <= 120.31  # agents of pools beat each 60 s
