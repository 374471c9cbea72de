"""The ``host-agent`` receiver over real HTTP and WebSockets: registration, facts, reports, streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import web_world
from defib import registry
from defib.errors import StoreError
from defib.model.agent import AgentStatus, AgentView, Scope
from defib.model.changes import Changes
from defib.model.health import State
from defib.model.ids import AgentId
from defib.model.settings import IngestSettings, ServerSettings
from defib_plugins.host_agent_receiver import Info, Registration, Report
from defib_plugins.receiving import RefusedError, parse
from defib_testkit.waiting import async_wait_until
from web_world import Site, World

KEY = "let-me-in-please"
PARTS = {
    "world": "web_world", **web_world.REAL_PARTS, "agent": "defib_plugins.agent",
    "host-agent": "defib_plugins.host_agent_receiver",
}  # fmt: skip
INFO = {
    "cpu_name": "AMD EPYC 7763", "arch": "x86_64", "cpu_cores": 4, "os": "Debian 12", "kernel_version": "6.1.0",
    "gpu_name": "", "virtualization": "kvm", "mem_total": 8_000_000_000, "swap_total": 1_000_000_000,
    "disk_total": 50_000_000_000, "version": "0.3.1", "ipv4": "192.0.2.7",
}  # fmt: skip
REPORT = {
    "cpu": 25.5, "gpu": 3.0, "ram": 2_000_000_000, "ram_total": 8_000_000_000, "swap": 250_000_000,
    "swap_total": 1_000_000_000, "load": 0.75, "temp": 48.5, "disk": 10_000_000_000, "disk_total": 50_000_000_000,
    "net_in": 1024, "net_out": 2048, "net_total_up": 300_000, "net_total_down": 700_000, "process": 181,
    "connections": 42, "connections_udp": 7, "uptime": 86_400,
}  # fmt: skip
REQUIRED = (
    "cpu",
    "ram",
    "ram_total",
    "disk",
    "disk_total",
    "net_in",
    "net_out",
    "net_total_up",
    "net_total_down",
)


def a_world(folder: Path, **ingest: Any) -> World:
    plugins = registry.load([EntryPoint(name, module, registry.PROJECT) for name, module in PARTS.items()])
    return World(folder, plugins=plugins, server=ServerSettings(port=0, ingest=IngestSettings(**ingest)))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with a_world(tmp_path, registration_key=KEY).running() as site:
        yield site


def with_token(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def registered(site: Site, name: str = "My Server") -> tuple[str, dict[str, str]]:
    """Register an agent: its id, and the header that it shows from then on."""
    answer = await site.client.post("/api/agent/register", json={"name": name}, headers=with_token(KEY))
    assert answer.status_code == 200, answer.text
    return answer.json()["uuid"], with_token(answer.json()["token"])


def view(site: Site, agent: str) -> AgentView:
    found = site.engine.fleet.find(agent)
    assert found is not None
    return found


def stream(site: Site, headers: dict[str, str]) -> connect:
    return connect(site.url.replace("http", "ws") + "/api/agent/ws", additional_headers=headers, proxy=None)


# --- registration --------------------------------------------------------------------------------------


async def test_an_agent_registers_describes_its_host_and_reports(site: Site) -> None:
    answer = await site.client.post("/api/agent/register", json={"name": "web 1"}, headers=with_token(KEY))
    assert answer.status_code == 200
    assert set(answer.json()) == {"uuid", "token"}
    agent, token = answer.json()["uuid"], answer.json()["token"]
    assert str(UUID(agent)) == agent
    assert token.startswith("vmoi_")
    assert view(site, agent).status is AgentStatus.UNKNOWN

    told = await site.client.post("/api/agent/info", json=INFO, headers=with_token(token))
    assert (told.status_code, told.json()) == (200, {"status": "ok"})
    known = view(site, agent).agent
    assert (known.name, known.os, known.version, known.address) == (
        "web 1",
        "Debian 12",
        "0.3.1",
        "192.0.2.7",
    )
    assert known.facts == {
        "cpu_name": "AMD EPYC 7763", "arch": "x86_64", "cpu_cores": 4, "kernel": "6.1.0", "virtualization": "kvm",
        "mem_total_bytes": 8_000_000_000, "swap_total_bytes": 1_000_000_000, "disk_total_bytes": 50_000_000_000,
        "ipv4": "192.0.2.7",
    }  # fmt: skip

    told = await site.client.post("/api/agent/report", json=REPORT, headers=with_token(token))
    assert (told.status_code, told.json()) == (200, {"status": "ok"})
    found = view(site, agent)
    assert found.status is AgentStatus.ONLINE
    assert found.live is not None
    assert found.live.report.metrics == {
        "cpu_percent": 25.5, "gpu_percent": 3.0, "memory_used_bytes": 2e9, "memory_total_bytes": 8e9,
        "memory_percent": 25.0, "swap_used_bytes": 2.5e8, "swap_total_bytes": 1e9, "swap_percent": 25.0,
        "load1": 0.75, "temperature_c": 48.5, "disk_used_bytes": 1e10, "disk_total_bytes": 5e10, "disk_percent": 20.0,
        "net_in_bytes_per_s": 1024.0, "net_out_bytes_per_s": 2048.0, "net_in_total_bytes": 700_000.0,
        "net_out_total_bytes": 300_000.0, "processes": 181.0, "connections_tcp": 42.0, "connections_udp": 7.0,
        "uptime_s": 86_400.0,
    }  # fmt: skip
    assert site.health(found.agent.monitor).state is State.UP


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "New Server"),
        ({"name": ""}, "New Server"),
        ({"name": "   "}, "New Server"),
        ({"name": "Größe 1"}, "Größe 1"),
        ({"name": "a\nb\u0000c"}, "a\ufffdb\ufffdc"),
        ({"name": "x", "region": {"a": 1}}, "x"),
    ],
)
async def test_a_name_is_optional(site: Site, body: dict[str, Any], name: str) -> None:
    answer = await site.client.post("/api/agent/register", json=body | {"key": KEY})
    assert answer.status_code == 200
    assert view(site, answer.json()["uuid"]).agent.name == name


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {}),
        ({}, {"key": ""}),
        ({}, {"key": "wrong"}),
        (with_token("wrong"), {}),
        ({"Authorization": f"Basic {KEY}"}, {}),
    ],
)
async def test_nobody_registers_without_the_key(
    site: Site, headers: dict[str, str], body: dict[str, str]
) -> None:
    answer = await site.client.post("/api/agent/register", json=body, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"error": "UNAUTHORIZED", "message": "could not validate credentials"}
    assert site.engine.fleet.agents() == []


async def test_anybody_registers_only_where_that_is_configured(tmp_path: Path) -> None:
    async with a_world(tmp_path, open_registration=True).running() as site:
        answer = await site.client.post("/api/agent/register", json={})
        assert answer.status_code == 200
        report = await site.client.post(
            "/api/agent/report", json=REPORT, headers=with_token(answer.json()["token"])
        )
        assert report.status_code == 200


async def test_a_token_made_by_hand_stands_for_one_agent_of_its_name(site: Site) -> None:
    _, text = await site.engine.fleet.access.make_token("web-1", Scope.INGEST, "a test")
    for _ in range(2):  # it registers at each start, and stays the same
        answer = await site.client.post("/api/agent/register", json={"name": "Web"}, headers=with_token(text))
        assert answer.json() == {"uuid": "web-1", "token": text}
    assert (
        await site.client.post("/api/agent/report", json=REPORT, headers=with_token(text))
    ).status_code == 200
    assert [item.agent.id for item in site.engine.fleet.agents()] == ["web-1"]


async def test_an_agent_may_register_again_with_its_own_token(site: Site) -> None:
    agent, headers = await registered(site)
    answer = await site.client.post("/api/agent/register", json={"name": "renamed"}, headers=headers)
    assert answer.json() == {"uuid": agent, "token": headers["Authorization"].removeprefix("Bearer ")}
    assert view(site, agent).agent.name == "renamed"


async def test_one_address_registers_only_so_many(site: Site) -> None:
    answers = [
        await site.client.post("/api/agent/register", json={}, headers=with_token(KEY)) for _ in range(12)
    ]
    assert [answer.status_code for answer in answers][:10] == [200] * 10
    assert answers[-1].status_code == 429
    assert answers[-1].json()["error"] == "TOO_MANY_REQUESTS"
    assert int(answers[-1].headers["retry-after"]) >= 1


# --- reports -------------------------------------------------------------------------------------------


async def test_only_nine_fields_are_required(site: Site) -> None:
    agent, headers = await registered(site)
    report = {name: REPORT[name] for name in REQUIRED}
    assert (await site.client.post("/api/agent/report", json=report, headers=headers)).status_code == 200
    live = view(site, agent).live
    assert live is not None
    assert "load1" not in live.report.metrics


@pytest.mark.parametrize("missing", REQUIRED)
async def test_each_of_them_is(missing: str) -> None:
    report = {name: value for name, value in REPORT.items() if name != missing}
    with pytest.raises(RefusedError, match=f"{missing}: field required") as refused:
        parse(Report, json.dumps(report), misfit=422)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body is not valid JSON"),
        (b"{", 400, "the body is not valid JSON"),
        (b"\xff", 400, "the body is not valid JSON"),
        (b'{"cpu": NaN}', 400, "the body is not valid JSON"),
        (b'{"a":' * 100, 400, "the body"),
        (b"[]", 422, "the body must be a JSON object"),
        (b'"x"', 422, "the body must be a JSON object"),
        (json.dumps(REPORT | {"cpu": "hot"}).encode(), 422, "cpu: input should be a valid number"),
        (json.dumps(REPORT | {"cpu": -1}).encode(), 422, "cpu: input should be greater than or equal to 0"),
        (json.dumps(REPORT | {"ram": None}).encode(), 422, "ram: input should be a valid number"),
        (json.dumps(REPORT | {"pad": "x" * 70_000}).encode(), 413, "the body is longer than 65536 bytes"),
    ],
)
async def test_a_bad_report_is_refused_with_its_field(
    site: Site, body: bytes, status: int, message: str
) -> None:
    _, headers = await registered(site)
    answer = await site.client.post("/api/agent/report", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, "BAD_REQUEST")
    assert answer.json()["message"].startswith(message)


@pytest.mark.parametrize("path", ["info", "report"])
async def test_a_token_that_is_good_no_more_is_told_so_and_nothing_else(site: Site, path: str) -> None:
    agent, headers = await registered(site)
    await site.engine.fleet.remove(view(site, agent).agent.id, "a test")
    for shown in (headers, with_token("wrong"), {}):
        answer = await site.client.post(f"/api/agent/{path}", json={**INFO, **REPORT}, headers=shown)
        assert answer.status_code == 401
        assert answer.json() == {"error": "UNAUTHORIZED", "message": "could not validate credentials"}


async def test_a_report_that_cannot_be_stored_is_to_be_sent_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, headers = await registered(site)

    async def full(changes: Changes) -> None:
        raise StoreError("/secret/place: disk full")

    monkeypatch.setattr(site.engine.beats._writer, "commit", full)
    answer = await site.client.post("/api/agent/report", json=REPORT, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (503, "DATABASE_ERROR")
    assert answer.headers["retry-after"] == "5"
    assert "secret" not in answer.text


@pytest.mark.parametrize("model", [Registration, Info, Report])
@given(
    raw=st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from([*REPORT, *INFO, "name"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    ).map(lambda item: json.dumps(item).encode())
)
def test_whatever_is_sent_is_read_or_refused(model: Any, raw: bytes) -> None:
    try:
        said: Any = parse(model, raw, misfit=422)
    except RefusedError as error:
        said = error.status
    assert said in (400, 422) or isinstance(said, model)
    if isinstance(said, Report):
        assert "cpu_percent" in said.report().metrics
    if isinstance(said, Info):
        assert said.introduction("192.0.2.1").address


# --- the stream ----------------------------------------------------------------------------------------


async def received(site: Site, agent: str, cpu: float) -> None:
    def look() -> bool:
        live = view(site, agent).live
        return live is not None and live.report.metrics["cpu_percent"] == cpu

    await async_wait_until(look, 10, f"a report of {cpu} % CPU")


async def test_reports_come_over_a_stream_and_its_end_makes_it_suspect_at_once(site: Site) -> None:
    agent, headers = await registered(site)
    async with stream(site, headers) as socket:
        await socket.send(json.dumps(REPORT))
        await received(site, agent, 25.5)
        assert view(site, agent).is_connected
        assert view(site, agent).status is AgentStatus.ONLINE
    await site.wait_for(view(site, agent).agent.monitor, "suspect")
    assert not view(site, agent).is_connected
    async with stream(site, headers) as socket:
        await socket.send(json.dumps(REPORT))
        await site.wait_for(view(site, agent).agent.monitor, "up")


@pytest.mark.parametrize(
    "bad", ["", "{", "[]", '{"cpu": 1}', "null", b"\xff\x00", '{"cpu": NaN}', "x" * 60_000, '{"a":' * 5000]
)
async def test_a_bad_message_keeps_the_stream(site: Site, bad: str | bytes) -> None:
    agent, headers = await registered(site)
    async with stream(site, headers) as socket:
        await socket.send(bad)
        await socket.send(json.dumps(REPORT | {"cpu": 33.0}).encode())
        await received(site, agent, 33.0)


@pytest.mark.parametrize("headers", [{}, with_token("wrong")])
async def test_no_stream_without_a_token(site: Site, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with stream(site, headers):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"") == {
        "error": "UNAUTHORIZED", "message": "could not validate credentials",
    }  # fmt: skip


async def closed(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    return socket.close_code


async def test_a_host_whose_token_was_revoked_registers_no_more_until_it_is_let_in(site: Site) -> None:
    agent, shown = await registered(site)
    await site.engine.fleet.access.revoke_token(f"agent {agent}", "a test")

    told = await site.client.post("/api/agent/report", json=REPORT, headers=shown)
    assert (told.status_code, told.json()["error"]) == (401, "UNAUTHORIZED")
    for name in ("My Server", "Another name"):
        again = await site.client.post("/api/agent/register", json={"name": name}, headers=with_token(KEY))
        assert again.status_code == 403
        assert again.json() == {
            "error": "FORBIDDEN", "message": "this agent is kept out until an operator lets it in again",
        }  # fmt: skip
    assert [view.agent.id for view in site.engine.fleet.agents()] == [agent]

    await site.engine.fleet.access.let_in(AgentId(agent), "a test")
    again, shown = await registered(site)
    assert again == agent
    told = await site.client.post("/api/agent/report", json=REPORT, headers=shown)
    assert told.status_code == 200


async def test_a_revoked_token_ends_the_stream_with_its_next_message(site: Site) -> None:
    _, text = await site.engine.fleet.access.make_token("web-1", Scope.INGEST, "a test")
    async with stream(site, with_token(text)) as socket:
        await socket.send(json.dumps(REPORT))
        await received(site, "web-1", 25.5)
        await site.engine.fleet.access.revoke_token("web-1", "a test")
        await socket.send(json.dumps(REPORT))
        assert await closed(socket) == 1008


async def test_a_newer_stream_closes_the_one_before(site: Site) -> None:
    agent, headers = await registered(site)
    async with stream(site, headers) as first, stream(site, headers) as second:
        assert await closed(first) == 1008
        await second.send(json.dumps(REPORT))
        await received(site, agent, 25.5)
        assert view(site, agent).is_connected


async def test_streams_that_end_because_we_stop_blame_nobody(tmp_path: Path) -> None:
    async with a_world(tmp_path, registration_key=KEY).running() as site:
        agent, headers = await registered(site)
        socket = await stream(site, headers)
        await socket.send(json.dumps(REPORT))
        await site.wait_for(view(site, agent).agent.monitor, "up")
    await socket.wait_closed()
    assert site.health(view(site, agent).agent.monitor).state is State.UP
