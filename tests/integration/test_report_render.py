"""The report's page as Chromium draws it: on a phone, on a desk, in the light and in the dark, in every language."""

import re
import shutil
import struct
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright

from defib.languages import LANGUAGES
from defib.plugin import Period, State
from defib_reports.daily.columns import width as columns
from defib_reports.daily.wording import plain
from defib_testkit.requirement import require
from report_days import busy_day, stretches, week
from report_samples import MIDNIGHT, at, day, fallen, still_open, write

Scheme = Literal["light", "dark"]

PHONE, DESK = 390, 1000
LARGEST_PAGE, LARGEST_PICTURE = 100_000, 25_000
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


def page_of(period: Period) -> str:
    return write(period).page


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
    html = page_of(busy_day())

    for width, scheme in EVERYWHERE:
        page = await show(browser, html, width, scheme)
        texts = await page.evaluate(CONTRASTS)

        assert len(texts) > 100
        assert [text for text in texts if text["ratio"] < 4.5] == [], (width, scheme)
        assert min(text["size"] for text in texts) >= 12
        await page.close()


async def test_nothing_sticks_out_to_the_side(browser: Browser) -> None:
    name, path = "an-agent-with-a-name-that-has-no-place-to-break-" * 3, "/var/lib/" * 30
    long_words = day(
        fallen("main", name=name, state="fault", timeline=busy_day().monitors[0].timeline),
        incidents=(still_open(summary=path),), deliveries={name: {"dead": 1}},
    )  # fmt: skip

    for html in map(page_of, (*map(busy_day, LANGUAGES), *map(week, LANGUAGES), long_words, day())):
        page = await show(browser, html, DESK)
        for width in (DESK, PHONE, 320):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate(OUTSIDE) == [], width
        await page.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_and_pictures_are_small_and_the_text_is_narrow(language: str) -> None:
    for period in (busy_day(language), week(language)):
        document = write(period)

        assert len(document.html.encode()) < LARGEST_PAGE
        assert document.images
        assert max(map(len, document.images.values())) < LARGEST_PICTURE
        assert max(map(columns, document.text.splitlines())) <= 72


async def test_every_picture_is_shown_and_says_in_words_what_it_shows(browser: Browser) -> None:
    document = write(busy_day())
    page = await show(browser, document.page, DESK)

    pictures = page.locator("img")
    alts = [plain(await picture.get_attribute("alt") or "") for picture in await pictures.all()]
    sizes = await pictures.evaluate_all("images => images.map((i) => i.naturalWidth)")

    assert sorted(re.findall(r"cid:([^\"]+)", document.html)) == sorted(document.images)
    assert sizes == [920] * 9
    assert alts[:4] == [
        "Weather Agent: down 1 time, 2 h 46 min in all, first at 21:14:00",
        "Nightly backup: down 1 time, 1 h 30 min in all, first at 03:30:00",
        "Gateway: down 6 times, 7 min in all, first at 10:00:00",
        "Main Agent: down 2 times, 2 min 8 s in all, first at 02:59:58",
    ]
    assert alts[6] == "Weather Agent: p95 up to 2.9 s from 14:00"


def test_a_strip_shows_an_outage_where_it_was_and_however_short_it_was() -> None:
    moment = at(18)
    second = stretches((MIDNIGHT, State.UP), (moment, State.FAULT), (moment + timedelta(seconds=1), State.UP))
    png = write(day(fallen(timeline=second))).images["strip-1.report_20261120"]
    width, height = struct.unpack(">II", png[16:24])

    rows = _pixels(png, width, height)
    red = [x for x in range(width) if rows[0][x] == _RED]

    assert red == [690, 691, 692, 693]  # three quarters of 920
    assert all(rows[height // 2][x] == _GREEN for x in range(width) if x not in red)


_GREEN, _RED = 1, 3  #: places in the palette


def _pixels(png: bytes, width: int, height: int) -> list[bytes]:
    """The rows of a picture that was written without filters."""
    start = png.index(b"IDAT") + 4
    data = zlib.decompress(png[start : start + struct.unpack(">I", png[start - 8 : start - 4])[0]])
    return [data[y * (width + 1) + 1 : (y + 1) * (width + 1)] for y in range(height)]


def test_a_week_is_drawn_as_seven_rows_of_hours() -> None:
    document = write(week())

    assert [name for name in document.images if name.startswith("heat")] == [
        f"heat-{n}.weekly_20261116" for n in range(1, 8)
    ]
    assert "Wed: at worst 50.00\u00a0%, from 18\u00a0Nov\u00a009:00:00" in document.html


async def test_the_page_asks_the_network_for_nothing_and_the_console_stays_empty(browser: Browser) -> None:
    page = await browser.new_page()
    noise: list[str] = []
    page.on("request", lambda request: noise.append(request.url))
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))

    await page.set_content(page_of(busy_day()), wait_until="networkidle")

    assert [url for url in noise if not url.startswith("data:image/png;base64,")] == []


async def test_a_component_is_one_row_on_a_desk_and_a_stack_on_a_phone(browser: Browser) -> None:
    lefts = {}
    for width in (PHONE, DESK):
        page = await show(browser, page_of(busy_day()), width)
        cells = page.locator("tr", has=page.locator("strong", has_text="PostgreSQL")).last.locator("> td")
        boxes = [await cell.bounding_box() for cell in await cells.all()]
        lefts[width] = len({box["x"] for box in boxes if box is not None})

    assert lefts == {PHONE: 1, DESK: 4}


async def test_a_mail_client_that_drops_the_style_sheet_shows_the_same_in_the_light(browser: Browser) -> None:
    html = page_of(busy_day())
    bare = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    pages = [await show(browser, text, DESK) for text in (html, bare)]

    assert bare != html
    assert await pages[1].evaluate(OUTSIDE) == []
    assert [text for text in await pages[1].evaluate(CONTRASTS) if text["ratio"] < 4.5] == []
    assert await pages[0].screenshot() == await pages[1].screenshot()


async def test_the_summary_comes_before_anything_else_on_a_phone(browser: Browser) -> None:
    page = await show(browser, page_of(busy_day()), PHONE)

    last = page.get_by_text("Weather Agent and Web shop need a person; worth a look: Gateway")
    box = await last.last.bounding_box()

    assert box is not None
    assert box["y"] + box["height"] < 800


async def test_headings_and_table_heads_tell_a_screen_reader_the_structure(browser: Browser) -> None:
    page = await show(browser, page_of(busy_day()), DESK)

    headings = await page.get_by_role("heading").all_inner_texts()
    heads = await page.get_by_role("columnheader").all_inner_texts()

    assert [re.split(r"[\s,]", heading)[0] for heading in headings] == [
        "Friday", "Needs", "Worth", "When", "Ahead", "Error", "Components", "Slowest", "Incidents", "Recovery",
        "Noisiest",
        "Alerts", "Deliveries", "Defib",
    ]  # fmt: skip
    assert heads[4:8] == ["Component", "Availability", "Heartbeats", "Response time"]
