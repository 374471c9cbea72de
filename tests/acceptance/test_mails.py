"""Every mail about an alert in a real browser, at the widths of a phone and of a desk, in the light and in the dark."""

import pytest
from playwright.async_api import Browser

from message_pictures import WIDTHS, messages, open_mail

MOST_BYTES = 100_000
AUDIT = """
() => {
  const found = [];
  const parse = (color) => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const luminance = ([r, g, b]) => {
    const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const background = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !node.checkVisibility() || getComputedStyle(node).fontSize === "0px") continue;
    const [front, back] = [luminance(parse(getComputedStyle(node).color)), luminance(background(node))];
    const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(2)}: ${text.slice(0, 40)}`);
    if (parseFloat(getComputedStyle(node).fontSize) < 11) found.push(`too small: ${text.slice(0, 40)}`);
  }
  for (const link of document.querySelectorAll("a.button, a.quiet"))
    if (link.getBoundingClientRect().height < 40) found.push(`hard to hit: ${link.textContent}`);
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) found.push(`too wide: ${width}`);
  if (document.querySelectorAll("h1").length !== 1) found.push("not one heading");
  if (!document.documentElement.lang) found.push("no language");
  return found;
}
"""


@pytest.mark.parametrize(
    ("size", "scheme"), [("phone", "light"), ("phone", "dark"), ("desk", "light"), ("desk", "dark")]
)
async def test_every_mail_can_be_read(browser: Browser, size: str, scheme: str) -> None:
    found: dict[str, list[str]] = {}
    page = await open_mail(browser, "<title>mail</title>", width=WIDTHS[size], scheme=scheme)
    for mail in messages():
        await page.set_content(mail.html, wait_until="domcontentloaded")
        if complaints := await page.evaluate(AUDIT):
            found[f"{mail.name} in {mail.language}"] = complaints
    await page.close()

    assert found == {}


def test_every_mail_is_small() -> None:
    """Gmail cuts a mail off at 102 kB."""
    too_large = {
        mail.name: len(mail.html.encode()) for mail in messages() if len(mail.html.encode()) > MOST_BYTES
    }

    assert too_large == {}
