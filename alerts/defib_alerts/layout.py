"""Lines of a text mail: wrapped by what they take on the screen, where a Chinese character takes two columns. Pure."""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

COLUMNS = 72

_NEVER_FIRST = frozenset("，。、；：！？）」』”’》,.;:!?)%…")
_NEVER_LAST = frozenset("（「『“‘")
_TOKEN = re.compile(r"`[^`]*`|[^\s`]+|`|\s+")


def width(text: str) -> int:
    """Columns that ``text`` takes where letters have one width."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def padded(text: str, columns: int) -> str:
    """``text`` filled up with spaces to ``columns``."""
    return text + " " * (columns - width(text))


def wrapped(text: str, columns: int = COLUMNS, *, indent: int = 0) -> str:
    """``text`` in lines of at most ``columns`` less ``indent``, all but the first indented by that.

    Lines end at spaces and between Chinese characters; what stands in backticks, and a long word, stays whole: a
    command is there to be copied.
    """
    lines, line, room = list[str](), "", columns - indent
    for piece in _pieces(text):
        if line and piece.strip() and width(line) + width(piece) > room:
            lines.append(line.rstrip())
            line = ""
        line += piece if line or piece.strip() else ""
    if line.strip() or not lines:
        lines.append(line.rstrip())
    return f"\n{' ' * indent}".join(lines)


def _pieces(text: str) -> Iterator[str]:
    """What must stay together."""
    held = ""
    for token in _TOKEN.findall(text):
        if token.isspace():
            if held:
                yield held
            held = ""
            yield " "
        elif token.startswith("`") and len(token) > 1:
            held += token
        else:
            for char in token:
                is_wide = east_asian_width(char) in "WF"
                is_torn = bool(held) and char not in _NEVER_FIRST and held[-1] not in _NEVER_LAST
                if is_torn and (is_wide or east_asian_width(held[-1]) in "WF"):
                    yield held
                    held = ""
                held += char
    if held:
        yield held
