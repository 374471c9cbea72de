"""Uptime Kuma's push protocol against a real server."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from defib.model.beat import Beat
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from receiver_world import broken_store, make_world
from web_world import Site, World

TOKEN = "Qn4TzVjW1yUe7LkHs0pXb2RfGd9McA5i"
UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
LONG_ID = "a-monitor-whose-id-is-as-long-as-a-token"
NOT_FOUND = {"ok": False, "msg": "Monitor not found or not active."}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path, "defib_plugins.kuma_push_receiver")
    expect(world, "pushed", push_token=TOKEN, uuid=UUID)
    expect(world, LONG_ID)
    return world


def expect(world: World, monitor: str, **options: Any) -> None:
    found = world.plugins.monitors["heartbeat"].options.model_validate({"every": "1m", **options})
    world.monitors.append(
        MonitorSpec(id=MonitorId(monitor), name=monitor, kind="heartbeat", family=Family.JOB, options=found)
    )


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


def beats(site: Site, monitor: str = "pushed") -> list[Beat]:
    return site.engine.reader.beats(MonitorId(monitor))


async def test_every_method_is_taken(site: Site) -> None:
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    for method in methods:
        answer = await site.client.request(method, f"/api/push/{TOKEN}?status=up&msg=OK&ping=")
        assert answer.status_code == 200, method
        assert method == "HEAD" or answer.json() == {"ok": True}

    assert [beat.facts["method"] for beat in reversed(beats(site))] == methods
    assert {(beat.protocol, beat.signal, beat.body) for beat in beats(site)} == {("kuma-push", "alive", "OK")}


@pytest.mark.parametrize(
    ("query", "signal", "body", "state"),
    [
        ("", "alive", "OK", State.UP),
        ("?status=up&msg=OK&ping=", "alive", "OK", State.UP),
        ("?status=down&msg=bad+%26+%C3%BCn%C3%AF&ping=1", "fail", "bad & ünï", State.FAULT),
        ("?status=UP", "fail", "OK", State.FAULT),
        ("?status=pending", "fail", "OK", State.FAULT),
        ("?status=", "fail", "OK", State.FAULT),
        ("?msg=", "alive", "", State.UP),
        ("?msg=a%00b", "alive", "a\ufffdb", State.UP),
    ],
)
async def test_a_push_says_up_or_down(site: Site, query: str, signal: str, body: str, state: State) -> None:
    assert (await site.client.get(f"/api/push/{TOKEN}{query}")).json() == {"ok": True}

    assert [(beat.signal, beat.body) for beat in beats(site)] == [(signal, body)]
    assert site.health("pushed").state is state


async def test_the_ping_is_a_curve_of_the_monitor(site: Site) -> None:
    for ping, kept in [
        ("12", 12.0), ("12.5", 12.5), ("1e3", 1000.0), (" 7ms", 7.0), (".5", 0.5), ("100000000000", 1e11),
    ]:  # fmt: skip
        assert (await site.client.get(f"/api/push/{TOKEN}", params={"ping": ping})).json() == {"ok": True}
        last = site.health("pushed").last
        assert last is not None
        assert last.evidence.metrics == {"ping_ms": kept}, ping


async def test_a_ping_that_is_no_number_or_zero_counts_as_none(site: Site) -> None:
    for ping in ("", "0", "-0", "fast", "NaN", "٣"):
        assert (await site.client.get(f"/api/push/{TOKEN}", params={"ping": ping})).json() == {"ok": True}
        last = site.health("pushed").last
        assert last is not None
        assert last.evidence.metrics == {}, ping


async def test_a_ping_out_of_range_is_refused(site: Site) -> None:
    for ping in ("-1", "100000000001", "1e400", "Infinity", "-Infinity"):
        answer = await site.client.get(f"/api/push/{TOKEN}", params={"ping": ping})
        assert answer.status_code == 404, ping
        assert answer.json() == {
            "ok": False, "msg": "Invalid ping value: it is from 0 to 100000000000 milliseconds."
        }  # fmt: skip
    assert beats(site) == []


@pytest.mark.parametrize("token", [UUID, UUID.replace("-", "")])
async def test_the_ping_uuid_is_a_token_of_32_characters_too(site: Site, token: str) -> None:
    assert (await site.client.get(f"/api/push/{token}")).json() == {"ok": True}
    assert len(beats(site)) == 1


@pytest.mark.parametrize("token", ["pushed", LONG_ID, TOKEN.lower(), TOKEN[:-1], "x" * 32, "x" * 5000])
async def test_an_unknown_token_and_a_monitors_id_are_not_found(site: Site, token: str) -> None:
    answer = await site.client.get(f"/api/push/{token}")

    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert beats(site) == beats(site, LONG_ID) == []


async def test_a_push_that_cannot_be_stored_is_to_be_sent_again(world: World, site: Site) -> None:
    with broken_store(world):
        answer = await site.client.get(f"/api/push/{TOKEN}")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["ok"] is False
