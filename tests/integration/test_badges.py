"""Badges against a real server: those of Healthchecks and our own."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx

from defib.model.agent import Scope
from defib.model.beat import Beat, Signal
from defib.model.ids import MonitorId
from defib.model.settings import BadgeAccess, ServerSettings
from defib.ports import PushedMonitor
from defib.web.badges import Badges
from receiver_world import make_world, new_token
from web_world import Site, World

CHECKS = "/api/v3/checks/"


def world_with(folder: Path, access: BadgeAccess) -> World:
    world = make_world(folder, "defib_plugins.healthchecks_api")
    world.server = ServerSettings(port=0, badges=access)
    world.expect_beats("nightly", every="1d")
    world.watch("web", name="Web <shop>", tags=["prod"])
    return world


async def checks(site: Site, **fields: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """A read-write key's header, and a check that was made with it."""
    key = {"X-Api-Key": await new_token(site, "automation", Scope.WRITE)}
    made = await site.client.post(CHECKS, headers=key, json=fields)
    assert made.status_code == 201
    return key, made.json()


def word(answer: httpx.Response) -> str:
    """What a badge says."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml"), answer.text
    return str(ET.fromstring(answer.text).findtext("{http://www.w3.org/2000/svg}title"))


# --- of Healthchecks -------------------------------------------------------------------------------


async def test_the_badge_of_a_check_tells_how_it_is_in_each_format(tmp_path: Path) -> None:
    async with world_with(tmp_path, BadgeAccess.SIGNED).running() as site:
        _, made = await checks(site, name="Weekly Sync", timeout=3600, grace=120)
        two = made["badge_url"]
        three = two.replace("/b/2/", "/b/3/")

        assert two.startswith(f"{site.url}/b/2/")
        assert made["uuid"] not in two
        assert word(await site.client.get(two)) == "Weekly Sync: up"
        await site.client.get(made["ping_url"] + "/fail")
        assert word(await site.client.get(two)) == "Weekly Sync: down"
        assert (await site.client.get(three.replace(".svg", ".json"))).json() == {
            "status": "down", "total": 1, "grace": 0, "down": 1,
        }  # fmt: skip
        assert (await site.client.get(two.replace(".svg", ".shields"))).json() == {
            "schemaVersion": 1, "label": "Weekly Sync", "message": "down", "color": "critical",
        }  # fmt: skip


async def test_what_is_late_is_late_in_three_states_and_up_in_two(tmp_path: Path) -> None:
    async with world_with(tmp_path, BadgeAccess.SIGNED).running() as site:
        key, made = await checks(site, name="job", timeout=60, grace=3600, tags="prod/eu")
        await site.client.get(made["ping_url"])
        now, lately = (
            site.engine.clock.now(),
            timedelta(minutes=30),
        )  # of the hour that it has beyond its time
        health = site.health("job")
        beat = Beat(monitor=health.monitor, signal=Signal.ALIVE, received_at=now - lately, protocol="ping")
        job = site.engine.roster.monitors[health.monitor].plugin
        assert isinstance(job, PushedMonitor)
        memory = job.fold({}, beat).memory
        site.engine.table.amend(replace(health, beats=memory, deadline=now + lately))

        shown = (await site.client.get("/api/v3/badges/", headers=key)).json()["badges"]

        assert list(shown) == ["prod/eu", "*"]
        assert sorted(shown["*"]) == ["json", "json3", "shields", "shields3", "svg", "svg3"]
        assert word(await site.client.get(shown["prod/eu"]["svg"])) == "prod/eu: up"
        assert word(await site.client.get(shown["prod/eu"]["svg3"])) == "prod/eu: late"
        assert word(await site.client.get(shown["*"]["svg3"])) == "status: late"
        assert (await site.client.get(shown["*"]["json3"])).json() == {
            "status": "late", "total": 2, "grace": 1, "down": 0,
        }  # fmt: skip
        assert (await site.client.get(shown["*"]["shields3"])).json()["color"] == "important"
        assert word(await site.client.get(made["badge_url"])) == "job: up"


async def test_a_badge_needs_no_key_and_its_address_cannot_be_guessed(tmp_path: Path) -> None:
    async with world_with(tmp_path, BadgeAccess.SIGNED).running() as site:
        key, made = await checks(site, name="job", tags="prod")
        shown = (await site.client.get("/api/v3/badges/", headers=key)).json()["badges"]
        right = shown["prod"]["svg3"]
        start, signature, _ = right.rsplit("/", 2)

        wrong = [
            f"{start}/{signature}/staging.svg", f"{start}/AAAAAAAA/prod.svg", f"{start}/{signature}-2-2/prod.svg",
            f"{start}/{signature[:4]}/prod.svg", f"{start}/{signature}.svg", right.replace(".svg", ".gif"),
            made["badge_url"].replace("/b/2/", "/b/4/"), f"{site.url}/b/2/{made['uuid']}.svg", f"{site.url}/b/2/.svg",
        ]  # fmt: skip
        assert [(await site.client.get(url)).status_code for url in wrong] == [404] * len(wrong)
        answer = await site.client.get(right)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["cache-control"] == "no-cache, must-revalidate"


async def test_the_badges_stay_where_they_are_over_a_restart(tmp_path: Path) -> None:
    world = world_with(tmp_path, BadgeAccess.SIGNED)
    async with world.running() as site:
        key, made = await checks(site, name="job", tags="prod")
        before = (await site.client.get("/api/v3/badges/", headers=key)).json()["badges"]["prod"]["svg"]
    async with world.running() as site:
        after = (await site.client.get("/api/v3/badges/", headers=key)).json()["badges"]["prod"]["svg"]
        badge = httpx.URL(made["badge_url"]).path
        assert httpx.URL(before).path == httpx.URL(after).path
        assert word(await site.client.get(badge)) == "job: up"


async def test_without_the_switch_there_are_no_badges(tmp_path: Path) -> None:
    world = world_with(tmp_path, BadgeAccess.SIGNED)
    async with world.running() as site:
        key, made = await checks(site, name="job", tags="prod")
        of_tags = (await site.client.get("/api/v3/badges/", headers=key)).json()["badges"]["prod"]["svg"]
    world.server = ServerSettings(port=0)
    async with world.running() as site:
        for url in (
            made["badge_url"],
            of_tags,
            "/badge/all.svg",
            "/badge/monitor/web.svg",
            "/badge/tag/prod.svg",
        ):
            assert (await site.client.get(httpx.URL(url).raw_path.decode())).status_code == 404, url
        assert (await site.client.get("/api/v3/badges/", headers=key)).json() == {"badges": {}}
        assert "badge_url" not in (await site.client.get(f"{CHECKS}{made['uuid']}", headers=key)).json()


# --- our own ---------------------------------------------------------------------------------------


async def test_a_public_badge_tells_the_state_of_a_monitor_of_a_tag_and_of_all(tmp_path: Path) -> None:
    async with world_with(tmp_path, BadgeAccess.PUBLIC).running() as site:
        await site.wait_for("web", "up")
        assert word(await site.client.get("/badge/monitor/web.svg")) == "Web <shop>: up"
        assert word(await site.client.get("/badge/monitor/nightly.svg")) == "nightly: unknown"
        site.world.play("web", ok=False, says="HTTP 500")
        await site.wait_for("web", "fault")

        assert word(await site.client.get("/badge/monitor/web.svg")) == "Web <shop>: down"
        assert word(await site.client.get("/badge/tag/prod.svg")) == "prod: down"
        assert word(await site.client.get("/badge/all.svg")) == "status: down"
        assert (await site.client.get("/badge/all.json")).json() == {
            "status": "down", "total": 2, "degraded": 0, "down": 1,
        }  # fmt: skip
        assert (await site.client.get("/badge/all.txt")).text == "down\n"
        assert (await site.client.get("/badge/all.shields")).json()["color"] == "critical"
        for nothing in ("monitor/db.svg", "tag/other.svg", "all.gif", "monitor/web", "monitor/web.svg.svg"):
            assert (await site.client.get(f"/badge/{nothing}")).status_code == 404, nothing


async def test_a_signed_badge_needs_its_key_and_the_page_of_a_monitor_shows_it(tmp_path: Path) -> None:
    async with world_with(tmp_path, BadgeAccess.SIGNED).running() as site:
        address = Badges(site.engine).address(MonitorId("web"))

        assert word(await site.client.get(address)).startswith("Web <shop>: ")
        key = address.partition("?key=")[2]
        for wrong in ("/badge/monitor/web.svg", "/badge/monitor/web.svg?key=", "/badge/monitor/web.svg?key=é",
                      f"/badge/monitor/nightly.svg?key={key}", f"/badge/all.svg?key={key}"):  # fmt: skip
            assert (await site.client.get(wrong)).status_code == 404, wrong
