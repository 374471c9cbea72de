"""The pages in a real browser: alive, steerable, usable by keyboard and by screen reader."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

import web_tables
from defib.model.monitor import RecoveryMode
from defib.model.settings import ServerSettings
from defib_testkit.ports import free_port
from defib_testkit.waiting import async_wait_until
from web_world import Site, World

BROKEN = {"ok": False, "says": "HTTP 500 in 3 ms", "latency_ms": 3}
SLOW = {"degraded": True, "says": "HTTP 200 in 2430 ms, slower than 2 s", "latency_ms": 2430}
NASTY = '<img src=x onerror="document.title=1">'
SIZES = {"phone": (390, 844), "desk": (1280, 800), "wall": (1920, 1080)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An agent that can be mended, one without recovery, a slow one, and a job."""
    port = free_port()
    world = World(tmp_path, server=ServerSettings(port=port, public_url=f"http://127.0.0.1:{port}"))
    world.watch("main", name="Main Agent", tags=["agents", "prod"], mode=RecoveryMode.DRY_RUN)
    world.watch("chat", name="Chat Agent", tags=["agents"])
    world.watch("slow", name=f"Slow {NASTY}", tags=["db"])
    world.play("slow", **SLOW)
    world.expect_beats("nightly")
    world.tell("ops")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    """All of it running, Main Agent at fault."""
    async with world.running() as site:
        await site.look("main")
        await site.look("chat")
        await site.look("slow", 3)
        world.play("main", **BROKEN)
        await site.look("main", 3)
        yield site


async def is_live(page: Page) -> None:
    await expect(page.locator("#link")).to_have_attribute("data-link", "live", timeout=10_000)


def names(page: Page) -> Any:
    """The names in the list of monitors, as far as they are shown."""
    return page.locator("#monitors .monitor:visible .name a")


# --- what is shown -------------------------------------------------------------------------------------


async def test_without_javascript_everything_is_there(site: Site, open_page: Any) -> None:
    page = await open_page(site.url, java_script_enabled=False)

    await expect(page.locator("h1")).to_have_text("1 monitor at fault")
    await expect(names(page)).to_have_text(["Main Agent", f"Slow {NASTY}", "nightly", "Chat Agent"])
    await expect(page.locator(".incident h3")).to_have_text("Main Agent")
    await expect(page.locator(".incident .summary")).to_have_text("HTTP 500 in 3 ms")
    await expect(page.locator(".alert .title").first).to_have_text("Main Agent is down")
    await expect(page.locator("#filter")).to_be_hidden()
    assert '<meta http-equiv="refresh" content="30">' in await page.content()


async def test_the_browser_draws_what_the_server_drew(site: Site, open_page: Any) -> None:
    still = await open_page(site.url, java_script_enabled=False)
    live = await open_page(site.url)
    await is_live(live)
    # every row anew from the blank ones, none as the server made it
    await live.evaluate(
        "for (const id of ['monitors', 'alerts']) document.getElementById(id).replaceChildren()"
    )
    await live.evaluate("document.querySelector('#incidents ul').replaceChildren()")
    await expect(names(live)).to_have_count(4, timeout=10_000)

    for selector in ("#monitors", "#incidents ul", "#alerts"):
        assert _plain(await live.inner_html(selector)) == _plain(await still.inner_html(selector))


def _plain(html: str) -> str:
    """Markup without what may differ: white space, times and the newest points of lines."""
    html = re.sub(r"<time([^>]*)>[^<]*</time>", "<time>", html)
    html = re.sub(r'points="[^"]*"', "points", html)
    html = re.sub(r"\s*/?>\s*", ">", html)
    return re.sub(r"\s*<\s*|\s+", lambda match: "<" if "<" in match[0] else " ", html)


async def test_words_and_pictures_are_the_servers_in_the_browser_too(site: Site, open_page: Any) -> None:
    page = await open_page(site.url)
    folder = (await page.get_attribute("script[type=module]", "src")).rpartition("/")[0]

    async def call(module: str, name: str, value: Any) -> Any:
        script = "async ([url, name, value]) => (await import(url))[name](value)"
        return await page.evaluate(script, [f"{folder}/{module}", name, value])

    for name, table in (("span", web_tables.SPANS), ("ago", web_tables.AGO), ("ahead", web_tables.AHEAD),
                        ("latency", web_tables.LATENCIES), ("deliveries", web_tables.DELIVERIES)):  # fmt: skip
        assert [await call("words.js", name, value) for value, _ in table] == [text for _, text in table]
    for name, table in (("line", web_tables.LINES), ("day", web_tables.DAYS)):
        assert [await call("drawing.js", name, value) for value, _ in table] == [text for _, text in table]
    assert await call("drawing.js", "cells", ["ok", "bad", "ok", "none"]) == [
        ["ok", "M0 0h.78v1h-.78zM2 0h.78v1h-.78z"], ["some", ""], ["bad", "M1 0h.78v1h-.78z"],
        ["none", "M3 0h.78v1h-.78z"],
    ]  # fmt: skip


async def test_nothing_to_watch_says_how_to_begin(tmp_path: Path, open_page: Any) -> None:
    async with World(tmp_path).running() as site:
        page = await open_page(site.url)

        await expect(page.locator("h1")).to_have_text("Nothing to watch yet")
        await expect(page.locator(".empty")).to_contain_text("defib init --discover")
        await expect(page.locator("#columns")).to_be_hidden()
        await is_live(page)
        await page.context.close()


# --- it lives ------------------------------------------------------------------------------------------


async def test_the_page_follows_a_fault_and_its_end_by_itself(site: Site, open_page: Any) -> None:
    page = await open_page(site.url)
    await is_live(page)
    announcer = page.locator("#announcer")

    site.world.play("chat", **BROKEN)
    await expect(page.locator("h1")).to_have_text("2 monitors at fault", timeout=10_000)
    await expect(page).to_have_title("(2) 2 monitors at fault · Defib")
    await expect(announcer).to_have_text("Chat Agent is at fault.")
    await expect(page.locator(".incident h3")).to_have_text(["Main Agent"])  # they share a tag: one story
    await expect(page.locator(".incident .with")).to_have_text("and with it Chat Agent")
    await expect(page.locator('[data-id="chat"] .word b')).to_have_text("At fault")

    site.world.play("chat")
    await expect(page.locator("h1")).to_have_text("1 monitor at fault", timeout=10_000)
    await expect(announcer).to_have_text("Chat Agent is up.")
    await expect(page.locator(".incident")).to_have_count(1)
    await expect(page.locator(".incident .with")).to_be_hidden()
    await expect(page.locator(".alert .title").first).to_have_text("Chat Agent has recovered")


async def test_a_lost_connection_is_said_and_found_again(world: World, open_page: Any) -> None:
    async with world.running() as site:
        await site.wait_for("chat", "up")
        page = await open_page(site.url)
        await is_live(page)
    await expect(page.locator("#lost")).to_be_visible(timeout=10_000)
    await expect(page.locator("#lost")).to_contain_text("Connection lost.")
    await expect(page.locator("#link")).to_have_text("Connection lost")

    world.play("chat", **BROKEN)
    async with world.running() as site:
        await is_live(page)
        await expect(page.locator("#lost")).to_be_hidden()
        await expect(page.locator('[data-id="chat"] .word b')).to_have_text("At fault", timeout=10_000)
        await page.context.close()


async def test_where_websockets_do_not_pass_the_page_asks_instead(site: Site, open_page: Any) -> None:
    async def without_websockets(context: BrowserContext) -> None:
        await context.route_web_socket(re.compile("/api/v1/events"), lambda socket: socket.close())

    page = await open_page(site.url, ready=without_websockets)

    await expect(page.locator("#link")).to_have_text("Live, by asking each 5 s", timeout=10_000)
    site.world.play("chat", **BROKEN)
    await expect(page.locator("h1")).to_have_text("2 monitors at fault", timeout=15_000)
    await expect(page.locator("#lost")).to_be_hidden()


async def test_a_page_in_the_background_costs_nothing_and_catches_up(site: Site, open_page: Any) -> None:
    asked: list[str] = []
    page = await open_page(site.url)
    await is_live(page)
    page.on("request", lambda request: asked.append(request.url))
    hide = "value => { Object.defineProperty(document, 'hidden', {value, configurable: true}); }"

    await page.evaluate(hide, True)
    site.world.play("chat", **BROKEN)
    await site.wait_for("chat", "fault")
    await asyncio.sleep(1.5)  # in which it would have asked
    asked_while_hidden = len(asked)
    await page.evaluate(hide, False)
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    await expect(page.locator("h1")).to_have_text("2 monitors at fault")
    assert asked_while_hidden <= 1  # one may have been under way


# --- finding -------------------------------------------------------------------------------------------


async def test_the_list_is_filtered_by_words_and_states(site: Site, open_page: Any) -> None:
    page = await open_page(site.url)
    await is_live(page)

    await page.keyboard.press("/")
    await expect(page.locator("#filter")).to_be_focused()
    await page.keyboard.type("AGENTS")
    await expect(names(page)).to_have_text(["Main Agent", "Chat Agent"])
    await expect(page.locator("#shown")).to_have_text("2 of 4 shown")
    await page.keyboard.type(" fault")
    await expect(names(page)).to_have_text(["Main Agent"])
    assert page.url.endswith("/?q=AGENTS+fault")

    await page.keyboard.press("Escape")
    await expect(names(page)).to_have_count(4)
    await page.get_by_role("button", name="1 Degraded").click()
    await expect(names(page)).to_have_text([f"Slow {NASTY}"])
    assert page.url.endswith("/?state=degraded")


async def test_a_filter_is_kept_in_the_address_and_through_updates(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/?q=agent&state=up")
    await is_live(page)
    await expect(names(page)).to_have_text(["Chat Agent"])

    site.world.play("chat", **BROKEN)

    await expect(page.locator("#nothing")).to_contain_text("No monitor fits.", timeout=10_000)
    await page.get_by_role("button", name="Show all").click()
    await expect(names(page)).to_have_count(4)


async def test_focus_stays_where_it_is_while_rows_move(site: Site, open_page: Any) -> None:
    page = await open_page(site.url)
    await is_live(page)
    link = page.locator('[data-id="chat"] .name a')
    await link.focus()

    site.world.play("chat", **BROKEN)
    await expect(names(page).first).to_have_text("Chat Agent", timeout=10_000)

    await expect(link).to_be_focused()


async def test_the_keyboard_reaches_the_content_first(site: Site, open_page: Any) -> None:
    page = await open_page(site.url)

    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.locator("#counts button").first).to_be_focused()


# --- steering ------------------------------------------------------------------------------------------


async def test_an_operator_checks_recovers_and_switches_from_the_pages(site: Site, open_page: Any) -> None:
    page = await open_page(site.services.login_url(site.url))
    await expect(page).to_have_url(f"{site.url}/")
    await is_live(page)
    toasts = page.locator("#toasts")

    await page.get_by_role("button", name="Check now").click()
    await expect(toasts).to_contain_text("Main Agent: HTTP 500 in 3 ms")

    await page.locator("#strategy").select_option("aggressive")
    await expect(toasts).to_contain_text("Strategy aggressive is in force")
    assert site.engine.roster.global_strategy == "aggressive"

    await async_wait_until(lambda: site.engine.recovery.is_idle)
    await page.get_by_role("button", name="Recover …").click()
    await expect(page.get_by_role("dialog", name="Recover Main Agent")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await page.get_by_role("button", name="Recover …").click()
    await page.get_by_role("button", name="Dry run").click()
    await expect(toasts).to_contain_text("Main Agent: dry run started")

    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("button", name="Check now")).to_have_count(0)
    await expect(page.locator("footer")).to_contain_text("Read-only view.")


async def test_a_refusal_is_said_in_words(site: Site, open_page: Any) -> None:
    page = await open_page(site.services.login_url(site.url))
    await page.goto(f"{site.url}/monitors/main")
    site.world.play("main")
    await site.wait_for("main", "up")

    await page.get_by_role("button", name="Recover …").click()
    await page.get_by_role("button", name="Recover now").click()

    await expect(page.locator("#toasts")).to_contain_text(
        "main is up, not at fault: there is nothing to recover"
    )


async def test_a_report_is_made_and_opened(site: Site, open_page: Any) -> None:
    page = await open_page(site.services.login_url(site.url))
    await page.get_by_role("link", name="Reports").click()

    await page.get_by_role("button", name="Make the report").click()

    await expect(page).to_have_url(re.compile(r"/reports/report_\d{8}$"), timeout=10_000)
    frame = page.frame_locator("iframe")
    await expect(frame.locator("body")).to_contain_text("Daily report")
    await frame.get_by_role("link", name="dashboard").click()
    await expect(page).to_have_url(f"{site.url}/")


# --- one monitor ---------------------------------------------------------------------------------------


async def test_a_monitors_page_tells_its_story_and_follows_it(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/monitors/main")
    await is_live(page)
    await expect(page.locator("h1")).to_have_text("Main Agent")
    await expect(page.locator(".subject .now")).to_have_text("At fault")
    await expect(page.locator(".why li").first).to_contain_text("Main Agent is at fault since")
    await expect(page.locator(".ladder")).to_have_text("mend main")
    await expect(page.locator(".timeline")).to_contain_text("from suspect")
    await expect(page.locator(".chart title")).to_contain_text("Response times of the last 24 hours")

    site.world.play("main")

    await expect(page.locator(".subject .now")).to_have_text("Up", timeout=10_000)
    await expect(page).to_have_title("Main Agent: up · Defib")
    await expect(page.locator("#announcer")).to_have_text("Main Agent: up")
    await expect(page.locator(".timeline li").first).to_contain_text("from at fault")


async def test_what_somebody_reads_is_not_taken_away(site: Site, open_page: Any) -> None:
    async with site.operator() as operator:
        await operator.post("/api/v1/monitors/main/recover", json={})
    await site.wait_for("main", "up")
    page = await open_page(f"{site.url}/monitors/main")
    await is_live(page)
    await page.get_by_text("Output").first.click()
    await page.evaluate("document.activeElement.blur()")

    site.world.play("main", **BROKEN)

    await expect(page.locator(".subject .now")).to_have_text("At fault", timeout=10_000)
    await expect(page.locator("details[open] pre").first).to_have_text("mending …\ndone")


async def test_a_monitor_that_does_not_exist_is_a_page_that_says_so(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/monitors/nobody", java_script_enabled=False)

    await expect(page.locator("h1")).to_have_text("Not Found")
    await expect(page.locator(".message")).to_contain_text("There is no monitor “nobody”.")


# --- everybody -----------------------------------------------------------------------------------------


async def test_every_page_is_legible_labelled_and_fits(site: Site, open_page: Any, audit: Any) -> None:
    async with site.operator() as operator:
        report = (await operator.post("/api/v1/reports", json={})).json()["id"]
    page = await open_page(site.services.login_url(site.url))
    await is_live(page)

    found = {"/": await audit(page, SIZES)}
    story = f"/incidents/{site.health('main').incident}"
    lists = ("/incidents", "/alerts", "/silences", "/reports", "/docs")
    for path in ("/monitors/main", story, *lists, f"/reports/{report}", "/nothing-here"):
        await page.goto(site.url + path)
        found[path] = await audit(page, SIZES)

    assert {path: complaints for path, complaints in found.items() if complaints} == {}


async def test_two_hundred_monitors_are_drawn_without_a_hitch(tmp_path: Path, open_page: Any) -> None:
    world = World(tmp_path, watches=True)
    for i in range(200):
        world.watch(f"m{i:03d}", name=f"Monitor {i}", tags=["all"])
    async with world.running() as site:
        page = await open_page(site.url)
        await is_live(page)
        await page.evaluate(
            "new PerformanceObserver((list) => (window.longest = Math.max(window.longest ?? 0, "
            "...list.getEntries().map((entry) => entry.duration)))).observe({type: 'longtask'})"
        )
        await page.locator("#filter").fill("monitor 19")
        await expect(names(page)).to_have_count(12)  # 19, 119, 190 to 199
        site.world.play("m199", **BROKEN)
        await expect(page.locator("h1")).to_have_text("1 monitor at fault", timeout=15_000)

        assert (await page.evaluate("window.longest ?? 0")) < 400  # ms
        await page.context.close()
