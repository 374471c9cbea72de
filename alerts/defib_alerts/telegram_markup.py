"""Telegram's HTML: how long it is and how it is shortened without breaking it. Pure."""

import html
import re
from collections.abc import Iterator

MESSAGE_LIMIT = 4096
"""UTF-16 units of a message after its markup is parsed. Source: Bot API, sendMessage."""

_TOKEN = re.compile(
    r"(?P<tag></?[a-z][^<>]*>)|(?P<entity>&(?:#\d+|#x[0-9a-fA-F]+|\w+);)|(?P<char>.)", re.DOTALL
)
_TAG_NAME = re.compile(r"</?([a-z-]+)")


def visible_length(markup: str) -> int:
    """UTF-16 units that count against :data:`MESSAGE_LIMIT`."""
    return sum(units for _, units in _tokens(markup))


def shorten(markup: str, limit: int = MESSAGE_LIMIT, *, end: str = "") -> str:
    """``markup`` cut to ``limit`` visible units: never inside a tag, an entity or a character, all tags closed.

    :param end: markup that follows what was cut; within the limit too.
    """
    if visible_length(markup) <= limit:
        return markup
    kept: list[str] = []
    open_tags: list[str] = []
    room = limit - 1 - visible_length(end)  # 1 for the ellipsis
    for token, units in _tokens(markup):
        if units > room:
            break
        room -= units
        kept.append(token)
        if not units and (found := _TAG_NAME.match(token)):
            if not token.startswith("</"):
                open_tags.append(found[1])
            elif open_tags:  # else the template is broken; Telegram will say so
                open_tags.pop()
    closing = "".join(f"</{name}>" for name in reversed(open_tags))
    return "".join(kept).rstrip() + "…" + closing + end


def cut(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Text without markup within ``limit`` UTF-16 units, never inside a character."""
    raw = text.encode("utf-16-le", "replace")
    if len(raw) <= 2 * limit:
        return text
    return raw[: 2 * (limit - 1)].decode("utf-16-le", "ignore").rstrip() + "…"


def plain(markup: str) -> str:
    """What a reader sees, without markup."""
    return "".join("" if not units else html.unescape(token) for token, units in _tokens(markup))


def _tokens(markup: str) -> Iterator[tuple[str, int]]:
    """Tags, entities and characters, each with its visible UTF-16 units: none for a tag."""
    for found in _TOKEN.finditer(markup):
        token = found[0]
        if found["tag"]:
            yield token, 0
        else:
            text = html.unescape(token) if found["entity"] else token
            yield token, len(text.encode("utf-16-le", "surrogatepass")) // 2
