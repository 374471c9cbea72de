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


def shorten(markup: str, limit: int = MESSAGE_LIMIT) -> str:
    """``markup`` cut to ``limit`` visible units: never inside a tag, an entity or a character, all tags closed."""
    if visible_length(markup) <= limit:
        return markup
    kept: list[str] = []
    open_tags: list[str] = []
    room = limit - 1  # for the ellipsis
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
    return "".join(kept).rstrip() + "…" + closing


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
