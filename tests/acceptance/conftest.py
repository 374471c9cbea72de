"""The company that acceptance tests watch, and the browser they look at it with."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from defib.cli.main import main
from defib_testkit.company import Company
from defib_testkit.logged import logging_kept
from defib_testkit.requirement import require


@pytest.fixture
def make_company(tmp_path: Path) -> Iterator[Callable[..., Company]]:
    """Make companies without monitors and channels."""
    with ExitStack() as stack:

        def make(**options: Any) -> Company:
            folder = tmp_path / f"company-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return stack.enter_context(closing(Company(folder, **options)))

        yield make


@pytest.fixture
def company(make_company: Callable[..., Company]) -> Company:
    return make_company()


@pytest.fixture
def here(
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run a command of a company in this process, where it costs no start of Python."""

    def run(company: Company, *arguments: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        status = main(["-c", str(company.config), *arguments])
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, out, err)

    with logging_kept():
        yield run


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        require("Chromium", "apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def open_page(browser: Browser) -> AsyncIterator[Callable[..., Awaitable[Page]]]:
    """Opens a page in a context of its own; the test fails if a page complained in its console."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        answered = message.text.startswith("Failed to load") and "/static/" not in message.location["url"]
        is_away = "net::ERR_CONNECTION" in message.text
        if (
            message.type in ("error", "warning") and not answered and not is_away
        ):  # these are no faults of the page
            complaints.append(message.text)

    async def open_(
        url: str, *, ready: Callable[[BrowserContext], Awaitable[Any]] | None = None, **options: Any
    ) -> Page:
        context = await browser.new_context(**options)
        if ready is not None:
            await ready(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", note)
        await page.goto(url)
        return page

    yield open_
    assert complaints == []


AUDIT = Path(__file__).with_name("page_audit.js").read_text()


@pytest.fixture
def audit() -> Callable[..., Awaitable[Mapping[str, list[str]]]]:
    """What is wrong with a page, by window and colour scheme; only style sheets tell these apart."""

    async def look(page: Page, sizes: Mapping[str, tuple[int, int]]) -> Mapping[str, list[str]]:
        found = {}
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            for name, (width, height) in sizes.items():
                await page.set_viewport_size({"width": width, "height": height})
                found[f"{name}, {scheme}"] = await page.evaluate(AUDIT)
        return {where: complaints for where, complaints in found.items() if complaints}

    return look
