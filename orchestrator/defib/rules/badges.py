"""Badges: a word on a coloured field, as SVG and as the JSON of shields.io. Pure.

The word is in the picture's text, in its title and in its label for screen readers: the colour says nothing that they
do not say.
"""

from dataclasses import dataclass
from enum import StrEnum
from html import escape

_HEIGHT, _PADDING, _BASELINE = 20, 6, 14
_LONGEST = 60  #: characters of a label
_NARROW, _WIDE = frozenset("ijlft.,:;|!'()[] I"), frozenset("mwMW@%")
_NARROW_PX, _COMMON_PX, _WIDE_PX = 4.6, 7.2, 10.6  #: of Verdana at 11 px, on the generous side


class Tone(StrEnum):
    """How a badge's word is meant."""

    GOOD = "good"
    WEAK = "weak"
    BAD = "bad"
    QUIET = "quiet"  #: nothing is known, or nobody looks


_FILLS = {Tone.GOOD: "#2e7d32", Tone.WEAK: "#b35900", Tone.BAD: "#c62828", Tone.QUIET: "#5f6368"}
"""White text on each of them has a contrast of 4.5 and more (WCAG 2.2, 1.4.3)."""
_SHIELDS = {Tone.GOOD: "success", Tone.WEAK: "important", Tone.BAD: "critical", Tone.QUIET: "inactive"}


@dataclass(frozen=True, slots=True)
class Badge:
    """What a badge says."""

    label: str  #: of what
    word: str  #: how it is
    tone: Tone


def svg(badge: Badge) -> str:
    """A picture of 20 px height that runs nothing and loads nothing."""
    label, word = _fitting(badge.label), _fitting(badge.word)
    left, right = _width(label), _width(word)
    whole = f"{escape(label)}: {escape(word)}"
    texts = "".join(
        f'<text x="{x + _PADDING}" y="{_BASELINE}" textLength="{width - 2 * _PADDING}">{escape(text)}</text>'
        for x, width, text in ((0, left, label), (left, right, word))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" role="img" '
        f'aria-label="{whole}"><title>{whole}</title>'
        f'<clipPath id="r"><rect width="{left + right}" height="{_HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="{_HEIGHT}" fill="#454545"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{_FILLS[badge.tone]}"/></g>'
        f'<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">{texts}</g></svg>\n'
    )


def shields(badge: Badge) -> dict[str, object]:
    """As an endpoint of shields.io answers."""
    return {"schemaVersion": 1, "label": badge.label, "message": badge.word, "color": _SHIELDS[badge.tone]}


def _fitting(text: str) -> str:
    """Without what XML does not know, and not too long."""
    text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _width(text: str) -> int:
    """Of a field with ``text`` in it, in px."""
    total = sum(
        _NARROW_PX
        if character in _NARROW
        else _WIDE_PX
        if character in _WIDE or not character.isascii()
        else _COMMON_PX
        for character in text
    )
    return round(total) + 2 * _PADDING
