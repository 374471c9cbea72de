"""The pages of agents and pools in a real browser: alive at every beat and at every deadline."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

import web_tables
from defib.errors import KeptOutError
from defib.model.agent import AgentReport, Introduction, Scope, Task, Token
from defib.model.ids import AgentId, MonitorId
from defib.model.window import Matcher, WindowKind
from defib.plugin import Signal
from defib_testkit.ports import free_port
from defib_testkit.waiting import async_wait_until
from receiver_world import bearer, make_world
from web_world import Site, World

RECEIVER = "defib_plugins.agent_heartbeat_receiver"
NASTY = '<img src=x onerror="document.title=1">'
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desk": (1280, 800), "wall": (1920, 1080)}
PLAN = Task(id="123", kind="plan", workspace="ws-1", started_at="2025-01-07T10:30:00Z")


@pytest.fixture
def world(tmp_path: Path) -> World:
    port = free_port()
    world = make_world(tmp_path, RECEIVER)
    world.server = replace(world.server, port=port, public_url=f"http://127.0.0.1:{port}")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    """Three agents: one that is calm, one under load and one that has not been heard yet."""
    async with world.running() as site:
        token, _ = await site.engine.fleet.access.make_token("agents", Scope.INGEST, "a test")
        await add(site, token, "web-1", name="web-1", pool="web", hostname="web-1.lan", os="Debian 12")
        await add(site, token, "importer", name=f"Importer {NASTY}", pool="batch", tags=("prod",))
        await add(site, token, "quiet")
        await beat(site, "web-1", cpu_percent=45.5, memory_percent=62.3, net_in_bytes_per_s=1_500_000)
        await beat(site, "importer", cpu_percent=97.0, memory_percent=71.0, tasks=(PLAN,), disks={"/": 91.3})
        yield site


async def add(site: Site, token: Token, agent: str, **said: Any) -> None:
    await site.engine.fleet.register(Introduction(id=AgentId(agent), **said), token=token)


async def beat(
    site: Site,
    agent: str,
    tasks: tuple[Task, ...] = (),
    disks: dict[str, float] | None = None,
    **metrics: float,
) -> None:
    status = "busy" if tasks else "idle"
    report = AgentReport(protocol="test", status=status, metrics=metrics, disks=disks or {}, tasks=tasks)
    await site.engine.fleet.report(AgentId(agent), report)


async def is_live(page: Page) -> None:
    await expect(page.locator("#link")).to_have_attribute("data-link", "live", timeout=10_000)


def row(page: Page, agent: str) -> Any:
    return page.locator(f'#agents [data-id="{agent}"]')


def names(page: Page) -> Any:
    return page.locator("#agents .agent:visible .name > a")


# --- what is shown -------------------------------------------------------------------------------------


async def test_without_javascript_everything_is_there(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/agents", java_script_enabled=False)

    await expect(page.locator("h1")).to_have_text("2 of 3 agents online")
    await expect(names(page)).to_have_text([f"Importer {NASTY}", "web-1", "quiet"])
    await expect(row(page, "web-1").locator('[data-slot="cpu"] b')).to_have_text("46 %")
    await expect(row(page, "web-1").locator('[data-slot="in"]')).to_have_text("↓ 1.5 MB/s")
    await expect(row(page, "web-1").locator(".target")).to_have_text("web-1.lan · Debian 12")
    await expect(row(page, "importer").locator(".work")).to_have_text("plan 123 (ws-1)")
    await expect(row(page, "quiet").locator(".word b")).to_have_text("Not heard yet")


async def test_a_bar_says_its_level_by_colour_by_stripes_and_in_words(site: Site, open_page: Any) -> None:
    await beat(site, "web-1", cpu_percent=70.0, memory_percent=70.1)
    page = await open_page(f"{site.url}/agents")

    async def seen(agent: str, slot: str) -> tuple[str, str, str]:
        bar = row(page, agent).locator(f'[data-slot="{slot}"]')
        style = "node => getComputedStyle(node).getPropertyValue('{}').trim()"
        meter = bar.locator("meter")
        fill = await meter.evaluate(style.format("--bar"))
        stripes = await meter.evaluate(style.format("--stripes"))
        return (
            fill,
            stripes.partition("(")[2].partition(",")[0] or stripes,
            await bar.locator(".grade").inner_text(),
        )

    assert await seen("web-1", "cpu") == ("#8fcfa6", "none", "")
    assert await seen("web-1", "memory") == ("#e9b44c", "135deg", "high")
    assert await seen("importer", "cpu") == ("#e0584e", "90deg", "very high")


async def test_the_browser_draws_what_the_server_drew(site: Site, open_page: Any) -> None:
    still = await open_page(f"{site.url}/agents", java_script_enabled=False)
    live = await open_page(f"{site.url}/agents")
    await is_live(live)
    await live.evaluate("document.getElementById('agents').replaceChildren()")
    await site.engine.fleet.amend(
        AgentId("quiet"), {"tags": ("new",)}, "a test"
    )  # sends the browser at it again
    await expect(row(live, "quiet").locator(".tag:visible")).to_have_text("new")
    await still.reload()

    assert _plain(await live.inner_html("#agents")) == _plain(await still.inner_html("#agents"))


def _plain(html: str) -> str:
    """Markup without what may differ: white space and times."""
    html = re.sub(r"<time([^>]*)>[^<]*</time>", "<time>", html)
    html = re.sub(r"\s*/?>\s*", ">", html)
    return re.sub(r"\s*<\s*|\s+", lambda match: "<" if "<" in match[0] else " ", html)


async def test_words_and_pictures_are_the_servers_in_the_browser_too(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/agents")
    folder = (await page.get_attribute("script[type=module]", "src")).rpartition("/")[0]

    async def call(module: str, name: str, value: Any) -> Any:
        script = "async ([url, name, value]) => (await import(url))[name](value)"
        return await page.evaluate(script, [f"{folder}/{module}", name, value])

    for name, table in (("heard", web_tables.HEARD), ("load", web_tables.LOADS), ("level", web_tables.LEVELS),
                        ("size", web_tables.SIZES)):  # fmt: skip
        assert [await call("words.js", name, value) for value, _ in table] == [text for _, text in table]
    for name, drawn in (("hour", web_tables.HOURS), ("trend", web_tables.TRENDS)):
        assert [await call("drawing.js", name, value) for value, _ in drawn] == [text for _, text in drawn]


# --- it lives ------------------------------------------------------------------------------------------


async def test_a_beat_is_seen_at_once_and_its_age_ticks(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/agents")
    await is_live(page)

    await beat(site, "web-1", cpu_percent=88.0)

    bar = row(page, "web-1").locator('[data-slot="cpu"]')
    await expect(bar.locator("b")).to_have_text("88 %", timeout=2_000)
    await expect(bar).to_have_attribute("data-level", "warn")
    await expect(bar.locator("meter")).to_have_attribute("value", "88")
    await expect(row(page, "web-1").locator(".seen time")).to_have_text("2 s ago", timeout=4_000)
    await expect(row(page, "web-1").locator(".hour title")).to_have_text(
        re.compile("^CPU. Last hour: .* now ")
    )


async def test_silence_is_seen_at_its_deadline_without_a_request(site: Site, open_page: Any) -> None:
    token = next(iter(site.engine.fleet.tokens))
    await add(site, token, "fast", every=timedelta(seconds=1))
    page = await open_page(f"{site.url}/agents")
    await is_live(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await beat(site, "fast", cpu_percent=1.0)
    await expect(row(page, "fast").locator(".word b")).to_have_text("Online", timeout=2_000)
    await expect(row(page, "fast").locator(".word b")).to_have_text("Late", timeout=4_000)
    await expect(page.locator("h1")).to_have_text("1 of 4 agents late")
    await expect(row(page, "fast").locator(".word b")).to_have_text("Offline", timeout=9_000)
    await expect(page.locator("h1")).to_have_text("1 of 4 agents offline")
    await expect(page.locator("#announcer")).to_have_text("fast is offline.")
    await expect(names(page).first).to_have_text("fast")

    await beat(site, "fast", cpu_percent=1.0)
    await expect(row(page, "fast").locator(".word b")).to_have_text("Online", timeout=4_000)
    assert asked == []


async def test_one_that_stops_on_purpose_is_not_called_offline(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/agents")
    await is_live(page)

    await site.engine.fleet.report(AgentId("web-1"), AgentReport(signal=Signal.STOPPING))

    await expect(row(page, "web-1").locator(".word b")).to_have_text("Stopped", timeout=4_000)


async def test_an_agent_comes_with_its_first_beat_and_goes_when_it_is_removed(
    site: Site, open_page: Any
) -> None:
    _, text = await site.engine.fleet.access.make_token("more", Scope.INGEST, "a test")
    page = await open_page(f"{site.url}/agents")
    await is_live(page)

    await site.client.post("/api/v1/agents/fresh/heartbeat", headers=bearer(text))
    await expect(row(page, "fresh").locator(".word b")).to_have_text("Online", timeout=4_000)
    await site.engine.fleet.remove(AgentId("fresh"), "a test")
    await expect(row(page, "fresh")).to_have_count(0, timeout=4_000)


async def test_a_pool_shows_its_own_agents_only(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/agents")
    await page.get_by_role("link", name="web (1)").click()
    await is_live(page)

    await expect(page).to_have_url(f"{site.url}/pools/web")
    await expect(page.locator("h1")).to_have_text("1 agent online")
    await beat(site, "importer", cpu_percent=1.0)
    await beat(site, "web-1", cpu_percent=51.0)
    await expect(row(page, "web-1").locator('[data-slot="cpu"] b')).to_have_text("51 %")
    await expect(names(page)).to_have_text(["web-1"])

    await site.engine.fleet.amend(AgentId("web-1"), {"pool": "other"}, "a test")
    await expect(page.locator("h1")).to_have_text("No agents yet", timeout=4_000)


async def test_a_lost_connection_is_said_and_found_again(world: World, open_page: Any) -> None:
    async with world.running() as site:
        token, _ = await site.engine.fleet.access.make_token("agents", Scope.INGEST, "a test")
        await add(site, token, "web-1")
        page = await open_page(f"{site.url}/agents")
        await is_live(page)
    await expect(page.locator("#lost")).to_be_visible(timeout=10_000)
    await expect(page.locator("#link")).to_have_text("Connection lost")

    async with world.running() as site:
        await is_live(page)
        await expect(page.locator("#lost")).to_be_hidden()
        await beat(site, "web-1", cpu_percent=33.0)
        await expect(row(page, "web-1").locator('[data-slot="cpu"] b')).to_have_text("33 %", timeout=4_000)
        await page.context.close()


async def test_where_websockets_do_not_pass_the_page_asks_instead(site: Site, open_page: Any) -> None:
    async def without_websockets(context: BrowserContext) -> None:
        await context.route_web_socket(re.compile("/api/v1/agents/live"), lambda socket: socket.close())

    page = await open_page(f"{site.url}/agents", ready=without_websockets)

    await expect(page.locator("#link")).to_have_text("Live, by asking each 5 s", timeout=10_000)
    await beat(site, "web-1", cpu_percent=12.0)
    await expect(row(page, "web-1").locator('[data-slot="cpu"] b')).to_have_text("12 %", timeout=10_000)
    await expect(page.locator("#lost")).to_be_hidden()


async def test_a_hidden_page_is_told_nothing_and_catches_up(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/agents")
    await is_live(page)
    hide = (
        "value => { Object.defineProperty(document, 'hidden', {value, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )

    await page.evaluate(hide, True)
    await async_wait_until(lambda: not site.engine.fleet.board._feeds, 5, "the page's stream to end")
    await beat(site, "web-1", cpu_percent=19.0)
    await page.evaluate(hide, False)

    await expect(row(page, "web-1").locator('[data-slot="cpu"] b')).to_have_text("19 %", timeout=4_000)
    await is_live(page)


# --- finding, steering ---------------------------------------------------------------------------------


async def test_the_list_is_filtered_by_words_and_by_status(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/agents")
    await is_live(page)

    await page.keyboard.press("/")
    await page.keyboard.type("batch")
    await expect(names(page)).to_have_text([f"Importer {NASTY}"])
    await expect(page.locator("#shown")).to_have_text("1 of 3 shown")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="1 Not heard yet").click()
    await expect(names(page)).to_have_text(["quiet"])


async def test_the_first_agent_is_added_with_what_the_page_says(world: World, open_page: Any) -> None:
    async with world.running() as site:
        page = await open_page(site.services.login_url(site.url))
        await page.get_by_role("link", name="Agents").click()
        await expect(page.locator("h1")).to_have_text("No agents yet")
        await is_live(page)

        await page.get_by_role("button", name="Make a token").click()
        await expect(page.locator('[data-slot="token"]').first).to_have_text(re.compile(r"^defib_\S{20,}$"))
        script = (await page.locator("#empty pre").last.inner_text()).replace("sleep 30", "break")
        shell = await asyncio.create_subprocess_exec("sh", "-c", f"hostname() {{ echo box-1; }}\n{script}")
        assert await shell.wait() == 0

        await expect(page.locator("h1")).to_have_text("1 agent online", timeout=5_000)
        await expect(page.locator("#empty")).to_be_hidden()
        await expect(names(page)).to_have_text(["box-1"])
        await page.context.close()


async def test_who_is_not_logged_in_is_offered_the_command_only(world: World, open_page: Any) -> None:
    async with world.running() as site:
        page = await open_page(f"{site.url}/agents")

        await expect(page.get_by_role("button", name="Make a token")).to_have_count(0)
        await expect(page.locator("#empty")).to_contain_text(
            "defib token create --name agents --scope ingest"
        )
        await page.context.close()


async def test_an_agents_page_follows_it(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/agents")
    await page.get_by_role("link", name="Importer").click()
    await is_live(page)

    await expect(page.locator("h1")).to_have_text(f"Importer {NASTY}")
    await expect(page.locator(".load").filter(has_text="Disk /")).to_contain_text("91 %")
    await expect(page.locator("#live-body")).to_contain_text("plan 123 in ws-1")
    await beat(site, "importer", cpu_percent=5.0, load1=0.25)
    await expect(page.locator('.load[data-slot="cpu"] b')).to_have_text("5 %", timeout=5_000)
    await expect(page.locator("#live-body")).to_contain_text("No running tasks.")
    await expect(page.locator(".figures").first).to_contain_text("Load, 1 min")


async def test_an_operator_renames_and_removes_an_agent(site: Site, open_page: Any) -> None:
    page = await open_page(site.services.login_url(site.url))
    await page.goto(f"{site.url}/agents/importer")
    await is_live(page)

    await page.get_by_role("button", name="Rename, tag, pool …").click()
    await page.get_by_label("Name").fill("Night import")
    await page.get_by_label("Tags, with commas between them").fill("prod, night")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("h1")).to_have_text("Night import")
    await expect(page.locator(".subject .tag")).to_have_text(["prod", "night"])

    await page.get_by_role("button", name="Remove …").click()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Remove …").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page).to_have_url(f"{site.url}/agents")
    await expect(names(page)).to_have_text(["web-1", "quiet"])


async def test_an_operator_keeps_an_agent_out_and_lets_it_in_again(site: Site, open_page: Any) -> None:
    page = await open_page(site.services.login_url(site.url))
    await page.goto(f"{site.url}/agents/web-1")

    await page.get_by_role("button", name="Keep out").click()
    await expect(page.locator(".subject .standing")).to_have_text(re.compile("^kept out since 20"))
    with pytest.raises(KeptOutError):
        await beat(site, "web-1")
    await page.goto(f"{site.url}/agents")
    await expect(row(page, "web-1").locator(".standing")).to_have_text("kept out")

    await page.goto(f"{site.url}/agents/web-1")
    await page.get_by_role("button", name="Let in again").click()
    await expect(page.get_by_role("button", name="Keep out")).to_be_visible()
    await expect(page.locator(".subject .standing")).to_have_count(0)
    await beat(site, "web-1")


async def test_agents_that_look_alike_are_told_apart_and_maintenance_is_shown(
    site: Site, open_page: Any
) -> None:
    token = next(iter(site.engine.fleet.tokens))
    await add(site, token, "uuid-1", name="My Server", hostname="a.lan")
    page = await open_page(f"{site.url}/agents")
    await is_live(page)
    about = {agent: row(page, agent).locator(".target") for agent in ("uuid-1", "uuid-2", "uuid-3")}
    await expect(about["uuid-1"]).to_have_text("a.lan")

    for agent, host in (("uuid-2", "a.lan"), ("uuid-3", "b.lan")):
        await add(site, token, agent, name="My Server", hostname=host)
        await beat(site, agent)
    for agent, text in (("uuid-1", "uuid-1 · a.lan"), ("uuid-2", "uuid-2 · a.lan"), ("uuid-3", "b.lan")):
        await expect(about[agent]).to_have_text(text, timeout=4_000)

    windows = site.engine.windows
    about_it = Matcher(monitors=frozenset({MonitorId("uuid-3")}))
    window = windows.new(WindowKind.MAINTENANCE, about_it, until=None, reason="", actor="a test")
    await windows.begin(window, "a test")
    await expect(row(page, "uuid-3").locator(".standing")).to_have_text("maintenance", timeout=4_000)
    await expect(row(page, "uuid-3").locator(".word b")).to_have_text("Online")


async def test_an_agent_that_does_not_exist_is_a_page_that_says_so(site: Site, open_page: Any) -> None:
    page = await open_page(f"{site.url}/agents/nobody", java_script_enabled=False)

    await expect(page.locator(".message")).to_contain_text("There is no agent “nobody”.")


# --- everybody -----------------------------------------------------------------------------------------


async def test_every_page_is_legible_labelled_and_fits(site: Site, open_page: Any, audit: Any) -> None:
    page = await open_page(site.services.login_url(site.url))
    found = {}
    for path in ("/agents", "/agents/importer", "/pools/web", "/pools/empty"):
        await page.goto(site.url + path)
        found[path] = await audit(page, SIZES)

    assert {path: complaints for path, complaints in found.items() if complaints} == {}


async def test_three_hundred_agents_that_beat_are_drawn_without_a_hitch(site: Site, open_page: Any) -> None:
    token = next(iter(site.engine.fleet.tokens))
    for i in range(300):
        await add(site, token, f"a{i:03d}")
    page = await open_page(f"{site.url}/agents")
    await is_live(page)
    await expect(names(page)).to_have_count(303)
    await page.evaluate(
        "new PerformanceObserver((list) => (window.longest = Math.max(window.longest ?? 0, "
        "...list.getEntries().map((entry) => entry.duration)))).observe({type: 'longtask'})"
    )
    for turn in range(3):
        for i in range(300):
            await beat(site, f"a{i:03d}", cpu_percent=float(turn))
    await expect(row(page, "a299").locator('[data-slot="cpu"] b')).to_have_text("2 %", timeout=15_000)

    assert (await page.evaluate("window.longest ?? 0")) < 400  # ms
    await page.context.close()
