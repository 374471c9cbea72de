"""``${…}`` stands for text from the environment and from files, and what it stands for is never shown."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_kit import load, mistakes
from defib.config import references
from defib.config.findings import Findings
from defib.config.nodes import Place, Scalar, Spot
from defib.errors import ConfigError

MONITOR = "monitors:\n  - id: a\n    type: web\n    url: %s\n"


def url_of(folder: Path, written: str, environ: dict[str, str] | None = None) -> object:
    return load(folder, MONITOR % written, environ).monitors[0].options.url  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${HOST}", "db.example"),
        ("http://${HOST}:${PORT}/x", "http://db.example:8000/x"),
        ('"${HOST}"', "db.example"),
        ("${MISSING:-http://localhost}", "http://localhost"),
        ("${EMPTY:-x}", "x"),
        ("'${MISSING:-}'", ""),
        ("${HOST:-x}", "db.example"),
        ("${MISSING:-a:-b}", "a:-b"),
        ("${EMPTY}", ""),
        ("$${HOST}", "${HOST}"),
        ("a$$b$c$", "a$b$c$"),
        ("$$$${HOST}", "$${HOST}"),
        ("$HOST", "$HOST"),
        ('"$.queue.depth"', "$.queue.depth"),
    ],
)
def test_references_stand_for_text(written: str, value: str, tmp_path: Path) -> None:
    environ = {"HOST": "db.example", "PORT": "8000", "EMPTY": ""}

    assert url_of(tmp_path, written, environ) == value


def test_what_a_variable_holds_is_text_and_never_yaml(tmp_path: Path) -> None:
    assert (
        url_of(tmp_path, "${URL}", {"URL": "{a: [1, &x *x]}\n- b: ${HOME}"})
        == "{a: [1, &x *x]}\n- b: ${HOME}"
    )


def test_a_reference_becomes_what_its_key_wants(tmp_path: Path) -> None:
    text = (
        "monitors:\n  - {id: a, type: web, url: x, port: '${PORT}', interval: '${EVERY}', enabled: '${ON}'}\n"
    )

    (monitor,) = load(tmp_path, text, {"PORT": "8080", "EVERY": "90s", "ON": "no"}).monitors

    assert monitor.options.port == 8080  # type: ignore[attr-defined]
    assert monitor.overrides == {"interval": timedelta(seconds=90)}
    assert monitor.enabled is False


def test_a_secret_comes_from_a_file_without_its_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret phrase\n", encoding="utf-8")

    assert url_of(tmp_path, "${file:secret}") == "s3cret phrase"
    assert url_of(tmp_path, f"${{file:{tmp_path}/secret}}") == "s3cret phrase"


def test_a_reference_in_braces_wants_quotes_and_says_so(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "monitors:\n  - {id: a, type: web, url: ${HOST}}\n", {"HOST": "x"})

    assert mistake.endswith('; inside {…} and […] a reference stands in quotes: "${NAME}"')


def test_keys_hold_no_references(tmp_path: Path) -> None:
    text = "channels:\n  ${NAME}: {type: mail, to: [x]}\n"

    assert mistakes(tmp_path, text, {"NAME": "ops"}) == [
        "2: channels[\"${NAME}\"]: the name '${NAME}' must consist of letters, digits, '.', '_' and '-', and "
        "begin with a letter or digit"
    ]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "${NOPE}",
            "the environment variable NOPE is not set; set it, or write ${NOPE:-default} to do without",
        ),
        (
            "${A-b}",
            "${A-b} is no reference; write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for a plain ${",
        ),
        (
            "'${}'",
            "${} is no reference; write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for a plain ${",
        ),
        (
            "'a ${B'",
            "a reference that begins with ${ is not closed; write ${NAME}, ${NAME:-default} or ${file:/path}, "
            "and $${ for a plain ${",
        ),
        (
            "'${file:}'",
            "${file:} names no file; write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for a plain ${",
        ),
        (
            "${file:/no/such}",
            "the file /no/such of ${file:/no/such} cannot be read: No such file or directory; create it, or "
            "correct its mode",
        ),
        ("${file:/dev/zero}", "the file /dev/zero is larger than 65,536 bytes; a secret is one short line"),
    ],
)
def test_a_reference_that_stands_for_nothing_says_why(written: str, message: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, MONITOR % written) == [f"4: monitors[0].url: {message}"]


def test_a_secret_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe\x00")

    assert mistakes(tmp_path, MONITOR % "${file:secret}") == [
        "4: monitors[0].url: the file secret is not text in UTF-8"
    ]


def test_each_missing_variable_is_told_once_and_causes_no_other_mistakes(tmp_path: Path) -> None:
    text = "monitors:\n  - {id: a, type: web, url: '${A}/${B}', port: '${C}', expect: {status: '${D}'}, wrong: 1}\n"

    assert [mistake.split(";")[0] for mistake in mistakes(tmp_path, text)] == [
        "2: monitors[0].url: the environment variable A is not set",
        "2: monitors[0].url: the environment variable B is not set",
        "2: monitors[0].port: the environment variable C is not set",
        "2: monitors[0].expect.status: the environment variable D is not set",
        "2: monitors[0].wrong: unknown key",
    ]


def test_an_aliased_reference_is_told_once(tmp_path: Path) -> None:
    text = "monitors:\n  - &a {id: a, type: web, url: '${NOPE}'}\n  - {<<: *a, id: b}\n"

    assert len(mistakes(tmp_path, text)) == 1


@pytest.mark.parametrize(
    "value",
    ["5x", "supersecretvalue", "SuperSecretValue", 'it\'s "quoted"\nover lines', " padded value ", "é5"],
)
def test_a_value_from_outside_is_never_shown(value: str, tmp_path: Path) -> None:
    text = """
monitors:
  - {id: a, type: '${V}', interval: '${V}', strategy: '${V}', requires: ['${V}'], recovery: '${V}'}
  - {id: '${V}', type: web, url: 'ftp:${V}', timeout: 'a${V}', detector: '${V}', level: '${V}'}
  - {id: b, type: web, url: 'ftp:${V}'}
routes: [{channels: ['${V}'], match: {severity: '${V}', monitors: '${V}'}}]
reports: {daily: {cron: '${V}', timezone: '${V}'}}
timezone: '${V}'
server: {listen: '${V}', public_url: '${V}'}
"""
    found = mistakes(tmp_path, text, {"V": value})

    assert len(found) >= 14
    for mistake in found:
        assert value.strip() not in mistake
        assert repr(value)[1:-1].strip() not in mistake
    assert (
        "7: reports.daily.timezone: '${V}' is not a time zone of the IANA database; write one such as"
        in str(found)
    )


def test_a_short_value_garbles_no_unrelated_message(tmp_path: Path) -> None:
    text = "monitors:\n  - {id: '${V}', type: web, url: x, interval: 5x}\n"

    assert mistakes(tmp_path, text, {"V": "a"}) == [
        "2: monitors[0].interval: '5x' is not a duration; write a number with its unit, such as 250ms, 15s, 5m, "
        "2h or 7d"
    ]


def test_a_long_value_is_masked_where_another_place_meets_it(tmp_path: Path) -> None:
    text = "monitors:\n  - {id: '${V}', type: beat}\n  - {id: b, type: beat, requires: [database-secrt]}\n"

    assert mistakes(tmp_path, text, {"V": "database-secret"}) == [
        "3: monitors[1].requires[0]: unknown monitor 'database-secrt'; did you mean '${V}'?"
    ]


def test_values_joined_from_pieces_are_masked_as_a_whole(tmp_path: Path) -> None:
    text = "monitors:\n  - {id: a, type: beat, interval: '${A}${B}'}\n"

    assert mistakes(tmp_path, text, {"A": "abc", "B": "def"}) == [
        "2: monitors[0].interval: '${A}${B}' is not a duration; write a number with its unit, such as 250ms, "
        "15s, 5m, 2h or 7d"
    ]


@given(st.text(), st.text())
def test_text_without_references_stays_as_it_is_and_any_text_resolves_or_is_a_mistake(
    text: str, value: str
) -> None:
    findings = Findings()
    place = Place("f", 1, 1)
    findings.note_file("f")

    root = references.resolve(
        Spot(Scalar(text, place, text), (), place), Path("/nowhere"), {"A": value}, findings
    )

    assert isinstance(root.node, Scalar)
    if "$" not in text:
        assert root.node.value == text
    if findings.has_mistakes:
        with pytest.raises(ConfigError):
            findings.raise_mistakes()
        assert root.node.is_broken
