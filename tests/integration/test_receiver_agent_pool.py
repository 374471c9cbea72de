"""The ``agent-pool`` receiver: beats over real HTTP, and those who look over real WebSockets."""

import asyncio
import json
import re
import socket as sockets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from defib.model.agent import AgentReport, AgentStatus, Introduction, Scope
from defib.model.ids import AgentId
from defib.model.settings import IngestSettings, ServerSettings
from defib_plugins import receiving
from defib_testkit.waiting import async_wait_until
from receiver_world import bearer, broken_store, make_world, new_token, status, view
from web_world import TOKEN, Site, World

RECEIVERS = ("defib_plugins.agent_pool_receiver", "defib_plugins.agent_heartbeat_receiver")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TASK = {"task_id": 123, "task_type": "plan", "workspace_id": "ws-1", "started_at": "2025-01-07T10:30:00Z"}
BUSY = {"status": "busy", "cpu_usage": 45.5, "memory_usage": 62.3, "running_tasks": [TASK]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, *RECEIVERS)


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@pytest.fixture
async def secret(site: Site) -> str:
    return await new_token(site, "pool-1")


async def ping(
    site: Site, agent: str, secret: str, said: Any = BUSY, *, key: str = "pool-1", **headers: str
) -> httpx.Response:
    headers = {"X-App-Key": key, "X-App-Secret": secret, **headers}
    return await site.client.post(f"/api/v1/agents/{agent}/ping", json=said, headers=headers)


def look(site: Site, pool: str, query: str = "", *, base: str = "/api/v1", **options: Any) -> connect:
    url = f"{site.url.replace('http:', 'ws:')}{base}/ws/agent-pools/{pool}/metrics{query}"
    return connect(url, proxy=None, **options)


async def hear(socket: ClientConnection, within_s: float = 10) -> Any:
    async with asyncio.timeout(within_s):
        return json.loads(await socket.recv())


# --- beats ---------------------------------------------------------------------------------------------


async def test_a_ping_is_answered_and_puts_its_agent_into_the_pool_of_its_token(
    site: Site, secret: str
) -> None:
    response = await ping(site, "agent-1", secret)

    assert response.status_code == 200
    answer = response.json()
    assert MOMENT.fullmatch(answer.pop("last_ping_at"))
    assert answer == {"message": "ping received"}
    agent = view(site, "agent-1").agent
    assert (agent.pool, agent.protocol) == ("pool-1", "pool")
    assert status(site, "agent-1") is AgentStatus.ONLINE
    last = site.health("agent-1").last
    assert last is not None
    assert last.evidence.metrics == {"cpu_percent": 45.5, "memory_percent": 62.3}
    deadline = site.health("agent-1").deadline
    assert deadline is not None
    assert view(site, "agent-1").last_seen is not None
    assert 119 < (deadline - view(site, "agent-1").last_seen).total_seconds() <= 120


async def test_the_key_is_the_name_or_the_id_of_the_token(site: Site, secret: str) -> None:
    token = site.engine.fleet.token(secret)
    assert token is not None

    assert (await ping(site, "agent-1", secret, key=token.id)).status_code == 200
    assert (await ping(site, "agent-1", secret, key="pool-1")).status_code == 200


async def test_a_header_overrides_the_id_of_the_address(site: Site, secret: str) -> None:
    await ping(site, "agent-1", secret, **{"X-Agent-ID": "agent-9"})

    assert [found.agent.id for found in site.engine.fleet.agents()] == ["agent-9"]


async def test_an_agent_that_has_a_pool_stays_there(site: Site, secret: str) -> None:
    token = site.engine.fleet.token(secret)
    await site.engine.fleet.register(Introduction(id=AgentId("agent-1"), pool="elsewhere"), token=token)

    await ping(site, "agent-1", secret)

    assert view(site, "agent-1").agent.pool == "elsewhere"


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, "missing application credentials"),
        ({"X-App-Key": "pool-1"}, "missing application credentials"),
        ({"X-App-Secret": "nonsense"}, "missing application credentials"),
        ({"X-App-Key": "pool-1", "X-App-Secret": "nonsense"}, "invalid application credentials"),
    ],
)
async def test_without_key_and_secret_there_is_no_ping(
    site: Site, headers: dict[str, str], error: str
) -> None:
    response = await site.client.post("/api/v1/agents/agent-1/ping", json=BUSY, headers=headers)

    assert (response.status_code, response.json()) == (401, {"error": error})


async def test_a_secret_does_not_go_with_the_key_of_another(site: Site, secret: str) -> None:
    response = await ping(site, "agent-1", secret, key="pool-2")

    assert (response.status_code, response.json()) == (401, {"error": "invalid application credentials"})


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ({}, "status: field required"),
        ({"status": ""}, "status: must not be empty"),
        ({"status": "busy", "cpu_usage": 100.5}, "cpu_usage: input should be less than or equal to 100"),
        ({"status": "busy", "running_tasks": [{}]}, "running_tasks.0.task_id: field required"),
        ([], "the body must be a JSON object"),
    ],
)
async def test_a_bad_body_is_refused(site: Site, secret: str, said: Any, detail: str) -> None:
    response = await ping(site, "agent-1", secret, said)

    assert (response.status_code, response.json()) == (
        400,
        {"error": "invalid request body", "detail": detail},
    )


async def test_the_agent_of_another_application_is_forbidden(site: Site, secret: str) -> None:
    other = await new_token(site, "pool-2")
    await ping(site, "agent-1", secret)

    response = await ping(site, "agent-1", other, key="pool-2")

    assert response.status_code == 403
    assert response.json() == {"error": "agent not found or does not belong to this application"}


async def test_unknown_agents_are_not_found_where_new_ones_are_not_let_in(tmp_path: Path) -> None:
    async with make_world(tmp_path, *RECEIVERS, new_agents=False).running() as site:
        response = await ping(site, "agent-1", await new_token(site, "pool-1"))

    assert (response.status_code, response.json()) == (404, {"error": "agent not found"})


async def test_a_ping_that_cannot_be_stored_is_to_be_sent_again(
    world: World, site: Site, secret: str
) -> None:
    await ping(site, "agent-1", secret)
    with broken_store(world):
        response = await ping(site, "agent-1", secret)

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.json() == {"error": "it cannot be stored now; try again"}


# --- those who look ------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["/api/v1", ""])
async def test_whoever_looks_is_told_what_is_known_and_then_what_comes(
    site: Site, secret: str, base: str
) -> None:
    other = await new_token(site, "pool-2")
    await ping(site, "agent-1", secret)
    await ping(site, "elsewhere", other, key="pool-2")
    async with look(site, "pool-1", base=base) as socket:
        first = await hear(socket)
        assert MOMENT.fullmatch(first["metrics"][0].pop("last_update_time"))
        assert first == {
            "type": "initial_metrics",
            "pool_id": "pool-1",
            "metrics": [
                {"agent_id": "agent-1", "agent_name": "agent-1", "cpu_usage": 45.5, "memory_usage": 62.3,
                 "running_tasks": [TASK], "status": "busy", "health": "online"}
            ],
        }  # fmt: skip
        await ping(site, "elsewhere", other, key="pool-2")
        await ping(site, "agent-1", secret, {"status": "idle", "cpu_usage": 3, "running_tasks": None})
        update = await hear(socket)
        assert MOMENT.fullmatch(update["metrics"].pop("last_update_time"))
        assert update == {
            "type": "metrics_update",
            "pool_id": "pool-1",
            "metrics": {"agent_id": "agent-1", "agent_name": "agent-1", "cpu_usage": 3.0, "memory_usage": None,
                        "running_tasks": [], "status": "idle", "health": "online"},
        }  # fmt: skip


async def test_a_pool_without_agents_is_an_empty_list(site: Site) -> None:
    async with look(site, "nonesuch") as socket:
        assert await hear(socket) == {"type": "initial_metrics", "pool_id": "nonesuch", "metrics": []}


async def test_beats_that_come_together_go_out_together_to_whoever_asks_for_that(
    site: Site, secret: str
) -> None:
    names = [f"agent-{number}" for number in range(20)]
    for name in names:
        await ping(site, name, secret)
    async with look(site, "pool-1", "?batch=1") as socket:
        assert len((await hear(socket))["metrics"]) == 20
        agents = [AgentId(name) for name in names]
        await asyncio.gather(
            *(site.engine.fleet.report(agent, AgentReport(status="idle")) for agent in agents)
        )
        told: set[str] = set()
        messages = 0
        while told != set(names):
            message = await hear(socket)
            assert (message["type"], message["offline"]) == ("metrics_batch", [])
            told |= {item["agent_id"] for item in message["metrics"]}
            messages += 1
        assert messages < 10


async def test_an_agent_that_is_late_stands_otherwise_and_one_that_is_silent_is_offline(
    site: Site, secret: str
) -> None:
    token = site.engine.fleet.token(secret)
    await site.client.post(
        "/api/v1/agents/agent-1/heartbeat", headers=bearer(secret), json={"interval": 1, "status": "busy"}
    )
    await site.engine.fleet.describe(AgentId("agent-1"), Introduction(pool="pool-1"))
    await site.client.post(
        "/api/v1/agents/agent-1/heartbeat", headers=bearer(secret), json={"interval": 1, "status": "busy"}
    )
    assert token is not None
    began = time.monotonic()
    async with look(site, "pool-1") as socket, look(site, "pool-1", "?batch=1") as batched:
        assert (await hear(socket))["metrics"][0]["health"] == "online"
        late = await hear(socket)
        late_after = time.monotonic() - began
        assert (late["type"], late["metrics"]["health"], late["metrics"]["status"]) == (
            "metrics_update", "warning", "busy",
        )  # fmt: skip
        gone = await hear(socket)
        gone_after = time.monotonic() - began
        assert gone == {
            "type": "agent_offline",
            "pool_id": "pool-1",
            "metrics": {"agent_id": "agent-1", "status": "offline"},
        }
        assert [(await hear(batched))["type"] for _ in range(2)] == ["initial_metrics", "metrics_batch"]
        assert (await hear(batched))["offline"] == ["agent-1"]
    assert 1.0 < late_after < 2.0
    assert 6.0 < gone_after < 7.0
    async with look(site, "pool-1") as socket:
        back = (await hear(socket))["metrics"][0]
        assert (back["status"], back["health"]) == ("offline", "offline")


# --- who may look --------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?token=nonsense", f"?token={TOKEN}x"])
async def test_elsewhere_than_on_this_machine_whoever_looks_needs_a_token(tmp_path: Path, query: str) -> None:
    world = make_world(tmp_path, *RECEIVERS)
    world.server = ServerSettings(host="0.0.0.0", port=0, ingest=IngestSettings())
    async with world.running() as site:
        with pytest.raises(InvalidStatus) as refused:
            async with look(site, "pool-1", query):
                pass
        assert refused.value.response.status_code == 401
        assert refused.value.response.body == b'{"error":"could not validate credentials"}'
        async with look(site, "pool-1", f"?token={TOKEN}") as socket:
            assert (await hear(socket))["type"] == "initial_metrics"


async def test_an_ingest_token_shows_nothing(site: Site, secret: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with look(site, "pool-1", f"?token={secret}"):
            pass
    assert refused.value.response.status_code == 401


async def test_a_page_of_another_site_may_not_look(site: Site) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with look(site, "pool-1", additional_headers={"Origin": "https://evil.example"}):
            pass
    assert refused.value.response.status_code == 401
    async with look(site, "pool-1", additional_headers={"Origin": site.url}) as socket:
        assert (await hear(socket))["type"] == "initial_metrics"


async def test_a_token_that_may_read_may_look_until_it_is_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("defib_plugins.pool_feed.ASKED_AGAIN_S", 0.0)
    world = make_world(tmp_path, *RECEIVERS)
    world.server = ServerSettings(host="0.0.0.0", port=0, ingest=IngestSettings())
    async with world.running() as site:
        reading, secret = await new_token(site, "wall", Scope.READ), await new_token(site, "pool-1")
        async with look(site, "pool-1", f"?token={reading}") as socket:
            await hear(socket)
            await ping(site, "agent-1", secret)
            assert (await hear(socket))["type"] == "metrics_update"
            await site.engine.fleet.access.revoke_token("wall", "a test")
            await ping(site, "agent-1", secret)
            with pytest.raises(ConnectionClosed):
                await hear(socket)


# --- slow ones -----------------------------------------------------------------------------------------


async def test_a_browser_that_takes_nothing_is_dropped_and_holds_nobody_up(
    site: Site, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "SEND_WITHIN_S", 1.0)
    monkeypatch.setattr("defib.web.server.GO_WITHIN_S", 0.5)
    agents = [f"agent-{number}" for number in range(100)]
    for agent in agents:
        await ping(site, agent, secret)
    port = int(site.url.rpartition(":")[2])
    with sockets.socket() as stalled:
        stalled.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        await asyncio.to_thread(stalled.connect, ("127.0.0.1", port))
        stalled.sendall(
            f"GET /ws/agent-pools/pool-1/metrics HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            .encode()
        )  # fmt: skip
        board = site.engine.fleet.board
        await async_wait_until(lambda: len(board._feeds) == 1, 10, "the browser to look")
        async with look(site, "pool-1", "?batch=1") as quick:
            assert (await hear(quick))["type"] == "initial_metrics"
            report = AgentReport(status="x" * 200)
            deadline = time.monotonic() + 60
            while len(board._feeds) == 2 and time.monotonic() < deadline:
                for agent in agents:
                    await site.engine.fleet.report(AgentId(agent), report)
                assert (await hear(quick, 2))["type"] == "metrics_batch"
            assert len(board._feeds) == 1
            assert len(site.server._uvicorn.server_state.connections) <= 3
        await async_wait_until(lambda: not board._feeds, 10, "nobody to look")
        await async_wait_until(
            lambda: (
                not any(
                    getattr(item, "transport", None) is not None and item.transport.get_write_buffer_size()
                    for item in site.server._uvicorn.server_state.connections
                )
            ),
            10,
            "what the browser did not take to be gone",
        )
