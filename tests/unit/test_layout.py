"""Lines of mails: of their text, and of their subjects."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib_alerts.layout import padded, width, wrapped
from defib_alerts.mail_policy import WIRE


@pytest.mark.parametrize(
    ("text", "columns", "indent", "lines"),
    [
        ("", 10, 0, [""]),
        ("one two three", 7, 0, ["one two", "three"]),
        ("one two three", 9, 2, ["one two", "  three"]),
        ("a-word-too-long to fit", 6, 0, ["a-word-too-long", "to fit"]),
        ("say `ls -l /tmp` now", 8, 0, ["say", "`ls -l /tmp`", "now"]),
        ("它的主機有回應", 6, 0, ["它的主", "機有回", "應"]),
        ("主機有，回應", 6, 0, ["主機", "有，回", "應"]),
        ("Orders 故障，連線遭拒。", 12, 0, ["Orders 故", "障，連線遭", "拒。"]),
        ("at `x", 3, 0, ["at", "`x"]),
    ],
)
def test_lines_end_where_a_reader_expects_it(text: str, columns: int, indent: int, lines: list[str]) -> None:
    assert wrapped(text, columns, indent=indent).split("\n") == lines


@given(st.text(alphabet="ab `，。主機-", max_size=60), st.integers(min_value=4, max_value=20))
def test_nothing_but_spaces_is_lost(text: str, columns: int) -> None:
    assert "".join(wrapped(text, columns).split()) == "".join(text.split())


def test_chinese_takes_two_columns() -> None:
    assert width("開始 at") == 7
    assert padded("開始", 6) == "開始  "
    assert padded("too long", 3) == "too long"


@pytest.mark.parametrize(
    ("subject", "lines"),
    [
        ("[SEVERE] gateway needs a human: killed for want of memory (since 02:10)",
         ["Subject: [SEVERE] gateway needs a human: killed for want of memory (since", " 02:10)"]),
        ("short", ["Subject: short"]),
        ("x" * 150, [f"Subject: {'x' * 150}"]),
        ("", ["Subject: "]),
    ],
)  # fmt: skip
def test_a_long_subject_begins_on_its_first_line(subject: str, lines: list[str]) -> None:
    mail = EmailMessage(policy=WIRE)
    mail["Subject"] = subject

    wire = mail.as_bytes(policy=WIRE)

    assert wire.decode().split("\r\n")[: len(lines)] == lines
    assert message_from_bytes(wire, policy=default)["Subject"] == subject
