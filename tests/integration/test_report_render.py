"""The daily report's page as Chromium draws it: on a phone, on a desk, in the light and in the dark."""

import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright

from defib.model.ids import AttemptId, CaseId
from defib.plugin import (
    Alert,
    AlertFacts,
    AlertId,
    AlertKind,
    Attempt,
    AttemptOutcome,
    Incident,
    IncidentId,
    MonitorId,
    MonitorPeriod,
    Period,
    ReportId,
    Severity,
)
from defib_reports import daily
from defib_testkit.requirement import require

Scheme = Literal["light", "dark"]

START = datetime(2026, 11, 19, 16, tzinfo=UTC)  # midnight in Hong Kong
DAY = timedelta(days=1)
PHONE, DESK = 390, 900
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

CONTRASTS = """() => {
  // WCAG 2.2, 1.4.3: every text against the nearest painted background.
  const parse = (color) => color.match(/[0-9.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b]
    .map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    if (!text || !box.width || !box.height || parseFloat(style.fontSize) === 0) continue;
    const [a, b] = [luminance(parse(style.color)), luminance(behind(element))].sort((x, y) => y - x);
    found.push({text, ratio: (a + 0.05) / (b + 0.05), size: parseFloat(style.fontSize)});
  }
  return found;
}"""

OUTSIDE = """() => {
  // What sticks out of the page to the right, by text.
  const wide = document.documentElement.clientWidth;
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.getBoundingClientRect().right > wide + 0.5)
    .map((e) => `${e.tagName} ${e.textContent.trim().slice(0, 40)}`);
}"""


def monitor(id: str, name: str, down: float = 0, **changes: Any) -> MonitorPeriod:
    well = MonitorPeriod(
        monitor=MonitorId(id),
        name=name,
        kind="http",
        family="agent",
        state="up",
        tags=(),
        counts={"healthy": 2877, "unhealthy": 1, "error": 2, "unknown": 3},
        up=DAY - timedelta(seconds=down),
        down=timedelta(seconds=down),
        down_lo=timedelta(seconds=down * 0.9),
        down_hi=timedelta(seconds=down * 1.1),
        latencies_ms=(12.1, 1340.3, 2481.0),
        latency_mean_ms=15.0,
        incidents=int(down > 0),
        previous_p95_ms=400.0,
    )
    return replace(well, **changes)


def story(name: str = "Weather Agent", summary: str = "no answer within 5 s") -> Period:
    """A day with everything in it: healed, still open, degraded, unobserved, undelivered."""
    began = START + timedelta(hours=3)
    healed = Incident(
        id=IncidentId("i1"),
        monitor=MonitorId("main"),
        opened_at=began + timedelta(seconds=10),
        fault_lo=began - timedelta(seconds=4),
        fault_hi=began,
        cause="refused",
        grade="E1",
        summary=summary,
        closed_at=began + timedelta(seconds=16),
        healed_by="defib",
    )
    still_open = replace(
        healed,
        id=IncidentId("i2"),
        monitor=MonitorId("weather"),
        closed_at=None,
        healed_by=None,
        cause="timeout",
    )
    worked = Attempt(
        id=AttemptId("a1"),
        case=CaseId("c1"),
        incident=healed.id,
        monitor=healed.monitor,
        number=1,
        rung=0,
        kind="systemd",
        description="systemctl restart openclaw-main",
        actor="auto",
        intent_at=healed.opened_at,
        boot_id="boot",
        started_at=healed.opened_at,
        ended_at=began + timedelta(seconds=12),
        verified_at=began + timedelta(seconds=16),
        exit_status=0,
        outcome=AttemptOutcome.VERIFIED,
    )
    failed = replace(
        worked, id=AttemptId("a2"), incident=still_open.id, monitor=still_open.monitor, verified_at=None, exit_status=1,
        outcome=AttemptOutcome.FAILED, detail=summary,
    )  # fmt: skip
    facts = AlertFacts(
        event=AlertKind.DOWN,
        monitor=healed.monitor,
        monitor_name="Main Agent",
        monitor_kind="http",
        family="agent",
        target="http://127.0.0.1:8000/health",
        at=began,
        since=began,
        cause="refused",
        summary=summary,
    )
    alerts = tuple(
        Alert(
            id=AlertId(f"al{number}"),
            kind="agent_down",
            severity=severity,
            title=f"{name} is down: {summary}",
            description="",
            evidence=(),
            recommendations=(),
            at=began + timedelta(hours=number),
            monitor=healed.monitor,
            incident=healed.id,
            facts=facts,
        )
        for number, severity in enumerate(Severity)
    )
    unseen = monitor("printer", "Old printer", up=timedelta(0), counts={}, latencies_ms=None, state="new")
    return Period(
        report=ReportId("report_20261120"),
        name="daily",
        timezone="Asia/Hong_Kong",
        start=START,
        end=START + DAY,
        generated_at=START + timedelta(hours=32),
        version="0.1.0",
        monitors=(
            monitor("main", "Main Agent", down=18),
            monitor("weather", name, down=70_000, state="fault"),
            monitor("coding", "Coding Agent", state="degraded"),
            monitor("db", "PostgreSQL"),
            unseen,
        ),
        incidents=(healed, still_open),
        attempts=(worked, failed),
        alerts=alerts,
        deliveries={"ops-mail": {"delivered": 6}, "ops-chat": {"delivered": 3, "pending": 1, "dead": 2}},
        observed=timedelta(hours=20),
        public_url="https://health.example.com",
    )


def page_of(period: Period) -> str:
    return daily.create().write(period).html


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        require("Chromium", "apt install chromium")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        await chromium.close()


async def show(browser: Browser, html: str, width: int, scheme: Scheme = "light") -> Page:
    page = await browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    await page.set_content(html)
    return page


EVERYWHERE: list[tuple[int, Scheme]] = [(PHONE, "light"), (PHONE, "dark"), (DESK, "light"), (DESK, "dark")]


async def test_all_text_can_be_read_against_its_background(browser: Browser) -> None:
    html = page_of(story())

    for width, scheme in EVERYWHERE:
        texts = await (await show(browser, html, width, scheme)).evaluate(CONTRASTS)

        assert len(texts) > 100
        assert [text for text in texts if text["ratio"] < 4.5] == [], (width, scheme)
        assert min(text["size"] for text in texts) >= 12


async def test_nothing_sticks_out_to_the_side(browser: Browser) -> None:
    long_words = story(name="an-agent-with-a-name-that-has-no-place-to-break-" * 3, summary="/var/lib/" * 30)
    empty = replace(story(), monitors=(), incidents=(), attempts=(), alerts=())

    for html in map(page_of, (story(), long_words, empty)):
        for width in (320, PHONE, DESK):
            page = await show(browser, html, width)
            assert await page.evaluate(OUTSIDE) == [], width


async def test_the_page_asks_the_network_for_nothing_and_the_console_stays_empty(browser: Browser) -> None:
    page = await browser.new_page()
    noise: list[str] = []
    page.on("request", lambda request: noise.append(request.url))
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))

    await page.set_content(page_of(story()), wait_until="networkidle")

    assert noise == []


async def test_a_component_is_one_row_on_a_desk_and_a_stack_on_a_phone(browser: Browser) -> None:
    lefts = {}
    for width in (PHONE, DESK):
        page = await show(browser, page_of(story()), width)
        cells = page.locator("tr", has=page.locator("strong", has_text="PostgreSQL")).last.locator("> td")
        boxes = [await cell.bounding_box() for cell in await cells.all()]
        lefts[width] = len({box["x"] for box in boxes if box is not None})

    assert lefts == {PHONE: 1, DESK: 4}


async def test_a_mail_client_that_drops_the_style_sheet_shows_the_same_in_the_light(browser: Browser) -> None:
    html = page_of(story())
    bare = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    pages = [await show(browser, text, DESK) for text in (html, bare)]

    assert bare != html
    assert await pages[1].evaluate(OUTSIDE) == []
    assert [text for text in await pages[1].evaluate(CONTRASTS) if text["ratio"] < 4.5] == []
    assert await pages[0].screenshot() == await pages[1].screenshot()


async def test_the_summary_comes_before_anything_else_on_a_phone(browser: Browser) -> None:
    page = await show(browser, page_of(story()), PHONE)

    last = page.get_by_text(
        "Weather Agent needs a person; worth a look: Coding Agent, Old printer, ops-chat and 1"
    )
    box = await last.last.bounding_box()

    assert box is not None
    assert box["y"] + box["height"] < 800


async def test_headings_and_table_heads_tell_a_screen_reader_the_structure(browser: Browser) -> None:
    page = await show(browser, page_of(story()), DESK)

    headings = await page.get_by_role("heading").all_inner_texts()
    heads = await page.get_by_role("columnheader").all_inner_texts()

    assert [re.sub(r"\s.*", "", heading) for heading in headings] == [
        "Friday,", "Needs", "Worth", "When", "Components", "Incidents", "Recovery", "Alerts", "Deliveries", "Defib",
    ]  # fmt: skip
    assert heads[:4] == ["Component", "Availability", "Heartbeats", "Response time"]
