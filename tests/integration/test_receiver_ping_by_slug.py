"""Pings by ping key and slug, and by a monitor's id, against a real server: table 2.1 of the protocol's field notes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from defib.assembly import build_roster
from defib.model.agent import Scope
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.settings import IngestSettings, ServerSettings
from receiver_world import bearer, make_world, new_token
from web_world import Site, World

RUN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path)
    world.expect_beats("nightly")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@pytest.fixture
async def key(site: Site) -> str:
    return await new_token(site, "ping key")


def newest(site: Site, monitor: str) -> tuple[str, int | None, str]:
    """Signal, exit status and body of a monitor's newest beat."""
    beat = site.engine.reader.beats(MonitorId(monitor))[0]
    return beat.signal, beat.exit_status, beat.body


SUFFIXES = [
    ("", ("alive", None)),
    ("/start", ("start", None)),
    ("/fail", ("fail", None)),
    ("/log", ("log", None)),
    ("/0", ("alive", 0)),
    ("/1", ("fail", 1)),
    ("/255", ("fail", 255)),
]


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST"])
async def test_a_slug_takes_every_suffix_by_every_method(site: Site, key: str, method: str) -> None:
    for suffix, taken in SUFFIXES:
        answer = await site.client.request(method, f"/ping/{key}/nightly{suffix}")

        assert (answer.status_code, answer.text) == (200, "" if method == "HEAD" else "OK"), suffix
        assert newest(site, "nightly") == (*taken, ""), suffix


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_allowed(site: Site, key: str, method: str) -> None:
    paths = [f"/ping/{key}/nightly", f"/ping/{key}/nightly/start", "/ping/nightly"]

    assert [(await site.client.request(method, path)).status_code for path in paths] == [405, 405, 405]
    assert site.engine.reader.beats(MonitorId("nightly")) == []


async def test_a_ping_by_slug_changes_the_state(site: Site, key: str) -> None:
    await site.client.post(f"/ping/{key}/nightly/3", content=b"disk full")
    assert site.health("nightly").state is State.FAULT
    assert newest(site, "nightly") == ("fail", 3, "disk full")

    await site.client.get(f"/ping/{key}/nightly")
    assert site.health("nightly").state is State.UP


REFUSED = [
    ("/ping/{key}/nonesuch", 404, "not found"),
    ("/ping/{key}/nonesuch/start", 404, "not found"),
    ("/ping/{key}/nonesuch?create=0", 404, "not found"),
    ("/ping/{key}/nonesuch?create=true", 404, "not found"),
    ("/ping/wrong-key-wrong-key-22/nightly", 404, "not found"),
    ("/ping/wrong-key-wrong-key-22/nightly/start?create=1", 404, "not found"),
    ("/ping/wrong-key-wrong-key-22/Nightly", 400, "invalid url format"),
    ("/ping/{key}x/nightly", 404, "not found"),
    ("/ping/{key}/Nightly", 400, "invalid url format"),
    ("/ping/{key}/Nightly/start?create=1", 400, "invalid url format"),
    ("/ping/{key}/nightly/256", 400, "invalid url format"),
    ("/ping/{key}/nightly/stop", 404, "not found"),
    ("/ping/{key}/-nightly-?create=1", 404, "not found"),
    ("/ping/{key}/nightly?rid=nonsense", 400, "invalid uuid format"),
    ("/ping/{key}/brand-new?create=1&rid=nonsense", 400, "invalid uuid format"),
]


async def test_a_wrong_ping_by_slug_is_refused_and_makes_nothing(site: Site, key: str) -> None:
    for path, status, text in REFUSED:
        answer = await site.client.get(path.format(key=key))

        assert (answer.status_code, answer.text) == (status, text), path
    assert set(site.engine.roster.monitors) == {"nightly"}
    assert site.engine.reader.beats(MonitorId("nightly")) == []


# --- monitors that a ping makes ----------------------------------------------------------------------


async def test_the_first_ping_makes_a_monitor_where_that_is_asked_for(site: Site, key: str) -> None:
    first = await site.client.get(f"/ping/{key}/new-job/start?create=1&rid={RUN}")
    second = await site.client.get(f"/ping/{key}/new-job?create=1&rid={RUN}")
    third = await site.client.get(f"/ping/{key}/new-job")

    assert (first.status_code, first.text) == (201, "Created")
    assert [(answer.status_code, answer.text) for answer in (second, third)] == [(200, "OK"), (200, "OK")]
    assert site.health("new-job").state is State.UP
    overview = await site.get("/overview")
    assert "new-job" in {item["id"] for item in overview["monitors"]}
    assert site.engine.reader.audit()[0].event == "monitor.made"
    assert site.engine.reader.audit()[0].actor == "ping key ping key"


async def test_a_made_monitor_expects_a_beat_each_day_with_an_hour_of_grace(site: Site, key: str) -> None:
    await site.client.get(f"/ping/{key}/new-job?create=1")

    deadline = site.engine.silences.deadline(MonitorId("new-job"))
    heard = site.engine.reader.beats(MonitorId("new-job"))[0].received_at
    assert deadline is not None
    assert (deadline - heard).total_seconds() == pytest.approx(25 * 3600, abs=1)


async def test_a_made_monitor_outlives_a_restart_with_its_state(world: World) -> None:
    async with world.running() as site:
        key = await new_token(site)
        await site.client.get(f"/ping/{key}/new-job/fail?create=1")
    async with world.running() as site:
        assert site.health("new-job").state is State.FAULT
        assert (await site.client.get(f"/ping/{key}/new-job")).status_code == 200
        assert site.health("new-job").state is State.UP


async def test_pings_at_the_same_time_make_one_monitor(site: Site, key: str) -> None:
    answers = await asyncio.gather(*(site.client.get(f"/ping/{key}/new-job?create=1") for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len(list(site.engine.jobs)) == 1


async def test_the_configuration_takes_the_place_of_a_made_monitor(world: World) -> None:
    async with world.running() as site:
        key = await new_token(site)
        await site.client.get(f"/ping/{key}/later?create=1")
    world.expect_beats("later", every="5m")
    async with world.running() as site:
        assert site.engine.jobs.get(MonitorId("later")) is None
        assert site.engine.roster.monitors[MonitorId("later")].plugin.target == "every 5m, 2 in a row"


async def test_a_made_monitor_and_every_ping_uuid_outlive_a_reload(site: Site, key: str) -> None:
    await site.client.get(f"/ping/{key}/new-job?create=1")
    uuids = {monitor: site.engine.roster.beat_uuid(monitor) for monitor in site.engine.roster.monitors}

    roster = build_roster(site.engine.roster.registry, site.world.settings(), site.engine.reader)
    await site.engine.reload(roster)

    assert {monitor: roster.beat_uuid(monitor) for monitor in roster.monitors} == uuids
    assert uuids.keys() == {"nightly", "new-job"}
    for uuid in uuids.values():
        assert (await site.client.get(f"/ping/{uuid}")).text == "OK"
    assert (await site.client.get(f"/ping/{key}/new-job")).status_code == 200


async def test_every_monitor_has_a_ping_uuid_that_follows_from_nothing_known(
    world: World, tmp_path: Path
) -> None:
    other = make_world(tmp_path / "other")
    other.folder.mkdir()
    other.expect_beats("nightly")
    found = []
    for each in (world, world, other):
        async with each.running() as site:
            found.append(site.engine.roster.beat_uuid(MonitorId("nightly")))

    assert found[0] == found[1] != found[2]


async def test_a_slug_that_fits_several_monitors_is_ambiguous(site: Site, key: str) -> None:
    await site.engine.jobs.make("Weekly Sync", {"every": "7d"}, actor="a test")
    await site.engine.jobs.make("weekly sync", {"every": "7d"}, actor="a test")
    await site.engine.jobs.make("Ünïque name!", {"every": "7d"}, actor="a test")

    one = await site.client.get(f"/ping/{key}/unique-name")
    several = [await site.client.get(f"/ping/{key}/{slug}") for slug in ("weekly-sync", "weekly-sync-2")]

    assert (one.status_code, one.text) == (200, "OK")
    # An id is exact, and comes before all names.
    assert [answer.status_code for answer in several] == [200, 200]
    assert site.health("weekly-sync").state is State.UP


async def test_a_slug_that_is_no_id_and_several_names_is_ambiguous(site: Site, key: str) -> None:
    for _ in range(2):
        made = await site.engine.jobs.make("Twin", {"every": "7d"}, actor="a test")
        await site.engine.jobs.change(replace(made, name="The Twins"), actor="a test")

    answer = await site.client.get(f"/ping/{key}/the-twins")

    assert (answer.status_code, answer.text) == (409, "ambiguous slug")


async def test_of_made_monitors_there_are_only_so_many(site: Site, key: str) -> None:
    site.engine.jobs.most = 2
    answers = [await site.client.get(f"/ping/{key}/job-{number}?create=1") for number in range(3)]

    assert [(answer.status_code, answer.text) for answer in answers] == [
        (201, "Created"), (201, "Created"), (404, "not found"),
    ]  # fmt: skip


# --- keys --------------------------------------------------------------------------------------------


async def test_a_revoked_key_and_one_of_another_scope_open_nothing(site: Site, key: str) -> None:
    reader = await new_token(site, "reader", Scope.READ)
    revoked = await new_token(site, "old key")
    await site.engine.fleet.access.revoke_token("old key", "a test")

    answers = [await site.client.get(f"/ping/{shown}/nightly") for shown in (reader, revoked)]

    assert [(answer.status_code, answer.text) for answer in answers] == [(404, "not found")] * 2


async def test_whoever_guesses_keys_is_slowed_down_and_others_are_not(site: Site, key: str) -> None:
    answers = await asyncio.gather(
        *(site.client.get(f"/ping/guess-{number}/nightly") for number in range(80))
    )

    assert {answer.status_code for answer in answers} == {404, 429}
    assert (await site.client.get(f"/ping/{key}/nightly")).status_code == 200


# --- by id -------------------------------------------------------------------------------------------


@pytest.fixture
def exposed(world: World) -> World:
    """Reachable from elsewhere: what is read there needs a login."""
    world.server = ServerSettings(host="0.0.0.0", port=0, ingest=IngestSettings())
    return world


async def test_an_id_needs_a_token_where_others_can_reach_us(exposed: World) -> None:
    async with exposed.running() as site:
        token = await new_token(site)
        async with httpx.AsyncClient(
            base_url=site.url.replace("0.0.0.0", "127.0.0.1"), trust_env=False
        ) as client:
            bare, unknown = await client.get("/ping/nightly"), await client.get("/ping/nonesuch")
            wrong = await client.get("/ping/nightly", headers=bearer("defib_wrong"))
            good = await client.get("/ping/nightly/start", headers=bearer(token))
            absent = await client.get("/ping/nonesuch", headers=bearer(token))

        assert [answer.status_code for answer in (bare, unknown, wrong)] == [401, 401, 401]
        assert bare.text == unknown.text == wrong.text
        assert "token" in bare.text
        assert (good.status_code, good.text) == (200, "OK")
        assert (absent.status_code, absent.text) == (404, "not found")
        assert newest(site, "nightly") == ("start", None, "")


async def test_an_id_needs_no_token_where_the_operator_says_so(world: World) -> None:
    world.server = ServerSettings(host="0.0.0.0", port=0, ingest=IngestSettings(require_token=False))
    async with world.running() as site:
        url = site.url.replace("0.0.0.0", "127.0.0.1")
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            assert (await client.get("/ping/nightly")).status_code == 200
