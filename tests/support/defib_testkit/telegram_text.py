"""What Telegram makes of a message text: the checks that its Bot API performs, with its own error texts.

Source: https://core.telegram.org/bots/api#html-style and #sendmessage.
"""

import html
import re

LONGEST_TEXT = 4096
"""Characters after the markup is taken out; counted here in UTF-16 units, as Telegram counts offsets."""

_TAGS = (
    "b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "span", "tg-spoiler", "tg-emoji",
    "tg-time", "a", "code", "pre", "blockquote",
)  # fmt: skip
_TAG = re.compile(r"<(/?)([^\s>]*)([^>]*)(>?)")
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#[0-9]+|#x[0-9a-fA-F]+);")  # the only named ones it knows


class TextError(ValueError):
    """The text is refused; the message is the description that Telegram answers."""


def plain_text(text: str, parse_mode: str | None) -> str:
    """The text as a reader sees it; MarkdownV2 is not interpreted.

    :raises TextError: Telegram would answer 400.
    """
    plain = _strip_html(text) if (parse_mode or "").lower() == "html" else text
    if not plain.strip():
        raise TextError("Bad Request: message text is empty")
    if len(plain.encode("utf-16-le")) // 2 > LONGEST_TEXT:
        raise TextError("Bad Request: message is too long")
    return plain.strip()


def _strip_html(text: str) -> str:
    parts: list[str] = []
    open_tags: list[str] = []
    position = 0
    while (start := text.find("<", position)) >= 0:
        parts.append(text[position:start])
        offset = len(text[:start].encode())
        match = _TAG.match(text, start)
        assert match is not None  # everything but the "<" is optional
        slash, name, attributes, is_closed = match[1], match[2].lower(), match[3], bool(match[4])
        if not attributes and not is_closed:
            raise _cannot_parse(f"Unclosed {'end' if slash else 'start'} tag at byte offset {offset}")
        if slash:
            if not open_tags:
                raise _cannot_parse(f"Unexpected end tag at byte offset {offset}")
            expected = open_tags.pop()
            if name != expected:
                raise _cannot_parse(
                    f'Unmatched end tag at byte offset {offset}, expected "</{expected}>", found "</{name}>"'
                )
        elif name not in _TAGS:
            raise _cannot_parse(f'Unsupported start tag "{name}" at byte offset {offset}')
        elif not is_closed:
            raise _cannot_parse(f"Unclosed start tag at byte offset {offset}")
        else:
            open_tags.append(name)
        position = match.end()
    if open_tags:
        raise _cannot_parse(f'Can\'t find end tag corresponding to start tag "{open_tags[-1]}"')
    return _ENTITY.sub(lambda match: html.unescape(match[0]), "".join([*parts, text[position:]]))


def _cannot_parse(why: str) -> TextError:
    return TextError(f"Bad Request: can't parse entities: {why}")
