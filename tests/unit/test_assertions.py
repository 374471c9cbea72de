"""Conditions, JSON paths and text patterns."""

import pytest

from defib_plugins.assertions import JsonAssertion, parse_condition, parse_path, parse_pattern

DOCUMENT = {
    "status": "ok",
    "queue": {"depth": 99, "max-age": 1.5},
    "items": [{"id": 1}, {"id": 2}],
    "checks": {"db:latency": {"status": "pass"}},
    "ready": True,
    "none": None,
    "version": "5",
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.status", "ok"),
        ("$.queue.depth", 99),
        ("$.queue.max-age", 1.5),
        ("$.items[0].id", 1),
        ("$.items[-1].id", 2),
        ('$.checks["db:latency"].status', "pass"),
        ("$['queue']['depth']", 99),
        ("$.none", None),
        ("$", DOCUMENT),
    ],
)
def test_a_path_leads_to_its_place(path: str, value: object) -> None:
    assert parse_path(path).look_up(DOCUMENT) == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("$.queue.length", "nothing at $.queue.length ('length' is missing)"),
        ("$.items[2]", "nothing at $.items[2] (2 is missing)"),
        ("$.items[-3]", "nothing at $.items[-3] (-3 is missing)"),
        ("$.status.depth", "nothing at $.status.depth ('depth' is missing)"),
        ("$[0]", "nothing at $[0] (0 is missing)"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: str, message: str) -> None:
    with pytest.raises(LookupError) as caught:
        parse_path(path).look_up(DOCUMENT)

    assert caught.value.args[0] == message


@pytest.mark.parametrize(
    "path", ["", "queue.depth", "$queue", "$.", "$.a..b", "$.a[", "$.a[x]", "$.a b", "x$.a"]
)
def test_a_path_that_is_none_is_refused_with_an_example(path: str) -> None:
    with pytest.raises(ValueError, match=r"write for example \$\.queue\.depth"):
        parse_path(path)


@pytest.mark.parametrize(
    ("condition", "actual"),
    [
        ("ok", "ok"),
        ("== ok", "ok"),
        ('== "ok"', "ok"),
        ("!= error", "ok"),
        ("< 100", 99),
        ("<=99", 99),
        ("> -1", 0),
        (">= 1.5", 1.5),
        ("== 5", 5),
        ("5", "5"),
        (5, 5),
        (5.0, 5),
        (True, True),
        ("true", True),
        (None, None),
        ("null", None),
        ("contains read", "already there"),
        ("contains 2", [1, 2, 3]),
        ("contains db", {"db": 1}),
        ('contains "a b"', "an a b c"),
        ("containsx", "containsx"),
        ('== {"a": [1]}', {"a": [1]}),
    ],
)
def test_a_condition_is_met(condition: object, actual: object) -> None:
    assert parse_condition(condition).is_met_by(actual)


@pytest.mark.parametrize(
    ("condition", "actual"),
    [
        ("ok", "OK"),
        ("!= ok", "ok"),
        ("< 100", 100),
        ("< 100", "99"),
        ("< 100", None),
        ("> 0", True),
        ("== 1", True),
        ("true", 1),
        (True, "yes"),
        ("contains x", "abc"),
        ("contains x", 5),
        ("contains 4", [1, 2, 3]),
    ],
)
def test_a_condition_is_not_met(condition: object, actual: object) -> None:
    assert not parse_condition(condition).is_met_by(actual)


@pytest.mark.parametrize("condition", ["< x", "<", ">= 1s", "> true", "contains", "== ", "!="])
def test_a_condition_without_its_value_is_refused_with_an_example(condition: str) -> None:
    with pytest.raises(ValueError, match="write for example"):
        parse_condition(condition)


@pytest.mark.parametrize("condition", [["ok"], {"<": 5}])
def test_a_condition_that_is_no_scalar_is_refused(condition: object) -> None:
    with pytest.raises(ValueError, match="is not a condition"):
        parse_condition(condition)


def test_a_complaint_names_place_value_and_expectation() -> None:
    assertion = JsonAssertion(parse_path("$.queue.depth"), parse_condition("< 50"))

    assert assertion.complaint(DOCUMENT) == "$.queue.depth is 99, expected < 50"
    assert assertion.complaint({"queue": {"depth": 7}}) is None
    assert assertion.complaint([]) == "nothing at $.queue.depth ('queue' is missing)"


def test_a_complaint_about_a_long_value_is_short() -> None:
    complaint = JsonAssertion(parse_path("$"), parse_condition("ok")).complaint("x" * 10_000)

    assert complaint is not None
    assert len(complaint) < 120


@pytest.mark.parametrize(
    ("pattern", "text", "is_in"),
    [
        ("ready", "already", True),
        ("ready", "READY", False),
        ("/^(ready|idle)$/", "idle", True),
        ("/^(ready|idle)$/", "busy", False),
        ("/", "a/b", True),
        ("//", "a//b", True),
        ("a.c", "abc", False),
    ],
)
def test_a_pattern_is_text_or_an_expression_between_slashes(pattern: str, text: str, is_in: bool) -> None:
    assert parse_pattern(pattern).is_in(text) is is_in


@pytest.mark.parametrize("pattern", ["/(/", "", 5, None])
def test_a_pattern_that_is_none_is_refused(pattern: object) -> None:
    with pytest.raises(ValueError, match=r"regular expression"):
        parse_pattern(pattern)
