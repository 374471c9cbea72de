"""Every message that Defib sends, as a mail client shows it: for tests, and as pictures for the documentation.

``python tests/support/message_pictures.py FOLDER [NAME …]`` writes a picture of each sample in each language, at the
width of a phone and of a desk, light and dark, and its text part. ``--docs`` writes those of ``docs/images`` anew.
"""

import argparse
import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from defib.languages import LANGUAGES
from defib_alerts.rendering import Templates, alert_words
from defib_alerts.samples import SAMPLES, sample_alert

PRODUCT_URL = "https://defib.example.com"
WIDTHS = {"phone": 390, "desk": 1000}
FOR_DOCS = (
    ("down", "en", "phone", "light"),
    ("down", "zh-Hant", "phone", "dark"),
    ("recovery_failed", "tr", "phone", "light"),
    ("recovered", "en", "desk", "light"),
    ("digest", "en", "desk", "dark"),
)
"""Of which ``docs/explanation/messages.md`` shows pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One sample in one language, rendered."""

    name: str
    language: str
    subject: str
    html: str
    text: str
    telegram: str


def message(name: str, language: str, templates: Templates) -> Message:
    """A sample as the channels render it."""
    words = alert_words(sample_alert(name, language), product_url=PRODUCT_URL, language=language)
    html, text, telegram = (
        templates.render(template, words).text
        for template in ("alert.html.j2", "alert.txt.j2", "alert.telegram.html.j2")
    )
    return Message(
        name=name, language=language, subject=str(words["subject"]), html=html, text=text, telegram=telegram
    )


def messages(names: Iterable[str] = SAMPLES) -> list[Message]:
    """Each sample in each language."""
    templates = Templates()
    return [message(name, language, templates) for name in names for language in LANGUAGES]


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser
        await browser.close()


async def open_mail(browser: Browser, html: str, *, width: int, scheme: str) -> Page:
    """A page that shows the mail as a client of that width does."""
    page = await browser.new_page(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1,
    )
    await page.set_content(html)
    return page


async def picture(browser: Browser, mail: Message, path: Path, *, size: str, scheme: str) -> None:
    """Write one picture of the whole mail."""
    page = await open_mail(browser, mail.html, width=WIDTHS[size], scheme=scheme)
    await page.screenshot(path=path, full_page=True)
    await page.close()


def file_name(name: str, language: str, size: str, scheme: str) -> str:
    return f"mail-{name.replace('_', '-')}-{language}-{size}-{scheme}.png"


async def write(folder: Path, names: Iterable[str]) -> None:
    """All pictures and text parts of the named samples."""
    async with launched() as browser:
        for mail in messages(names):
            stem = file_name(mail.name, mail.language, "text", "").removesuffix("-.png")
            (folder / f"{stem}.txt").write_text(f"{mail.subject}\n\n{mail.text}", encoding="utf-8")
            for size in WIDTHS:
                for scheme in ("light", "dark"):
                    path = folder / file_name(mail.name, mail.language, size, scheme)
                    await picture(browser, mail, path, size=size, scheme=scheme)


async def write_docs(folder: Path) -> None:
    """The pictures that the documentation shows."""
    templates = Templates()
    async with launched() as browser:
        for name, language, size, scheme in FOR_DOCS:
            path = folder / file_name(name, language, size, scheme)
            await picture(browser, message(name, language, templates), path, size=size, scheme=scheme)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--docs", action="store_true")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(write_docs(asked.folder) if asked.docs else write(asked.folder, asked.names or SAMPLES))


if __name__ == "__main__":
    main()
