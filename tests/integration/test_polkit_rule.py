"""``defib polkit``: the rule it prints, judged by a JavaScript engine with polkit's interface."""

import json
import shutil
import subprocess
import tempfile
from typing import Any

import pytest
from typer.testing import CliRunner

from defib.cli.main import command_line
from defib.cli.polkit import rule
from defib.errors import UsageError
from defib_testkit.requirement import require

_JUDGE = """
var rules = [];
var polkit = {Result: {YES: "yes", NOT_HANDLED: null}, addRule: function (rule) { rules.push(rule); }};
%s
var answers = %s.map(function (question) {
    var action = {id: question[0], lookup: function (key) { return question[2][key]; }};
    return rules[0](action, {user: question[1]});
});
(typeof print === "function" ? print : console.log)(JSON.stringify({rules: rules.length, answers: answers}));
"""
MANAGE = "org.freedesktop.systemd1.manage-units"


def judged(text: str, *questions: tuple[str, str, dict[str, str]]) -> list[Any]:
    """What the rule answers to each question: action, user, details."""
    engine = shutil.which("duk") or shutil.which("node")
    if engine is None:
        require("a JavaScript engine", "apt install duktape, which polkit itself uses, or nodejs")
    with tempfile.NamedTemporaryFile("w", suffix=".js", encoding="utf-8") as program:
        program.write(_JUDGE % (text, json.dumps(questions)))
        program.flush()
        done = subprocess.run([engine, program.name], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["rules"] == 1
    answers: list[Any] = told["answers"]
    return answers


def asked(
    unit: str, verb: str = "restart", user: str = "defib", action: str = MANAGE
) -> tuple[str, str, dict[str, str]]:
    return action, user, {"unit": unit, "verb": verb}


def test_the_named_units_may_be_restarted_and_nothing_else() -> None:
    text = rule(["openclaw-main", "postgresql@15-main.service", "backup.timer"], "defib")

    assert (
        judged(
            text,
            asked("openclaw-main.service"),
            asked("openclaw-main.service", "start"),
            asked("openclaw-main.service", "reload"),
            asked("openclaw-main.service", "reset-failed"),
            asked("postgresql@15-main.service"),
            asked("backup.timer"),
        )
        == ["yes"] * 6
    )
    assert (
        judged(
            text,
            asked("openclaw-main.service", "stop"),
            asked("openclaw-main.service", "kill"),
            asked("openclaw-main.service", user="mallory"),
            asked("openclaw-main.service", action="org.freedesktop.systemd1.manage-unit-files"),
            asked("openclaw-main2.service"),
            asked("openclaw-main"),
            asked("sshd.service"),
            (MANAGE, "defib", {}),
        )
        == [None] * 8
    )


def test_a_backslash_in_a_name_stays_one() -> None:
    text = rule(["dev-disk-by\\x2dlabel.mount"], "defib")

    assert judged(text, asked("dev-disk-by\\x2dlabel.mount"), asked("dev-disk-by-label.mount")) == [
        "yes",
        None,
    ]


@pytest.mark.parametrize(
    "unit",
    [
        "",
        "*",
        "open*",
        "a b",
        "a\nb",
        'a"];evil()//',
        "../x",
        "/x",
        "--user",
        "agent@",
        "agent@.service",
        "x" * 300,
        "é",
    ],
)
def test_what_is_no_unit_is_refused(unit: str) -> None:
    with pytest.raises(UsageError, match="is not the name of one unit; write for example"):
        rule([unit], "defib")


@pytest.mark.parametrize("user", ["", "root; x", 'x"', "Upper", "-u", "a" * 40])
def test_what_is_no_user_is_refused(user: str) -> None:
    with pytest.raises(UsageError, match="is no name of a user"):
        rule(["nginx"], user)


def test_the_command_prints_the_rule_and_needs_no_configuration() -> None:
    result = CliRunner().invoke(command_line("polkit"), ["polkit", "nginx", "--user", "monitor"])

    assert result.exit_code == 0
    assert result.output == rule(["nginx"], "monitor")
    assert judged(result.output, asked("nginx.service", user="monitor"), asked("nginx.service")) == [
        "yes",
        None,
    ]
