"""The ``daemon`` receiver's Unix socket over a real engine: a Go agent's bytes, planned stops, and bad company."""
# ruff: noqa: ASYNC240 - a local folder of a few files

import asyncio
import json
import os
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import web_world
from defib import registry
from defib.model.agent import AgentStatus, AgentView, Introduction, Scope
from defib.model.health import State
from defib.model.ids import AgentId
from defib.model.monitor import Family
from defib.model.settings import ServerSettings
from defib.plugin import MonitorSpec
from defib_testkit.logged import capture_logs
from defib_testkit.waiting import async_wait_until
from web_world import Site, World

GO_BEAT = (
    b'{"pid":%d,"timestamp":"2025-12-05T18:00:00.123456789+08:00","version":"1.4.0",'
    b'"status":"%s","cpu":217.5,"memory":52428800}\n'
)
PROGRAM = Path("/proc/self/comm").read_text().strip()
PARTS = {
    "world": "web_world", **web_world.REAL_PARTS, "agent": "defib_plugins.agent",
    "daemon": "defib_plugins.daemon_receiver",
}  # fmt: skip


def load_plugins() -> registry.Registry:
    return registry.load([EntryPoint(name, module, registry.PROJECT) for name, module in PARTS.items()])


def beat(pid: int = 4242, **others: Any) -> bytes:
    return json.dumps(
        {"pid": pid, "version": "1", "status": "running", "cpu": 1.0, "memory": 1024} | others
    ).encode()


@pytest.fixture
def path(kit_tmp: Path) -> Path:
    return kit_tmp / "run" / "defib.sock"


@pytest.fixture
def world(tmp_path: Path, path: Path) -> World:
    return World(tmp_path, plugins=load_plugins(), server=ServerSettings(port=0, unix_socket=path))


@asynccontextmanager
async def running(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        socket_path = world.server.unix_socket
        assert socket_path is not None
        await async_wait_until(lambda: can_connect(socket_path), 10, "the local socket")
        yield site


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with running(world) as site:
        yield site


def can_connect(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(path)) == 0


@asynccontextmanager
async def client(path: Path) -> AsyncIterator[asyncio.StreamWriter]:
    _, writer = await asyncio.open_unix_connection(path)
    try:
        yield writer
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass


def view(site: Site, agent: str) -> AgentView | None:
    return site.engine.fleet.find(agent)


async def heard(site: Site, agent: str, is_so: Callable[[AgentView], bool] = lambda found: True) -> AgentView:
    """Wait until an agent has been heard, and looks so."""

    def look() -> AgentView | None:
        found = view(site, agent)
        return found if found is not None and found.last_seen is not None and is_so(found) else None

    found = await async_wait_until(look, 10, f"a beat of {agent}")
    assert found is not None
    return found


async def stats(site: Site) -> dict[str, Any]:
    response = await site.client.get("/stats")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


# --- the protocol --------------------------------------------------------------------------------------


async def test_a_go_agent_is_watched_from_its_first_beat_byte_by_byte(site: Site, path: Path) -> None:
    async with client(path) as agent:
        for byte in GO_BEAT % (os.getpid(), b"running"):
            agent.write(bytes([byte]))
            await agent.drain()
        found = await heard(site, PROGRAM, lambda item: item.live is not None)

        assert found.status is AgentStatus.ONLINE
        assert found.is_connected
        assert (found.agent.version, found.agent.protocol) == ("1.4.0", "daemon")
        assert found.agent.hostname == socket.gethostname()
        assert (found.agent.every, found.agent.offline_after) == (
            timedelta(seconds=30),
            timedelta(seconds=90),
        )
        assert found.live is not None
        assert found.live.report.metrics == {"process_cpu_percent": 217.5, "process_memory_bytes": 52428800.0}
        assert found.live.report.facts["pid"] == os.getpid()
        assert site.health(found.agent.monitor).state is State.UP


async def test_a_planned_stop_is_no_fault(site: Site, path: Path) -> None:
    async with client(path) as agent:
        agent.write(GO_BEAT % (os.getpid(), b"running"))
        await heard(site, PROGRAM)
        agent.write(GO_BEAT % (os.getpid(), b"stopping"))
    found = await heard(site, PROGRAM, lambda item: not item.is_connected)

    assert found.status is AgentStatus.STOPPED
    assert site.health(found.agent.monitor).state is State.STOPPED


async def test_a_stop_in_the_same_packet_as_the_end_is_heard(site: Site, path: Path) -> None:
    async with client(path) as agent:
        agent.write(GO_BEAT % (os.getpid(), b"running") + GO_BEAT % (os.getpid(), b"stopping"))
    assert (await heard(site, PROGRAM, lambda item: not item.is_connected)).status is AgentStatus.STOPPED


async def test_a_connection_that_ends_without_a_word_makes_it_suspect_at_once(site: Site, path: Path) -> None:
    async with client(path) as agent:
        agent.write(GO_BEAT % (os.getpid(), b"running"))
        await heard(site, PROGRAM)
    found = await heard(site, PROGRAM, lambda item: not item.is_connected)
    await site.wait_for(found.agent.monitor, "suspect")

    last = site.health(found.agent.monitor).last
    assert last is not None
    assert last.evidence.cause == "stream-closed"
    async with client(path) as agent:  # it is back, under its name
        agent.write(GO_BEAT % (os.getpid(), b"running"))
        await site.wait_for(found.agent.monitor, "up")
    assert len(site.engine.fleet.agents()) == 1


async def test_an_agent_that_says_error_is_unwell(site: Site, path: Path) -> None:
    async with client(path) as agent:
        agent.write(beat(agent_id="worker", status="error"))
        await heard(site, "worker")
        await site.wait_for("worker", "fault")
        last = site.health("worker").last
        assert last is not None
        assert last.evidence.cause == "agent-error"
        assert last.evidence.summary == "it reports the status 'error'"
        found = view(site, "worker")
        assert found is not None
        assert found.status is AgentStatus.ERROR
        page = await site.client.get("/agents")
        assert "1 of 1 agent reporting an error" in page.text


async def test_agents_on_one_connection_are_told_apart_by_their_process(site: Site, path: Path) -> None:
    async with client(path) as relay:
        relay.write(beat(pid=os.getpid()) + beat(pid=999_999_999) + beat(agent_id="db"))
        await heard(site, PROGRAM)
        await heard(site, f"{PROGRAM}-2")
        await heard(site, "db")
    assert len(site.engine.fleet.agents()) == 3


async def test_a_restarted_agent_keeps_its_name(site: Site, path: Path) -> None:
    async with client(path) as agent:
        agent.write(beat(pid=os.getpid()))
        await heard(site, PROGRAM)
    await heard(site, PROGRAM, lambda item: not item.is_connected)
    async with client(path) as agent:
        agent.write(beat(pid=999_999_999, version="2"))
        await heard(site, PROGRAM, lambda item: item.is_connected and item.agent.version == "2")
    assert [item.agent.id for item in site.engine.fleet.agents()] == [PROGRAM]


async def test_an_agent_with_a_token_cannot_be_spoken_for(site: Site, path: Path) -> None:
    token, _ = await site.engine.fleet.access.make_token("t", Scope.INGEST, "a test")
    await site.engine.fleet.register(Introduction(id=AgentId("db")), token=token)
    async with client(path) as agent:
        agent.write(beat(agent_id="db") + beat(agent_id="other"))
        await heard(site, "other")

    found = view(site, "db")
    assert found is not None
    assert found.last_seen is None
    assert (await stats(site))["total_errors"] == 1


async def test_a_clock_that_is_days_off_makes_nobody_late(site: Site, path: Path) -> None:
    async with client(path) as agent:
        agent.write(beat(agent_id="past", timestamp="2001-01-01T00:00:00Z"))
        agent.write(beat(agent_id="future", timestamp="2999-01-01T00:00:00Z"))
        for name in ("past", "future"):
            found = await heard(site, name, lambda item: item.live is not None)
            assert found.status is AgentStatus.ONLINE
            assert found.seconds_since is not None
            assert found.seconds_since < 5
            assert found.live is not None
            assert abs(float(str(found.live.report.facts["clock_off_s"]))) > 86_400


async def test_a_timestamp_that_cannot_be_read_is_no_error(site: Site, path: Path) -> None:
    with capture_logs() as logs:
        async with client(path) as agent:
            agent.write(beat(agent_id="a", timestamp="yesterday") * 3)
            assert (await heard(site, "a")).status is AgentStatus.ONLINE
    said = [line for line in logs if "timestamps" in line["event"]]
    assert [(line["event"], line["agent"]) for line in said] == [
        ("unreadable timestamps; our own time counts", "a")
    ]


async def test_limits_of_the_process_hold_after_their_time(world: World, path: Path) -> None:
    limits = {"process_cpu": 150, "memory_bytes": 10_000, "for": "200ms"}
    kind = world.plugins.monitors["agent"]
    options = kind.options.model_validate({"agent_id": "worker", "limits": limits})
    world.monitors.append(
        MonitorSpec(id="worker", name="worker", kind="agent", family=Family.AGENT, options=options)  # type: ignore[arg-type]
    )
    async with running(world) as site, client(path) as agent:
        agent.write(beat(agent_id="worker", cpu=217.5))
        await site.wait_for("worker", "up")
        await asyncio.sleep(0.3)
        agent.write(beat(agent_id="worker", cpu=217.5))
        await site.wait_for("worker", "degraded")
        last = site.health("worker").last
        assert last is not None
        assert last.evidence.summary == "CPU of its process at 217.5 % (limit 150) for 200ms or longer"
        agent.write(beat(agent_id="worker", cpu=100))
        await site.wait_for("worker", "up")


async def test_what_arrived_before_the_end_is_taken(world: World, path: Path) -> None:
    async with AsyncExitStack() as clients, running(world) as site:
        for number in range(50):
            writer = await clients.enter_async_context(client(path))
            writer.write(beat(agent_id=f"a-{number}"))
            await writer.drain()
    agents = site.engine.fleet.agents()
    assert len(agents) == 50
    assert [item.agent.id for item in agents if item.last_seen is None] == []
    assert {site.health(item.agent.monitor).state for item in agents} == {
        State.UP
    }  # nobody is blamed for our end
    assert not path.exists()


# --- the socket file -----------------------------------------------------------------------------------


async def test_only_our_own_user_may_connect(site: Site, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_turned_away_even_where_the_file_lets_him(site: Site, path: Path) -> None:
    path.chmod(0o666)
    for folder in (path.parent, path.parent.parent):
        folder.chmod(0o755)
    with capture_logs() as logs:
        assert await beat_as_nobody(path, beat(agent_id="stranger")) is False
    refused = [line for line in logs if line["event"] == "local connection refused"]
    assert [(line["uid"], line["why"]) for line in refused] == [
        (65534, "of another user; 'server.unix_socket_mode' could let it in"),
    ]  # fmt: skip
    assert view(site, "stranger") is None


async def beat_as_nobody(path: Path, data: bytes) -> bool:
    """Whether the connection of another user's process is kept, which writes ``data`` and holds it for a second."""
    code = f"""if True:
        import os, socket, sys
        os.setuid(65534)
        caller = socket.socket(socket.AF_UNIX)
        caller.connect({str(path)!r})
        caller.sendall({data!r})
        caller.settimeout(1)
        try:
            sys.exit(1 if caller.recv(1) == b"" else 2)
        except TimeoutError:
            sys.exit(0)
        except ConnectionError:
            sys.exit(1)
    """
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    status = await process.wait()
    assert status in (0, 1)
    return status == 0


@pytest.fixture
def open_world(world: World) -> World:
    """Its socket is open to every user of this machine."""
    world.server = replace(world.server, unix_socket_mode=0o666)
    return world


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_beats_under_its_own_name_where_it_is_let_in(
    open_world: World, path: Path
) -> None:
    path.parent.parent.chmod(0o755)
    async with running(open_world) as site, client(path) as own:
        own.write(beat(agent_id="worker"))
        before = (await heard(site, "worker")).last_seen

        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
        assert await beat_as_nobody(path, beat(agent_id="worker") + beat(agent_id="", pid=77))

        assert (await heard(site, "nobody:worker")).agent.monitor == "nobody-worker"
        unnamed = [item.agent.id for item in site.engine.fleet.agents() if item.agent.id not in
                   ("worker", "nobody:worker")]  # fmt: skip
        assert len(unnamed) == 1
        assert unnamed[0].startswith("nobody:")
        assert (await heard(site, "worker")).last_seen == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_has_a_bounded_share_of_agents(open_world: World, path: Path) -> None:
    path.parent.parent.chmod(0o755)
    async with running(open_world) as site:
        for at in (0, 40):
            many = b"".join(beat(agent_id=f"a{at + number}") for number in range(40))
            assert await beat_as_nobody(path, many)

        await async_wait_until(lambda: len(site.engine.fleet.agents()) >= 64, 30, "its share")
        async with client(path) as own:
            own.write(beat(agent_id="mine"))
            await heard(site, "mine")
        assert len(site.engine.fleet.agents()) == 65


async def test_the_socket_belongs_to_a_group_or_the_log_says_why_not(world: World, path: Path) -> None:
    world.server = replace(world.server, unix_socket_mode=0o660, unix_socket_group=str(os.getegid()))
    async with running(world):
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) == (0o660, os.getegid())
    world.server = replace(world.server, unix_socket_group="no-such-group")
    with capture_logs() as logs:
        async with world.running():
            await async_wait_until(lambda: any(line["event"] == "receiver does not listen" for line in logs))
            assert not path.exists()
    (said,) = [line for line in logs if line["event"] == "receiver does not listen"]
    assert said["error"] == (
        f"{path}: the local socket cannot be given to group 'no-such-group' (there is none); "
        "name a group that Defib's own user is in, in 'server.unix_socket_group'"
    )


async def test_a_stale_socket_is_removed_at_the_start(world: World, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    async with running(world) as site, client(path) as agent:
        agent.write(beat(agent_id="a"))
        await heard(site, "a")


async def test_a_socket_that_somebody_answers_is_let_be(world: World, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as other, capture_logs() as logs:
        other.bind(str(path))
        other.listen()
        async with world.running() as site:
            await async_wait_until(lambda: any(line["event"] == "receiver does not listen" for line in logs))
            assert (await site.client.get("/livez")).status_code == 200  # the rest goes on
        assert path.exists()
    (said,) = [line for line in logs if line["event"] == "receiver does not listen"]
    assert said["error"] == f"another program listens at {path}; stop it, or change 'server.unix_socket'"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("f", "{path} is no socket; move it away, or change 'server.unix_socket'"),
        ("x" * 120, "{path}: the local socket cannot be made (AF_UNIX path too long); choose a shorter path in "
         "'server.unix_socket'"),
    ],
)  # fmt: skip
async def test_a_place_that_will_not_do_is_told_with_its_remedy(
    world: World, kit_tmp: Path, name: str, error: str
) -> None:
    path = kit_tmp / name
    if name == "f":
        path.write_text("precious")
    world.server = ServerSettings(port=0, unix_socket=path)
    with capture_logs() as logs:
        async with world.running():
            await async_wait_until(lambda: any(line["event"] == "receiver does not listen" for line in logs))
    (said,) = [line for line in logs if line["event"] == "receiver does not listen"]
    assert said["error"] == error.format(path=path)
    assert name != "f" or path.read_text() == "precious"


async def test_a_successor_keeps_its_socket(world: World, path: Path) -> None:
    async with running(world):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            inode = path.stat().st_ino
    assert path.stat().st_ino == inode


# --- bad company ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\xfe" * 1000,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b'{"pid": 1, "status": "runn\n',
        b"[" * 10_000 + b"\n",
        b'{"a":' * 10_000 + b"\n",
        b'{"pid": 0}\n{"pid": -1}\n{"pid": "x"}\n{}\n',
        b'{"cpu": NaN}\n{"pid": 1, "cpu": 1e999}\n{"pid": 1, "memory": -5}\n',
        b'{"pid": ' + b"9" * 5000 + b"}\n",
        b'{"pid": 1, "agent_id": "' + b"x" * 10_000 + b'"}\n',
        b'{"pid": 1, "agent_id": "\xff"}\n',
        b'{"pid": 1, "version": ["1"]}\n',
    ],
)  # fmt: skip
async def test_garbage_keeps_the_connection_and_is_counted(site: Site, path: Path, garbage: bytes) -> None:
    async with client(path) as agent:
        agent.write(garbage + b"\n" + beat(agent_id="good"))
        assert (await heard(site, "good")).status is AgentStatus.ONLINE
    assert (await stats(site))["total_errors"] >= 1
    assert [item.agent.id for item in site.engine.fleet.agents()] == ["good"]


async def test_words_that_no_store_keeps_are_replaced(site: Site, path: Path) -> None:
    async with client(path) as agent:
        agent.write(b'{"pid": 1, "agent_id": "a", "version": "1\\u0000\\ud83d\\n2"}\n')
        agent.write(beat(agent_id="b"))
        await heard(site, "b")


async def test_nobody_is_harmed_by_a_flood_half_an_object_and_a_thousand_that_say_nothing(
    site: Site, path: Path
) -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(beat(agent_id="flood") * 500)
            await writer.drain()

    async with AsyncExitStack() as clients:
        for number in range(1000):
            writer = await clients.enter_async_context(client(path))
            if number % 2:
                writer.write(b'{"pid": 12, "version": "half')
        flooding = asyncio.create_task(flood(await clients.enter_async_context(client(path))))
        good = await clients.enter_async_context(client(path))
        took = []
        for number in range(20):
            began = time.perf_counter()
            good.write(beat(agent_id="good", version=str(number)))
            await heard(site, "good", lambda item, n=str(number): item.agent.version == n)  # type: ignore[misc]
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.06)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert view(site, "flood") is not None
        assert sorted(took)[10] < 0.5, took


async def test_a_client_that_writes_nothing_but_garbage_is_hung_up_on(site: Site, path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"garbage\n" * 200)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
