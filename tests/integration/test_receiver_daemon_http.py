"""The ``daemon`` receiver over real HTTP: validation, the bounded queue, and what is counted."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import httpx
import pytest

import web_world
from defib import registry
from defib.errors import StoreError
from defib.model.agent import AgentStatus, Introduction, Scope
from defib.model.changes import Changes
from defib.model.health import State
from defib.model.ids import AgentId
from defib.model.settings import IngestSettings, ServerSettings
from defib_testkit.logged import capture_logs
from defib_testkit.waiting import async_wait_until
from web_world import Site, World

PARTS = {
    "world": "web_world", **web_world.REAL_PARTS, "agent": "defib_plugins.agent",
    "daemon": "defib_plugins.daemon_receiver",
}  # fmt: skip
BEAT = {
    "agent_id": "worker-1", "pid": 4242, "cpu": 12.5, "memory": 52428800, "version": "1.4.0", "status": "running",
    "timestamp": "2025-07-27T17:47:54Z",
}  # fmt: skip


def a_world(folder: Path, **ingest: Any) -> World:
    plugins = registry.load([EntryPoint(name, module, registry.PROJECT) for name, module in PARTS.items()])
    return World(folder, plugins=plugins, server=ServerSettings(port=0, ingest=IngestSettings(**ingest)))


NO_ID = "validation failed: agent_id: must be printable, not blank, and have at most 200 characters"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with a_world(tmp_path).running() as site:
        yield site


@pytest.fixture
async def open_site(tmp_path: Path) -> AsyncIterator[Site]:
    """Beats from this machine need no token."""
    async with a_world(tmp_path, require_token=False).running() as site:
        yield site


@pytest.fixture
async def bearer(site: Site) -> dict[str, str]:
    _, text = await site.engine.fleet.access.make_token("workers", Scope.INGEST, "a test")
    return {"Authorization": f"Bearer {text}"}


async def stats(site: Site) -> dict[str, Any]:
    response = await site.client.get("/stats")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


async def test_a_beat_is_taken(site: Site, bearer: dict[str, str]) -> None:
    answer = await site.client.post("/heartbeat", json=BEAT, headers=bearer)

    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["success"], said["message"], set(said)) == (
        True,
        "heartbeat received",
        {"success", "message", "timestamp"},
    )
    assert said["timestamp"].endswith("Z")
    assert datetime.fromisoformat(said["timestamp"]).tzinfo is not None
    found = site.engine.fleet.find("worker-1")
    assert found is not None
    assert found.status is AgentStatus.ONLINE
    assert (found.agent.version, found.agent.offline_after) == ("1.4.0", timedelta(seconds=90))
    assert found.live is not None
    assert found.live.report.metrics == {"process_cpu_percent": 12.5, "process_memory_bytes": 52428800.0}
    assert found.live.report.facts["pid"] == 4242
    assert site.health(found.agent.monitor).state is State.UP


async def test_a_stopping_beat_is_a_planned_stop(site: Site, bearer: dict[str, str]) -> None:
    for status in ("running", "stopping"):
        answer = await site.client.post("/heartbeat", json=BEAT | {"status": status}, headers=bearer)
        assert answer.status_code == 200
    found = site.engine.fleet.find("worker-1")
    assert found is not None
    assert found.status is AgentStatus.STOPPED


@pytest.mark.parametrize("without", ["timestamp", "cpu", "memory", "version", "status"])
async def test_what_a_sender_does_not_know_may_be_missing(
    site: Site, bearer: dict[str, str], without: str
) -> None:
    beat = {name: value for name, value in BEAT.items() if name != without}
    assert (await site.client.post("/heartbeat", json=beat, headers=bearer)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"cpu": 0}, {"cpu": 1600.5}, {"memory": 0}, {"memory": 2**40}, {"pid": 1}, {"extra": {"a": [1]}},
        {"timestamp": "yesterday"}, {"timestamp": ""}, {"timestamp": None}, {"timestamp": 12},
        {"timestamp": "2999-01-01T00:00:00Z"}, {"timestamp": "1970-01-01T00:00:00+14:00"},
    ],
)  # fmt: skip
async def test_these_are_good_beats(site: Site, bearer: dict[str, str], changes: dict[str, Any]) -> None:
    answer = await site.client.post("/heartbeat", json=BEAT | changes, headers=bearer)
    assert answer.status_code == 200, answer.text
    found = site.engine.fleet.find("worker-1")
    assert found is not None
    assert found.status is AgentStatus.ONLINE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agent_id": ""}, NO_ID),
        ({"agent_id": None}, "validation failed: agent_id: input should be a valid string"),
        ({"agent_id": "x" * 201}, NO_ID),
        ({"agent_id": "  "}, NO_ID),
        ({"agent_id": "a\u0001b"}, NO_ID),
        ({"pid": 0}, "validation failed: pid: input should be greater than 0"),
        ({"pid": -1}, "validation failed: pid: input should be greater than 0"),
        ({"pid": "x"}, "validation failed: pid: input should be a valid integer, unable to parse string as an integer"),
        ({"pid": 1.5}, "validation failed: pid: input should be a valid integer, got a number with a fractional part"),
        ({"cpu": -0.1}, "validation failed: cpu: input should be greater than or equal to 0"),
        ({"memory": -1}, "validation failed: memory: input should be greater than or equal to 0"),
        ({"status": 5.5, "version": []}, "validation failed: version: input should be a valid string"),
    ],
)  # fmt: skip
async def test_a_wrong_beat_is_refused_with_its_field(
    site: Site, bearer: dict[str, str], changes: dict[str, Any], message: str
) -> None:
    answer = await site.client.post("/heartbeat", json=BEAT | changes, headers=bearer)
    assert (answer.status_code, answer.json()["success"], answer.json()["message"]) == (400, False, message)
    assert site.engine.fleet.agents() == []
    assert (await stats(site))["total_errors"] == 1


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"\xff\xfe", 400),
        (json.dumps(BEAT).encode().replace(b"12.5", b"NaN"), 400),
        (json.dumps(BEAT).encode().replace(b"12.5", b"1e999"), 400),
        (json.dumps(BEAT).encode().replace(b"4242", b"9" * 5000), 400),
        (b'{"a":' * 5000, 400),
        (json.dumps(BEAT | {"a": "x" * 70_000}).encode(), 413),
    ],
)
async def test_a_bad_body_is_refused(site: Site, bearer: dict[str, str], content: bytes, status: int) -> None:
    answer = await site.client.post("/heartbeat", content=content, headers=bearer)
    assert (answer.status_code, answer.json()["success"]) == (status, False)


async def test_a_timestamp_that_cannot_be_read_is_logged_once_and_no_error(
    site: Site, bearer: dict[str, str]
) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            answer = await site.client.post(
                "/heartbeat", json=BEAT | {"timestamp": "yesterday"}, headers=bearer
            )
            assert answer.status_code == 200

    assert [item["agent"] for item in logs if item["event"].startswith("unreadable timestamps")] == [
        "worker-1"
    ]


async def test_what_is_no_json_is_told_in_the_words_of_the_protocol(
    site: Site, bearer: dict[str, str]
) -> None:
    answer = await site.client.post("/heartbeat", content=b'{"pid": }', headers=bearer)
    assert answer.status_code == 400
    assert answer.json()["message"] == "invalid JSON format: expected value at line 1 column 9"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_told_what_is_expected(site: Site, method: str) -> None:
    answer = await site.client.request(method, "/heartbeat")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["message"] == "method not allowed, expected POST"


async def test_many_new_agents_at_once_stay_apart(site: Site, bearer: dict[str, str]) -> None:
    names = [f"w-{number}" for number in range(40)]
    answers = await asyncio.gather(
        *(
            site.client.post("/heartbeat", json=BEAT | {"agent_id": name}, headers=bearer)
            for name in names * 2
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    agents = [item.agent for item in site.engine.fleet.agents()]
    assert sorted(agent.id for agent in agents) == sorted(names)
    assert {agent.aliases for agent in agents} == {()}
    assert len({agent.monitor for agent in agents}) == 40


# --- who -----------------------------------------------------------------------------------------------


async def test_a_wrong_token_is_told_nothing(site: Site) -> None:
    fleet = site.engine.fleet
    revoked, revoked_text = await fleet.access.make_token("old", Scope.INGEST, "a test")
    await fleet.access.revoke_token(revoked.id, "a test")
    _, read_text = await fleet.access.make_token("reader", Scope.READ, "a test")
    other, _ = await fleet.access.make_token("other", Scope.INGEST, "a test")
    _, mine = await fleet.access.make_token("mine", Scope.INGEST, "a test")
    await fleet.register(Introduction(id=AgentId("worker-1")), token=other)

    bodies = set()
    for shown in (
        None,
        "nonsense",
        revoked_text,
        read_text,
        mine,
    ):  # the last is good, the agent is another's
        headers = {} if shown is None else {"Authorization": f"Bearer {shown}"}
        answer = await site.client.post("/heartbeat", json=BEAT, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        bodies.add(answer.json()["message"])
    assert bodies == {"could not validate credentials"}


async def test_new_agents_may_be_kept_out(tmp_path: Path) -> None:
    async with a_world(tmp_path, new_agents=False).running() as site:
        _, text = await site.engine.fleet.access.make_token("workers", Scope.INGEST, "a test")
        answer = await site.client.post("/heartbeat", json=BEAT, headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 400
        assert answer.json()["message"] == (
            "validation failed: agent_id: agent 'worker-1' is not registered, "
            "and new agents are not let in by a beat"
        )


async def test_where_no_token_is_required_this_machine_may_beat(open_site: Site) -> None:
    assert (await open_site.client.post("/heartbeat", json=BEAT)).status_code == 200
    found = open_site.engine.fleet.find("worker-1")
    assert found is not None
    assert found.agent.token is None
    assert found.status is AgentStatus.ONLINE


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.1"}, {"Forwarded": "for=192.0.2.1"}, {"X-Real-IP": "192.0.2.1"},
        {"Origin": "https://evil.example"}, {"Authorization": "Bearer nonsense"},
    ],
)  # fmt: skip
async def test_who_comes_through_a_proxy_or_a_page_is_not_this_machine(
    open_site: Site, headers: dict[str, str]
) -> None:
    assert (await open_site.client.post("/heartbeat", json=BEAT, headers=headers)).status_code == 401
    assert open_site.engine.fleet.agents() == []


async def test_an_agent_that_has_a_token_needs_it(open_site: Site) -> None:
    token, text = await open_site.engine.fleet.access.make_token("t", Scope.INGEST, "a test")
    await open_site.engine.fleet.register(Introduction(id=AgentId("worker-1")), token=token)

    assert (await open_site.client.post("/heartbeat", json=BEAT)).status_code == 401
    good = {"Authorization": f"Bearer {text}"}
    assert (await open_site.client.post("/heartbeat", json=BEAT, headers=good)).status_code == 200


# --- the queue -----------------------------------------------------------------------------------------


async def is_full(site: Site) -> dict[str, Any] | None:
    found = await stats(site)
    return found if found["queue_depth"] >= found["queue_limit"] else None


async def test_past_its_bound_the_queue_refuses_and_every_accepted_beat_is_counted(
    site: Site, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1500 senders at once, while the store stands still: 1000 wait, the others are told when to come again."""
    writer = site.engine.beats._writer
    is_open = asyncio.Event()
    commit = writer.commit

    async def stalled(changes: Changes) -> None:
        await is_open.wait()
        await commit(changes)

    fleet = site.engine.fleet
    assert (await site.client.post("/heartbeat", json=BEAT, headers=bearer)).status_code == 200
    token = fleet.token(bearer["Authorization"].removeprefix("Bearer "))
    assert token is not None
    for number in range(50):
        await fleet.register(Introduction(id=AgentId(f"w-{number}"), version="1"), token=token)
    monkeypatch.setattr(writer, "commit", stalled)

    limits = httpx.Limits(max_connections=1600, max_keepalive_connections=1600)
    async with httpx.AsyncClient(base_url=site.url, limits=limits, trust_env=False, timeout=120) as client:

        async def beat(number: int) -> httpx.Response:
            return await client.post(
                "/heartbeat", json=BEAT | {"agent_id": f"w-{number % 50}", "version": "1"}, headers=bearer
            )

        waiting = [asyncio.create_task(beat(number)) for number in range(1000)]
        counts = await async_wait_until(lambda: is_full(site), 60, "the queue to be full")
        assert counts["queue_depth"] == 1000
        refused = [await beat(number) for number in range(20)]
        assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(503, "1")}
        assert refused[0].json()["message"] == "1000 heartbeats are waiting already, please retry later"
        is_open.set()
        taken = await asyncio.gather(*waiting)

    assert {answer.status_code for answer in taken} == {200}
    found = await stats(site)
    assert (found["total_received"], found["total_processed"], found["total_errors"]) == (1001, 1001, 0)
    assert (found["queue_depth"], found["queue_limit"]) == (0, 1000)


async def test_a_beat_that_cannot_be_stored_is_to_be_sent_again(
    site: Site, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await site.client.post("/heartbeat", json=BEAT, headers=bearer)).status_code == 200

    async def full(changes: Changes) -> None:
        raise StoreError("/secret/place: disk full")

    with monkeypatch.context() as patch:
        patch.setattr(site.engine.beats._writer, "commit", full)
        answer = await site.client.post("/heartbeat", json=BEAT, headers=bearer)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "secret" not in answer.text
    assert (await site.client.post("/heartbeat", json=BEAT, headers=bearer)).status_code == 200
    found = await stats(site)
    assert (found["total_received"], found["total_processed"], found["total_errors"]) == (3, 2, 1)


async def test_stats_have_the_five_names_of_the_protocol_and_ours(site: Site, bearer: dict[str, str]) -> None:
    before = await stats(site)
    assert before == {
        "total_received": 0, "total_processed": 0, "total_errors": 0, "last_received_time": None,
        "average_latency": 0, "latency_p50": 0, "latency_p95": 0, "latency_p99": 0, "queue_depth": 0,
        "queue_limit": 1000,
    }  # fmt: skip
    await site.client.post("/heartbeat", json=BEAT, headers=bearer)
    after = await stats(site)

    assert (after["total_received"], after["total_processed"]) == (1, 1)
    assert datetime.fromisoformat(after["last_received_time"]).tzinfo is not None
    assert isinstance(after["average_latency"], int)
    assert after["average_latency"] > 10_000
    assert after["latency_p50"] == after["latency_p99"] == after["average_latency"]
    assert (await site.client.post("/stats")).status_code == 405
