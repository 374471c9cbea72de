"""Incidents, alerts, silences and maintenance in a real browser: seen, decided by keyboard, and followed live."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from defib.model.ids import MonitorId
from defib.model.settings import ServerSettings
from defib_testkit.ports import free_port
from web_world import Site, World

BROKEN = {"ok": False, "says": "HTTP 500 in 3 ms", "latency_ms": 3}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Main Agent at fault, told through one channel that takes it and one that does not."""
    port = free_port()
    world = World(tmp_path, server=ServerSettings(port=port, public_url=f"http://127.0.0.1:{port}"))
    world.watch("main", name="Main Agent", tags=["agents"])
    world.watch("db", name="Database", tags=["db"])
    world.tell("ops")
    async with world.running() as site:
        await site.look("main")
        world.play("main", **BROKEN)
        await site.look("main", 3)
        yield site


async def is_live(page: Page) -> None:
    await expect(page.locator("#link")).to_have_attribute("data-link", "live", timeout=10_000)


async def test_an_incident_is_seen_to_silenced_and_followed_to_its_end(site: Site, open_page: Any) -> None:
    page = await open_page(site.services.login_url(site.url))
    await page.get_by_role("link", name="Incidents").click()
    await expect(page.locator("h1")).to_have_text("Incidents")
    await expect(page.locator(".stories .end")).to_have_text("nobody has acknowledged it")

    await page.get_by_role("link", name="Main Agent").press("Enter")
    await is_live(page)
    await expect(page.locator(".timeline")).to_contain_text("3 of 3 failures in a row: HTTP 500 in 3 ms")
    await expect(page.locator(".delivery")).to_contain_text("ops delivered", timeout=10_000)

    await page.get_by_role("button", name="Acknowledge …").press("Enter")
    await page.get_by_label("What you are doing").fill("looking at the disk")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#toasts")).to_contain_text("sees to main: no more reminders")
    await expect(page.locator(".subject .acked")).to_contain_text("sees to it", timeout=10_000)
    await expect(page.get_by_role("button", name="Take the acknowledgement back")).to_be_visible(
        timeout=10_000
    )
    await expect(page.locator(".timeline")).to_contain_text("looking at the disk")

    await page.get_by_role("button", name="Silence …").click()
    await page.get_by_label("For how long").select_option("2h")
    await page.get_by_role("button", name="Begin").click()
    await expect(page.locator("#toasts")).to_contain_text("Main Agent: silence has begun")

    site.world.play("main")
    await expect(page.locator(".subject .now")).to_have_text("Over", timeout=10_000)
    await expect(page.locator(".why")).to_contain_text(re.compile(r"It was over at .* recovered by itself"))
    await expect(page.get_by_role("button", name="Silence …")).to_have_count(0)


async def test_a_maintenance_is_planned_begun_and_ended_and_a_monitor_paused(
    site: Site, open_page: Any
) -> None:
    page = await open_page(site.services.login_url(site.url))
    await page.get_by_role("link", name="Silences").click()
    await is_live(page)
    await expect(page.locator(".nothing").first).to_have_text(
        "Everything is looked at, and people are told as ever."
    )

    form = page.locator("#make-window")
    await form.get_by_label("What").select_option("maintenance")
    await form.get_by_label("db", exact=True).check()
    await form.get_by_label("Why").fill("PostgreSQL 17.3")
    await form.get_by_role("button", name="Begin").click()
    row = page.locator(".stories li", has_text="PostgreSQL 17.3")
    await expect(row).to_contain_text("1 monitor", timeout=10_000)
    assert site.health("db").state == "maintenance"

    await row.get_by_role("button", name="End maintenance: PostgreSQL 17.3").click()
    await expect(page.locator("section", has=page.locator("#over-title"))).to_contain_text(
        "ended by", timeout=10_000
    )
    await site.wait_for("db", "up")

    await page.goto(f"{site.url}/monitors/db")
    await is_live(page)
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator(".subject .now")).to_have_text("Paused", timeout=10_000)
    await expect(page.locator(".quiet-for")).to_contain_text("Pause until somebody ends it")
    await page.get_by_role("button", name="Resume").click()
    await expect(page.locator(".subject .now")).to_have_text("Up", timeout=10_000)


async def test_a_silence_is_about_several_things_at_once_and_the_form_says_which(
    site: Site, open_page: Any
) -> None:
    page = await open_page(site.services.login_url(site.url), viewport={"width": 390, "height": 844})
    await page.goto(f"{site.url}/silences")
    await is_live(page)
    form, covered = page.locator("#make-window"), page.locator("#covered")
    await expect(covered).to_have_text("Choose what it is about.")
    await form.get_by_role("button", name="Begin").click()
    await expect(page.locator("#toasts")).to_contain_text("Choose what it is about.")

    await form.get_by_label("agents", exact=True).check()
    await form.get_by_label("Database", exact=True).check()
    await expect(covered).to_have_text("No monitor is all of this: what is chosen has to fit together.")
    await form.get_by_label("agents", exact=True).uncheck()
    await form.get_by_label("Main Agent", exact=True).check()
    await form.get_by_label("low", exact=True).check()
    await form.get_by_label("high", exact=True).check()
    await expect(covered).to_have_text("2 monitors: Database, Main Agent; only alerts that are low or high")
    await form.get_by_label("What").select_option("maintenance")
    await expect(covered).to_have_text("2 monitors: Database, Main Agent")
    await form.get_by_label("What").select_option("silences")
    await form.get_by_label("Why").fill("noise")
    await form.get_by_role("button", name="Begin").click()
    await expect(page.locator(".stories li", has_text="noise")).to_contain_text("2 monitors", timeout=10_000)
    [window] = site.engine.windows.in_force()
    assert (window.matcher.monitors, window.matcher.severity) == ({"main", "db"}, {"low", "high"})

    await form.get_by_role("checkbox", name="Everything").check()
    await form.get_by_label("info", exact=True).check()
    await expect(form.get_by_label("Database", exact=True)).to_be_disabled()
    await form.get_by_role("button", name="Begin").click()
    await expect(page.locator(".stories li")).to_have_count(2, timeout=10_000)
    widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]


async def test_alerts_say_why_and_how_they_went_also_without_javascript(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/alerts", java_script_enabled=False)
    row = page.locator(".told > li", has=page.locator(".delivery")).first
    await expect(row.get_by_role("link")).to_have_text("Main Agent is down")
    await expect(row.locator(".delivery b").first).to_have_text("ops")
    found = site.engine.table[MonitorId("main")].incident
    await expect(row.get_by_role("link")).to_have_attribute("href", f"/incidents/{found}")
    await expect(page.locator("[data-act]")).to_have_count(0)

    await page.goto(f"{site.url}/incidents/inc-of-nobody")
    await expect(page.locator(".message")).to_contain_text("There is no incident “inc-of-nobody”.")


async def test_an_incident_is_acknowledged_from_the_first_page(site: Site, open_page: Any) -> None:
    page = await open_page(site.services.login_url(site.url))
    await is_live(page)
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator(".incident .acked")).to_contain_text("sees to it", timeout=10_000)
    await expect(page.get_by_role("button", name="Acknowledge")).to_be_hidden()
    await page.locator(".incident .for a").click()
    await expect(page.get_by_role("button", name="Take the acknowledgement back")).to_be_visible()
