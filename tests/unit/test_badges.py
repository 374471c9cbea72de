"""Badges: pictures that are well-formed, small, and tell in words what they tell in colour."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.rules.badges import Badge, Tone, shields, svg

SVG = "{http://www.w3.org/2000/svg}"


def test_the_word_is_in_the_text_the_title_and_the_label() -> None:
    picture = ET.fromstring(svg(Badge("prod db", "late", Tone.WEAK)))

    assert [item.text for item in picture.iter(f"{SVG}text")] == ["prod db", "late"]
    assert picture.findtext(f"{SVG}title") == "prod db: late"
    assert (picture.get("role"), picture.get("aria-label")) == ("img", "prod db: late")


def test_a_field_is_as_wide_as_its_text_needs() -> None:
    picture = ET.fromstring(svg(Badge("db", "up", Tone.GOOD)))
    left, right = [item for item in picture.iter(f"{SVG}rect") if item.get("fill")]

    assert (left.get("width"), right.get("x"), right.get("width")) == ("26", "26", "26")
    assert (picture.get("width"), picture.get("height")) == ("52", "20")
    wide = ET.fromstring(svg(Badge("W" * 10, "up", Tone.GOOD)))
    assert wide.get("width") == "144"


@pytest.mark.parametrize(
    ("tone", "colour"),
    [(Tone.GOOD, "success"), (Tone.WEAK, "important"), (Tone.BAD, "critical"), (Tone.QUIET, "inactive")],
)
def test_shields_gets_a_colour_by_its_meaning(tone: Tone, colour: str) -> None:
    assert shields(Badge("db", "word", tone)) == {
        "schemaVersion": 1, "label": "db", "message": "word", "color": colour,
    }  # fmt: skip


@pytest.mark.parametrize("tone", list(Tone))
def test_white_text_can_be_read_on_every_colour(tone: Tone) -> None:
    picture = ET.fromstring(svg(Badge("a", "b", tone)))
    colours = [colour for item in picture.iter(f"{SVG}rect") if (colour := item.get("fill"))]

    assert len(colours) == 2
    for colour in colours:
        shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
        assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) >= 4.5


@given(st.text(), st.text())
def test_no_label_breaks_the_picture_or_makes_it_large(label: str, word: str) -> None:
    drawn = svg(Badge(label, word, Tone.BAD))

    ET.fromstring(drawn.encode("utf-8", "strict"))
    assert "<script" not in drawn
    assert len(drawn) < 4000
