"""What a program of Defib writes into its log."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from defib import logs
from defib_testkit.logged import logging_kept


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    with logging_kept():
        yield


def written(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json() -> None:
    stream = StringIO()
    logs.configure(stream=stream)

    logs.get_logger("defib.engine").warning("monitor is late", monitor="größe", late_s=1.5, why=None)

    (line,) = written(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "monitor": "größe", "late_s": 1.5, "why": None, "event": "monitor is late", "level": "warning",
    }  # fmt: skip
    assert "größe" in stream.getvalue()


def test_what_is_below_the_level_is_not_written() -> None:
    stream = StringIO()
    logs.configure(level="error", stream=stream)
    log = logs.get_logger("defib.engine")

    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    log.critical("e")
    log.log(logging.ERROR, "f")

    assert [line["event"] for line in written(stream)] == ["d", "e", "f"]


@pytest.mark.parametrize("key", ["password", "token", "smtp_password", "dsn", "Authorization", "api_key"])
@pytest.mark.parametrize("kind", [StringIO, Terminal])
def test_fields_that_hold_secrets_are_masked(key: str, kind: type[StringIO]) -> None:
    stream = kind()
    logs.configure(stream=stream)

    logs.get_logger("defib.engine").error("refused", **{key: "hunter2"})

    assert "hunter2" not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_an_exception_comes_with_its_traceback() -> None:
    stream = StringIO()
    logs.configure(stream=stream)
    try:
        raise ValueError("what a plugin raised")
    except ValueError as error:
        logs.get_logger("defib.engine").error("plugin crashed", exc_info=error)

    (line,) = written(stream)
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ValueError: what a plugin raised")


def test_what_cannot_be_json_is_written_as_text() -> None:
    stream = StringIO()
    logs.configure(stream=stream)

    logs.get_logger("defib.engine").info("odd", value={1})

    assert written(stream)[0]["value"] == "{1}"


def test_fields_may_be_named_like_parts_of_a_record() -> None:
    stream = StringIO()
    logs.configure(stream=stream)

    logs.get_logger("defib.engine").info("plugin 100% loaded", name="ldap", msg="m", args=1, fields=2)

    (line,) = written(stream)
    assert (line["event"], line["name"], line["msg"], line["args"], line["fields"]) == (
        "plugin 100% loaded", "ldap", "m", 1, 2,
    )  # fmt: skip


def test_libraries_are_heard_from_warnings_on_and_named() -> None:
    stream = StringIO()
    logs.configure(level="debug", stream=stream)
    library = logging.getLogger("some.library")

    library.info("GET https://example.com/?token=hunter2")
    library.warning("%d retries", 3)

    (line,) = written(stream)
    assert (line["event"], line["logger"], line["level"]) == ("3 retries", "some.library", "warning")


def test_a_terminal_gets_lines_to_read() -> None:
    stream = Terminal()
    logs.configure(stream=stream)

    logs.get_logger("defib.engine").warning("monitor is late", monitor="db", late_s=2)

    words = stream.getvalue().split()
    assert words[1:] == ["\x1b[33mwarning", "\x1b[0m", "monitor", "is", "late", "monitor=db", "late_s=2"]


def test_setting_up_again_leaves_one_line_of_each_event() -> None:
    first, second = StringIO(), StringIO()
    logs.configure(stream=first)
    logs.configure(stream=second)

    logs.get_logger("defib.engine").info("once")

    assert (len(written(first)), len(written(second))) == (0, 1)
