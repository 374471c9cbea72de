"""The management API of Healthchecks against a real server."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from defib.model.agent import Scope
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.window import Matcher, WindowKind
from receiver_world import make_world, new_token
from web_world import Site, World

CHECKS = "/api/v3/checks/"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path, "defib_plugins.healthchecks_api")
    world.expect_beats("nightly", every="1d")
    world.tell("mail")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@pytest.fixture
async def api(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a read-write key."""
    key = await new_token(site, "automation", Scope.WRITE)
    assert len(key) == 32
    async with httpx.AsyncClient(base_url=site.url, headers={"X-Api-Key": key}, trust_env=False) as client:
        yield client


async def make(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(CHECKS, json=fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


# --- keys ------------------------------------------------------------------------------------------


async def test_a_key_is_needed_and_a_reader_changes_nothing(site: Site) -> None:
    reader = {"X-Api-Key": await new_token(site, "dashboard", Scope.READ)}
    ingest = {"X-Api-Key": await new_token(site, "jobs", Scope.INGEST)}

    missing = await site.client.get(CHECKS)
    wrong = await site.client.get(CHECKS, headers={"X-Api-Key": "X" * 32})
    of_jobs = await site.client.get(CHECKS, headers=ingest)
    writing = await site.client.post(CHECKS, headers=reader, json={"name": "x"})
    reading = await site.client.get(CHECKS, headers=reader)

    assert (missing.status_code, missing.json()) == (401, {"error": "missing api key"})
    for answer in (wrong, of_jobs, writing):
        assert (answer.status_code, answer.json()) == (401, {"error": "wrong api key"})
    [check] = reading.json()["checks"]
    assert re.fullmatch(r"[0-9a-f]{40}", check["unique_key"])
    assert not {"uuid", "ping_url", "update_url", "pause_url", "resume_url", "channels"} & check.keys()
    assert (await site.client.get(f"{CHECKS}{check['unique_key']}", headers=reader)).json() == check


async def test_who_guesses_keys_is_told_to_wait_and_who_has_one_is_not(
    site: Site, api: httpx.AsyncClient
) -> None:
    guesses = [await site.client.get(CHECKS, headers={"X-Api-Key": f"{number:032}"}) for number in range(40)]

    assert [answer.status_code for answer in guesses[:30]] == [401] * 30
    assert guesses[-1].status_code == 429
    assert int(guesses[-1].headers["retry-after"]) >= 1
    assert guesses[-1].json() == {"error": "too many requests; try again later"}
    assert (await api.get(CHECKS)).status_code == 200


async def test_a_key_may_stand_in_the_body_of_a_post(site: Site) -> None:
    key = await new_token(site, "automation", Scope.WRITE)

    answer = await site.client.post(CHECKS, json={"api_key": key, "name": "Sync"})

    assert (answer.status_code, answer.json()["name"]) == (201, "Sync")


async def test_browsers_may_ask_from_elsewhere(site: Site, api: httpx.AsyncClient) -> None:
    asked = await site.client.options(CHECKS)

    assert (asked.status_code, asked.text) == (204, "")
    assert asked.headers["access-control-allow-headers"] == "X-Api-Key"
    assert (await api.get(CHECKS)).headers["access-control-allow-origin"] == "*"
    assert (await api.put(CHECKS)).status_code == 405


async def test_our_own_api_stays_where_it_is(site: Site, api: httpx.AsyncClient) -> None:
    assert (await site.client.get("/api/v1/channels")).status_code == 404
    channels = (await api.get("/api/v1/channels")).json()["channels"]
    assert [(item["name"], item["kind"]) for item in channels] == [("mail", "shelf")]
    assert (await site.client.get("/api/v3/status/")).text == "OK"


# --- checks ----------------------------------------------------------------------------------------


async def test_a_check_is_made_pinged_and_shown(site: Site, api: httpx.AsyncClient) -> None:
    made = await make(api, name="Weekly Sync!", tags="prod db", desc="copies all", timeout=3600, grace=120)
    uuid = made["uuid"]

    assert made == {
        "name": "Weekly Sync!", "slug": "weekly-sync", "tags": "db prod", "desc": "copies all", "grace": 120,
        "n_pings": 0, "status": "new", "started": False, "last_ping": None, "next_ping": None, "manual_resume": False,
        "methods": "", "subject": "", "subject_fail": "", "start_kw": "", "success_kw": "", "failure_kw": "",
        "filter_subject": False, "filter_body": False, "filter_http_body": False, "filter_default_fail": False,
        "timeout": 3600, "uuid": uuid, "ping_url": f"{site.url}/ping/{uuid}",
        "update_url": f"{site.url}/api/v3/checks/{uuid}", "pause_url": f"{site.url}/api/v3/checks/{uuid}/pause",
        "resume_url": f"{site.url}/api/v3/checks/{uuid}/resume", "channels": "",
    }  # fmt: skip

    assert (await site.client.get(made["ping_url"])).text == "OK"
    await site.client.get(made["ping_url"] + "/start")
    found = (await api.get(f"{CHECKS}{uuid}")).json()
    assert (found["status"], found["started"], found["n_pings"]) == ("up", True, 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["last_ping"])
    assert (await api.get(f"/api/v1/checks/{uuid}")).json()["status"] == "started"
    await site.client.get(made["ping_url"] + "/fail")
    found = (await api.get(f"{CHECKS}{uuid}/")).json()
    assert (found["status"], found["started"], found["n_pings"]) == ("down", False, 3)


async def test_a_heartbeat_without_a_grace_is_due_after_its_interval(
    site: Site, api: httpx.AsyncClient
) -> None:
    await site.client.get("/ping/nightly")

    [found] = (await api.get(CHECKS)).json()["checks"]
    last, due = datetime.fromisoformat(found["last_ping"]), datetime.fromisoformat(found["next_ping"])
    assert abs(due - last - timedelta(days=1)) <= timedelta(seconds=1)


async def test_a_check_follows_a_cron_expression_or_a_calendar(api: httpx.AsyncClient) -> None:
    cron = await make(api, name="a", schedule="15 2 * * *", tz="Europe/Riga", grace=600)
    calendar = await make(api, name="b", schedule="Mon..Fri 02:15")

    assert (cron["schedule"], cron["tz"], cron["grace"]) == ("15 2 * * *", "Europe/Riga", 600)
    assert (calendar["schedule"], calendar["tz"]) == ("Mon..Fri 02:15", "UTC")
    assert "timeout" not in cron


async def test_the_configuration_is_shown_and_not_changed(site: Site, api: httpx.AsyncClient) -> None:
    [check] = (await api.get(CHECKS)).json()["checks"]
    assert (check["slug"], check["timeout"], check["status"]) == ("nightly", 86400, "new")
    await site.client.get(check["ping_url"])
    assert site.health("nightly").state is State.UP

    for answer in (
        await api.post(check["update_url"], json={"name": "x"}),
        await api.delete(check["update_url"]),
    ):
        assert (answer.status_code, answer.json()) == (
            403, {"error": "nightly is in the configuration; change it there"},
        )  # fmt: skip


async def test_checks_are_found_by_tags_and_slug(api: httpx.AsyncClient) -> None:
    await make(api, name="one", tags="prod db")
    await make(api, name="two", tags="prod")

    async def names(**query: Any) -> list[str]:
        return [check["name"] for check in (await api.get(CHECKS, params=query)).json()["checks"]]

    assert await names() == ["nightly", "one", "two"]
    assert await names(tag="prod") == ["one", "two"]
    assert await names(tag=["prod", "db"]) == ["one"]
    assert await names(slug="two") == ["two"]


async def test_an_update_changes_what_it_names_and_nothing_else(site: Site, api: httpx.AsyncClient) -> None:
    made = await make(api, name="job", tags="a", timeout=3600, grace=60)
    await site.client.get(made["ping_url"])

    after = (await api.post(made["update_url"], json={"timeout": 7200, "methods": "POST"})).json()

    assert (after["name"], after["tags"], after["timeout"], after["grace"], after["methods"], after["status"]) == (
        "job", "a", 7200, 60, "POST", "up",
    )  # fmt: skip
    deadline = site.engine.silences.deadline(MonitorId("job"))
    heard = site.health("job").last_ok_at
    assert deadline is not None
    assert heard is not None
    assert (deadline - heard).total_seconds() == pytest.approx(7260, abs=1)


async def test_words_in_the_body_can_be_set(site: Site, api: httpx.AsyncClient) -> None:
    made = await make(api, name="job", filter_http_body=True, success_kw="DONE, OK", filter_default_fail=True)

    await site.client.post(made["ping_url"], content=b"oh no")

    assert (made["success_kw"], made["filter_default_fail"]) == ("DONE,OK", True)
    assert site.health("job").state is State.FAULT


async def test_a_check_that_must_be_unique_is_updated(api: httpx.AsyncClient) -> None:
    first = await api.post(CHECKS, json={"name": "job", "timeout": 3600, "unique": ["name"]})
    second = await api.post(CHECKS, json={"name": "job", "timeout": 7200, "unique": ["name"]})
    third = await api.post(CHECKS, json={"name": "job", "timeout": 60, "unique": ["name", "timeout"]})

    assert [answer.status_code for answer in (first, second, third)] == [201, 200, 201]
    assert second.json()["uuid"] == first.json()["uuid"]
    assert second.json()["timeout"] == 7200


async def test_a_deleted_check_is_gone_and_answers_once_more(site: Site, api: httpx.AsyncClient) -> None:
    made = await make(api, name="job")

    gone = await api.delete(made["update_url"])

    assert (gone.status_code, gone.json()["name"]) == (200, "job")
    assert (await api.get(made["update_url"])).status_code == 404
    assert (await site.client.get(made["ping_url"])).status_code == 404
    assert (await make(api, name="job"))["uuid"] != made["uuid"]


async def test_the_incident_of_a_deleted_check_is_closed(site: Site, api: httpx.AsyncClient) -> None:
    made = await make(api, name="job")
    await site.client.get(made["ping_url"] + "/fail")
    [incident] = site.engine.reader.incidents(only_open=True)

    await api.delete(made["update_url"])

    closed = site.engine.reader.incident(incident.id)
    assert closed is not None
    assert (closed.closed_at is not None, closed.resolution) == (True, "the monitor was removed")
    assert site.engine.reader.incidents(only_open=True) == []
    shown = await site.client.get(f"/api/v1/incidents/{incident.id}")
    assert (shown.status_code, shown.json()["closed_at"] is not None) == (200, True)


async def test_a_paused_check_is_expected_no_more_until_its_next_ping(
    site: Site, api: httpx.AsyncClient
) -> None:
    made = await make(api, name="job", timeout=60, grace=60)
    early = await api.post(made["resume_url"])
    assert (early.status_code, early.json()) == (409, {"error": "check is not paused"})
    await site.client.get(made["ping_url"])

    for _ in range(2):
        paused = await api.post(made["pause_url"])
        told = paused.json()
        assert (paused.status_code, told["status"], told["next_ping"]) == (200, "paused", None)
    assert site.health("job").state is State.PAUSED
    await site.client.get(made["ping_url"])
    await site.wait_for("job", "up")

    assert (await api.get(made["update_url"])).json()["status"] == "up"
    await api.post(f"/api/v1/checks/{made['uuid']}/pause/")
    resumed = (await api.post(f"/api/v2/checks/{made['uuid']}/resume")).json()
    assert (resumed["status"], resumed["last_ping"], resumed["started"]) == ("new", None, False)


async def test_with_manual_resume_pings_of_a_paused_check_are_logged_as_ignored(
    site: Site, api: httpx.AsyncClient
) -> None:
    made = await make(api, name="job", manual_resume=True)
    await site.client.get(made["ping_url"])
    await api.post(made["pause_url"])

    assert made["manual_resume"] is True
    assert (await site.client.get(made["ping_url"])).text == "OK"
    assert (await api.get(made["update_url"])).json()["status"] == "paused"
    pings = (await api.get(f"{made['update_url']}/pings")).json()["pings"]
    assert [item["type"] for item in pings] == ["ign", "success"]
    assert (await api.post(made["resume_url"])).json()["status"] == "new"
    await site.client.get(made["ping_url"])
    assert (await api.get(made["update_url"])).json()["status"] == "up"


async def test_a_check_that_is_paused_together_with_others_is_not_resumed_alone(
    site: Site, api: httpx.AsyncClient
) -> None:
    made = await make(api, name="job")
    windows = site.engine.windows
    both = Matcher(monitors=frozenset({MonitorId("job"), MonitorId("nightly")}))
    pause = await windows.begin(
        windows.new(WindowKind.PAUSE, both, until=None, reason="", actor="alice"), "alice"
    )

    answer = await api.post(made["resume_url"])

    assert (answer.status_code, answer.json()) == (
        409, {"error": f"job is paused together with others; end {pause.id} to resume them all"},
    )  # fmt: skip


# --- history ---------------------------------------------------------------------------------------


async def test_pings_their_bodies_and_flips_are_told(site: Site, api: httpx.AsyncClient) -> None:
    made = await make(api, name="job")
    url = made["ping_url"]
    await site.client.get(
        f"{url}/start?rid=7c9e6679-7425-40de-944b-e07fc1f90ae7", headers={"User-Agent": "curl/8"}
    )
    await site.client.post(f"{url}/log", content=b"half way")
    await site.client.post(f"{url}/3", content="disk füll".encode())
    await site.client.get(url)

    pings = (await api.get(f"{made['update_url']}/pings")).json()["pings"]
    assert [(item["n"], item["type"], item["method"]) for item in pings] == [
        (4, "success", "GET"), (3, "fail", "POST"), (2, "log", "POST"), (1, "start", "GET"),
    ]  # fmt: skip
    assert (pings[3]["rid"], pings[3]["ua"]) == ("7c9e6679-7425-40de-944b-e07fc1f90ae7", "curl/8")
    assert pings[0]["body_url"] is None
    assert (await api.get(pings[1]["body_url"])).text == "disk füll"
    assert (await api.get(f"{made['update_url']}/pings/4/body")).status_code == 404
    assert (await api.get(f"{made['update_url']}/pings/99/body")).status_code == 404
    flips = (await api.get(f"{made['update_url']}/flips/")).json()
    assert [item["up"] for item in flips] == [0, 1]
    assert (await api.get(f"{made['update_url']}/flips", params={"seconds": 3600})).json() == flips
    assert (await api.get(f"{made['update_url']}/flips", params={"end": 1000})).json() == []
    assert (await api.get(f"{made['update_url']}/flips", params={"seconds": "x"})).status_code == 400


# --- what is wrong ---------------------------------------------------------------------------------


WRONG = [
    ({"timeout": 59}, "json validation error: timeout is too small"),
    ({"timeout": 31_536_001}, "json validation error: timeout is too large"),
    ({"timeout": "60"}, "json validation error: timeout is not a number"),
    ({"timeout": True}, "json validation error: timeout is not a number"),
    ({"grace": None}, "json validation error: grace is not a number"),
    ({"name": None}, "json validation error: name is not a string"),
    ({"name": "x" * 101}, "json validation error: name is too long"),
    ({"slug": "No Slug"}, "json validation error: slug does not match pattern"),
    ({"tags": 5}, "json validation error: tags is not a string"),
    ({"tz": "Europe/Nowhere"}, "json validation error: tz is not a valid timezone"),
    ({"tz": "../../etc/passwd"}, "json validation error: tz is not a valid timezone"),
    ({"methods": "PUT"}, "json validation error: methods has unexpected value"),
    ({"unique": "name"}, "json validation error: unique is not an array"),
    ({"unique": ["uuid"]}, "json validation error: unique has unexpected value"),
    ({"filter_http_body": 1}, "json validation error: filter_http_body is not a boolean"),
    ([], "json validation error: value is not an object"),
]


async def test_a_wrong_field_is_named_and_nothing_is_made(site: Site, api: httpx.AsyncClient) -> None:
    for fields, error in WRONG:
        answer = await api.post(CHECKS, json=fields)
        assert (answer.status_code, answer.json()) == (400, {"error": error}), fields
    for schedule in ("61 * * * *", "not a schedule", "0 0 30 2 *"):
        answer = await api.post(CHECKS, json={"schedule": schedule})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("json validation error: schedule is not valid"), schedule
    for raw in (b"{", b"\xff", b'{"timeout": NaN}'):
        answer = await api.post(CHECKS, content=raw)
        assert (answer.status_code, answer.json()) == (400, {"error": "could not parse request body"})
    assert (await api.post(CHECKS, content=b"x" * 70_000)).status_code == 413
    assert list(site.engine.jobs) == []


async def test_an_unknown_check_is_not_found(api: httpx.AsyncClient) -> None:
    for answer in (
        await api.get(f"{CHECKS}{UNKNOWN}"), await api.post(f"{CHECKS}{UNKNOWN}", json={}),
        await api.delete(f"{CHECKS}{UNKNOWN}"), await api.post(f"{CHECKS}{UNKNOWN}/pause"),
        await api.get(f"{CHECKS}{UNKNOWN}/pings"), await api.get(f"{CHECKS}{UNKNOWN}/flips"),
    ):  # fmt: skip
        assert (answer.status_code, answer.json()) == (404, {"error": "not found"})


async def test_a_check_that_cannot_be_stored_is_to_be_made_again(
    world: World, site: Site, api: httpx.AsyncClient
) -> None:
    with closing(sqlite3.connect(world.folder / "defib.db")) as connection, connection:
        connection.execute("ALTER TABLE made_monitor RENAME TO gone")
    answer = await api.post(CHECKS, json={"name": "job"})

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "job" not in site.engine.roster.monitors
