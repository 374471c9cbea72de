"""Plain text in columns as terminals draw them, where East Asian characters take two."""

import unicodedata
from collections.abc import Iterator

WIDTH = 72


def width(text: str) -> int:
    """Columns that ``text`` takes."""
    return len(text) if text.isascii() else sum(_columns(character) for character in text)


def wrap(text: str, *, indent: str = "", first: str | None = None) -> Iterator[str]:
    """Lines of at most :data:`WIDTH` columns; words longer than a line are cut.

    :param indent: before each line.
    :param first: before the first line, instead.
    """
    line = indent if first is None else first
    is_empty = True
    for word in text.split(" "):
        space = 0 if is_empty else 1
        if width(line) + space + width(word) > WIDTH and not is_empty:
            yield line.rstrip()
            line, space = indent, 0
        while width(line) + space + width(word) > WIDTH:
            head = _prefix(word, WIDTH - width(line) - space)
            yield line + head
            line, word = indent, word[len(head) :]
        line += " " * space + word
        is_empty = False
    if line.strip():
        yield line.rstrip()


def spread(left: str, right: str, *, indent: str = "") -> Iterator[str]:
    """``left`` and ``right`` at the two ends of a line, or on lines of their own where both do not fit."""
    lines = list(wrap(left, indent=indent)) or [""]
    gap = WIDTH - width(lines[-1]) - width(right)
    if gap >= 2:
        lines[-1] += " " * gap + right
    else:
        lines += wrap(right, indent=indent + "  ")
    yield from lines


def _prefix(word: str, room: int) -> str:
    """As much of the beginning of ``word`` as fits, at least one character."""
    taken = 0
    for index, character in enumerate(word):
        taken += _columns(character)
        if taken > room:
            return word[: max(1, index)]
    return word


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
