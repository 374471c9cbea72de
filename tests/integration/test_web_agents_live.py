"""``/api/v1/agents/live``: agents to open pages, over a real WebSocket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from defib.engine.events import Event
from defib.model.agent import AgentReport, Introduction, Scope, Token
from defib.model.ids import AgentId
from defib.web import agent_stream
from receiver_world import bearer, make_world, new_token
from web_world import Site, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@pytest.fixture
async def token(site: Site) -> Token:
    token, _ = await site.engine.fleet.access.make_token("agents", Scope.INGEST, "a test")
    return token


async def add(site: Site, token: Token, agent: str, pool: str = "") -> None:
    await site.engine.fleet.register(Introduction(id=AgentId(agent), pool=pool), token=token)


async def beat(site: Site, agent: str, cpu: float) -> None:
    await site.engine.fleet.report(AgentId(agent), AgentReport(metrics={"cpu_percent": cpu}))


def listen(site: Site, query: str = "", **headers: str) -> connect:
    return connect(
        f"ws://127.0.0.1:{site.server._port}/api/v1/agents/live{query}",
        additional_headers=headers,
        proxy=None,
    )


async def heard(stream: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(stream.recv(), 5))


async def test_all_agents_first_then_those_that_changed(site: Site, token: Token) -> None:
    await add(site, token, "web-1")
    await add(site, token, "web-2")
    async with listen(site) as stream:
        first = await heard(stream)
        await beat(site, "web-2", 12.5)
        second = await heard(stream)

    assert first["type"] == "agents"
    assert [item["id"] for item in first["items"]] == ["web-1", "web-2"]
    assert (second["type"], second["gone"]) == ("changes", [])
    assert [(item["id"], item["status"], item["metrics"]) for item in second["items"]] == [
        ("web-2", "online", {"cpu_percent": 12.5})
    ]


async def test_what_comes_together_goes_out_together_the_newest_only(site: Site, token: Token) -> None:
    await add(site, token, "web-1")
    await add(site, token, "web-2")
    async with listen(site) as stream:
        await heard(stream)
        for cpu in range(50):
            await beat(site, "web-1", cpu)
            await beat(site, "web-2", cpu)
        told: dict[str, float] = {}
        messages = 0
        while told != {"web-1": 49.0, "web-2": 49.0}:
            message = await heard(stream)
            messages += 1
            told |= {item["id"]: item["metrics"]["cpu_percent"] for item in message["items"]}

    assert messages < 20  # of 100 beats


async def test_a_listener_to_a_pool_hears_of_its_agents_and_of_those_that_leave(
    site: Site, token: Token
) -> None:
    await add(site, token, "web-1", pool="web")
    await add(site, token, "db-1", pool="data")
    async with listen(site, "?pool=web") as stream:
        first = await heard(stream)
        await beat(site, "db-1", 1.0)
        await site.engine.fleet.amend(AgentId("web-1"), {"pool": "data"}, "a test")
        left = await heard(stream)

    assert [item["id"] for item in first["items"]] == ["web-1"]
    assert (left["items"], left["gone"]) == ([], ["web-1"])


async def test_an_agent_that_is_removed_is_told_of(site: Site, token: Token) -> None:
    await add(site, token, "web-1")
    async with listen(site) as stream:
        await heard(stream)
        await site.engine.fleet.remove(AgentId("web-1"), "a test")
        after = await heard(stream)

    assert (after["type"], after["items"]) == ("agents", [])


async def test_quiet_connections_are_kept_alive(
    site: Site, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_stream, "QUIET_S", 0.1)
    async with listen(site) as stream:
        await heard(stream)
        assert (await heard(stream))["type"] == "alive"


async def test_a_page_of_another_site_and_a_wrong_token_are_turned_away(site: Site) -> None:
    for headers, status in (
        ({"Origin": "https://evil.example.com"}, 403),
        (bearer("defib_guess"), 401),
        (bearer(await new_token(site)), 403),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with listen(site, **headers):
                pass
        assert refused.value.response.status_code == status


async def test_elsewhere_a_reader_needs_a_token_and_hears_nothing_once_it_is_revoked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_stream, "ASKED_AGAIN_S", 0.1)
    world.server = replace(world.server, host="0.0.0.0")
    async with world.running() as site:
        with pytest.raises(websockets.InvalidStatus):
            async with listen(site):
                pass
        text = await new_token(site, "wall", Scope.READ)
        async with listen(site, **bearer(text)) as stream:
            assert (await heard(stream))["type"] == "agents"
            await site.engine.fleet.access.revoke_token("wall", "a test")
            with pytest.raises(websockets.ConnectionClosedOK):
                await heard(stream)


async def test_too_many_pages_are_asked_to_come_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_stream, "MOST_PAGES", 1)
    async with listen(site) as first:
        await heard(first)
        async with listen(site) as second:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await heard(second)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013


async def test_a_page_that_takes_nothing_is_dropped_and_delays_no_beat(
    site: Site, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_stream, "SEND_WITHIN_S", 0.3)
    monkeypatch.setattr(agent_stream, "PACE_S", 0.0)
    for i in range(200):
        await add(site, token, f"a{i:03d}")
    taker = socket.socket()
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    taker.setblocking(False)
    await asyncio.get_running_loop().sock_connect(taker, ("127.0.0.1", site.server._port))
    reader, writer = await asyncio.open_connection(sock=taker, limit=1)
    writer.write(
        b"GET /api/v1/agents/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert (await asyncio.wait_for(reader.readexactly(12), 5)) == b"HTTP/1.1 101"

    loop, slowest = asyncio.get_running_loop(), 0.0
    async with asyncio.timeout(30):
        while site.engine.fleet.board._feeds or not slowest:
            site.engine.bus.publish(Event(type="reload"))  # everything anew, 60 kB
            began = loop.time()
            await beat(site, "a007", 1.0)
            slowest = max(slowest, loop.time() - began)
    writer.close()

    assert slowest < 1.0  # s; without the bound it would wait for the page for ever
