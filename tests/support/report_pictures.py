"""The pictures of ``docs/explanation/reports.md``: ``python tests/support/report_pictures.py`` draws them anew."""

import asyncio
import shutil
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import async_playwright

from defib.plugin import Period
from report_days import busy_day, week
from report_samples import write

FOLDER = Path(__file__).parents[2] / "docs/images"
Scheme = Literal["light", "dark"]
SHOTS: tuple[tuple[str, Period, int, Scheme, int, int], ...] = (
    # name, what it covers, width, colours, first and last line of pixels
    ("report-desk", busy_day(), 1000, "light", 0, 1150),
    ("report-components", busy_day(), 1000, "dark", 1670, 2740),
    ("report-phone-zh", busy_day("zh-Hant"), 390, "dark", 0, 1120),
    ("report-week", week(), 1000, "light", 0, 900),
    ("report-phone-tr", busy_day("tr"), 390, "light", 0, 1120),
)


async def main() -> None:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-background-networking"]
        )
        for name, period, width, scheme, top, bottom in SHOTS:
            page = await chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            await page.set_content(write(period).page)
            clip: Any = {"x": 0, "y": top, "width": width, "height": bottom - top}
            await page.screenshot(full_page=True, clip=clip, path=FOLDER / f"{name}.png")
        await chromium.close()


if __name__ == "__main__":
    asyncio.run(main())
