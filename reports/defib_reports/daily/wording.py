"""Foreign strings in a form that is safe to show."""

import unicodedata

NBSP = "\u00a0"
NONE = "–"
_JOINERS = "\u200c\u200d"  # needed by scripts and emoji, although not printable by themselves


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace(NBSP, " ")


def clean(text: str, limit: int = 120) -> str:
    """A foreign string as one harmless line: no control or direction-changing characters, bounded length."""
    kept = text[: 4 * limit]
    if not kept.isprintable():
        kept = "".join(
            c if c.isprintable() or c in _JOINERS else " " if unicodedata.category(c)[0] in "ZC" else "" for c in kept
        )  # fmt: skip
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
