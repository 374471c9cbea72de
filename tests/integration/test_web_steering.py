"""What operators make a running engine do over the API."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from defib.model.ids import MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.recovery import CaseState
from defib.web.operations import API
from defib.web.snapshot import Snapshot
from defib.web.steering import Steering
from defib_testkit.waiting import async_wait_until
from web_world import TOKEN, Site, World

BROKEN = {"ok": False, "says": "HTTP 500 in 3 ms", "latency_ms": 3}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, watches=False)
    world.watch("main", name="Main Agent", mode=RecoveryMode.AUTO)
    world.watch("bare")
    world.expect_beats("nightly")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        site.client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield site


async def post(site: Site, path: str, body: Any = None) -> httpx.Response:
    return await site.client.post(f"{API}{path}", json=body)


async def arm(site: Site, mode: str | None, monitor: str | None = None) -> Any:
    response = await site.client.put(f"{API}/recovery", json={"mode": mode, "monitor": monitor})
    assert response.status_code == 200, response.text
    return response.json()


async def audit(site: Site) -> list[tuple[str, str, str]]:
    """Actor, event and subject of each audited step, oldest first."""
    entries = await asyncio.to_thread(site.engine.reader.audit)
    return [(entry.actor, entry.event, entry.subject) for entry in reversed(entries)]


# --- looking -------------------------------------------------------------------------------------------


async def test_a_check_looks_at_once_and_answers_what_was_seen(site: Site) -> None:
    site.world.play("main", says="HTTP 200 in 7 ms", latency_ms=7)

    response = await post(site, "/monitors/main/check")

    assert response.status_code == 200
    seen = response.json()
    assert (seen["state"], seen["last"]["outcome"], seen["last"]["summary"]) == (
        "up",
        "ok",
        "HTTP 200 in 7 ms",
    )
    assert (await site.get("/overview"))["monitors"][-1]["summary"] == "HTTP 200 in 7 ms"


async def test_a_check_through_a_plugin_that_crashes_is_inconclusive(site: Site) -> None:
    site.world.play("main", crash="the password is hunter2")

    response = await post(site, "/monitors/main/check")

    assert response.json()["last"]["outcome"] == "inconclusive"
    assert "hunter2" not in response.text


async def test_there_is_nothing_to_check_on_a_monitor_that_reports_by_itself(site: Site) -> None:
    response = await post(site, "/monitors/nightly/check")

    assert response.status_code == 409
    assert response.json()["detail"] == "nightly reports by itself; there is nothing to look at"


# --- recovery ------------------------------------------------------------------------------------------


def is_watched_after(site: Site, monitor: str) -> bool:
    """Whether a recovery has succeeded, and is in its probation."""
    case = site.engine.recovery.case(MonitorId(monitor))
    return case is not None and case.state is CaseState.PROBATION


async def test_a_recovery_by_hand_runs_the_ladder_and_is_audited(site: Site) -> None:
    site.world.play("main", **BROKEN)
    await site.look("main", 3)  # it was never seen well, so Defib does not act by itself
    await async_wait_until(lambda: site.engine.recovery.is_idle)

    response = await post(site, "/monitors/main/recover")

    assert (response.status_code, response.json()["case"]["actor"]) == (202, "api")
    await async_wait_until(lambda: is_watched_after(site, "main"), 10)
    assert site.health("main").state == "up"
    assert [line[:2] for line in await audit(site)] == [
        ("api", "recovery.asked"), ("api", "recovery.intent"), ("api", "recovery.ended"), ("api", "recovery.verified"),
    ]  # fmt: skip


async def test_who_asks_with_the_token_may_say_who_it_is(site: Site) -> None:
    site.client.headers["Defib-Actor"] = "alice (command line)"

    await site.client.put(f"{API}/strategies", json={"name": "aggressive"})

    assert await audit(site) == [("alice (command line)", "strategy.set", "*")]


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(site: Site) -> None:
    site.world.play("main", **BROKEN)
    await site.look("main", 3)
    await async_wait_until(lambda: site.engine.recovery.is_idle)

    response = await post(site, "/monitors/main/recover", {"dry_run": True, "rung": 1})

    assert response.status_code == 202
    await asyncio.wait_for(site.engine.recovery.wait_idle(), 10)
    assert site.health("main").state == "fault"
    [newest, *_] = (await site.get("/recoveries"))["items"]
    assert (newest["state"], newest["reason"]) == ("aborted", "dry-run: would have run: mend main")


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("/monitors/main/recover", {}, 409, "main is new, not at fault: there is nothing to recover"),
        ("/monitors/bare/recover", {}, 409, "bare has no recovery ladder; give it one under 'recovery:'"),
        ("/monitors/main/recover", {"rung": 2}, 409, "main has rungs 1 to 1; there is no rung 2"),
        (
            "/monitors/nobody/recover",
            {},
            404,
            "there is no monitor 'nobody'; 'defib status' lists them",
        ),
        ("/monitors/nobody/check", {}, 404, "there is no monitor 'nobody'; 'defib status' lists them"),
        (
            "/channels/ops/test",
            {},
            404,
            "there is no channel 'ops'; there are: none; add one under 'channels:'",
        ),
        (
            "/reports",
            {"kind": "yearly"},
            422,
            "there is no report 'yearly'; there are: daily, monthly, weekly",
        ),
        ("/reports", {"date": "2999-01-01"}, 422, None),
    ],
)
async def test_what_cannot_be_done_is_refused_with_the_reason(
    site: Site, path: str, body: Any, status: int, detail: str | None
) -> None:
    response = await post(site, path, body)

    assert (response.status_code, response.json()["status"]) == (status, status)
    if detail is not None:
        assert response.json()["detail"] == detail


# --- strategies ----------------------------------------------------------------------------------------


async def test_a_strategy_is_switched_for_all_that_follow_the_global_one(site: Site) -> None:
    response = await site.client.put(f"{API}/strategies", json={"name": "conservative"})

    found = response.json()
    assert (found["in_force"], found["configured"]) == ("conservative", "normal")
    assert found["monitors"] == {"main": "quick", "bare": "quick", "nightly": "conservative"}
    assert (await site.get("/overview"))["strategy"] == "conservative"


async def test_a_strategy_is_switched_for_one_monitor_and_back_again(site: Site) -> None:
    there = await site.client.put(f"{API}/strategies", json={"name": "aggressive", "monitor": "main"})
    back = await site.client.put(f"{API}/strategies", json={"name": None, "monitor": "main"})

    assert there.json()["monitors"]["main"] == "aggressive"
    assert there.json()["switched"] == {"strategy:main": "aggressive"}
    assert (back.json()["monitors"]["main"], back.json()["switched"]) == ("quick", {})


async def test_a_switched_strategy_survives_a_restart(world: World) -> None:
    async with world.running() as site, site.operator() as operator:
        site.client.headers = operator.headers
        await site.client.put(f"{API}/strategies", json={"name": "aggressive"})

    async with world.running() as site:
        assert (await site.get("/strategies"))["in_force"] == "aggressive"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"name": "reckless"},
         "there is no strategy 'reckless'; there are: aggressive, conservative, normal, quick"),
        ({"name": "normal", "monitor": "nobody"}, "there is no monitor 'nobody'; 'defib status' lists them"),
        ({}, "the body is wrong: name: field required"),
    ],
)  # fmt: skip
async def test_a_strategy_that_does_not_exist_is_refused(site: Site, body: Any, detail: str) -> None:
    response = await site.client.put(f"{API}/strategies", json=body)

    assert (response.status_code, response.json()["detail"]) == (422, detail)


# --- channels and reports ------------------------------------------------------------------------------


async def test_a_test_message_goes_through_the_real_path(world: World) -> None:
    shelf = world.tell("ops")
    world.tell("broken", broken=True)
    async with world.running() as site:
        site.client.headers["Authorization"] = f"Bearer {TOKEN}"
        good = await post(site, "/channels/ops/test")
        bad = await post(site, "/channels/broken/test")

    assert good.json()["accepted"] is True
    assert shelf.read_text().splitlines() == ["Test: this channel works"]
    assert bad.json()["accepted"] is False
    assert bad.json()["detail"].startswith("the shelf is full")


async def test_a_report_is_made_and_stored_and_sent_only_when_asked_to(world: World) -> None:
    shelf = world.tell("ops")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    async with world.running() as site:
        site.client.headers["Authorization"] = f"Bearer {TOKEN}"
        made = await post(site, "/reports", {})
        sent = await post(site, "/reports", {"date": f"{yesterday}", "kind": "daily", "send": True})
        await asyncio.wait_for(site.engine.courier.wait_tried(), 10)
        stored = await site.get(f"/reports/{yesterday}")

    assert (made.status_code, made.json()["id"], made.json()["channels"]) == (
        201, f"report_{yesterday:%Y%m%d}", [],
    )  # fmt: skip
    assert sent.json()["channels"] == ["ops"]
    assert shelf.read_text().splitlines() == [sent.json()["subject"]]
    assert stored


# --- Defib itself --------------------------------------------------------------------------------------


async def test_a_reload_answers_what_is_in_force_now(site: Site) -> None:
    response = await post(site, "/config/reload")

    assert (response.status_code, response.json()) == (200, {"monitors": 3, "warnings": []})


async def test_a_configuration_with_mistakes_is_refused_with_all_of_them(world: World) -> None:
    mistakes = ["defib.yaml:3: monitors[0].url: is missing", "defib.yaml:9: routes: must be a list"]

    async def reload() -> list[str]:
        return mistakes

    world.reload = reload
    async with world.running() as site:
        site.client.headers["Authorization"] = f"Bearer {TOKEN}"
        response = await post(site, "/config/reload")

    problem = response.json()
    assert (response.status_code, problem["mistakes"]) == (422, mistakes)
    assert problem["detail"] == (
        "the configuration has 2 mistakes, so the old one stays in force: "
        "defib.yaml:3: monitors[0].url: is missing"
    )


async def test_a_fresh_login_link_logs_in(site: Site) -> None:
    url = (await post(site, "/login-links")).json()["url"]

    response = await site.client.get(url, headers={"Authorization": ""})

    assert url.startswith("http://127.0.0.1:0/login?key=")
    assert (response.status_code, response.headers["location"]) == (303, "/")


# --- bodies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"{", 400, "the body is no JSON: Expecting property name enclosed in double quotes: "
                    "line 1 column 2 (char 1)"),
        (b"[]", 400, "the body must be a JSON object, such as {}"),
        (b"\xff\xfe\xfd", 400, None),
        (b"[" * 60_000, 400, "the body is no JSON: the JSON is nested too deeply"),
        (b" " * 65_537, 413, "the body is longer than 64 kB"),
        (b'{"name": 7}', 422, "the body is wrong: name: input should be a valid string"),
        (b'{"name": "normal", "force": true}', 422,
         "the body is wrong: force: is not known here; known: name, monitor"),
    ],
)  # fmt: skip
async def test_a_body_that_cannot_be_used_is_refused(
    site: Site, body: bytes, status: int, detail: str | None
) -> None:
    response = await site.client.put(f"{API}/strategies", content=body)

    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    if detail is not None:
        assert response.json()["detail"] == detail


# --- all of it -----------------------------------------------------------------------------------------


async def test_every_command_answers_as_it_is_described_and_nothing_without_the_token(world: World) -> None:
    world.tell("ops")
    async with world.running() as site:
        site.world.play("main", **BROKEN)
        await site.look("main", 3)
        await async_wait_until(lambda: site.engine.recovery.is_idle)
        for operation in Steering(site.services, Snapshot(site.services.views)).operations():
            path = API + operation.path.replace("{id}", "main").replace("{name}", "ops")
            body = {"/recovery": {"mode": "auto"}, "/strategies": {"name": "normal"}}.get(operation.path, {})

            nobody = await site.client.request(operation.method, path, json=body)
            stranger = await site.client.request(
                operation.method, path, json=body, headers={"Authorization": "Bearer wrong"}
            )
            operator = await site.client.request(
                operation.method, path, json=body, headers={"Authorization": f"Bearer {TOKEN}"}
            )

            assert (nobody.status_code, stranger.status_code) == (401, 401)
            assert nobody.headers["www-authenticate"] == 'Bearer realm="Defib"'
            assert operator.status_code == operation.status, operator.text
            TypeAdapter(operation.shape).validate_json(operator.content)
        await asyncio.wait_for(site.engine.recovery.wait_idle(), 10)


# --- whether recovery acts -----------------------------------------------------------------------------


async def test_recovery_is_armed_and_disarmed_at_run_time_and_stays_so(site: Site) -> None:
    before = await site.get("/recovery")
    assert before["monitors"]["main"] == "auto"

    disarmed = await arm(site, "dry-run")
    one = await arm(site, "auto", "main")
    stored = await asyncio.to_thread(site.engine.reader.settings)
    back = await arm(site, None)

    assert (disarmed["monitors"]["main"], disarmed["set"]) == ("dry-run", {"recovery": "dry-run"})
    assert (one["monitors"]["main"], one["set"]) == ("auto", {"recovery": "dry-run", "recovery:main": "auto"})
    assert {"recovery": "dry-run", "recovery:main": "auto"}.items() <= stored.items()
    assert (back["monitors"], back["set"]) == (before["monitors"], {})
    assert [(line[0], line[1], line[2]) for line in await audit(site)] == [
        ("api", "recovery.mode", "*"), ("api", "recovery.mode", "main"), ("api", "recovery.mode", "*"),
    ]  # fmt: skip


async def test_a_disarmed_monitor_is_rehearsed_and_acted_on_once_it_is_armed(site: Site) -> None:
    await arm(site, "dry-run", "main")
    await site.look("main", 1)  # well
    site.world.play("main", **BROKEN)
    await site.look("main", 3)
    await async_wait_until(lambda: site.engine.recovery.is_idle, 15)
    [rehearsal] = (await site.get("/recoveries"))["items"]

    await arm(site, "auto", "main")

    await async_wait_until(lambda: is_watched_after(site, "main"), 15)
    assert rehearsal["dry_run"]
    [told] = rehearsal["tries"]
    assert told["outcome"] == "dry-run"
    assert "mode: dry-run: the action is told, not run" in told["output"]
    assert site.health("main").state == "up"


async def test_a_recovery_that_is_cancelled_does_nothing_more(site: Site) -> None:
    await site.look("main", 1)
    site.world.play("main", **BROKEN)
    await site.look("main", 3)  # it holds, and would act

    response = await post(site, "/monitors/main/recover/cancel")

    await async_wait_until(lambda: site.engine.recovery.is_idle, 10)
    [case] = (await site.get("/recoveries"))["items"]
    assert response.status_code == 202
    assert (case["state"], case["reason"], case["tries"]) == ("aborted", "cancelled by api", [])
    assert ("api", "recovery.cancelled") in [line[:2] for line in await audit(site)]
    again = await post(site, "/monitors/main/recover/cancel")
    assert (again.status_code, again.json()["detail"]) == (
        409, "no recovery of main is at work; there is nothing to cancel",
    )  # fmt: skip
