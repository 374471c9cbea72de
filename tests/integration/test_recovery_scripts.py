"""What every shipped recovery script has in common; those of each are in the files beside this one."""

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from defib_testkit.processes import is_running
from defib_testkit.requirement import require
from defib_testkit.waiting import wait_until
from script_stage import (
    AGENT,
    CONTAINER,
    DB,
    FOLDER,
    HANGS,
    SCRIPTS,
    SHELLS,
    USUAL,
    Stage,
    assert_failed,
    container,
    usual,
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_can_be_run_as_it_lies_there(script: str) -> None:
    file = FOLDER / script
    assert stat.S_IMODE(file.stat().st_mode) & 0o755 == 0o755
    lines = file.read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert "set -eu" in lines


def test_every_script_is_shellcheck_clean() -> None:
    beside = Path(sys.executable).with_name("shellcheck")
    shellcheck = str(beside) if beside.exists() else shutil.which("shellcheck")
    if shellcheck is None:
        require("shellcheck", "apt-get install shellcheck")
    files = sorted(str(file) for file in FOLDER.glob("*.sh"))
    done = subprocess.run([shellcheck, *files], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_common_part_is_the_same_in_every_script() -> None:
    pattern = re.compile(r"^# --- The part below.*^# --- End of the part[^\n]*$", re.MULTILINE | re.DOTALL)
    parts = {pattern.search((FOLDER / script).read_text()).group() for script in SCRIPTS}  # type: ignore[union-attr]
    assert len(parts) == 1


def test_the_readme_tells_of_every_script_and_option() -> None:
    readme = (FOLDER / "README.md").read_text()
    assert sorted(file.name for file in FOLDER.glob("*.sh")) == SCRIPTS
    for script in SCRIPTS:
        assert f"## {script}" in readme
        for option in re.findall(r"^  (--[a-z-]+)", (FOLDER / script).read_text(), re.MULTILINE):
            assert option in readme


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_lists_the_exit_statuses_and_runs_nothing(stage: Stage, script: str) -> None:
    usual(stage, script)
    outcome = stage.run(script, "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert re.findall(r"^  (\d)  ", outcome.out, re.MULTILINE) == list("0123456")
    assert stage.calls == []


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_success_is_one_line_under_every_shell(stage: Stage, script: str, shell: str) -> None:
    usual(stage, script)
    outcome = stage.run(script, *USUAL[script], shell=shell)
    assert (outcome.status, outcome.err) == (0, ""), outcome
    expected = {
        AGENT: r"restarted openclaw-main\.service: active, process 2, after \d+ s\n",
        CONTAINER: r"restarted container gateway: running, after \d+ s\n",
        DB: r"restarted cluster 15/main: accepting connections, after \d+ s\n",
    }
    assert re.fullmatch(expected[script], outcome.out)
    assert {record["env"]["LC_ALL"] for record in stage.records} == {"C"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_dry_run_executes_nothing(stage: Stage, script: str) -> None:
    usual(stage, script)
    outcome = stage.run(script, *USUAL[script], "--dry-run")
    assert (outcome.status, outcome.err) == (0, "")
    assert stage.calls == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_dry_run_needs_nothing_installed(stage: Stage, script: str) -> None:
    assert stage.run(script, *USUAL[script], "--dry-run").status == 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_dry_run_prints_the_very_commands_that_are_run(stage: Stage, script: str) -> None:
    usual(stage, script)
    plan = stage.run(script, *USUAL[script], "--dry-run").out.splitlines()
    stage.run(script, *USUAL[script])
    words = [shlex.split(line, comments=True) for line in plan]
    assert all(line[:3] == ["timeout", "-k", "1"] for line in words if line)
    planned = [shlex.join(line[4:]) for line in words if line]
    assert set(stage.calls) <= set(planned)
    conditional = {shlex.join(shlex.split(line, comments=True)[4:]) for line in plan if "# only if" in line}
    assert set(planned) - conditional == set(stage.calls)


BAD_NAMES = [
    "",
    "../etc",
    "a..b",
    "a/b",
    "a b",
    "a\nb",
    "a\n--force",
    "-",
    "-x",
    "--",
    "_a",
    "a*",
    "a;b",
    "$(id)",
    "`id`",
    "a'b",
    'a"b',
    "ä",
    "a\tb",
    "a" * 201,
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize(
    ("script", "before"),
    [
        (AGENT, []),
        (AGENT, ["--unit"]),
        (AGENT, ["main", "--unit-prefix"]),
        (CONTAINER, []),
        (DB, ["--unit"]),
        (DB, ["--container"]),
        (DB, ["--cluster"]),
        (DB, ["--unit", "postgresql@15-main", "--host"]),
        (DB, ["--unit", "postgresql@15-main", "--data-dir"]),
    ],
)
def test_bad_names_are_refused_before_anything_is_run(
    stage: Stage, script: str, before: list[str], name: str
) -> None:
    usual(stage, script)
    outcome = stage.run(script, *before, name)
    assert_failed(outcome, 2, "--help")
    assert outcome.err.isascii()
    assert stage.calls == []


@pytest.mark.parametrize(
    ("script", "args", "says"),
    [
        (AGENT, [], "NAME is missing"),
        (AGENT, ["main", "chat"], "more than one NAME"),
        (AGENT, ["main", "--unit"], "--unit needs a value"),
        (AGENT, ["main", "--restart"], "unknown option --restart"),
        (AGENT, ["main", "--dry-run=yes"], "unknown option --dry-run=yes"),
        (AGENT, ["main", "--wait", "0"], "--wait is a whole number"),
        (AGENT, ["main", "--wait", "3601"], "--wait is a whole number"),
        (AGENT, ["main", "--wait=1e3"], "--wait is a whole number"),
        (AGENT, ["main", "--wait", "08"], "--wait is a whole number"),
        (AGENT, ["--unit", "reboot.target"], "--unit must be a service"),
        (AGENT, ["--unit", "agent@"], "--unit is a template"),
        (AGENT, ["--unit", "a", "--unit-prefix", "b"], "exclude each other"),
        (CONTAINER, [], "NAME is missing"),
        (CONTAINER, ["gateway", "other"], "more than one NAME"),
        (CONTAINER, ["gateway@1"], "NAME begins with"),
        (CONTAINER, ["gateway", "--stop-timeout", "20"], "raise --wait"),
        (CONTAINER, ["gateway", "--force", "--stop-timeout", "14"], "raise --wait"),
        (DB, [], "which server?"),
        (DB, ["main"], "an argument too many"),
        (DB, ["--unit", "a", "--container", "b"], "exclude each other"),
        (DB, ["--unit", "a", "--unit", "b"], "exclude each other"),
        (DB, ["--unit", "poweroff.target"], "--unit must be a service"),
        (DB, ["--cluster", "main"], "VERSION/NAME"),
        (DB, ["--cluster", "15/"], "VERSION/NAME"),
        (DB, ["--cluster", "15/main/x"], "VERSION/NAME"),
        (DB, ["--cluster", "x15/main"], "VERSION/NAME"),
        (DB, ["--cluster", "15x/main"], "VERSION/NAME"),
        (DB, ["--unit", "a", "--port", "65536"], "--port is a number"),
        (DB, ["--unit", "a", "--port", "0"], "--port is a number"),
        (DB, ["--unit", "a", "--data-dir", "var"], "absolute path"),
        (DB, ["--unit", "a", "--stop-timeout", "5"], "for --container"),
        (DB, ["--container", "a", "--stop-timeout", "20"], "shorter than --wait"),
        (DB, ["--unit", "a", "--reload", "--force"], "exclude each other"),
    ],
)
def test_wrong_usage_is_told_in_one_line(stage: Stage, script: str, args: list[str], says: str) -> None:
    assert_failed(stage.run(script, *args), 2, says, "--help")


@pytest.mark.parametrize(
    ("script", "gone"),
    [
        (AGENT, "systemctl"),
        (CONTAINER, "docker"),
        (DB, "pg_ctlcluster"),
        (DB, "pg_lsclusters"),
        *((s, "timeout") for s in SCRIPTS),
    ],
)
def test_a_missing_program_is_named_with_its_remedy(stage: Stage, script: str, gone: str) -> None:
    usual(stage, script)
    (stage.bin / gone).unlink()
    assert_failed(stage.run(script, *USUAL[script]), 6, f"{gone} not found: ")
    assert stage.calls == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_signal_to_the_group_leaves_nothing_running(stage: Stage, script: str) -> None:
    usual(stage, script)
    actor = {AGENT: "systemctl", CONTAINER: "docker", DB: "pg_ctlcluster"}[script]
    kept = [(" ".join(rule["words"]), rule["replies"]) for rule in stage.replies[actor]]
    stage.program(actor, *((words, [HANGS] if words == "restart" else replies) for words, replies in kept))
    with stage.start(script, *USUAL[script]) as process:
        wait_until(lambda: bool(stage.changes), 20, "the hanging command to be called")
        hanging = stage.records[-1]["pid"]
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    wait_until(lambda: not is_running(hanging), 20, "the hanging command to be ended")


def test_passwords_in_what_programs_print_are_masked(stage: Stage) -> None:
    leak = "Error: cannot reach tcp://admin:hunter2@registry:2376 with password=hunter2\x1b[31m\n"
    stage.program("docker", ("inspect", [container()]), ("restart", [{"err": leak, "status": 1}]))
    outcome = stage.run(CONTAINER, "gateway")
    assert_failed(outcome, 1, "tcp://***@registry:2376 with password=***")
    assert "hunter2" not in outcome.err
    assert "\x1b" not in outcome.err
