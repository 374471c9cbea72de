"""The ``komari`` receiver: what the unmodified agent sends, as it was seen on the wire, in both versions."""

import asyncio
import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from defib.model.agent import AgentStatus, Scope
from defib.model.health import State
from defib.plugin import ReceiverContext
from defib_plugins import komari_receiver
from defib_plugins.komari_wire import Call, Info, Report, Rhythm, unpacked
from defib_plugins.receiving import RefusedError, parse
from defib_testkit.logged import capture_logs
from defib_testkit.waiting import async_wait_until
from fleet_world import World as VirtualWorld
from fleet_world import in_world
from receiver_world import KEY, broken_store, make_world, new_token, status, view
from web_world import Site

INFO = (
    b'{"arch":"amd64","cpu_cores":2,"cpu_name":"AMD EPYC","cpu_physical_cores":2,"disk_total":270553174016,'
    b'"gpu_name":"None","ipv4":"127.0.0.1","ipv6":"::1","kernel_version":"6.18.44","mem_total":25276510208,'
    b'"os":"Debian GNU/Linux 12 (bookworm)","swap_total":0,"version":"1.2.60","virtualization":"docker"}'
)
REPORT = (
    b'{"cpu":{"usage":1.99},"ram":{"total":25276510208,"used":323305472},"swap":{"total":0,"used":0},'
    b'"load":{"load1":1.19,"load5":1.08,"load15":0.68},"disk":{"total":270553174016,"used":27932549120},'
    b'"network":{"up":0,"down":0,"totalUp":2347063,"totalDown":515788085},"connections":{"tcp":332,"udp":0},'
    b'"uptime":1713,"process":84,"message":""}'
)
METRICS = {
    "cpu_percent": 1.99, "memory_used_bytes": 323305472.0, "memory_total_bytes": 25276510208.0,
    "memory_percent": 1.28, "swap_used_bytes": 0.0, "swap_total_bytes": 0.0, "load1": 1.19, "load5": 1.08,
    "load15": 0.68, "disk_used_bytes": 27932549120.0, "disk_total_bytes": 270553174016.0, "disk_percent": 10.32,
    "net_in_bytes_per_s": 0.0, "net_out_bytes_per_s": 0.0, "net_in_total_bytes": 515788085.0,
    "net_out_total_bytes": 2347063.0, "connections_tcp": 332.0, "connections_udp": 0.0, "processes": 84.0,
    "uptime_s": 1713.0,
}  # fmt: skip
BASIC_INFO_V2 = b'{"jsonrpc":"2.0","method":"agent.basicInfo","params":{"info":' + INFO + b"}}\n"
REPORT_V2 = b'{"jsonrpc":"2.0","method":"agent.report","params":{"report":' + REPORT + b"}}\n"
REPORT_BY_POST = (
    b'{"jsonrpc":"2.0","method":"agent.report","id":"report-1732106874661000000",'
    b'"params":{"ack_event_ids":["event-1"],"report":' + REPORT + b"}}"
)
PULL = (
    b'{"jsonrpc":"2.0","method":"agent.pull","id":"pull-1732106874661000001","params":{"capabilities":'
    b'["exec","ping","message","event","terminal"],"ack_event_ids":[]}}'
)
PING_RESULT_V2 = (
    b'{"jsonrpc":"2.0","method":"agent.pingResult","params":{"task_id":7,"ping_type":"tcp","value":-1,'
    b'"finished_at":"2025-07-27T17:47:54.661Z"}}\n'
)
PING_RESULT_V1 = (
    '{"type":"ping_result","task_id":7,"ping_type":"tcp","value":0,"finished_at":"2025-07-27T17:47:54.661Z"}\n'
)  # fmt: skip
RPC = "/api/clients/v2/rpc"
GO = {"User-Agent": "Go-http-client/1.1", "Content-Type": "application/json"}
ZIPPED = {**GO, "Content-Encoding": "gzip"}
UNAUTHORIZED = {"status": "error", "message": "Unauthorized."}
PARAMS_OF_GORILLA = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with make_world(tmp_path, "defib_plugins.komari_receiver").running() as site:
        yield site


async def registered(site: Site, name: str = "web-1") -> tuple[str, str]:
    """What an agent does that was started with ``--auto-discovery``: its id and its token."""
    answer = await site.client.post(
        f"/api/clients/register?name={name}",
        content=json.dumps({"key": KEY}),
        headers={**GO, "Authorization": f"Bearer {KEY}"},
    )
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"status", "message", "data"}
    assert answer.json()["status"] == "success"
    return answer.json()["data"]["uuid"], answer.json()["data"]["token"]


async def rpc(site: Site, token: str, sent: bytes, *, packed: bool = True) -> httpx.Response:
    return await site.client.post(
        f"{RPC}?token={token}",
        content=gzip.compress(sent) if packed else sent,
        headers=ZIPPED if packed else GO,
    )


def stream(site: Site, token: str, path: str = RPC) -> connect:
    """As gorilla/websocket opens it."""
    return connect(
        f"{site.url.replace('http', 'ws')}{path}?token={token}",
        proxy=None,
        user_agent_header=None,
        compression=None,
    )


async def heard(site: Site, agent: str, uptime: float = 1713.0) -> None:
    def look() -> bool:
        live = view(site, agent).live
        return live is not None and live.report.metrics["uptime_s"] == uptime

    await async_wait_until(look, 10, f"a report of {agent} with an uptime of {uptime:g} s")


async def closed(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    return socket.close_code


# --- transcripts of the unmodified agent -----------------------------------------------------------------


async def test_version_2_basic_info_by_post_and_reports_over_a_websocket(site: Site) -> None:
    agent, token = await registered(site)
    answer = await rpc(site, token, BASIC_INFO_V2)
    assert (answer.status_code, answer.content) == (200, b"")
    known = view(site, agent).agent
    assert (known.name, known.os, known.version, known.address, known.protocol) == (
        "web-1", "Debian GNU/Linux 12 (bookworm)", "1.2.60", "127.0.0.1", "komari",
    )  # fmt: skip
    assert known.facts == {
        "arch": "amd64", "cpu_cores": 2, "cpu_name": "AMD EPYC", "disk_total_bytes": 270553174016,
        "ipv4": "127.0.0.1", "ipv6": "::1", "kernel": "6.18.44", "mem_total_bytes": 25276510208,
        "swap_total_bytes": 0, "virtualization": "docker",
    }  # fmt: skip
    assert status(site, agent) is AgentStatus.UNKNOWN

    async with stream(site, token) as socket:
        await socket.send(REPORT_V2.decode())
        await heard(site, agent)
        live = view(site, agent).live
        assert live is not None
        assert live.report.metrics == METRICS
        assert status(site, agent) is AgentStatus.ONLINE
        assert view(site, agent).is_connected
        await socket.send(PING_RESULT_V2.decode())
        with pytest.raises(TimeoutError):  # a notification is not answered
            async with asyncio.timeout(0.3):
                await socket.recv()
    await site.wait_for(known.monitor, "suspect")


async def test_version_1_basic_info_by_post_and_bare_reports_over_a_websocket(site: Site) -> None:
    agent, token = await registered(site)
    answer = await site.client.post(f"/api/clients/uploadBasicInfo?token={token}", content=INFO, headers=GO)
    assert (answer.status_code, answer.json()) == (200, {"status": "success"})
    assert view(site, agent).agent.facts["kernel"] == "6.18.44"
    async with stream(site, token, "/api/clients/report") as socket:
        await socket.send(REPORT.decode() + "\n")
        await heard(site, agent)
        live = view(site, agent).live
        assert live is not None
        assert live.report.metrics == METRICS
        await socket.send(PING_RESULT_V1)
        await socket.send(REPORT.decode().replace("1713", "1714") + "\n")
        await heard(site, agent, 1714)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await socket.recv()


async def test_reports_by_post_while_the_websocket_is_refused(site: Site) -> None:
    agent, token = await registered(site)
    for packed in (True, False):
        answer = await rpc(site, token, REPORT_BY_POST, packed=packed)
        assert answer.status_code == 200
        assert answer.json() == {
            "jsonrpc": "2.0", "id": "report-1732106874661000000", "result": {"events": []},
        }  # fmt: skip
    live = view(site, agent).live
    assert live is not None
    assert live.report.metrics == METRICS
    assert status(site, agent) is AgentStatus.ONLINE
    assert not view(site, agent).is_connected
    answer = await rpc(site, token, PING_RESULT_V2)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_other_agents_post_bare_reports_and_results_of_tasks(site: Site) -> None:
    agent, token = await registered(site)
    answer = await site.client.post(f"/api/clients/report?token={token}", content=REPORT, headers=GO)
    assert (answer.status_code, answer.json()) == (200, {"status": "success"})
    assert status(site, agent) is AgentStatus.ONLINE
    done = {"task_id": "t-1", "result": "hi\n", "exit_code": 3, "finished_at": "2025-07-27T17:47:54.661Z"}
    answer = await site.client.post(f"/api/clients/task/result?token={token}", json=done, headers=GO)
    assert (answer.status_code, answer.json()) == (200, {"status": "success"})


async def test_the_handshake_of_gorilla_is_answered_without_an_extension(site: Site) -> None:
    """It offers compression, and breaks where an answer names the extension without both of its parameters."""
    agent, token = await registered(site)
    url = urlsplit(site.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    key = base64.b64encode(b"0123456789abcdef").decode()
    writer.write(
        (
            f"GET {RPC}?token={token} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: Go-http-client/1.1\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Extensions: {PARAMS_OF_GORILLA}\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\n"
        ).encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 101 ")
    assert b"sec-websocket-extensions" not in head
    mask = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[number % 4] for number, byte in enumerate(REPORT_V2))
    writer.write(b"\x81\xfe" + len(REPORT_V2).to_bytes(2, "big") + mask + masked)
    await heard(site, agent)
    writer.close()
    await writer.wait_closed()


# --- the long poll ---------------------------------------------------------------------------------------


@asynccontextmanager
async def posting(world: VirtualWorld) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A client of the receiver in virtual time, and a token."""
    context = ReceiverContext(
        sink=world.engine.beats, jobs=world.engine.jobs, fleet=world.fleet, clock=world.clock,
        may_read=lambda connection: True,
    )  # fmt: skip
    app = Starlette(routes=komari_receiver.routes(context))
    _, token = await world.fleet.access.make_token("web-1", Scope.INGEST, "a test")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client, f"{RPC}?token={token}"


def test_a_pull_is_held_so_that_agents_do_not_ask_in_a_tight_loop() -> None:
    async def play(world: VirtualWorld) -> None:
        async with posting(world) as (client, path):
            for asked in range(2):
                answer = await client.post(path, content=PULL)
                assert answer.status_code == 200
                assert answer.json() == {
                    "jsonrpc": "2.0", "id": "pull-1732106874661000001", "result": {"events": []},
                }  # fmt: skip
                assert world.clock.monotonic() == pytest.approx(22.0 * (asked + 1), abs=0.1)

    in_world(play)


def test_one_agent_holds_no_more_than_four_pulls() -> None:
    async def play(world: VirtualWorld) -> None:
        async with posting(world) as (client, path):
            answers = await asyncio.gather(*(client.post(path, content=PULL) for _ in range(6)))
            assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 2
            assert (await client.post(path, content=PULL)).status_code == 200

    in_world(play)


async def test_a_pull_ends_with_whoever_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = await registered(site)
    for _ in range(5):  # one more than are held at once
        with pytest.raises(httpx.ReadTimeout):
            await site.client.post(f"{RPC}?token={token}", content=PULL, timeout=0.2)
    monkeypatch.setattr(komari_receiver, "PULL_HELD_S", 0.1)

    async with asyncio.timeout(10):
        answer = await rpc(site, token, PULL)
        while answer.status_code == 429:
            answer = await rpc(site, token, PULL)
    assert answer.status_code == 200


# --- the interval ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "awaited"), [(1, 3), (3, 4), (5, 7), (12, 15), (60, 65), (3599, 3600), (9000, 3600)]
)
def test_the_interval_is_the_one_that_is_seen(interval: int, awaited: int) -> None:
    rhythm = Rhythm()
    seen = [rhythm.heard(number * interval) for number in range(10)]
    assert seen == [timedelta(minutes=1)] * 3 + [timedelta(seconds=awaited)] * 7


def test_neither_a_pause_nor_a_burst_changes_the_interval() -> None:
    rhythm = Rhythm()
    moments = [0, 12, 24, 36, 120, 120.1, 120.2, 132, 144]
    assert [rhythm.heard(moment) for moment in moments][3:] == [timedelta(seconds=15)] * 6


@pytest.mark.parametrize(("interval", "late_at", "gone_at"), [(1, 3.2, 8.2), (12, 15.2, 30.2)])
def test_an_agent_that_reports_by_post_is_late_and_gone_by_its_own_interval(
    interval: float, late_at: float, gone_at: float
) -> None:
    """An agent that reports each 12 s is never taken for gone."""
    seen: list[tuple[float, AgentStatus]] = []

    async def play(world: VirtualWorld) -> None:
        async with posting(world) as (client, path):
            for _ in range(20):
                assert (await client.post(path, content=REPORT_BY_POST)).status_code == 200
                began = world.clock.monotonic()
                assert world.status("web-1") is AgentStatus.ONLINE
                while world.clock.monotonic() - began < interval - 1e-6:
                    await world.clock.sleep(min(0.5, interval))
                    assert world.status("web-1") is AgentStatus.ONLINE
            while world.clock.monotonic() - began < 60:
                now = world.status("web-1")
                if not seen or seen[-1][1] is not now:
                    seen.append((world.clock.monotonic() - began, now))
                await world.clock.sleep(0.05)

    in_world(play)
    assert [now for _, now in seen] == [AgentStatus.ONLINE, AgentStatus.WARNING, AgentStatus.OFFLINE]
    assert late_at <= seen[1][0] <= late_at + 0.3
    assert gone_at - 0.2 <= seen[2][0] <= gone_at + 0.3


# --- who is let in -----------------------------------------------------------------------------------------


async def test_a_wrong_key_is_refused_as_the_original_does(site: Site) -> None:
    for headers in ({}, {"Authorization": "Bearer a-wrong-key-of-mine"}):
        answer = await site.client.post("/api/clients/register?name=x", json={}, headers=headers)
        assert answer.status_code == 403
        assert answer.json() == {"status": "error", "message": "the key is not the one of this server"}
    assert site.engine.fleet.agents() == []


async def test_a_host_whose_token_was_revoked_registers_no_more(site: Site) -> None:
    agent, token = await registered(site)
    await site.engine.fleet.access.revoke_token(f"agent {agent}", "a test")

    assert (await rpc(site, token, REPORT_BY_POST)).status_code == 401
    again = await site.client.post("/api/clients/register?name=web-1", json={"key": KEY})
    assert again.status_code == 403
    assert again.json()["message"] == "this agent is kept out until an operator lets it in again"


async def test_a_token_that_was_made_by_hand_needs_no_registration(site: Site) -> None:
    token = await new_token(site, "web-7")
    assert (await rpc(site, token, REPORT_BY_POST)).status_code == 200
    assert status(site, "web-7") is AgentStatus.ONLINE


async def test_who_registers_again_with_its_own_token_stays_who_it_is(site: Site) -> None:
    agent, token = await registered(site)
    answer = await site.client.post(
        "/api/clients/register?name=web-1", json={"key": token}, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.json()["data"] == {"uuid": agent, "token": token}
    assert len(site.engine.fleet.agents()) == 1


@pytest.mark.parametrize("path", ["v2/rpc", "uploadBasicInfo", "report", "task/result"])
async def test_a_token_that_is_not_good_is_told_so_and_no_more(site: Site, path: str) -> None:
    agent, token = await registered(site)
    reader = await new_token(site, "reader", Scope.READ)
    await site.engine.fleet.remove(view(site, agent).agent.id, "a test")
    for shown in (token, reader, "wrong", ""):
        answer = await site.client.post(f"/api/clients/{path}?token={shown}", content=REPORT)
        assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize("path", [RPC, "/api/clients/report"])
async def test_no_stream_without_a_good_token(site: Site, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with stream(site, "wrong", path):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"") == UNAUTHORIZED


async def test_there_is_no_terminal(site: Site) -> None:
    _, token = await registered(site)
    with pytest.raises(InvalidStatus) as refused:
        async with stream(site, token, "/api/clients/terminal"):
            pass
    assert refused.value.response.status_code == 404


async def test_no_log_shows_a_token(site: Site) -> None:
    with capture_logs() as said:
        agent, token = await registered(site)
        await rpc(site, token, b"{")
        async with stream(site, token) as socket:
            await socket.send("nonsense")
            await socket.send(REPORT_V2.decode())
            await heard(site, agent)
        await rpc(site, token[:-1], REPORT_BY_POST)
    assert any(entry["event"] == "message of an agent not taken" for entry in said)
    assert token[:-1] not in repr(said)
    assert KEY not in repr(said)


# --- streams -----------------------------------------------------------------------------------------------


async def test_a_newer_stream_takes_the_place_of_the_older_without_suspicion(site: Site) -> None:
    agent, token = await registered(site)
    async with stream(site, token, "/api/clients/report") as first:
        await first.send(REPORT.decode())
        await heard(site, agent)
        async with stream(site, token) as second:
            assert await closed(first) == 1008
            await second.send(REPORT_V2.decode().replace("1713", "1720"))
            await heard(site, agent, 1720)
            assert view(site, agent).is_connected
            assert site.health(view(site, agent).agent.monitor).state is State.UP


async def test_a_revoked_token_ends_the_stream_with_its_next_message(site: Site) -> None:
    token = await new_token(site, "web-1")
    async with stream(site, token) as socket:
        await socket.send(REPORT_V2.decode())
        await heard(site, "web-1")
        await site.engine.fleet.access.revoke_token("web-1", "a test")
        await socket.send(REPORT_V2.decode().replace("1713", "1720"))
        assert await closed(socket) == 1008
    live = view(site, "web-1").live
    assert live is not None
    assert live.report.metrics["uptime_s"] == 1713


BAD = [
    "",
    "{",
    "[]",
    "null",
    '{"cpu": 1}',
    b"\xff\x00",
    '{"cpu": NaN}',
    "x" * 60_000,
    '{"a":' * 5000,
    '{"type": "report"}',
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(("path", "good"), [(RPC, REPORT_V2), ("/api/clients/report", REPORT)])
async def test_a_bad_message_is_answered_and_the_stream_goes_on(
    site: Site, path: str, good: bytes, bad: str | bytes
) -> None:
    agent, token = await registered(site)
    async with stream(site, token, path) as socket:
        await socket.send(bad)
        async with asyncio.timeout(10):
            complaint = json.loads(await socket.recv())
        await socket.send(good)
        await heard(site, agent)
    if path == RPC:
        assert complaint["jsonrpc"] == "2.0"
        assert complaint["error"]["code"] == -32600
    else:
        assert complaint["status"] == "error"
        assert complaint["error"]


async def test_a_call_over_the_stream_is_answered_under_its_id(site: Site) -> None:
    _, token = await registered(site)
    async with stream(site, token) as socket:
        await socket.send('{"jsonrpc":"2.0","method":"agent.dance","id":5}')
        assert json.loads(await socket.recv()) == {
            "jsonrpc": "2.0", "id": 5, "error": {"code": -32601, "message": "there is no such method"},
        }  # fmt: skip
        await socket.send(REPORT_BY_POST)
        assert json.loads(await socket.recv())["result"] == {"events": []}


# --- bad requests ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "code", "why"),
    [
        (b"", -32600, "the body is not valid JSON"),
        (b"[]", -32600, "the body must be a JSON object"),
        (b'{"jsonrpc":"1.0","method":"agent.report"}', -32600, "jsonrpc: "),
        (b'{"jsonrpc":"2.0"}', -32600, "method: field required"),
        (b'{"jsonrpc":"2.0","method":"agent.report","params":[]}', -32600, "params: "),
        (b'{"jsonrpc":"2.0","method":"agent.report"}', -32602, "the body must be a JSON object"),
        (b'{"jsonrpc":"2.0","method":"agent.report","params":{"report":{}}}', -32602, "cpu: field required"),
        (
            b'{"jsonrpc":"2.0","method":"agent.report","params":{"report":{"cpu":{"usage":"hot"}}}}',
            -32602,
            "cpu.",
        ),
        (b'{"jsonrpc":"2.0","method":"agent.basicInfo","params":{"info":7}}', -32602, "the body must be"),
    ],
)
async def test_a_bad_call_is_refused_with_its_place(site: Site, sent: bytes, code: int, why: str) -> None:
    _, token = await registered(site)
    answer = await rpc(site, token, sent)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"].startswith(why)


async def test_an_unknown_notification_is_left_alone(site: Site) -> None:
    """A newer agent must not fall back to version 1 for it."""
    _, token = await registered(site)
    answer = await rpc(site, token, b'{"jsonrpc":"2.0","method":"agent.dance"}')
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("packed", "encoding", "expected"),
    [
        (gzip.compress(b" " * 50_000_000), "gzip", 413),
        (gzip.compress(REPORT_BY_POST)[:-9], "gzip", 400),
        (gzip.compress(REPORT_BY_POST) + b"more", "gzip", 400),
        (b"no gzip", "gzip", 400),
        (b"", "gzip", 400),
        (zlib.compress(REPORT_BY_POST), "deflate", 415),
        (REPORT_BY_POST, "br", 415),
        (b" " * 70_000, "identity", 413),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_refused(
    site: Site, packed: bytes, encoding: str, expected: int
) -> None:
    _, token = await registered(site)
    answer = await site.client.post(
        f"{RPC}?token={token}", content=packed, headers={"Content-Encoding": encoding}
    )
    assert answer.status_code == expected
    assert answer.json()["status"] == "error"
    assert answer.json()["message"]


async def test_a_report_that_cannot_be_stored_is_to_be_sent_again(site: Site) -> None:
    agent, token = await registered(site)
    with broken_store(site.world):
        answer = await rpc(site, token, REPORT_BY_POST)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json() == {"status": "error", "message": "it cannot be stored now; try again"}
    assert status(site, agent) is AgentStatus.UNKNOWN
    assert (await rpc(site, token, REPORT_BY_POST)).status_code == 200


async def test_numbers_that_cannot_be_are_left_out_and_the_host_lives(site: Site) -> None:
    agent, token = await registered(site)
    sent = json.loads(REPORT)
    sent["network"] |= {"up": -5, "down": 2**64 - 1}
    sent |= {
        "gpu": {"count": 1, "average_usage": 12.5, "detailed_info": []},
        "message": "no sensors\nno \x00 disk",
    }
    answer = await site.client.post(f"/api/clients/report?token={token}", json=sent)
    assert answer.status_code == 200
    live = view(site, agent).live
    assert live is not None
    assert live.report.metrics == {
        **{name: value for name, value in METRICS.items() if "per_s" not in name}, "gpu_percent": 12.5,
    }  # fmt: skip
    assert live.report.facts == {"not_measured": "no sensors no   disk"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["cpu", "usage", "ram", "used", "total", "report", "method", "params", "id", "jsonrpc", "os", "message"]
    ), inner, max_size=6),
)  # fmt: skip


def read_or_refused(take: Callable[[], Any], *statuses: int) -> Any:
    """What ``take`` answers; None when it refuses with one of these."""
    try:
        return take()
    except RefusedError as error:
        told = error
    assert told.status in statuses
    assert told.why
    return None


@pytest.mark.parametrize("model", [Call, Info, Report])
@given(raw=st.binary(max_size=200) | JSON.map(lambda item: json.dumps(item).encode()))
def test_whatever_is_sent_is_read_or_refused(model: Any, raw: bytes) -> None:
    said = read_or_refused(lambda: parse(model, raw), 400)
    if isinstance(said, Report):
        metrics = said.report(timedelta(1)).metrics
        assert all(0 <= value <= 1e18 for name, value in metrics.items() if "percent" not in name)
    if isinstance(said, Info):
        assert said.introduction("192.0.2.1").protocol == "komari"
    if isinstance(said, Call):
        json.dumps(said.id)


@given(raw=st.binary(max_size=300))
def test_whatever_is_packed_is_unpacked_or_refused(raw: bytes) -> None:
    assert unpacked(gzip.compress(raw), "gzip", 300) == raw
    assert read_or_refused(lambda: unpacked(gzip.compress(raw)[:-1], "gzip", 300), 400) is None
    plain = read_or_refused(lambda: unpacked(raw, "gzip", 300), 400, 413)
    assert plain is None or gzip.decompress(raw) == plain
