"""What people decide about alerts, over the API: acknowledge, silence, plan maintenance, pause, try again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from defib.errors import UsageError
from defib.model.alert import DeliveryState
from defib.model.changes import Changes
from defib.model.ids import DeliveryId, IncidentId, MonitorId
from defib.model.window import Matcher
from defib.ports import Desk
from defib.web.desk import DeskOperations
from defib.web.operations import API
from defib.web.snapshot import Snapshot
from defib_testkit.waiting import async_wait_until
from web_world import TOKEN, Site, World

BROKEN = {"ok": False, "says": "HTTP 500 in 3 ms", "latency_ms": 3}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.watch("main", name="Main Agent", tags=["agents"])
    world.watch("chat", tags=["agents", "chat"])
    world.watch("db", tags=["db"])
    world.expect_beats("nightly")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    """Running, with one open incident: of Main Agent."""
    async with world.running() as site:
        site.client.headers.update({"Authorization": f"Bearer {TOKEN}", "Defib-Actor": "kim"})
        world.play("main", **BROKEN)
        await site.look("main", 3)
        yield site


async def ask(site: Site, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
    """The answer, which must be as it is described."""
    response = await site.client.request(method, f"{API}{path}", json=body)
    assert response.status_code == expect, response.text
    return response.json()


async def refused(site: Site, method: str, path: str, body: Any = None) -> tuple[int, str]:
    response = await site.client.request(method, f"{API}{path}", json=body)
    return response.status_code, response.json()["detail"]


async def audited(site: Site, about: str) -> list[tuple[str, str]]:
    """Actor and event of each audited act of a kind, oldest first."""
    entries = await asyncio.to_thread(site.engine.reader.audit)
    return [(entry.actor, entry.event) for entry in reversed(entries) if entry.event.startswith(about)]


def incident(site: Site, monitor: str = "main") -> str:
    found = site.engine.table[MonitorId(monitor)].incident
    assert found is not None
    return found


# --- who sees to it ------------------------------------------------------------------------------------


async def test_an_incident_is_acknowledged_and_that_is_taken_back(site: Site) -> None:
    path = f"/incidents/{incident(site)}/ack"
    acked = await ask(site, "POST", path, {"note": "looking at  the disk"})
    assert acked["said"] == "kim sees to main: no more reminders"
    assert (acked["incident"]["acked_by"], acked["incident"]["ack_note"]) == ("kim", "looking at the disk")
    story = await ask(site, "GET", f"/incidents/{incident(site)}")
    assert any(
        sentence.startswith("kim sees to it since") and sentence.endswith(": looking at the disk.")
        for sentence in story["sentences"]
    )

    back = await ask(site, "DELETE", path)
    assert (back["incident"]["acked_at"], back["incident"]["acked_by"]) == (None, "")
    assert await refused(site, "DELETE", path) == (409, f"nobody has acknowledged {incident(site)}")
    assert await audited(site, "incident.") == [
        ("kim", "incident.acknowledged"), ("kim", "incident.unacknowledged")
    ]  # fmt: skip


async def test_a_monitors_id_stands_for_its_open_incident(site: Site) -> None:
    acked = await ask(site, "POST", "/incidents/main/ack")
    assert acked["incident"]["id"] == incident(site)
    status, why = await refused(site, "POST", "/incidents/db/ack")
    assert (status, why.endswith("it has no open incident")) == (409, True)
    assert (await refused(site, "POST", "/incidents/nobody/ack"))[0] == 404


@pytest.mark.parametrize(
    ("text", "monitors"),
    [
        ("", ["main"]),  # whatever is wrong
        ("main", ["main"]),
        ("AGENT", ["main"]),  # a part of its name
        ("a", ["main", "chat"]),  # what is wrong comes first
        ("main-agent", []),
    ],
)
async def test_people_need_no_ids_to_say_what_they_mean(site: Site, text: str, monitors: list[str]) -> None:
    assert [subject.monitor for subject in await site.engine.desk.meant(text)] == monitors


async def test_a_monitor_is_explained_like_an_incident(site: Site) -> None:
    desk = site.engine.desk
    assert (await desk.explain(MonitorId("chat"))).startswith("chat is ")
    assert "HTTP 500 in 3 ms" in await desk.explain(MonitorId("main"))
    assert "HTTP 500 in 3 ms" in await desk.explain(IncidentId(incident(site)))
    with pytest.raises(UsageError, match="there is no incident or monitor 'nobody'"):
        await desk.explain(MonitorId("nobody"))


async def test_an_incident_that_is_over_cannot_be_acknowledged(site: Site) -> None:
    was = incident(site)
    site.world.play("main")
    await site.wait_for("main", "up")
    status, why = await refused(site, "POST", f"/incidents/{was}/ack")
    assert status == 409
    assert why.startswith(f"{was} is over since ")


async def test_those_that_fell_together_are_acknowledged_together(site: Site) -> None:
    site.world.play("chat", **BROKEN)
    await site.look("chat", 3)
    acked = await ask(site, "POST", "/incidents/chat/ack")
    assert acked["said"] == "kim sees to chat and 1 that fell with it: no more reminders"
    both = [site.engine.reader.incident(IncidentId(incident(site, name))) for name in ("main", "chat")]
    assert [item.acked_by for item in both if item] == ["kim", "kim"]


# --- silences and maintenance --------------------------------------------------------------------------


async def test_a_silence_is_made_listed_and_ended(site: Site) -> None:
    body = {"tags": ["agents"], "severity": ["low"], "for": "2h", "reason": "deploy of 2.4"}
    made = await ask(site, "POST", "/silences", body, expect=201)
    assert (made["kind"], made["phase"], made["covered"]) == ("silence", "active", ["chat", "main"])
    lasts = datetime.fromisoformat(made["ends_at"]) - datetime.fromisoformat(made["starts_at"])
    assert lasts.total_seconds() == pytest.approx(7200, abs=1)
    assert [item["id"] for item in (await ask(site, "GET", "/silences"))["items"]] == [made["id"]]
    assert (await ask(site, "GET", "/maintenance"))["items"] == []
    assert [item["id"] for item in (await ask(site, "GET", "/monitors/chat"))["windows"]] == [made["id"]]

    ended = await ask(site, "DELETE", f"/silences/{made['id']}")
    assert (ended["phase"], ended["ended_by"]) == ("over", "kim")
    assert (await ask(site, "GET", "/silences"))["items"] == []
    assert [item["id"] for item in (await ask(site, "GET", "/silences?over=true"))["items"]] == [made["id"]]
    assert (await refused(site, "DELETE", f"/silences/{made['id']}"))[0] == 404
    assert await audited(site, "silence.") == [("kim", "silence.begin"), ("kim", "silence.end")]


async def test_a_maintenance_puts_monitors_in_that_state_and_ends_by_itself(site: Site) -> None:
    made = await ask(site, "POST", "/maintenance", {"monitors": ["main", "db"], "for": "2s"}, expect=201)
    await site.wait_for("main", "maintenance")
    await site.wait_for("db", "maintenance")
    await site.wait_for("db", "up")
    await site.wait_for("main", "fault")
    assert incident(site), "it goes on with the incident that was open before"
    assert (await refused(site, "DELETE", f"/maintenance/{made['id']}"))[0] == 404


async def test_what_is_planned_is_listed_and_can_be_called_off(site: Site) -> None:
    starts_at = (site.engine.clock.now() + timedelta(hours=3)).isoformat()
    body = {"all": True, "for": "1h", "starts_at": starts_at}
    made = await ask(site, "POST", "/maintenance", body, expect=201)
    assert (made["phase"], made["everything"]) == ("planned", True)
    off = await ask(site, "DELETE", f"/maintenance/{made['id']}")
    assert off["phase"] == "over"


async def test_all_alerts_of_a_severity_may_be_silenced_and_the_only_one_of_a_monitor_ended_by_its_name(
    site: Site,
) -> None:
    every = await ask(site, "POST", "/silences", {"all": True, "severity": ["low"], "for": "1h"}, expect=201)
    assert every["severity"] == ["low"]
    await ask(site, "POST", "/silences", {"monitors": ["db"], "for": "1h"}, expect=201)
    await ask(site, "POST", "/maintenance", {"monitors": ["db"], "for": "1h"}, expect=201)
    assert (await ask(site, "DELETE", "/silences/db"))["phase"] == "over"
    await site.wait_for("db", "maintenance")
    await ask(site, "POST", "/silences", {"monitors": ["db", "main"], "for": "1h"}, expect=201)
    status, why = await refused(site, "DELETE", "/silences/db")
    assert (status, "by its id" in why) == (404, True)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"for": "1h"}, "name the monitors, tags or incidents that it is about; or say --all for everything"),
        ({"all": True, "tags": ["db"], "for": "1h"}, "it cannot be about everything and about something at once; "
         "leave out --all, or what it names"),
        ({"tags": ["db"]}, "a silence needs an end: nobody remembers to end it"),
        ({"tags": ["dbs"], "for": "1h"}, "no monitor has the tag 'dbs'; did you mean 'db'?"),
        ({"tags": ["rack"], "for": "1h"}, "no monitor has the tag 'rack'; there are: agents, chat, db"),
        ({"monitors": ["main", "chat"], "tags": ["db"], "for": "1h"}, "it would be about no monitor: chat, main "
         "without the tag db; what is named has to fit together, so make two of it"),
        ({"monitors": ["mian"], "for": "1h"}, "there is no monitor 'mian'; did you mean 'main'?"),
        ({"monitors": ["nobody"], "for": "1h"}, "there is no monitor 'nobody'; 'defib status' lists them"),
        ({"incidents": ["inc-9"], "for": "1h"}, "there is no incident or monitor 'inc-9'; "
         "'defib status' lists what is wrong"),
        ({"all": True, "until": "2020-01-01T00:00:00Z"}, "that is over since 2020-01-01 00:00; "
         "give it an end that is still to come"),
        ({"all": True, "starts_at": "2100-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"},
         "it would be over before it begins; give it an end that is later"),
        ({"all": True, "for": "500d"}, "the body is wrong: for: must be from 1s to 366d"),
        ({"all": True, "for": "1h", "until": "2030-01-01T00:00:00Z"},
         "the body is wrong: give either 'for' or 'until', not both"),
    ],
)  # fmt: skip
async def test_a_silence_that_makes_no_sense_is_refused(site: Site, body: Any, says: str) -> None:
    assert await refused(site, "POST", "/silences", body) == (422, says)
    assert site.engine.windows.known() == ()


# --- pauses --------------------------------------------------------------------------------------------


async def test_a_monitor_is_paused_and_resumed(site: Site) -> None:
    paused = await ask(site, "POST", "/monitors/db/pause", {"reason": "rebuilt"}, expect=201)
    assert (paused["kind"], paused["ends_at"], paused["reason"]) == ("pause", None, "rebuilt")
    await site.wait_for("db", "paused")
    assert await refused(site, "POST", "/monitors/db/pause") == (409, "db is paused already")
    why = await ask(site, "GET", "/monitors/db/explain")
    assert "Nobody looks at it while that lasts." in why["sentences"]

    resumed = await ask(site, "POST", "/monitors/db/resume")
    assert [item["id"] for item in resumed["items"]] == [paused["id"]]
    await site.wait_for("db", "up")
    assert await refused(site, "POST", "/monitors/db/resume") == (409, "db is not paused")
    assert (await refused(site, "POST", "/monitors/nobody/pause"))[0] == 404


# --- deliveries ----------------------------------------------------------------------------------------


async def test_the_log_of_deliveries_has_each_try_and_a_dead_letter_is_tried_again(world: World) -> None:
    shelf = world.tell("ops", broken=True)
    async with world.running() as site:
        site.client.headers.update({"Authorization": f"Bearer {TOKEN}", "Defib-Actor": "kim"})
        world.play("main", **BROKEN)
        await site.look("main", 3)

        async def newest() -> Any:
            found = (await ask(site, "GET", "/deliveries"))["items"]
            return next((item for item in found if item["monitor"] == "main" and item["log"]), None)

        await async_wait_until(newest, 15, "a first try")
        first = await newest()
        assert (first["channel"], first["title"]) == ("ops", "Main Agent is down")
        assert first["log"][0]["accepted"] is False
        assert first["log"][0]["detail"] == first["error"]
        status, why = await refused(site, "POST", f"/deliveries/{first['id']}/retry")
        assert status == 409, why
        assert (await refused(site, "POST", "/deliveries/none/retry"))[0] == 404

        row = site.engine.reader.delivery(DeliveryId(first["id"]))
        assert row is not None
        await site.engine.writer.commit(Changes(deliveries=(replace(row, state=DeliveryState.DEAD),)))
        dead = await ask(site, "GET", "/deliveries?state=dead")
        assert ([item["id"] for item in dead["items"]], dead["total"]) == ([first["id"]], 1)
        assert (await ask(site, "GET", "/deliveries?state=delivered"))["items"] == []
        again = await ask(site, "POST", f"/deliveries/{first['id']}/retry", expect=202)
        assert again == {"id": first["id"], "state": "pending"}
        assert await audited(site, "delivery.") == [("kim", "delivery.retried")]
        assert not shelf.exists()


# --- the desk itself -----------------------------------------------------------------------------------


async def test_channels_have_the_same_desk(site: Site) -> None:
    desk: Desk = site.engine.desk
    said = await desk.silence(Matcher(monitors=frozenset({MonitorId("db")})), timedelta(hours=1), "lee", "x")
    assert said.startswith("db: silenced for 1h, until ")
    assert [window.made_by for window in site.engine.windows.in_force()] == ["lee"]
    explained = await desk.explain(IncidentId(incident(site)))
    assert explained.splitlines()[-1]
    with pytest.raises(UsageError, match="there is no incident or monitor 'inc-9'"):
        await desk.explain(IncidentId("inc-9"))
    with pytest.raises(UsageError, match="has no recovery ladder"):
        await desk.recover(IncidentId(incident(site)), "lee")
    with pytest.raises(UsageError, match="name the monitors"):
        await desk.silence(Matcher(), timedelta(hours=1), "lee")


async def test_every_act_answers_as_it_is_described_and_nothing_without_the_token(site: Site) -> None:
    site.client.headers.clear()
    bodies = {"/silences": {"all": True, "for": "1h"}, "/maintenance": {"tags": ["db"], "for": "1h"}}
    for operation in DeskOperations(site.services, Snapshot(site.services.views)).operations():
        path = operation.path.replace("/incidents/{id}", "/incidents/main").replace(
            "/monitors/{id}", "/monitors/db"
        )
        if "{id}" in path:
            kept = [
                item
                for item in site.engine.windows.known()
                if f"/{item.kind}" in path or f"/{item.kind}s" in path
            ]
            if not kept:
                continue  # a dead letter takes too long to die
            path = path.replace("{id}", kept[0].id)
        body = bodies.get(operation.path, {}) if operation.method == "POST" else None

        async def request(
            token: str | None, operation: Any = operation, path: str = path, body: Any = body
        ) -> httpx.Response:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return await site.client.request(operation.method, API + path, json=body, headers=headers)

        if operation.steers:
            assert [(await request(token)).status_code for token in (None, "wrong")] == [401, 401]
        answer = await request(TOKEN)
        assert answer.status_code == operation.status, answer.text
        TypeAdapter(operation.shape).validate_json(answer.content)
