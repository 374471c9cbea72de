"""Agents that hold a WebSocket open, over a real one, with the real engine behind it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from defib.model.agent import AgentStatus
from defib.model.health import State
from defib.model.ids import AgentId
from defib_testkit.waiting import async_wait_until
from receiver_world import bearer, broken_store, make_world, new_token, status, view
from web_world import Site, World

REGISTRATION = {
    "agent_id": "ws-1", "hostname": "vm", "ip": "192.0.2.7", "os": "Windows", "version": "2.0.0", "status": "online",
    "tags": ["windows"], "system_info": {"cpu_usage": 12.0}, "capabilities": ["system_monitoring"],
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, "defib_plugins.agent_heartbeat_receiver")


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@pytest.fixture
async def token(site: Site) -> str:
    return await new_token(site)


def stream(site: Site, agent: str, token: str, **options: Any) -> connect:
    url = f"{site.url.replace('http:', 'ws:')}/api/v1/ws/{agent}"
    return connect(url, proxy=None, additional_headers=bearer(token), **options)


async def tell(socket: ClientConnection, kind: str, data: Any, **more: Any) -> None:
    await socket.send(
        json.dumps({"type": kind, "data": data, "timestamp": "2025-07-27T17:47:54.661", **more})
    )


async def hear(socket: ClientConnection) -> Any:
    async with asyncio.timeout(10):
        return json.loads(await socket.recv())


async def test_an_agent_is_welcomed_introduces_itself_and_beats(site: Site, token: str) -> None:
    async with stream(site, "ws-1", token, ping_interval=20, ping_timeout=10) as socket:
        welcome = await hear(socket)
        assert welcome["type"] == "welcome"
        assert welcome["data"].pop("connection_id") != ""
        assert welcome["data"] == {
            "agent_id": "ws-1", "message": "connected to Defib", "server_info": {"name": "Defib"},
        }  # fmt: skip
        await tell(socket, "register", REGISTRATION, agent_id="ws-1")
        await async_wait_until(lambda: status(site, "ws-1") is AgentStatus.ONLINE, 10, "its first beat")
        agent = view(site, "ws-1").agent
        assert (agent.hostname, agent.address, agent.version) == ("vm", "192.0.2.7", "2.0.0")
        beat = {"agent_id": "ws-1", "system_info": {"cpu_usage": 99.0}, "status": "online", "seq": 7}
        await tell(socket, "heartbeat", beat)

        assert (await hear(socket))["data"] == {"seq": 7}
        found = (await site.client.get("/api/v1/agents/status/ws-1")).json()
        assert (found["overall_status"], found["websocket_connected"]) == ("online", True)
        assert found["agent_data"]["system_info"] == {"cpu_usage": 99.0}
        assert found["agent_data"]["is_connected"] is True


async def test_an_agent_without_an_id_in_the_address_says_it_first(site: Site, token: str) -> None:
    async with stream(site, "agent", token) as socket:
        await tell(socket, "register", {"id": "ws-2", "hostname": "vm-2"})

        assert (await hear(socket))["data"]["agent_id"] == "ws-2"
        assert status(site, "ws-2") is AgentStatus.ONLINE
        assert view(site, "ws-2").is_connected


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"type": "heartbeat", "data": {}}, "the first message must be a registration"),
        ({"type": "register", "data": {"hostname": "vm"}}, "a registration needs the agent's id"),
        ({"type": "register", "data": {"id": "a/b"}},
         "id: an id becomes part of an address and holds no '/'"),
        ([1], "the body must be a JSON object"),
    ],
)  # fmt: skip
async def test_whoever_does_not_introduce_itself_is_told_so_and_hung_up_on(
    site: Site, token: str, said: Any, why: str
) -> None:
    async with stream(site, "agent", token) as socket:
        await socket.send(json.dumps(said))

        answer = await hear(socket)
        assert (answer["type"], answer["data"]) == ("error", {"message": why})
        with pytest.raises(ConnectionClosed):
            await hear(socket)
        assert socket.close_code == 1008
    assert site.engine.fleet.agents() == []


@pytest.mark.parametrize("path", ["ws-1", "agent"])
@pytest.mark.parametrize("shown", ["", "nonsense"])
async def test_without_a_good_token_there_is_no_stream(site: Site, path: str, shown: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with stream(site, path, shown):
            pass

    response = refused.value.response
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.body == b'{"detail":"could not validate credentials"}'


async def test_a_token_may_stand_in_the_address(site: Site, token: str) -> None:
    async with connect(
        f"{site.url.replace('http:', 'ws:')}/api/v1/ws/ws-1?token={token}", proxy=None
    ) as socket:
        assert (await hear(socket))["type"] == "welcome"


async def test_the_stream_of_another_agent_is_refused(site: Site, token: str) -> None:
    other = await new_token(site, "others")
    async with stream(site, "ws-1", token) as socket:
        await hear(socket)
        with pytest.raises(InvalidStatus) as refused:
            async with stream(site, "ws-1", other):
                pass
    assert refused.value.response.status_code == 401


async def test_a_bad_message_is_answered_and_the_stream_goes_on(site: Site, token: str) -> None:
    async with stream(site, "ws-1", token) as socket:
        await hear(socket)
        for said, why in (
            ("{", "the body is not valid JSON: EOF while parsing an object at line 1 column 1"),
            (b"\xff", "the body is not valid JSON: expected value at line 1 column 1"),
            ("[" * 25 + "]" * 25, "the body is nested more than 20 levels deep"),
            ('{"type": "heartbeat", "data": []}', "data: input should be a valid dictionary"),
            ('{"type": "heartbeat", "data": {"system_info": {"cpu_usage": "x"}}}',
             "system_info.cpu_usage: input should be a valid number, unable to parse string as a number"),
        ):  # fmt: skip
            await socket.send(said)
            assert (await hear(socket))["data"] == {"message": why}
        for kind in ("pong", "command_result", "system_info_response", "of a newer agent"):
            await tell(socket, kind, {})  # no beat, and no mistake
        assert status(site, "ws-1") is AgentStatus.UNKNOWN
        await tell(socket, "heartbeat", {"seq": 1})
        assert (await hear(socket))["type"] == "heartbeat_ack"
        assert status(site, "ws-1") is AgentStatus.ONLINE


async def test_a_beat_that_cannot_be_stored_is_not_acknowledged(world: World, site: Site, token: str) -> None:
    async with stream(site, "ws-1", token) as socket:
        await hear(socket)
        with broken_store(world):
            await tell(socket, "heartbeat", {"seq": 1})
            answer = await hear(socket)
        assert (answer["type"], answer["data"]) == (
            "error", {"message": "it cannot be stored now; try again", "status": 503, "seq": 1},
        )  # fmt: skip
        await tell(socket, "heartbeat", {"seq": 1})
        assert (await hear(socket))["type"] == "heartbeat_ack"


async def test_a_stream_that_ends_without_a_word_makes_its_agent_suspect_at_once(
    site: Site, token: str
) -> None:
    async with stream(site, "ws-1", token) as socket:
        await tell(socket, "heartbeat", {"seq": 1})
        assert [(await hear(socket))["type"] for _ in range(2)] == ["welcome", "heartbeat_ack"]
        socket.transport.abort()

    await async_wait_until(lambda: status(site, "ws-1") is AgentStatus.WARNING, 5, "suspicion")
    assert not view(site, "ws-1").is_connected
    last = site.health("ws-1").last
    assert last is not None
    assert last.evidence.cause == "stream-closed"


async def test_a_planned_stop_before_the_end_is_no_suspicion(site: Site, token: str) -> None:
    async with stream(site, "ws-1", token) as socket:
        await tell(socket, "heartbeat", {"seq": 1})
        await tell(socket, "heartbeat", {"seq": 2, "status": "stopping"})
        assert [(await hear(socket))["type"] for _ in range(3)][1:] == ["heartbeat_ack"] * 2

    await async_wait_until(lambda: not view(site, "ws-1").is_connected, 5, "the end of the stream")
    assert site.health("ws-1").state is State.STOPPED


async def test_a_newer_stream_of_an_agent_takes_the_place_of_the_one_before(site: Site, token: str) -> None:
    async with stream(site, "ws-1", token) as old, stream(site, "ws-1", token) as new:
        await tell(new, "heartbeat", {"seq": 1})
        assert [(await hear(new))["type"] for _ in range(2)] == ["welcome", "heartbeat_ack"]
        await async_wait_until(lambda: old.close_code is not None, 10, "the older stream to end")
        assert old.close_code == 4000
        assert status(site, "ws-1") is AgentStatus.ONLINE
        assert view(site, "ws-1").is_connected


@pytest.mark.parametrize("by", ["token", "agent"])
async def test_a_stream_ends_with_its_token_and_when_its_agent_is_kept_out(
    site: Site, token: str, by: str
) -> None:
    async with stream(site, "ws-1", token) as socket:
        await hear(socket)
        if by == "token":
            await site.engine.fleet.access.revoke_token("agents", "a test")
        else:
            await site.engine.fleet.access.keep_out(AgentId("ws-1"), "a test")
        await tell(socket, "heartbeat", {"seq": 1})
        with pytest.raises(ConnectionClosed):
            await hear(socket)
        assert socket.close_code == 1008
    assert status(site, "ws-1") is AgentStatus.UNKNOWN


async def test_a_message_that_is_too_long_ends_the_stream(site: Site, token: str) -> None:
    async with stream(site, "ws-1", token) as socket:
        await hear(socket)
        await tell(socket, "heartbeat", {"x": "x" * 70_000})
        with pytest.raises(ConnectionClosed):
            await hear(socket)
        assert socket.close_code == 1009


async def test_a_server_that_stops_suspects_nobody(world: World) -> None:
    async with world.running() as site:
        token = await new_token(site)
        async with stream(site, "ws-1", token) as socket:
            await tell(socket, "heartbeat", {"seq": 1})
            assert [(await hear(socket))["type"] for _ in range(2)] == ["welcome", "heartbeat_ack"]
            site.engine.stop()
            await site.server.stop()
            assert site.health("ws-1").state is State.UP
