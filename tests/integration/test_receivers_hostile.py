"""All receivers of one server against clients that are broken, flood it, or mean it harm.

Whatever comes: no answer of 500, no error of the server in its log, nothing grows, and others' beats are taken.
"""

import asyncio
import gc
import json
import logging
import random
import resource
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from defib.model.agent import AgentStatus, Scope
from defib.plugin import MonitorId, ReceiverContext
from defib_plugins import komari_receiver, receiving
from defib_testkit.waiting import async_wait_until
from fleet_world import World, in_world
from receiver_world import KEY, bearer, make_world, new_token, status, view
from web_world import Site

RECEIVERS = [
    "agent_heartbeat_receiver", "agent_pool_receiver", "daemon_receiver", "gatus_receiver", "host_agent_receiver",
    "komari_receiver", "kuma_push_receiver", "healthchecks_api",
]  # fmt: skip
BEATS = {
    "/api/v1/agents/victim/heartbeat": {},
    "/api/v1/agents/victim/ping": {"status": "idle"},
    "/heartbeat": {
        "agent_id": "victim", "pid": 1, "cpu": 1.0, "memory": 1, "version": "1", "status": "running",
        "timestamp": "2025-07-27T17:47:54Z",
    },
    "/api/agent/report": {
        "cpu": 1, "ram": 1, "ram_total": 2, "disk": 1, "disk_total": 2, "net_in": 0, "net_out": 0, "net_total_up": 0,
        "net_total_down": 0,
    },
    "/api/clients/report": {"cpu": {"usage": 1}},
}  # fmt: skip
OTHERS = [
    "/api/v1/agents/register", "/api/agent/register", "/api/agent/info", "/api/clients/register",
    "/api/clients/v2/rpc", "/api/clients/uploadBasicInfo", "/api/v1/endpoints/nobody/external", "/api/push/nobody",
    "/ping/nobody", "/ping/nobody/start",
]  # fmt: skip
STREAMS = [
    "/api/v1/ws/victim",
    "/api/v1/ws/agent",
    "/api/agent/ws",
    "/api/clients/v2/rpc",
    "/api/clients/report",
]
HUGE = b"9" * 5_000
MALFORMED = [
    b"\x00", b"\xff\xfe", b"{", b"[]", b"null", b"7", b'"x"', b'{"cpu": NaN}', b'{"cpu": Infinity}',
    b'{"cpu": ' + HUGE + b"}", b'{"agent_id": ' + HUGE + b', "jsonrpc": "2.0", "id": ' + HUGE + b"}",
    b"[" * 60_000, b'{"a":' * 10_000, b'{"a":' * 50 + b"1" + b"}" * 50, b'{"name": "\\ud800"}', b" " * 70_000,
]  # fmt: skip
STRANGE = [  # taken where nobody knows these members, or where they can be read
    b'{"cpu": 1e999}', b'{"cpu": ' + HUGE[:400] + b"}", b'{"name": "\\u0000", "hostname": "\\u202e\\n", "cpu": "1"}',
    b'{"agent_id": {"$ne": 1}, "tags": {}, "name": []}', b'{"uuid": "../../etc/passwd", "key": "\' OR 1=1 --"}',
    b'{"agent_id": "' + b"x" * 50_000 + b'"}',
]  # fmt: skip
GARBAGE = MALFORMED + STRANGE
REFUSALS = {400, 401, 403, 404, 405, 408, 413, 415, 422, 429}


@pytest.fixture
def local_socket(kit_tmp: Path) -> Path:
    return kit_tmp / "defib.sock"


@pytest.fixture
async def site(tmp_path: Path, local_socket: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Site]:
    caplog.set_level(logging.ERROR)
    world = make_world(tmp_path, *(f"defib_plugins.{name}" for name in RECEIVERS))
    world.server = replace(world.server, unix_socket=local_socket)
    world.expect_beats("nightly")
    async with world.running() as site:
        await async_wait_until(local_socket.exists, 10, "the local socket")
        yield site
    gc.collect()  # tasks whose error nobody asked for
    errors = [*caplog.get_records("setup"), *caplog.get_records("call"), *caplog.records]
    assert [record.getMessage() for record in errors] == []


@pytest.fixture
async def token(site: Site) -> str:
    """Of an agent that all protocols know."""
    text = await new_token(site, "victim")
    await beats_are_taken(site, text)
    return text


async def beats_are_taken(site: Site, token: str, within_s: float = 30.0) -> None:
    """Each protocol takes a beat."""
    for path, said in BEATS.items():
        async with asyncio.timeout(within_s):
            answer = await site.client.post(path, json=said, headers=shown(token))
        assert answer.status_code == 200, f"{path}: {answer.text}"
    assert status(site, "victim") is AgentStatus.ONLINE


def shown(token: str) -> dict[str, str]:
    """A token as each of the protocols shows it."""
    return {**bearer(token), "X-App-Key": "victim", "X-App-Secret": token}


def dial(site: Site) -> "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]":
    url = urlsplit(site.url)
    return asyncio.ensure_future(asyncio.open_connection(url.hostname, url.port))


def head(path: str, token: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"X-App-Key: victim\r\nX-App-Secret: {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("path", [*BEATS, *OTHERS])
async def test_garbage_is_refused(site: Site, token: str, path: str) -> None:
    seen: dict[bytes, int] = {}
    for garbage in MALFORMED:
        answer = await site.client.post(path, content=garbage, headers=shown(token))
        seen[garbage[:60]] = answer.status_code
    assert set(seen.values()) <= REFUSALS, seen
    for garbage in STRANGE:
        answer = await site.client.post(path, content=garbage, headers=shown(token))
        seen[garbage[:60]] = answer.status_code
    assert set(seen.values()) <= REFUSALS | {200}, seen
    assert all(item.agent.name.isprintable() for item in site.engine.fleet.agents())
    assert len(site.engine.fleet.agents()) <= 1 + len(STRANGE)
    await beats_are_taken(site, token)


@pytest.mark.parametrize("path", STREAMS)
async def test_garbage_over_a_stream_harms_nobody_else(site: Site, token: str, path: str) -> None:
    taken = 0
    for garbage in [b"", *GARBAGE]:
        for frame in (garbage, garbage.decode("utf-8", "replace")):
            try:
                async with connect(
                    site.url.replace("http", "ws") + path,
                    additional_headers=shown(token),
                    proxy=None,
                    max_size=None,
                ) as stream:
                    await stream.send(frame)
                    taken += 1
            except ConnectionClosed:
                continue
    assert taken == 2 * (1 + len(GARBAGE))
    await beats_are_taken(site, token)
    assert len(site.engine.fleet.agents()) <= 1 + len(STRANGE)


async def test_wrong_tokens_by_the_thousand_are_slowed_and_leave_nothing_behind(
    site: Site, token: str
) -> None:
    agents, tokens = len(site.engine.fleet.agents()), len(list(site.engine.fleet.tokens))
    answers: Counter[int] = Counter()
    bodies: set[str] = set()
    for number in range(200):
        for path, said in BEATS.items():
            wrong = f"{token[:-6]}{number:06d}"
            answer = await site.client.post(path, json=said, headers=shown(wrong))
            answers[answer.status_code] += 1
            if answer.status_code == 401:
                bodies.add(f"{path} {answer.text}")
    assert set(answers) == {401, 429}
    assert answers[429] > answers[401]
    assert (
        len({body for body in bodies if not body.startswith("/heartbeat")}) == len(BEATS) - 1
    )  # nothing leaks
    assert len(site.engine.fleet.agents()) == agents
    assert len(list(site.engine.fleet.tokens)) == tokens
    await beats_are_taken(site, token)  # from the same address


async def test_keys_cannot_be_guessed_by_the_thousand(site: Site, token: str) -> None:
    paths = ("/api/agent/register", "/api/clients/register", "/api/v1/agents/register")
    answers = Counter(
        [
            (
                await site.client.post(path, json={"name": "x"}, headers=shown(f"{KEY[:-3]}{number:03d}"))
            ).status_code
            for number in range(100)
            for path in paths
        ]
    )
    assert set(answers) == {401, 403, 429}
    assert answers[429] > 200
    assert [item.agent.id for item in site.engine.fleet.agents()] == ["victim"]


async def test_bodies_that_never_end_are_given_up(
    site: Site, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "BODY_WITHIN_S", 0.5)
    slow = [await dial(site) for _ in range(40)]
    paths = list(BEATS)
    for number, (_, writer) in enumerate(slow):
        writer.write(head(paths[number % len(paths)], token, 1000) + b"{")
    await beats_are_taken(site, token)
    async with asyncio.timeout(30):
        for reader, writer in slow:
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")  # and the connection's end
            writer.close()


async def test_connections_that_are_torn_apart_harm_nobody(site: Site, token: str) -> None:
    """A reset in the middle of a body, of a handshake, and of a frame."""
    for path in BEATS:
        for sent in (
            head(path, token, 1000) + b'{"cpu',
            head(path, token, 2)[:40],
            head(path, token, 2) + b"{}",
        ):
            _, writer = await dial(site)
            writer.write(sent)
            await writer.drain()
            reset(writer)
    for path in STREAMS:
        _, writer = await dial(site)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
            "".encode()
            + b"\x81\xfe\x10\x00half"
        )
        await writer.drain()
        reset(writer)
    await beats_are_taken(site, token)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close without a goodbye, as a host that loses its power and comes back does."""
    found: socket.socket = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_a_stream_that_takes_in_half_a_frame_delays_nobody(site: Site, token: str) -> None:
    other = await new_token(site, "other")
    _, writer = await dial(site)
    writer.write(
        f"GET /api/clients/report HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {other}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
        + b"\x81\xfe\x10\x00half"
    )
    await beats_are_taken(site, token, within_s=5)
    writer.close()


async def test_a_thousand_idle_connections_keep_nobody_out(site: Site, token: str) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(1_000):
            _, writer = await dial(site)
            stack.callback(writer.close)
        async with httpx.AsyncClient(base_url=site.url, trust_env=False, timeout=30) as fresh:
            answer = await fresh.post("/api/clients/report", json={"cpu": {"usage": 1}}, headers=shown(token))
        assert answer.status_code == 200


def test_an_agent_that_floods_us_is_slowed_alone() -> None:
    async def play(world: World) -> None:
        context = ReceiverContext(
            sink=world.engine.beats, jobs=world.engine.jobs, fleet=world.fleet, clock=world.clock,
            may_read=lambda connection: False,
        )  # fmt: skip
        app = Starlette(routes=komari_receiver.routes(context))
        _, flooding = await world.fleet.access.make_token("flood", Scope.INGEST, "a test")
        _, other = await world.fleet.access.make_token("other", Scope.INGEST, "a test")
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:

            async def beat(token: str) -> int:
                return (
                    await client.post("/api/clients/report", json={"cpu": {}}, headers=bearer(token))
                ).status_code

            assert [await beat(flooding) for _ in range(205)] == [200] * 200 + [429] * 5
            assert await beat(other) == 200
            await world.clock.sleep(1.0)
            assert [await beat(flooding) for _ in range(21)] == [200] * 20 + [429]

    in_world(play)


async def test_the_same_registration_many_times_at_once_is_one_agent(site: Site, token: str) -> None:
    fleet = await new_token(site, "fleet")
    said = {"agent_id": "twin", "hostname": "twin", "os": "Linux"}
    answers = await asyncio.gather(
        *(site.client.post("/api/v1/agents/register", json=said, headers=shown(fleet)) for _ in range(50))
    )
    assert {answer.status_code for answer in answers} <= {200, 201}
    answers = await asyncio.gather(
        *(site.client.post("/api/clients/register?name=t", json={}, headers=shown(fleet)) for _ in range(8))
    )
    assert {answer.json()["data"]["uuid"] for answer in answers} == {"fleet"}
    assert sorted(item.agent.id for item in site.engine.fleet.agents()) == ["fleet", "twin", "victim"]


@pytest.mark.parametrize(
    "moment", ["1970-01-01T00:00:00Z", "2031-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]
)
async def test_the_clock_of_an_agent_is_not_believed(site: Site, token: str, moment: str) -> None:
    said = {**BEATS["/heartbeat"], "timestamp": moment}
    answer = await site.client.post("/heartbeat", json=said, headers=shown(token))
    assert answer.status_code == 200, answer.text
    found = view(site, "victim")
    assert found.status is AgentStatus.ONLINE
    assert found.seconds_since is not None
    assert 0 <= found.seconds_since < 30
    done = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "agent.pingResult",
        "params": {"task_id": 1, "finished_at": moment},
    }
    answer = await site.client.post("/api/clients/v2/rpc", content=json.dumps(done), headers=shown(token))
    assert answer.status_code == 200


# --- the local socket ------------------------------------------------------------------------------


async def test_whatever_comes_over_the_local_socket_a_beat_on_its_own_line_is_taken(
    site: Site, token: str, local_socket: Path
) -> None:
    """Garbage, cut at random and joined at random, with a beat of its own behind each; seed 20260105."""
    chance = random.Random(20260105)
    pieces = [
        *GARBAGE,
        b'{"pid": 1, "status": "\xc3\x28"}',
        b"{}" * 200,
        b'{"pid": -1}',
        b"\x1e",
        b'{"pid": 1}}',
    ]
    for number in range(60):
        reader, writer = await asyncio.open_unix_connection(local_socket)
        garbage = b"".join(chance.choices(pieces, k=3))[:40_000]
        data = garbage + b"\n" + local_beat(f"fuzz-{number % 5}")
        try:
            while data:
                size = chance.choice((1, 7, 100, 5_000, 16_384))
                writer.write(data[:size])
                await writer.drain()
                data = data[size:] if size > 1 else data[1:]
            writer.write_eof()
            async with asyncio.timeout(20):
                assert await reader.read() == b""  # nothing is ever sent back
        except ConnectionError:  # it had enough of that
            pass
        finally:
            writer.close()

    names = {item.agent.id for item in site.engine.fleet.agents()}
    assert names - {"victim"} <= {f"fuzz-{number}" for number in range(5)} | {program(), f"{program()}-2"}
    assert len(names) > 3
    await beats_are_taken(site, token)


async def test_an_object_without_end_over_the_local_socket_takes_no_memory(
    site: Site, token: str, local_socket: Path
) -> None:
    writers = [(await asyncio.open_unix_connection(local_socket))[1] for _ in range(20)]
    before = resident_bytes()
    chunk = b'{"a":"' + b"x" * 65_000
    for _ in range(8):
        for writer in writers:
            with suppress(ConnectionError):
                writer.write(chunk)
                await writer.drain()
    grown = resident_bytes() - before
    for writer in writers:
        writer.close()

    assert grown < 20_000_000, f"{grown} bytes for 10 MB"
    _, writer = await asyncio.open_unix_connection(local_socket)
    writer.write(local_beat("after"))
    await async_wait_until(lambda: site.engine.fleet.find("after") is not None, 10, "the next beat")
    writer.close()
    await beats_are_taken(site, token)


def local_beat(agent: str) -> bytes:
    said = {"agent_id": agent, "pid": 7, "version": "1", "status": "running", "cpu": 1.0, "memory": 1}
    return json.dumps(said).encode() + b"\n"


def program() -> str:
    return Path("/proc/self/comm").read_text().strip()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


# --- those who look on -----------------------------------------------------------------------------


async def test_garbage_from_those_who_look_at_a_pool_harms_nobody(site: Site, token: str) -> None:
    for pool in ("pool-1", "%00", "%2e%2e", "p" * 2_000):
        url = f"{site.url.replace('http', 'ws')}/api/v1/ws/agent-pools/{pool}/metrics"
        for garbage in GARBAGE:
            async with connect(url, proxy=None, max_size=None) as stream:
                assert json.loads(await stream.recv())["type"] == "initial_metrics"
                with suppress(ConnectionClosed):
                    await stream.send(garbage[:60_000])
                    await stream.send(garbage.decode("utf-8", "replace")[:60_000])
    await beats_are_taken(site, token)


# --- the management API ----------------------------------------------------------------------------

MANAGED = [
    "",
    "UUID",
    "UUID/pause",
    "UUID/resume",
    "UUID/pings",
    "UUID/pings/1/body",
    "UUID/flips",
    "%00",
    "..%2f",
]
QUERIES = ["seconds=-1", "seconds=1e9", "start=99999999999", "end=%00", "tag=%ff", "slug=" + "x" * 5_000]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
async def test_garbage_at_the_management_api_is_refused_and_makes_nothing(
    site: Site, token: str, method: str
) -> None:
    key = {"X-Api-Key": await new_token(site, "automation", Scope.WRITE)}
    uuid = site.engine.roster.beat_uuid(MonitorId("nightly"))
    seen: Counter[int] = Counter()
    for path in MANAGED:
        url = f"/api/v3/checks/{path.replace('UUID', uuid)}"
        for garbage in GARBAGE:
            answer = await site.client.request(method, url, content=garbage, headers=key)
            seen[answer.status_code] += 1
        for query in QUERIES:
            seen[(await site.client.request(method, f"{url}?{query}", headers=key)).status_code] += 1

    assert set(seen) <= REFUSALS | {200, 201, 409}, seen
    assert len(list(site.engine.jobs)) <= len(STRANGE) + len(QUERIES)  # of objects, and of no body at all
    await beats_are_taken(site, token)
