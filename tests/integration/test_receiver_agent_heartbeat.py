"""The ``agent-heartbeat`` receiver over real HTTP, with the real engine behind it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.agent import AgentStatus, Scope, Task
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.plugin import AgentId
from defib_plugins.agent_words import Heartbeat, Registration
from defib_plugins.receiving import BEAT_LIMIT_BYTES, Body, RefusedError, parse
from defib_testkit.logged import capture_logs
from receiver_world import KEY, bearer, broken_store, make_world, new_token, status, view
from web_world import TOKEN, Site, World

RECEIVER = "defib_plugins.agent_heartbeat_receiver"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DOCUMENTED = {
    "hostname": "DESKTOP-ABC123",
    "os": "Windows 11",
    "system_info": {"cpu_usage": 25.5, "memory_usage": 65.2, "disk_usage": {"C:\\": 45.1, "/": 70.2}},
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, RECEIVER)


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@pytest.fixture
async def token(site: Site) -> str:
    return await new_token(site)


async def beat(site: Site, agent: str, token: str, said: Any = None, **options: Any) -> httpx.Response:
    if said is not None:
        options["json"] = said
    return await site.client.post(f"/api/v1/agents/{agent}/heartbeat", headers=bearer(token), **options)


async def register(site: Site, token: str, **said: Any) -> httpx.Response:
    return await site.client.post("/api/v1/agents/register", headers=bearer(token), json=said)


# --- beats ---------------------------------------------------------------------------------------------


async def test_a_beat_is_answered_as_the_protocol_says(site: Site, token: str) -> None:
    response = await beat(site, "agent-001", token, DOCUMENTED)

    assert response.status_code == 200
    answer = response.json()
    assert MOMENT.fullmatch(answer.pop("timestamp"))
    last_seen = answer["agent"].pop("last_seen")
    assert MOMENT.fullmatch(last_seen)
    assert abs(datetime.fromisoformat(last_seen) - datetime.now(UTC)) < timedelta(seconds=5)
    assert answer == {
        "message": "Heartbeat received",
        "agent": {
            "id": "agent-001",
            "hostname": "DESKTOP-ABC123",
            "status": "online",
            "system_info": {
                "cpu_usage": 25.5,
                "memory_usage": 65.2,
                "disk_usage": {"C:\\": 45.1, "/": 70.2},
            },
        },
    }
    agent = view(site, "agent-001").agent
    assert (agent.os, agent.protocol) == ("Windows 11", "agent")
    assert site.health("agent-001").state is State.UP


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Content-Type": "application/json"}},
        {"content": b"", "headers": {"Content-Type": "application/json", "Content-Length": "0"}},
        {"json": {}},
        {"json": {"hostname": None, "system_info": None, "running_tasks": None, "metrics": None}},
        {"json": {"system_info": {}}},
        {"json": {"from": "a newer client", "system_info": {"fans": [1, 2]}}},
        {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
    ],
    ids=["no body", "length 0", "empty object", "nulls", "empty info", "unknown members", "another type"],
)
async def test_every_part_of_a_beat_may_be_missing(site: Site, token: str, options: Any) -> None:
    headers = {**bearer(token), **options.pop("headers", {})}

    response = await site.client.post("/api/v1/agents/agent-001/heartbeat", headers=headers, **options)

    assert response.status_code == 200, response.text
    assert response.json()["agent"]["system_info"] == {}
    assert status(site, "agent-001") is AgentStatus.ONLINE


async def test_the_oldest_agent_is_served_byte_by_byte(site: Site, token: str) -> None:
    """As captured: it registers without an id, and then beats under one of its own, with no body at all."""
    said = (
        '{"hostname": "vm", "ip": "127.0.0.1", "os": "Linux", "version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1", '
        '"status": "online", "tags": ["heartbeat-agent", "standalone"], "system_info": {"hostname": "vm", '
        '"os_version": "Linux-6.1-x86_64-with-glibc2.36", "cpu_usage": 17.3, "memory_usage": 2.9, '
        '"disk_usage": {"/": 10.5}}}'
    )
    port = int(site.url.rpartition(":")[2])
    head = (
        f"Host: localhost:{port}\r\nUser-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\n"
        f"Accept: */*\r\nConnection: keep-alive\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\n"
    )

    async def exchange(request: str) -> tuple[bytes, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request.encode())
            headers = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = re.search(rb"content-length: (\d+)", headers, re.IGNORECASE)
            assert length is not None
            return headers.partition(b"\r\n")[0], json.loads(await reader.readexactly(int(length[1])))
        finally:
            writer.close()
            await writer.wait_closed()

    line, registered = await exchange(
        f"POST /api/v1/agents/register HTTP/1.1\r\n{head}Content-Length: {len(said)}\r\n\r\n{said}"
    )
    assert line == b"HTTP/1.1 200 OK"
    assert registered["id"] == registered["agent_id"] != ""
    assert {name: registered[name] for name in ("hostname", "ip", "os", "tags", "is_connected")} == {
        "hostname": "vm", "ip": "127.0.0.1", "os": "Linux", "tags": ["heartbeat-agent", "standalone"],
        "is_connected": False,
    }  # fmt: skip
    info = {"cpu_usage": 17.3, "memory_usage": 2.9, "disk_usage": {"/": 10.5}}
    assert (registered["status"], registered["system_info"]) == ("unknown", info)

    for _ in range(2):
        line, answer = await exchange(
            f"POST /api/v1/agents/my-agent-001/heartbeat HTTP/1.1\r\n{head}Content-Length: 0\r\n\r\n"
        )
        assert line == b"HTTP/1.1 200 OK"
        assert answer["agent"]["id"] == registered["id"]
        assert (answer["agent"]["status"], answer["agent"]["system_info"]) == ("online", info)
    assert [found.agent.hostname for found in site.engine.fleet.agents()] == ["vm"]
    assert status(site, "my-agent-001") is AgentStatus.ONLINE


async def test_a_beat_tells_more_when_the_agent_can(site: Site, token: str) -> None:
    response = await beat(
        site, "db-1", token,
        {
            "status": "running", "seq": 41, "epoch": "boot-7", "interval": 5, "age_ms": 250,
            "metrics": {"load1": 0.5, "swap_percent": 3, "of_my_own": 1},
            "running_tasks": [
                {"task_id": 7, "task_type": "import", "workspace_id": 12, "started_at": "2025-01-07T10:30:00Z"}
            ],
        },
    )  # fmt: skip

    assert response.status_code == 200, response.text
    live = view(site, "db-1").live
    assert live is not None
    assert live.report.metrics == {"load1": 0.5, "swap_percent": 3.0}
    assert live.report.tasks == (
        Task(id="7", kind="import", workspace="12", started_at="2025-01-07T10:30:00Z"),
    )
    assert (live.report.seq, live.report.epoch, live.report.age) == (
        41,
        "boot-7",
        timedelta(milliseconds=250),
    )
    health = site.health("db-1")
    assert (health.beats["every"], health.beats["epoch"]) == (5.0, "boot-7")
    assert health.last is not None
    assert health.last.evidence.facts["status"] == "running"


async def test_a_planned_stop_is_no_fault(site: Site, token: str) -> None:
    await beat(site, "db-1", token)
    response = await beat(site, "db-1", token, {"status": "stopping"})

    assert response.json()["agent"]["status"] == "offline"
    assert site.health("db-1").state is State.STOPPED
    assert site.health("db-1").incident is None


async def test_an_error_that_an_agent_reports_is_evidence(site: Site, token: str) -> None:
    await beat(site, "db-1", token)
    await beat(site, "db-1", token, {"status": "error", "error": "the queue is stuck"})

    last = site.health("db-1").last
    assert last is not None
    assert (last.evidence.cause, last.evidence.summary) == ("agent-error", "the queue is stuck")


# --- registering ---------------------------------------------------------------------------------------


async def test_registering_twice_is_one_agent(site: Site, token: str) -> None:
    first = await register(
        site, token, agent_id="agent-001", hostname="one", tags=["a"], facts={"cpu_cores": 8}
    )
    again = await register(site, token, agent_id="agent-001", hostname="two")

    assert (first.status_code, again.status_code) == (200, 200)
    assert "token" not in first.json()
    assert first.json()["id"] == first.json()["agent_id"] == again.json()["id"] == "agent-001"
    assert first.json()["status"] == "unknown"
    assert [found.agent.hostname for found in site.engine.fleet.agents()] == ["two"]
    assert view(site, "agent-001").agent.facts == {"cpu_cores": 8}


async def test_who_shows_the_registration_key_is_given_a_token_of_its_own(site: Site) -> None:
    response = await register(site, KEY, hostname="db-1", name="Orders", pool="databases", interval=5)

    given = response.json()["token"]
    agent = view(site, response.json()["agent_id"]).agent
    assert (agent.name, agent.pool, agent.every) == ("Orders", "databases", timedelta(seconds=5))
    assert (await beat(site, agent.id, given)).status_code == 200
    assert (await beat(site, "an-id-of-its-own", given)).json()["agent"]["id"] == agent.id


async def test_anybody_registers_where_the_operator_says_so(tmp_path: Path) -> None:
    async with make_world(tmp_path, RECEIVER, registration_key="", open_registration=True).running() as site:
        response = await site.client.post("/api/v1/agents/register", content=b"")

        assert response.status_code == 200
        assert (await beat(site, response.json()["id"], response.json()["token"])).status_code == 200


async def test_an_id_is_not_taken_over_by_another_token(site: Site, token: str) -> None:
    other = await new_token(site, "others")
    await register(site, token, agent_id="agent-001")

    taken = await register(site, other, agent_id="agent-001")
    beaten = await beat(site, "agent-001", other)

    assert taken.status_code == 403
    assert taken.json()["detail"].startswith("agent agent-001 is registered with another token")
    assert (beaten.status_code, beaten.json()) == (401, {"detail": "could not validate credentials"})
    assert status(site, "agent-001") is AgentStatus.UNKNOWN


async def test_an_agent_called_as_a_heartbeat_takes_none_of_its_beats(world: World) -> None:
    world.expect_beats("nightly")
    async with world.running() as site:
        await beat(site, "nightly", await new_token(site))

        assert view(site, "nightly").agent.monitor == "nightly-2"
        assert site.engine.beats.find("nightly") == "nightly"


async def test_an_agent_cannot_beat_as_another_one_that_the_configuration_waits_for(world: World) -> None:
    options = world.plugins.monitors["agent"].options.model_validate({})
    world.monitors.append(
        MonitorSpec(id=MonitorId("web-1"), name="web-1", kind="agent", family=Family.AGENT, options=options)
    )
    async with world.running() as site:
        came = (await register(site, KEY)).json()
        made_up, given = came["id"], came["token"]

        refused = await beat(site, "web-1", given)
        came = await register(site, KEY, agent_id="web-1")

        why = f"agent {made_up} cannot beat as web-1: monitor 'web-1' of the configuration is another agent's"
        assert (refused.status_code, refused.json()["detail"]) == (403, why)
        assert (came.status_code, view(site, "web-1").agent.monitor) == (200, "web-1")


async def test_why_a_key_is_not_enough_stands_in_the_log_alone(site: Site) -> None:
    await register(site, KEY, agent_id="agent-001")

    with capture_logs() as logs:
        refused = await register(site, KEY, agent_id="agent-001")

    assert (refused.status_code, refused.json()) == (401, {"detail": "could not validate credentials"})
    [said] = [item for item in logs if item["event"] == "agent refused"]
    assert said["why"].startswith("agent agent-001 is registered with another token; remove it first")


async def test_an_agent_that_is_kept_out_is_told_so_until_it_is_let_in(site: Site) -> None:
    given = (await register(site, KEY, agent_id="agent-001")).json()["token"]
    fleet = site.engine.fleet

    async def tries() -> list[int]:
        answers = [await beat(site, "agent-001", given), await register(site, given, agent_id="agent-001"),
                   await register(site, KEY, agent_id="agent-001")]  # fmt: skip
        for answer in answers:
            if answer.status_code == 403:
                assert answer.json() == {
                    "detail": "this agent is kept out until an operator lets it in again"
                }
        return [answer.status_code for answer in answers]

    await fleet.access.keep_out(AgentId("agent-001"), "a test")
    assert await tries() == [403, 403, 403]
    await fleet.access.let_in(AgentId("agent-001"), "a test")
    assert await tries() == [200, 200, 401]  # what has a good token needs no key

    await fleet.access.revoke_token("agent agent-001", "a test")
    assert await tries() == [401, 401, 403]
    await fleet.access.let_in(AgentId("agent-001"), "a test")
    assert await tries() == [401, 401, 200]


# --- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["a%01b", "%0A", "%20", "%E2%80%AE", "x" * 201])
async def test_an_id_that_cannot_be_one_is_a_bad_request_everywhere(
    site: Site, token: str, wanted: str
) -> None:
    why = "must be printable, not blank, and have at most 200 characters"
    beaten = await site.client.post(f"/api/v1/agents/{wanted}/heartbeat", headers=bearer(token))
    assert (beaten.status_code, beaten.json()) == (400, {"detail": f"agent_id: {why}"})
    registered = await register(site, token, agent_id=unquote(wanted))
    assert (registered.status_code, registered.json()) == (400, {"detail": f"agent_id: {why}"})
    assert site.engine.fleet.agents() == []


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer nonsense", "Basic YTpi", f"Bearer {KEY}", TOKEN])
@pytest.mark.parametrize("path", ["/api/v1/agents/agent-001/heartbeat", "/api/v1/agents/register"])
async def test_a_token_that_is_none_says_no_more_than_that(site: Site, shown: str, path: str) -> None:
    if path.endswith("register") and shown == f"Bearer {KEY}":
        return  # that one is good there
    response = await site.client.post(path, headers={"Authorization": shown})

    assert response.status_code == 401
    assert response.json() == {"detail": "could not validate credentials"}
    assert response.headers["www-authenticate"] == "Bearer"
    assert site.engine.fleet.agents() == []


async def test_tokens_of_other_scopes_and_revoked_ones_are_none(site: Site) -> None:
    reading = await new_token(site, "wall", Scope.READ)
    revoked = await new_token(site, "old")
    await site.engine.fleet.access.revoke_token("old", "a test")

    answers = [await beat(site, "agent-001", shown) for shown in (reading, revoked, TOKEN)]

    assert [(answer.status_code, answer.text) for answer in answers] == [
        (401, '{"detail":"could not validate credentials"}')
    ] * 3


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"{", "the body is not valid JSON: EOF while parsing an object at line 1 column 1"),
        (b"\xff\xfe", "the body is not valid JSON: expected value at line 1 column 1"),
        (b'{"hostname": "\\ud800"}', "the body is not valid JSON: unexpected end of hex escape at line 1 column 21"),
        (b'{"x": NaN}', "the body is not valid JSON: expected value at line 1 column 7"),
        (b"[]", "the body must be a JSON object"),
        (b'"agent"', "the body must be a JSON object"),
        (b'{"x": ' + b"[" * 20 + b"]" * 20 + b"}", "the body is nested more than 20 levels deep"),
        (b"[" * 30_000, "the body is not valid JSON: recursion limit exceeded at line 1 column 202"),
        (b'{"system_info": {"cpu_usage": "much"}}',
         "system_info.cpu_usage: input should be a valid number, unable to parse string as a number"),
        (b'{"system_info": {"cpu_usage": -1}}', "system_info.cpu_usage: input should be greater than or equal to 0"),
        (b'{"system_info": {"memory_usage": 101}}',
         "system_info.memory_usage: input should be less than or equal to 100"),
        (b'{"system_info": {"cpu_usage": 1e999}}', "system_info.cpu_usage: input should be a finite number"),
        (b'{"seq": -1}', "seq: input should be greater than or equal to 0"),
        (b'{"interval": 0}', "interval: input should be greater than 0"),
        (b'{"hostname": "' + b"x" * 201 + b'"}', "hostname: string should have at most 200 characters"),
        (b'{"hostname": {"a": 1}, "seq": "x", "epoch": [], "os": []}',
         "hostname: input should be a valid string; os: input should be a valid string; "
         "seq: input should be a valid integer, unable to parse string as an integer; and 1 more"),
    ],
)  # fmt: skip
async def test_a_bad_body_is_refused_with_what_is_wrong(
    site: Site, token: str, content: bytes, detail: str
) -> None:
    response = await beat(site, "agent-001", token, content=content)

    assert (response.status_code, response.json()) == (400, {"detail": detail})
    assert site.engine.fleet.agents() == []


async def test_a_body_that_is_too_long_is_refused(site: Site, token: str) -> None:
    just = b'{"x": "' + b"x" * (BEAT_LIMIT_BYTES - 9) + b'"}'

    assert (await beat(site, "agent-001", token, content=just)).status_code == 200
    longer = await beat(site, "agent-001", token, content=just + b" ")

    assert (longer.status_code, longer.json()) == (413, {"detail": "the body is longer than 65536 bytes"})


async def test_text_that_cannot_be_printed_is_made_harmless(site: Site, token: str) -> None:
    response = await beat(site, "agent-001", token, {"hostname": "a\x00b\nc\u202ed"})

    assert response.json()["agent"]["hostname"] == "a\ufffdb\ufffdc\ufffdd"


@pytest.mark.parametrize("agent_id", ["a/b", "x" * 201])
async def test_an_id_that_no_address_can_hold_is_refused(site: Site, token: str, agent_id: str) -> None:
    response = await register(site, token, agent_id=agent_id)

    assert response.status_code == 400
    assert response.json()["detail"].startswith("agent_id: ")


async def test_unknown_agents_are_not_found_where_new_ones_are_not_let_in(tmp_path: Path) -> None:
    async with make_world(tmp_path, RECEIVER, new_agents=False).running() as site:
        token = await new_token(site)

        response = await beat(site, "stranger", token)
        await register(site, token, agent_id="agent-001")

        assert (response.status_code, response.json()) == (404, {"detail": "agent not found"})
        assert (await beat(site, "agent-001", token)).status_code == 200


async def test_a_beat_that_cannot_be_stored_is_to_be_sent_again(world: World, site: Site, token: str) -> None:
    await beat(site, "agent-001", token)
    with broken_store(world):
        response = await beat(site, "agent-001", token)

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.json() == {"detail": "it cannot be stored now; try again"}
    assert (await beat(site, "agent-001", token)).status_code == 200


async def test_a_flood_of_one_agent_is_held_back_and_no_other(site: Site, token: str) -> None:
    answers = [await beat(site, "loud", token, content=b"{") for _ in range(800)]
    held_back = [answer for answer in answers if answer.status_code == 429]

    assert {answer.status_code for answer in answers[:200]} == {400}  # what was said is looked at
    assert held_back[0].headers["retry-after"] == "1"
    assert held_back[0].json() == {"detail": "too many requests; try again later"}
    assert (await beat(site, "quiet", token)).status_code == 200


async def test_wrong_tokens_by_the_thousand_keep_no_good_one_out(site: Site, token: str) -> None:
    answers = [await beat(site, "agent-001", f"guess-{number}") for number in range(1000)]

    assert {answer.status_code for answer in answers[:30]} == {401}
    assert {answer.status_code for answer in answers[100:]} <= {401, 429}
    assert sum(answer.status_code == 429 for answer in answers) > 800
    assert (await beat(site, "agent-001", token)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_beats_are_posted(site: Site, method: str) -> None:
    assert (await site.client.request(method, "/api/v1/agents/a/heartbeat")).status_code == 405


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_comes_is_a_beat_or_refused(raw: bytes | str) -> None:
    for model in (Heartbeat, Registration):
        _parse_or_refuse(model, raw)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*Heartbeat.model_fields, *Registration.model_fields]), _JSON))
def test_whatever_the_members_hold_is_a_beat_or_refused(said: dict[str, Any]) -> None:
    for model in (Heartbeat, Registration):
        _parse_or_refuse(model, json.dumps(said))


def _parse_or_refuse(model: type[Body], raw: bytes | str) -> None:
    said: Body | RefusedError
    try:
        said = parse(model, raw)
    except RefusedError as refused:
        said = refused
    if isinstance(said, RefusedError):
        assert said.status == 400
        assert len(said.why) < 1000
    elif isinstance(said, Heartbeat):
        assert said.report().age >= timedelta(0)
        assert said.introduction().hostname.isprintable()
    elif isinstance(said, Registration):
        assert said.introduction().name.isprintable()


# --- how agents stand ----------------------------------------------------------------------------------


async def test_an_agent_asks_how_it_stands(site: Site, token: str) -> None:
    await register(site, token, agent_id="agent-001", hostname="vm")
    path = "/api/v1/agents/status/agent-001"

    before = (await site.client.get(path, headers=bearer(token))).json()
    await beat(site, "agent-001", token, {"system_info": {"disk_usage": 12.5}})
    after = (await site.client.get(path, headers=bearer(token))).json()

    assert (before["overall_status"], before["heartbeat_status"]) == ("offline", "unknown")
    assert (before["last_seen"], before["seconds_since_heartbeat"]) == (None, None)
    assert 0.0 <= after.pop("seconds_since_heartbeat") < 5.0
    assert after["last_seen"] == after["agent_data"].pop("last_seen")
    assert MOMENT.fullmatch(after.pop("last_seen"))
    assert after == {
        "agent_id": "agent-001",
        "overall_status": "online",
        "websocket_connected": False,
        "heartbeat_status": "recent",
        "agent_data": {
            "id": "agent-001", "hostname": "vm", "status": "online", "system_info": {"disk_usage": 12.5}, "ip": "",
            "os": "", "version": "", "tags": [], "connection_id": None, "is_connected": False,
        },
    }  # fmt: skip


async def test_who_may_see_how_agents_stand(site: Site, token: str) -> None:
    other = await new_token(site, "others")
    await beat(site, "agent-001", token)
    await beat(site, "agent-001", token, {"status": "stopping"})
    await beat(site, "agent-002", other)

    async def asked(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        response = await site.client.get(f"/api/v1/agents/{path}", headers=headers)
        return response.status_code, response.json()

    not_found, refused = (
        (404, {"detail": "agent not found"}),
        (401, {"detail": "could not validate credentials"}),
    )
    assert (await asked("status/agent-001", bearer(token)))[0] == 200
    assert (await asked("status/agent-001", bearer(TOKEN)))[0] == 200
    assert (await asked("status/agent-001", {}))[0] == 200  # it listens on this machine only
    assert await asked("status/agent-001", bearer(other)) == not_found
    assert await asked("status/nonesuch", {}) == not_found
    assert await asked("status/agent-001", bearer("nonsense")) == refused
    gone = (await asked("offline", {}))[1]
    assert [(agent["id"], agent["hostname"], agent["status"]) for agent in gone] == [
        ("agent-001", "", "offline")
    ]
    assert MOMENT.fullmatch(gone[0]["last_seen"])
    assert await asked("offline", bearer(token)) == (200, gone)
    assert await asked("offline", bearer(other)) == (200, [])
    assert await asked("offline", bearer("nonsense")) == refused


async def test_an_agent_that_falls_silent_is_told_of_within_a_second_without_a_request(
    site: Site, token: str
) -> None:
    from websockets.asyncio.client import connect

    loop = asyncio.get_running_loop()
    async with connect(site.url.replace("http:", "ws:") + "/api/v1/events", proxy=None) as events:
        await beat(site, "agent-001", token, {"interval": 2})
        heard = loop.time()

        async def told(state: AgentStatus) -> float:
            async with asyncio.timeout(10):
                while status(site, "agent-001") is not state:
                    await events.recv()
            return loop.time() - heard

        late, gone = await told(AgentStatus.WARNING), await told(AgentStatus.OFFLINE)

    assert 2.0 <= late < 3.0
    assert 7.0 <= gone < 8.0  # two intervals, and at least 5 s more than one
    found = (await site.client.get("/api/v1/agents/status/agent-001")).json()
    assert (found["overall_status"], found["heartbeat_status"]) == ("offline", "offline")
    assert [agent["id"] for agent in (await site.client.get("/api/v1/agents/offline")).json()] == [
        AgentId("agent-001")
    ]
