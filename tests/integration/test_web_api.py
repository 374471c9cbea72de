"""What the API answers about a running engine."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from defib.engine.views.read_model import Views
from defib.model.changes import Changes
from defib.model.monitor import RecoveryMode
from defib.plugin import ReportDocument, ReportId
from defib.web import answers
from defib.web.app import create_app
from defib.web.operations import API
from defib.web.reading import Reading
from defib.web.snapshot import Snapshot
from defib_testkit.waiting import async_wait_until
from web_world import Site, World

BROKEN = {"ok": False, "says": "HTTP 500 in 3 ms", "latency_ms": 3}
PNG = b"\x89PNG not really"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An agent at fault, another one that requires it, a database, and a job that reports by itself."""
    world = World(tmp_path)
    world.watch("main", name="Main Agent", tags=["agents"], mode=RecoveryMode.AUTO, works=False)
    world.watch("chat", name="Chat Agent", tags=["agents", "eu"], requires=["main"])
    world.watch("db", name="Database", mode=RecoveryMode.DRY_RUN)
    world.expect_beats("nightly")
    world.tell("ops")
    world.watches = False
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        for monitor in ("main", "chat", "db"):
            await site.look(monitor)
        for monitor in ("main", "chat"):
            world.play(monitor, **BROKEN)
            await site.look(monitor, 3)
        yield site


async def refused(site: Site, path: str) -> dict[str, Any]:
    """The problem with which a path of the API is refused."""
    response = await site.client.get(f"{API}{path}")
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code
    assert {"type", "title", "status", "detail"} <= problem.keys()
    return problem


def a_report() -> ReportDocument:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    return ReportDocument(
        id=ReportId("report_20261120"), name="daily", start=at, end=at + timedelta(days=1), generated_at=at,
        subject="[Defib] Daily report", html='<p style="color:red">hi <img src="cid:chart"></p>', text="hi",
        data='{"date": "2026-11-20"}', csv="a;b\n", images={"chart": PNG},
    )  # fmt: skip


# --- all of it -----------------------------------------------------------------------------------------


async def test_every_answer_is_as_it_is_described(site: Site) -> None:
    await site.engine.writer.commit(Changes(reports=(a_report(),)))
    incident = site.health("main").incident
    places = {"/incidents/{id}": incident, "/reports/{date}": "2026-11-20"}

    for operation in Reading(site.services, Snapshot(site.services.views)).operations():
        path = operation.path.replace("{id}", places.get(operation.path, "main") or "")
        response = await site.client.get(API + path.replace("{date}", "2026-11-20"))

        assert response.status_code == 200, response.text
        TypeAdapter(operation.shape).validate_json(response.content)


async def test_the_overview_tells_everything_worst_first(site: Site) -> None:
    view = await site.get("/overview")

    assert (view["headline"], view["tone"], view["state"]) == ("1 monitor at fault", "bad", "fault")
    assert [(item["id"], item["state"]) for item in view["monitors"]] == [
        ("main", "fault"), ("chat", "unreachable"), ("nightly", "new"), ("db", "up"),
    ]  # fmt: skip
    assert view["counts"] == {"fault": 1, "unreachable": 1, "new": 1, "up": 1}
    assert (view["strategy"], view["strategies"]) == (
        "normal",
        ["aggressive", "conservative", "normal", "quick"],
    )
    assert view["problems"] == []
    main = view["monitors"][0]
    assert main["says"] == main["reason"]
    assert main["reason"].endswith("HTTP 500 in 3 ms")
    assert (main["latency_ms"], main["tags"], len(main["hours"])) == (3.0, ["agents"], 24)


async def test_an_open_incident_says_what_recovery_is_doing(site: Site) -> None:
    async def verifying() -> Any:
        [incident] = (await site.get("/overview"))["incidents"]
        return incident if incident["recovery"]["case"]["state"] == "verifying" else None

    incident = await async_wait_until(verifying, 10)

    assert (incident["monitor"], incident["name"]) == ("main", "Main Agent")
    assert incident["recovery"]["mode"] == "auto"
    assert incident["recovery"]["doing"] == "Ran mend main, attempt 1; looking whether it is well again"
    assert incident["recovery"]["case"]["action"] == "mend main"


async def test_the_overview_comes_compressed_to_those_who_can_read_it(site: Site) -> None:
    plain = await site.client.get(f"{API}/overview", headers={"Accept-Encoding": "identity"})
    short = await site.client.get(f"{API}/overview", headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert short.headers["content-encoding"] == "gzip"
    assert int(short.headers["content-length"]) < len(plain.content) / 2
    answers.Overview.model_validate_json(short.content)


async def test_many_who_ask_at_once_cost_as_much_as_one(world: World) -> None:
    class CountingViews(Views):
        made = 0

        def overview(self) -> dict[str, Any]:
            CountingViews.made += 1
            return super().overview()

    async with world.running() as site:
        snapshot = Snapshot(CountingViews(site.services.views._sources))
        taken = await asyncio.gather(*(snapshot.get() for _ in range(50)))

        assert CountingViews.made == 1
        assert len({id(item.body) for item in taken}) == 1
        snapshot.expire()
        await snapshot.get()
        assert CountingViews.made == 2


async def test_a_number_that_json_lacks_becomes_null(site: Site) -> None:
    site.world.play("db", metrics={"lag": "nan", "size": "inf", "rows": 3})
    await site.look("db")

    assert (await site.get("/monitors/db"))["metrics"] == {"lag": None, "size": None, "rows": 3.0}
    answers.Overview.model_validate_json((await site.client.get(f"{API}/overview")).content)


# --- monitors ------------------------------------------------------------------------------------------


async def test_monitors_come_in_pages(site: Site) -> None:
    page = await site.get("/monitors", limit=2, offset=1)

    assert [item["id"] for item in page["items"]] == ["chat", "nightly"]
    assert (page["total"], page["limit"], page["offset"]) == (4, 2, 1)


async def test_monitors_are_filtered(site: Site) -> None:
    async def found(**wanted: str) -> list[str]:
        page = await site.get("/monitors", **wanted)
        assert page["total"] == len(page["items"])
        return [item["id"] for item in page["items"]]

    assert await found(state="fault") == ["main"]
    assert await found(state="up,new") == ["nightly", "db"]
    assert await found(tag="agents") == ["main", "chat"]
    assert await found(tag="agents", state="unreachable") == ["chat"]
    assert await found(type="heartbeat") == ["nightly"]
    assert await found(tag="nobody") == []


async def test_a_monitor_comes_with_its_story(site: Site) -> None:
    main = await site.get("/monitors/main")

    assert (main["ladder"], main["requires"]) == (["mend main"], [])
    assert main["strategy_detail"]["name"] == "quick"
    assert [item["to"] for item in main["transitions"]] == ["fault", "suspect", "up"]
    assert [item["id"] for item in main["incidents"]] == [main["incident"]]
    assert main["alerts"][0]["title"] == "Main Agent is down"
    assert main["alerts"][0]["deliveries"][0]["channel"] == "ops"
    assert set(main["availability"]) == {"24h", "7d", "30d"}


async def test_history_is_of_a_stretch_of_time_and_comes_in_pages(site: Site) -> None:
    await site.look("db", 2)

    newest = await site.get("/monitors/db/history", limit=2, offset=1)
    before = await site.get("/monitors/db/history", until="2020-01-02T00:00:00+00:00")

    assert (len(newest["items"]), newest["offset"]) == (2, 1)
    assert {(item["status"], item["cause"], item["latency_ms"]) for item in newest["items"]} == {
        ("healthy", None, 12.0)
    }
    assert (before["since"], before["items"]) == ("2020-01-01T00:00:00+00:00", [])


async def test_a_plus_that_was_not_escaped_is_understood(site: Site) -> None:
    response = await site.client.get(f"{API}/monitors/db/history?until=2020-01-02T02:00:00+02:00")

    assert response.json()["until"] == "2020-01-02T02:00:00+02:00"


async def test_explain_says_why_it_is_at_fault_and_what_was_done(site: Site) -> None:
    async def acted() -> Any:
        why = await site.get("/monitors/main/explain")
        return why if "mend main" in why["recovery"]["doing"] else None

    why = await async_wait_until(acted, 10)

    first, well, doing, *told = why["sentences"]
    assert first.startswith("Main Agent is at fault since ")
    assert first.endswith("HTTP 500 in 3 ms.")  # which the newest look showed, too
    assert well == "It is well again after 2 good answers in a row."
    assert "mend main" in doing
    assert told[-1].startswith("“Main Agent is down” went to ops (")


async def test_explain_says_that_an_unreachable_one_waits_for_what_it_requires(site: Site) -> None:
    why = await site.get("/monitors/chat/explain")

    assert why["parents"] == {"main": "fault"}
    assert "It requires main, which is at fault." in why["sentences"]
    assert (
        "Nobody is told and nothing is restarted: what it requires has to be well first." in why["sentences"]
    )


# --- what happened -------------------------------------------------------------------------------------


async def test_incidents_alerts_and_recoveries_come_in_pages(site: Site) -> None:
    recoveries = await site.get("/recoveries")
    incidents = await site.get("/incidents")
    alerts = await site.get("/alerts")
    nothing_left = await site.get("/incidents", offset=5)

    assert [item["monitor"] for item in incidents["items"]] == ["main"]
    assert [item["title"] for item in alerts["items"]] == ["Main Agent is down"]
    assert [item["monitor"] for item in recoveries["items"]] == ["main"]
    assert {page["total"] for page in (incidents, alerts, recoveries)} == {1}
    assert (nothing_left["items"], nothing_left["total"]) == ([], 1)


async def test_an_incident_comes_with_everything_that_was_done_and_told(site: Site) -> None:
    story = await site.get(f"/incidents/{site.health('main').incident}")

    assert (story["monitor"], story["closed_at"], story["healed_by"]) == ("main", None, None)
    assert [alert["title"] for alert in story["alerts"]] == ["Main Agent is down"]
    assert [case["monitor"] for case in story["cases"]] == ["main"]


# --- what there is -------------------------------------------------------------------------------------


async def test_strategies_are_listed_with_who_follows_which(site: Site) -> None:
    found = await site.get("/strategies")

    assert (found["in_force"], found["configured"]) == ("normal", "normal")
    assert [item["name"] for item in found["items"]] == ["aggressive", "conservative", "normal", "quick"]
    assert found["items"][2]["interval"] == "30s"
    assert found["monitors"] == {"main": "quick", "chat": "quick", "db": "quick", "nightly": "normal"}


async def test_plugins_are_listed(site: Site) -> None:
    found = await site.get("/plugins")

    assert {"noun": "beat receiver", "kind": "ping"}.items() <= found["offers"][-1].items()
    assert found["faults"] == []


async def test_a_stored_report_is_had_in_each_form_by_its_day_and_by_its_id(site: Site) -> None:
    await site.engine.writer.commit(Changes(reports=(a_report(),)))
    picture = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    forms = {
        "json": ("application/json", '{"date": "2026-11-20"}'),
        "html": ("text/html; charset=utf-8", f'<p style="color:red">hi <img src="{picture}"></p>'),
        "text": ("text/plain; charset=utf-8", "hi"),
        "csv": ("text/csv; charset=utf-8", "a;b\n"),
    }

    for form, (media_type, text) in forms.items():
        for name in ("2026-11-20", "report_20261120"):
            response = await site.client.get(f"{API}/reports/{name}", params={"format": form})

            assert (response.headers["content-type"], response.text) == (media_type, text)
    titles = await site.get("/reports")
    assert [item["id"] for item in titles["items"]] == ["report_20261120"]


async def test_the_archive_lists_by_name_and_goes_from_one_report_to_the_next_of_its_language(
    site: Site,
) -> None:
    daily = [f"report_202611{day}" for day in (18, 19, 20)]
    ids = [*daily, "report_20261119.tr", "report_20261120.tr", "team-a_20261116"]
    await site.engine.writer.commit(
        Changes(
            reports=tuple(
                replace(a_report(), id=ReportId(id), name="team-a" if id.startswith("team") else "daily",
                        start=datetime.strptime(id.partition("_")[2][:8], "%Y%m%d").replace(tzinfo=UTC))
                for id in ids
            )
        )
    )  # fmt: skip

    async def links(path: str) -> list[str]:
        page = (await site.client.get(path)).text
        return re.findall(r'href="(/reports[^"]*)"', page.partition("<main")[2])

    everything = await links("/reports")
    assert everything[:3] == ["/reports", "/reports?name=daily", "/reports?name=team-a"]
    assert [link for link in everything if "_" in link] == [
        f"/reports/{id}"
        for id in ("report_20261120", "report_20261120.tr", "report_20261119", "report_20261119.tr",
                   "report_20261118", "team-a_20261116")
    ]  # fmt: skip
    assert [link for link in await links("/reports?name=team-a") if "_" in link] == [
        "/reports/team-a_20261116"
    ]
    around = ["/reports?name=daily", "/reports/report_20261118", "/reports/report_20261120"]
    assert (await links("/reports/report_20261119"))[:3] == around
    turkish = await links("/reports/report_20261120.tr")
    assert turkish[:2] == ["/reports?name=daily", "/reports/report_20261119.tr"]
    assert "/reports/report_20261120" not in turkish


async def test_a_report_as_a_page_may_run_nothing(site: Site) -> None:
    await site.engine.writer.commit(Changes(reports=(a_report(),)))

    for path in (f"{API}/reports/2026-11-20?format=html", "/reports/report_20261120/document"):
        policy = (await site.client.get(path)).headers["content-security-policy"]

        assert "sandbox allow-top-navigation-by-user-activation" in policy.split("; ")
        assert "default-src 'none'" in policy
        assert "script-src" not in policy


# --- refusals ------------------------------------------------------------------------------------------


NOBODY = "there is no monitor 'nobody'; 'defib status' lists them"
MISSING = {
    "/monitors/nobody": NOBODY,
    "/monitors/nobody/explain": NOBODY,
    "/monitors/nobody/history": NOBODY,
    "/incidents/nothing": "there is no incident 'nothing'",
    "/reports/2020-01-01": "no report '2020-01-01' is stored; 'defib report --date' makes one, as does "
    "POST /api/v1/reports",
    "/nothing": "there is nothing at /api/v1/nothing; /docs lists what there is",
}


async def test_what_does_not_exist_is_a_404_that_says_what_does(site: Site) -> None:
    for path, detail in MISSING.items():
        problem = await refused(site, path)

        assert (problem["status"], problem["title"], problem["detail"]) == (404, "Not Found", detail)


STATES = "new, up, watch, suspect, degraded, fault, unreachable, stopped, maintenance, paused"
WRONG = [
    ("/monitors?limit=0", "limit", "input should be greater than or equal to 1"),
    ("/monitors?limit=many", "limit",
     "input should be a valid integer, unable to parse string as an integer"),
    ("/monitors?state=up,bad", "state", f"there is no state 'bad'; there are: {STATES}"),
    ("/alerts?page=2", "page", "is not known here; known: limit, offset"),
    ("/reports/2026-11-20?format=pdf", "format", "input should be 'json', 'html', 'text' or 'csv'"),
    ("/monitors/main/history?since=2026-11-20T00:00:00", "since", "input should have timezone info"),
]  # fmt: skip


async def test_a_wrong_question_is_a_422_that_names_each_parameter(site: Site) -> None:
    for path, name, message in WRONG:
        problem = await refused(site, path)

        assert problem["status"] == 422
        assert problem["errors"] == [{"path": name, "message": message}]
        assert problem["detail"] == f"the query string is wrong: {name}: {message}"


async def test_hours_say_what_their_looks_came_to(site: Site) -> None:
    await site.look("db", 2)

    answer = await site.get("/monitors/db/hours")
    problem = await refused(site, "/monitors/db/hours?since=2026-01-01T00:00:00Z&until=2026-11-20T00:00:00Z")
    together = await site.get(
        "/monitors/db/hours", since="2026-01-01T00:00:00Z", until="2026-11-01T00:00:00Z", per=24
    )

    [*_, hour] = answer["items"]
    assert hour["counts"]["healthy"] >= 1
    assert hour["latency_ms"]["p50"] == hour["latency_ms"]["max"] == 12.0
    assert problem["status"] == 422
    assert problem["detail"] == (
        "since must be before until, by 400 days and 5000 items at most; 'per' takes hours together"
    )
    assert together["items"] == []


async def test_history_is_bounded(site: Site) -> None:
    for since in ("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"):
        problem = await refused(site, f"/monitors/main/history?since={since}&until=2026-11-20T00:00:00Z")

        assert problem["status"] == 422
        assert problem["detail"] == "since must be before until, by 31 days at most"


async def test_a_method_that_is_not_possible_is_answered_with_those_that_are(site: Site) -> None:
    response = await site.client.delete(f"{API}/strategies")

    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT"}
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_store_that_cannot_be_read_is_a_503_for_programs_and_a_page_for_people(site: Site) -> None:
    site.engine.reader._database.engine.dispose()
    place = site.world.folder / "defib.db"
    place.rename(place.with_suffix(".away"))
    place.mkdir()
    try:
        program = await site.client.get(f"{API}/incidents")
        person = await site.client.get("/reports", headers={"Accept": "text/html"})
    finally:
        place.rmdir()
        place.with_suffix(".away").rename(place)
        site.engine.reader._database.engine.dispose()

    assert (program.status_code, program.headers["retry-after"]) == (503, "2")
    assert program.json()["detail"].startswith(
        f"{place}: unable to open database file; check that the folder"
    )
    assert (person.status_code, person.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "unable to open database file" in person.text


async def test_a_crash_is_a_500_that_tells_nothing(world: World) -> None:
    class BrokenViews(Views):
        def overview(self) -> dict[str, Any]:
            raise ArithmeticError("the password is hunter2")

    async with world.running() as site:
        broken = create_app(replace(site.services, views=BrokenViews(lambda: pytest.fail("not asked"))))
        transport = httpx.ASGITransport(broken, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            response = await client.get(f"{API}/overview")

    assert response.status_code == 500
    assert response.json()["detail"] == "this should not happen; the log of Defib says more"
    assert "hunter2" not in response.text
