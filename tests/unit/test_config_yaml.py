"""One YAML text becomes plain values with their places, or mistakes that say what to look at."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.config import reader
from defib.config.findings import Findings
from defib.config.nodes import ListNode, MapNode, plain
from defib.config.scalars import resolve
from defib.errors import ConfigError


def read(text: str) -> Any:
    findings = Findings()
    findings.note_file("f")
    node = reader.read(text, "f", findings)
    findings.raise_mistakes()
    assert node is not None
    return plain(node)


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None),
        ("true", True), ("False", False),
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("NO", "NO"), ("y", "y"),
        ("0", 0), ("-12", -12), ("+3", 3), ("0o17", 15), ("0x1F", 31),
        ("0755", "0755"), ("1_000", "1_000"), ("12:30", "12:30"), ("190:20:30", "190:20:30"),
        ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-1.5E-2", -0.015),
        (".inf", math.inf), ("-.inf", -math.inf),
        ("2026-01-31", "2026-01-31"), ("1.2.3", "1.2.3"), ("-", "-"), (".", "."), ("30s", "30s"),
        ("10.0.0.1", "10.0.0.1"),
        ("9" * 400, "9" * 400), ("1e9999", "1e9999"), ("-.nan", "-.nan"),
    ],
)  # fmt: skip
def test_an_unquoted_scalar_means_what_it_looks_like(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_not_a_number_is_one() -> None:
    assert math.isnan(resolve(".nan"))  # type: ignore[arg-type]


def test_quotes_and_tags_decide_about_the_type() -> None:
    assert read("{a: '5', b: \"true\", c: !!str 1.10, d: !!int 5, e: !!float 1, f: ! off}") == {
        "a": "5", "b": "true", "c": "1.10", "d": 5, "e": 1, "f": "off",
    }  # fmt: skip


def test_keys_are_text_whatever_they_look_like() -> None:
    assert read("8000: a\ntrue: b\n1.10: c\n~: d\n") == {"8000": "a", "true": "b", "1.10": "c", "~": "d"}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~\n"])
def test_an_empty_text_is_no_mistake(text: str) -> None:
    assert read(text) is None


def test_every_value_knows_where_it_stands() -> None:
    findings = Findings()
    root = reader.read("# first\na:\n  - x\n  - b: |\n      text\n", "f", findings)

    assert isinstance(root, MapNode)
    assert root.entries["a"].place == ("f", 2, 1)
    items = root.entries["a"].node
    assert isinstance(items, ListNode)
    assert [item.place for item in items.items] == [("f", 3, 5), ("f", 4, 5)]


def test_anchors_and_merge_keys_work_and_the_own_key_wins() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\n"
    text += "one: {<<: *base, b: 9}\ntwo: {<<: [*base, *more], d: 5}\n"

    assert read(text)["one"] == {"b": 9, "a": 1}
    assert read(text)["two"] == {"d": 5, "a": 1, "b": 2, "c": 4}


def test_a_quoted_merge_sign_is_a_plain_key() -> None:
    assert read("{'<<': 5}") == {"<<": 5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n\tb: 1\n", "f:2: not YAML: the line is indented with a tab; use spaces"),
        ("- a\n-\tb: 1\n  c: 2\n", "f:2: not YAML: the line is indented with a tab; use spaces"),
        ("a: b: c\n", "f:1: not YAML: two ': ' in one value, or wrong indentation; quote values that hold ': '"),
        ("a:\n  b: 1\n    c: 2\n", "f:3: not YAML: two ': ' in one value, or wrong indentation; quote values "
                                   "that hold ': '"),
        ("a: 1\nb: [1, 2\nc: 3\n", "f:2: not YAML: a list that began with [ is not closed, or a comma is missing"),
        ("a: {b: 1\nc: 2\n", "f:1: not YAML: a mapping that began with { is not closed, or a comma is missing"),
        ("x: 1\na: {\n", "f:2: not YAML: a bracket, { or [, is not closed, or a value is missing"),
        ("a: 1\nb: 'x\nc: 2\n", "f:2: not YAML: a quote is not closed"),
        ("a: 'x' y\n", "f:1: not YAML: indentation differs from the lines above, or text follows a closing quote"),
        ("a: @x\n", "f:1: not YAML: a value begins with @, `, % or another reserved character; quote it"),
        ("a: *.log\n", "f:1: not YAML: a value begins with * or &; quote it"),
        ('a: "\\d"\n', "f:1: not YAML: use 'single quotes' for text with backslashes, or write \\\\ inside \"…\""),
        ("a: 1\nb: \x01\n", "f:2: not YAML: a control character, which no text should hold; retype the line"),
        ("a: 1\n---\nb: 2\n", "f:2: a second document begins here; use several files in a folder instead"),
        ("a: 1\nb: 2\na: 3\n", "f:3: a: is given twice; the first is in line 1"),
        ("a: {b: 1, b: 2}\n", "f:1: a.b: is given twice; the first is in line 1"),
        ("a: {{ name }}\n", "f:1: a: a key must be plain text; quote values that begin with { or [ or *"),
        ("a: [*b]\n", "f:1: a[0]: alias *b has no anchor &b that ends before it"),
        ("a: &a [*a]\n", "f:1: a[0]: alias *a has no anchor &a that ends before it"),
        ("a: {<<: 5}\n", 'f:1: a["<<"]: must name a mapping, such as *anchor, or a list of them'),
        ("a: !!python/object/apply:os.system [id]\n", "f:1: a: the tag !!python/object/apply:os.system means "
                                                      "nothing here; remove it"),
        ("a: !!binary x\n", "f:1: a: the tag !!binary means nothing here; remove it"),
        ("a: !secret {b: 1}\n", "f:1: a: the tag !secret means nothing here; remove it"),
        ("a: !!int many\n", "f:1: a: is no int, as its tag says; remove the tag"),
    ],
)  # fmt: skip
def test_a_text_that_is_wrong_says_what_to_look_at(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_a_few_aliases_that_stand_for_billions_of_values_are_refused() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for previous, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{previous}'] * 10)}]")

    assert mistakes("\n".join(lines)) == ["f:6: f: its aliases stand for more than 1,000,000 values"]


@pytest.mark.parametrize("count", [60, 300_000])
def test_deep_nesting_is_refused_before_it_costs_anything(count: int) -> None:
    (mistake,) = mistakes("a: " + "[" * count)

    assert mistake.endswith(": is nested more than 50 levels deep")


@given(st.text())
def test_any_text_at_all_is_read_or_refused_with_mistakes(text: str) -> None:
    findings = Findings()
    findings.note_file("f")

    node = reader.read(text, "f", findings)

    assert (node is None) <= findings.has_mistakes


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_json_is_read_as_json(value: object) -> None:
    import json

    text = json.dumps({"value": value}, ensure_ascii=False)

    assert read(text) == json.loads(text)
