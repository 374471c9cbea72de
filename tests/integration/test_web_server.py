"""The listening server: its address, its WebSockets, its end."""

import asyncio
import json
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from defib.engine.events import Event
from defib.errors import ListenError
from defib.model.ids import MonitorId
from defib.model.settings import ServerSettings
from defib.web.server import Server, listen
from defib_testkit.ports import free_port
from defib_testkit.waiting import async_wait_until
from web_world import TOKEN, Site, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.watch("main")
    world.expect_beats("nightly")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


def events(site: Site, **options: Any) -> connect:
    return connect(site.url.replace("http:", "ws:") + "/api/v1/events", proxy=None, **options)


async def never(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody asks")


# --- the address ---------------------------------------------------------------------------------------


async def test_port_0_takes_a_free_one_and_tells_which(site: Site) -> None:
    port = int(site.url.rpartition(":")[2])

    assert site.url == f"http://127.0.0.1:{port}"
    assert port > 0
    assert (await site.client.get("/livez")).text == "ok\n"


async def test_a_port_in_use_is_an_error_that_names_the_remedy() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(ListenError) as error:
            await Server(never, ServerSettings(port=port)).start()

    assert str(error.value) == (
        f"127.0.0.1:{port} is in use by another program; stop it or change 'server.listen'"
    )


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "192.0.2.1:8420 is no address of this machine; change 'server.listen'"),
        ("no..where", "no..where:8420: the host name cannot be resolved (it is no host name); "
                      "change 'server.listen'"),
    ],
)  # fmt: skip
def test_an_address_that_is_not_ours_is_an_error_that_names_the_remedy(host: str, message: str) -> None:
    with pytest.raises(ListenError) as error:
        listen(host, 8420)

    assert str(error.value) == message


def test_a_name_with_two_addresses_is_listened_to_on_both_with_one_port() -> None:
    sockets = listen("localhost", 0)
    try:
        assert len({item.getsockname()[1] for item in sockets}) == 1
        assert {item.getsockname()[0] for item in sockets} <= {"127.0.0.1", "::1"}
    finally:
        for item in sockets:
            item.close()


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8420"), ("::1", "http://[::1]:8420"), ("0.0.0.0", "http://127.0.0.1:8420"),
     ("::", "http://[::1]:8420"), ("localhost", "http://localhost:8420")],
)  # fmt: skip
def test_the_url_is_one_that_this_machine_can_open(host: str, url: str) -> None:
    assert Server(never, ServerSettings(host=host)).url == url


async def test_signals_are_left_to_the_command_line(site: Site) -> None:
    await site.client.get("/livez")

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_the_server_stops_at_once_and_frees_its_port(world: World) -> None:
    world.server = ServerSettings(port=free_port())
    async with world.running() as site:
        await site.client.get("/livez")  # keeps its connection
        async with events(site) as socket_:
            began = time.monotonic()
            await site.server.stop()
            took = time.monotonic() - began
            with pytest.raises(ConnectionClosed) as closed:
                await _read_on(socket_)
        with pytest.raises(httpx.ConnectError):
            await site.client.get("/livez")
        again = Server(never, world.server)
        await again.start()
        await again.stop()

    assert took < 1.5
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012  # the service restarts


async def _read_on(socket_: ClientConnection) -> None:
    while True:
        await socket_.recv()


async def test_who_waits_for_its_end_is_told(site: Site) -> None:
    waiting = asyncio.create_task(site.server.wait_ended())
    await site.client.get("/livez")
    assert not waiting.done()

    await site.server.stop()

    await asyncio.wait_for(waiting, 2)


async def test_a_server_that_never_started_stops_without_harm() -> None:
    server = Server(never, ServerSettings())

    await server.wait_ended()
    await server.stop()


# --- events --------------------------------------------------------------------------------------------


async def test_what_happens_is_told_at_once(site: Site) -> None:
    async with events(site) as socket_:
        await site.client.get("/ping/nightly")
        async with asyncio.timeout(5):
            while (event := json.loads(await socket_.recv())) != {"type": "monitor", "monitor": "nightly"}:
                assert set(event) == {"type", "monitor"}


async def test_the_same_event_many_times_at_once_is_told_once(site: Site) -> None:
    async with events(site) as socket_:
        await async_wait_until(lambda: bool(site.engine.bus._queues))
        for _ in range(50):
            site.engine.bus.publish(Event(type="strategy", monitor=MonitorId("main")))
        site.engine.bus.publish(Event(type="reload"))
        told = []
        async with asyncio.timeout(5):
            while "reload" not in told:
                told.append(json.loads(await socket_.recv())["type"])

    assert told.count("strategy") == 1


async def test_a_reader_that_was_too_slow_is_told_to_read_afresh(site: Site) -> None:
    async with events(site, max_queue=None) as socket_:
        await async_wait_until(lambda: bool(site.engine.bus._queues))
        for i in range(600):
            site.engine.bus.publish(Event(type="monitor", monitor=MonitorId(f"m{i}")))
        async with asyncio.timeout(5):
            while json.loads(await socket_.recv())["type"] != "resync":
                pass


async def test_a_browser_that_goes_is_forgotten(site: Site) -> None:
    async with events(site) as socket_:
        await socket_.send("hello")
        await async_wait_until(lambda: bool(site.engine.bus._queues))

    await async_wait_until(lambda: not site.engine.bus._queues)


@pytest.mark.parametrize("origin", [None, "https://health.example.com", "its own"])
async def test_programs_and_pages_of_ours_may_listen(world: World, origin: str | None) -> None:
    world.server = ServerSettings(port=0, public_url="https://health.example.com")
    async with world.running() as site, events(site, origin=site.url if origin == "its own" else origin):
        pass


@pytest.mark.parametrize("origin", ["http://evil.example.com", "http://127.0.0.1", "null"])
async def test_pages_of_others_may_not_listen(site: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await events(site, origin=origin)

    assert refusal.value.response.status_code == 403


async def test_listening_with_a_wrong_token_or_under_a_strange_name_is_refused(site: Site) -> None:
    with pytest.raises(InvalidStatus) as token:
        await events(site, additional_headers={"Authorization": "Bearer wrong"})
    with pytest.raises(InvalidStatus) as host:
        await connect("ws://evil.example.com/api/v1/events", sock=_connected(site), proxy=None)
    async with events(site, additional_headers={"Authorization": f"Bearer {TOKEN}"}):
        pass

    assert (token.value.response.status_code, host.value.response.status_code) == (401, 421)


def _connected(site: Site) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2])))
    connection.setblocking(False)
    return connection


async def test_a_burst_of_browsers_is_served(site: Site) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(_listen_once(site))


async def _listen_once(site: Site) -> None:
    async with events(site) as socket_, asyncio.timeout(10):
        await socket_.recv()
