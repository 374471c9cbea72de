"""Gatus' external endpoints against a real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from defib.model.agent import Scope
from defib.model.health import State
from defib.model.ids import MonitorId
from receiver_world import bearer, broken_store, make_world, new_token
from web_world import Site, World

PATH = "/api/v1/endpoints/nightly/external"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path, "defib_plugins.gatus_receiver")
    world.expect_beats("nightly")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


async def test_a_result_changes_the_state_and_its_duration_is_a_curve(site: Site) -> None:
    allowed = bearer(await new_token(site))

    bad = await site.client.post(
        PATH, params={"success": "false", "error": "no route", "duration": "1m30.5s"}, headers=allowed
    )
    assert (bad.status_code, bad.text) == (200, "")
    assert site.health("nightly").state is State.FAULT
    beat = site.engine.reader.beats(MonitorId("nightly"))[0]
    assert (beat.protocol, beat.signal, beat.body) == ("gatus", "fail", "no route")
    last = site.health("nightly").last
    assert last is not None
    assert last.evidence.metrics == {"duration_ms": 90_500.0}

    good = await site.client.post(PATH, params={"success": "true", "duration": "10s"}, headers=allowed)
    assert (good.status_code, good.text) == (200, "")
    assert site.health("nightly").state is State.UP


async def test_wrong_requests_are_told_as_text(site: Site) -> None:
    good, read = await new_token(site), await new_token(site, "reader", Scope.READ)
    success = {"success": "true"}
    for path, query, token, status, text in [
        (PATH, success, "", 401, "could not validate credentials"),
        (PATH, success, "wrong", 401, "could not validate credentials"),
        (PATH, success, read, 401, "could not validate credentials"),
        (PATH, {}, good, 400, "invalid success value: it is true or false"),
        (PATH, {"success": "yes"}, good, 400, "invalid success value: it is true or false"),
        (
            PATH,
            {"success": "true", "duration": "10"},
            good,
            400,
            "invalid duration: write for example 250ms or 1m30s",
        ),
        (
            PATH,
            {"success": "true", "duration": "1s!"},
            good,
            400,
            "invalid duration: write for example 250ms or 1m30s",
        ),
        (
            PATH,
            {"success": "true", "duration": "-1s"},
            good,
            400,
            "invalid duration: write for example 250ms or 1m30s",
        ),
        ("/api/v1/endpoints/nonesuch/external", success, good, 404, "not found"),
    ]:
        answer = await site.client.post(path, params=query, headers=bearer(token) if token else {})
        assert (answer.status_code, answer.text) == (status, text), (path, query)
    assert site.engine.reader.beats(MonitorId("nightly")) == []


async def test_only_post_is_taken(site: Site) -> None:
    assert (await site.client.get(PATH, params={"success": "true"})).status_code == 405


async def test_a_result_that_cannot_be_stored_is_to_be_sent_again(world: World, site: Site) -> None:
    allowed = bearer(await new_token(site))
    with broken_store(world):
        answer = await site.client.post(PATH, params={"success": "true"}, headers=allowed)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
