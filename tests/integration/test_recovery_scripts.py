"""The shipped recovery scripts, run for real against stand-ins for what they command.

The PATH of a script is one folder that holds the few tools it needs and stand-ins for `systemctl`, `docker`,
`pg_lsclusters`, `pg_ctlcluster` and `pg_isready`. A stand-in records how it was called and replays what the
real program prints (systemd 252, Docker 20.10, PostgreSQL 15 with Debian's postgresql-common). Nothing else
can be reached.
"""

import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from defib_testkit.processes import is_running
from defib_testkit.requirement import require
from defib_testkit.waiting import wait_until

FOLDER = Path(__file__).resolve().parents[2] / "recovery_scripts"
AGENT, CONTAINER, DB = "restart_agent.sh", "restart_container.sh", "restart_db.sh"
SCRIPTS = [AGENT, CONTAINER, DB]
USUAL = {AGENT: ["main"], CONTAINER: ["gateway"], DB: ["--cluster", "15/main"]}
TOOLS = ["awk", "cat", "cut", "date", "df", "sed", "sleep", "timeout", "tr"]
SHELLS = [name for name in ("sh", "dash", "bash", "busybox") if shutil.which(name)]

Reply = dict[str, Any]  # out, err, status; hang: "yes", or "deaf" to SIGTERM as well

STAND_IN = """#!{python} -ISE
import json, os, signal, sys, time
folder, program, argv = {folder!r}, os.path.basename(sys.argv[0]), sys.argv[1:]
calls = os.path.join(folder, "calls")
known = {{key: os.environ[key] for key in ("DOCKER_HOST", "LC_ALL") if key in os.environ}}
rules = json.load(open(os.path.join(folder, "replies.json"))).get(program, [])
matching = [n for n, rule in enumerate(rules) if all(word in argv for word in rule["words"])]
rule = matching[0] if matching else None
before = [json.loads(line) for line in open(calls)] if os.path.exists(calls) else []
turn = sum(call["program"] == program and call["rule"] == rule for call in before)
call = {{"program": program, "argv": argv, "rule": rule, "env": known, "pid": os.getpid()}}
with open(calls, "a") as record:
    record.write(json.dumps(call) + "\\n")
if rule is None:
    sys.exit(f"no reply for {{program}} {{argv}}")
reply = rules[rule]["replies"][min(turn, len(rules[rule]["replies"]) - 1)]
if reply.get("hang") == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if reply.get("hang"):
    time.sleep(60)
sys.stdout.write(reply.get("out", ""))
sys.stderr.write(reply.get("err", ""))
sys.exit(reply.get("status", 0))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    status: int
    out: str
    err: str
    took_s: float


class Stage:
    """A folder that is a script's whole PATH, and what was called there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.replies: dict[str, list[Any]] = {}
        for tool in TOOLS:
            if (found := shutil.which(tool)) is None:
                require(tool, "install coreutils and awk")
            else:
                (self.bin / tool).symlink_to(found)

    def program(self, name: str, *rules: tuple[str, list[Reply]]) -> None:
        """Put a stand-in on the PATH. The first rule whose words are all in the arguments gives its next
        reply, the last one over and over."""
        self.replies[name] = [{"words": words.split(), "replies": replies} for words, replies in rules]
        (self.folder / "replies.json").write_text(json.dumps(self.replies))
        file = self.bin / name
        file.write_text(STAND_IN.format(python=sys.executable, folder=str(self.folder)))
        file.chmod(0o755)

    def start(self, script: str, *args: str, shell: str = "", **env: str) -> subprocess.Popen[str]:
        command = [str(FOLDER / script), *args]
        if shell:
            command = [shutil.which(shell) or shell, *(["sh"] if shell == "busybox" else []), *command]
        return subprocess.Popen(
            command,
            env={"PATH": str(self.bin), **env},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, script: str, *args: str, shell: str = "", **env: str) -> Outcome:
        began = time.monotonic()
        with self.start(script, *args, shell=shell, **env) as process:
            out, err = process.communicate(timeout=60)
        return Outcome(status=process.returncode, out=out, err=err, took_s=time.monotonic() - began)

    @property
    def records(self) -> list[dict[str, Any]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def calls(self) -> list[str]:
        return [shlex.join([record["program"], *record["argv"]]) for record in self.records]

    @property
    def changes(self) -> list[str]:
        """The calls that do more than look."""
        looking = (" show ", " inspect ", "pg_isready", "pg_lsclusters")
        return [call for call in self.calls if not any(word in call for word in looking)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def unit(
    load: str = "loaded", active: str = "active", sub: str = "running", pid: int = 4711, **more: str
) -> Reply:
    values = {
        "MainPID": pid,
        "Result": "success",
        "InvocationID": f"{pid:032x}",
        "LoadState": load,
        "ActiveState": active,
        "SubState": sub,
        **more,
    }
    return {"out": "".join(f"{key}={value}\n" for key, value in values.items())}


ID = "15dbe78bd954ac1b523c535192d4d855ca1d349bbb504599f17e0c2298c03228"


def container(
    state: str = "running", at: int = 0, name: str = "gateway", code: int = 0, oom: str = "false"
) -> Reply:
    started = f"2026-03-01T10:00:{at:02}.123456789Z"
    return {"out": f"defib|{ID}|/{name}|{state}|{code}|{oom}|{started}\n"}


def db_container(state: str = "running", source: str = "") -> Reply:
    return {"out": f"defib|{ID}|/pg|{state}|{source}|\n"}


def cluster(status: str = "online", folder: str = "/nonexistent/15/main") -> Reply:
    log = "/var/log/postgresql/postgresql-15-main.log"
    return {"out": f"15 main 5432 {status} postgres {folder} {log}\n"}


DONE: Reply = {}
HANGS = {"hang": "yes"}
ACCEPTING = {"out": "/var/run/postgresql:5432 - accepting connections\n"}
REJECTING = {"out": "/var/run/postgresql:5432 - rejecting connections\n", "status": 1}
NO_RESPONSE = {"out": "/var/run/postgresql:5432 - no response\n", "status": 2}
NO_BUS = {
    "err": "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
    "Failed to connect to bus: Host is down\n",
    "status": 1,
}
NO_DAEMON = {
    "out": "\n",
    "status": 1,
    "err": "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?\n",
}
NO_CONTAINER = {"out": "\n", "err": "Error: No such container: gateway\n", "status": 1}
JOB_FAILED = {
    "status": 1,
    "err": "Job for openclaw-main.service failed because the control process exited with error code.\n"
    'See "systemctl status openclaw-main.service" and "journalctl -xeu openclaw-main.service" for details.\n',
}
NO_RIGHT = {
    "status": 1,
    "err": "Failed to restart openclaw-main.service: Interactive authentication required.\n"
    "See system logs and 'systemctl status openclaw-main.service' for details.\n",
}
NO_EXECUTABLE = {
    "status": 126,
    "out": 'OCI runtime exec failed: exec failed: unable to start container process: exec: "pg_isready": '
    "executable file not found in $PATH: unknown\n",
}


def usual(stage: Stage, script: str) -> None:
    """Stand-ins with which USUAL[script] succeeds."""
    match script:
        case "restart_agent.sh":
            stage.program("systemctl", ("show", [unit(pid=1), unit(pid=2)]), ("restart", [DONE]))
        case "restart_container.sh":
            stage.program(
                "docker", ("inspect", [container(), container(at=5)]), ("restart", [{"out": "gateway\n"}])
            )
        case _:
            stage.program("pg_lsclusters", ("", [cluster()]))
            stage.program("pg_isready", ("", [NO_RESPONSE, ACCEPTING]))
            stage.program("pg_ctlcluster", ("restart", [DONE]))


def assert_failed(outcome: Outcome, status: int, *words: str) -> None:
    assert outcome.status == status, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    for word in words:
        assert word in outcome.err


# --- All scripts ---


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


# --- restart_agent.sh ---


@pytest.mark.parametrize(
    ("args", "env", "expected"),
    [
        (["main"], {}, "openclaw-main.service"),
        (["system-admin"], {}, "openclaw-system-admin.service"),
        (["a.socket"], {}, "openclaw-a.socket.service"),
        (["main"], {"DEFIB_AGENT_UNIT_PREFIX": "agent@"}, "agent@main.service"),
        (["main"], {"DEFIB_AGENT_UNIT_PREFIX": ""}, "openclaw-main.service"),
        (["main", "--unit-prefix", "bot-"], {"DEFIB_AGENT_UNIT_PREFIX": "agent@"}, "bot-main.service"),
        (["main", "--unit=gateway"], {"DEFIB_AGENT_UNIT_PREFIX": "agent@"}, "gateway.service"),
        (["--unit", "gateway.service"], {}, "gateway.service"),
    ],
)
def test_agent_unit_is_named_by_prefix_or_exactly(
    stage: Stage, args: list[str], env: dict[str, str], expected: str
) -> None:
    plan = stage.run(AGENT, *args, "--dry-run", **env).out
    assert f"systemctl --no-ask-password restart -- {expected}\n" in plan


def test_a_bad_prefix_in_the_environment_is_refused(stage: Stage) -> None:
    usual(stage, AGENT)
    assert_failed(stage.run(AGENT, "main", DEFIB_AGENT_UNIT_PREFIX="-x"), 2, "DEFIB_AGENT_UNIT_PREFIX")
    assert stage.calls == []


def test_user_units_are_restarted_by_the_users_systemd(stage: Stage) -> None:
    usual(stage, AGENT)
    assert stage.run(AGENT, "main", "--user").status == 0
    assert all(call.startswith("systemctl --user ") for call in stage.calls)


def test_a_failed_unit_is_reset_before_it_is_restarted(stage: Stage) -> None:
    failed = unit(active="failed", sub="failed", pid=0, Result="start-limit-hit")
    stage.program("systemctl", ("show", [failed, unit()]), ("reset-failed", [DONE]), ("restart", [DONE]))
    assert stage.run(AGENT, "main").status == 0
    assert stage.changes == [
        "systemctl --no-ask-password reset-failed -- openclaw-main.service",
        "systemctl --no-ask-password restart -- openclaw-main.service",
    ]


def test_a_unit_that_is_not_failed_is_not_reset(stage: Stage) -> None:
    usual(stage, AGENT)
    stage.run(AGENT, "main")
    assert stage.changes == ["systemctl --no-ask-password restart -- openclaw-main.service"]


@pytest.mark.parametrize(
    ("load", "status", "says"),
    [
        ("not-found", 3, "not loaded: no such unit; compare: systemctl list-unit-files"),
        ("masked", 4, "is masked, somebody wants it off; to allow it again: systemctl unmask"),
        ("bad-setting", 4, "its file is broken; look at: systemd-analyze verify"),
        ("error", 4, "its file is broken"),
        ("stub", 4, "load state 'stub'"),
    ],
)
def test_a_unit_that_is_not_loaded_is_never_started(stage: Stage, load: str, status: int, says: str) -> None:
    stage.program("systemctl", ("show", [unit(load=load, active="inactive", sub="dead", pid=0)]))
    assert_failed(stage.run(AGENT, "main"), status, "openclaw-main.service", says)
    assert stage.changes == []


@pytest.mark.parametrize("reply", [NO_BUS, HANGS])
def test_nothing_is_changed_while_systemd_does_not_answer(stage: Stage, reply: Reply) -> None:
    stage.program("systemctl", ("show", [reply]))
    outcome = stage.run(AGENT, "main")
    assert_failed(outcome, 6, "systemd did not answer")
    assert stage.changes == []
    assert outcome.took_s < 15


@pytest.mark.parametrize(("hang", "limit_s"), [("yes", 12), ("deaf", 13)])
def test_a_hanging_restart_of_an_agent_is_bounded(stage: Stage, hang: str, limit_s: float) -> None:
    stage.program("systemctl", ("show", [unit()]), ("restart", [{"hang": hang}]))
    outcome = stage.run(AGENT, "main", "--wait", "2")
    assert_failed(outcome, 5, "is not restarted after 2 s", "journalctl -u openclaw-main.service")
    assert outcome.took_s < limit_s
    assert not is_running(stage.records[-1]["pid"])


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (JOB_FAILED, "failed because the control process exited with error code; look at: journalctl -u"),
        (NO_RIGHT, "Interactive authentication required; run Defib as root, or allow it in polkit"),
        ({"status": 1}, "it printed nothing"),
    ],
)
def test_a_refused_restart_of_an_agent_is_told(stage: Stage, reply: Reply, says: str) -> None:
    stage.program("systemctl", ("show", [unit()]), ("restart", [reply]))
    assert_failed(stage.run(AGENT, "main"), 1, "cannot restart openclaw-main.service", says)


def test_an_agent_that_dies_after_its_start_is_not_up(stage: Stage) -> None:
    failed = unit(active="failed", sub="failed", pid=0, Result="exit-code")
    stage.program("systemctl", ("show", [unit(pid=1), unit(pid=2), failed]), ("restart", [DONE]))
    assert_failed(stage.run(AGENT, "main"), 5, "ended at once (failed, result 'exit-code')", "journalctl")


def test_an_agent_that_dies_and_is_started_again_is_not_up(stage: Stage) -> None:
    waiting = unit(active="activating", sub="auto-restart", pid=0)
    stage.program("systemctl", ("show", [unit(pid=1), unit(pid=2), waiting]), ("restart", [DONE]))
    assert_failed(stage.run(AGENT, "main", "--wait", "2"), 5, "not up after 2 s (activating, auto-restart)")


def test_an_agent_that_is_another_start_at_every_look_is_not_up(stage: Stage) -> None:
    stage.program("systemctl", ("show", [unit(pid=n) for n in range(1, 40)]), ("restart", [DONE]))
    outcome = stage.run(AGENT, "main", "--wait", "2")
    assert_failed(outcome, 5, "not up after 2 s (active, running)")
    assert outcome.took_s < 12


def test_an_agent_that_comes_up_at_the_last_moment_gets_its_second_look(stage: Stage) -> None:
    stage.program("systemctl", ("show", [unit(pid=1), unit(pid=2)]), ("restart", [DONE]))
    assert stage.run(AGENT, "main", "--wait", "1").status == 0


def test_an_agent_is_up_only_once_the_same_start_was_seen_twice(stage: Stage) -> None:
    looks = [
        unit(pid=1),
        unit(active="activating", sub="start", pid=2),
        unit(pid=2),
        unit(pid=3),
        unit(pid=3),
    ]
    stage.program("systemctl", ("show", looks), ("restart", [DONE]))
    outcome = stage.run(AGENT, "main")
    assert outcome.out.startswith("restarted openclaw-main.service: active, process 3,")
    assert len(stage.calls) == 6


def test_a_lost_answer_after_the_restart_is_asked_for_again(stage: Stage) -> None:
    stage.program("systemctl", ("show", [unit(pid=1), NO_BUS, unit(pid=2)]), ("restart", [DONE]))
    assert stage.run(AGENT, "main").status == 0


# --- restart_container.sh ---


def test_docker_host_is_handed_on(stage: Stage) -> None:
    usual(stage, CONTAINER)
    assert stage.run(CONTAINER, "gateway", DOCKER_HOST="ssh://ops@elsewhere").status == 0
    assert {record["env"]["DOCKER_HOST"] for record in stage.records} == {"ssh://ops@elsewhere"}


def test_the_stop_timeout_is_handed_on(stage: Stage) -> None:
    usual(stage, CONTAINER)
    assert stage.run(CONTAINER, "gateway", "--stop-timeout", "3").status == 0
    assert stage.changes == ["docker restart -t 3 -- gateway"]


def test_warnings_of_docker_do_not_confuse(stage: Stage) -> None:
    warning = "WARNING: Error loading config file: /home/ops/.docker/config.json: permission denied\n"
    stage.program(
        "docker",
        ("inspect", [{**container(), "err": warning}, {**container(at=5), "err": warning}]),
        ("restart", [DONE]),
    )
    assert stage.run(CONTAINER, "gateway").status == 0


@pytest.mark.parametrize(
    ("name", "reply", "status", "says"),
    [
        ("gateway", NO_CONTAINER, 3, "no container is called gateway; compare: docker ps --all"),
        (
            "gateway",
            {"err": 'Error: no such container "gateway"\n', "status": 125},
            3,
            "no container is called",
        ),
        ("15db", container(), 3, "no container is called 15db, only an id begins so"),
        ("abc", container(), 3, "Docker found another one"),
        ("gateway", container("paused"), 4, "docker unpause gateway"),
        ("gateway", container("dead"), 4, "is dead; create it anew"),
        ("gateway", container("removing"), 4, "is removing"),
        ("gateway", NO_DAEMON, 6, "Is the docker daemon running?): is it running, and is DOCKER_HOST right?"),
        (
            "gateway",
            {"err": "permission denied while trying to connect to the Docker daemon socket\n", "status": 1},
            6,
            "add Defib's user to the group docker",
        ),
        ("gateway", HANGS, 6, "Docker did not answer within 4 s"),
    ],
)
def test_a_container_is_left_alone(stage: Stage, name: str, reply: Reply, status: int, says: str) -> None:
    stage.program("docker", ("inspect", [reply]))
    outcome = stage.run(CONTAINER, name, "--force")
    assert_failed(outcome, status, says)
    assert stage.changes == []
    assert outcome.took_s < 15


def test_a_long_id_names_a_container(stage: Stage) -> None:
    usual(stage, CONTAINER)
    assert stage.run(CONTAINER, ID[:12]).status == 0
    assert stage.changes == [f"docker restart -- {ID[:12]}"]


def test_a_refused_restart_of_a_container_is_told(stage: Stage) -> None:
    refusal = (
        "Error response from daemon: Cannot restart container gateway: driver failed programming external "
        "connectivity on endpoint gateway: Bind for 0.0.0.0:8080 failed: port is already allocated\n"
    )
    stage.program("docker", ("inspect", [container()]), ("restart", [{"err": refusal, "status": 1}]))
    assert_failed(
        stage.run(CONTAINER, "gateway"),
        1,
        "port is already allocated; look at: docker logs --tail 50 gateway",
    )
    assert stage.changes == ["docker restart -- gateway"]


NOT_RUNNING = {
    "err": f"Error response from daemon: Cannot kill container: gateway: Container {ID} is not running\n",
    "status": 1,
}


@pytest.mark.parametrize(
    "restart", [{"err": "Error response from daemon: tried to kill container\n", "status": 1}, HANGS]
)
@pytest.mark.parametrize("kill", [DONE, NOT_RUNNING])
def test_force_kills_and_starts_where_the_restart_fails(stage: Stage, restart: Reply, kill: Reply) -> None:
    stage.program(
        "docker",
        ("inspect", [container(), container(at=9)]),
        ("restart", [restart]),
        ("kill", [kill]),
        ("start", [DONE]),
    )
    outcome = stage.run(CONTAINER, "gateway", "--force", "--wait", "9")
    assert outcome.status == 0, outcome
    assert outcome.out.startswith("killed and started container gateway: running, after ")
    assert stage.changes == ["docker restart -- gateway", "docker kill -- gateway", "docker start -- gateway"]


@pytest.mark.parametrize(
    ("kill", "start", "status", "says"),
    [
        (
            {"err": "Error: did not receive an exit event\n", "status": 1},
            DONE,
            1,
            "cannot kill container gateway: Error",
        ),
        (HANGS, DONE, 1, "docker kill gateway hangs: the daemon is stuck"),
        (
            DONE,
            {"err": "Error: no space left on device\n", "status": 1},
            1,
            "cannot start container gateway: Error: no space",
        ),
        (DONE, HANGS, 5, "is killed and not started after 6 s; try: docker start gateway"),
    ],
)
def test_a_failing_kill_or_start_is_told(
    stage: Stage, kill: Reply, start: Reply, status: int, says: str
) -> None:
    failing = {"err": "Error response from daemon: oops\n", "status": 1}
    stage.program(
        "docker", ("inspect", [container()]), ("restart", [failing]), ("kill", [kill]), ("start", [start])
    )
    outcome = stage.run(CONTAINER, "gateway", "--force", "--wait", "6")
    assert_failed(outcome, status, says)
    assert outcome.took_s < 16


def test_a_hanging_restart_of_a_container_is_bounded_and_nothing_is_killed(stage: Stage) -> None:
    stage.program("docker", ("inspect", [container()]), ("restart", [HANGS]))
    outcome = stage.run(CONTAINER, "gateway", "--wait", "2")
    assert_failed(outcome, 5, "is not restarted after 2 s", "--force")
    assert stage.changes == ["docker restart -- gateway"]
    assert outcome.took_s < 12


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        ([container("exited", at=5, code=1)], "ended at once (exit status 1); look at: docker logs"),
        ([container("exited", at=5, code=137, oom="true")], "ended at once (exit status 137, out of memory)"),
        ([container("restarting", at=5)], "is not up after 2 s (restarting)"),
        ([container(at=0)], "is not up after 2 s (running)"),
        ([container(at=n) for n in range(1, 30)], "is not up after 2 s"),
        ([NO_DAEMON], "is not up after 2 s (no answer)"),
    ],
    ids=["exits", "out-of-memory", "crash-loop", "same-start", "ever-new-start", "daemon-gone"],
)
def test_a_container_that_does_not_stay_up_is_told(stage: Stage, looks: list[Reply], says: str) -> None:
    stage.program("docker", ("inspect", [container(), *looks]), ("restart", [DONE]))
    assert_failed(stage.run(CONTAINER, "gateway", "--wait", "2"), 5, says)


# --- restart_db.sh ---


def database(stage: Stage, kind: str, *, ready: list[Reply] | None = None) -> list[str]:
    """Stand-ins for one kind of server; gives the option that names it."""
    ready = ready or [NO_RESPONSE, ACCEPTING]
    match kind:
        case "unit":
            stage.program("systemctl", ("show", [unit()]), ("restart", [DONE]), ("reload", [DONE]))
            stage.program("pg_isready", ("", ready))
            return ["--unit", "postgresql@15-main"]
        case "container":
            stage.program(
                "docker",
                ("inspect", [db_container()]),
                ("restart", [DONE]),
                ("exec pg_isready", ready),
                ("exec pg_ctl", [DONE]),
            )
            return ["--container", "pg"]
        case _:
            stage.program("pg_lsclusters", ("", [cluster()]))
            stage.program("pg_ctlcluster", ("", [DONE]))
            stage.program("pg_isready", ("--cluster", ready))
            return ["--cluster", "15/main"]


def acts(stage: Stage) -> list[str]:
    return [call for call in stage.changes if " exec -- " not in call]


SERVER = {"unit": "postgresql@15-main.service", "container": "container pg", "cluster": "cluster 15/main"}
KINDS = list(SERVER)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("unit", "systemctl --no-ask-password restart -- postgresql@15-main.service"),
        ("container", "docker restart -- pg"),
        ("cluster", "pg_ctlcluster 15 main restart"),
    ],
)
def test_a_database_is_restarted_by_its_own_means(stage: Stage, kind: str, command: str) -> None:
    named = database(stage, kind, ready=[NO_RESPONSE, NO_RESPONSE, REJECTING, ACCEPTING])
    outcome = stage.run(DB, *named)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"restarted {SERVER[kind]}: accepting connections, after ")
    assert acts(stage) == [command]


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("unit", "systemctl --no-ask-password reload -- postgresql@15-main.service"),
        ("container", "docker exec --user postgres -- pg pg_ctl reload -s"),
        ("cluster", "pg_ctlcluster 15 main reload"),
    ],
)
def test_reload_restarts_nothing(stage: Stage, kind: str, command: str) -> None:
    outcome = stage.run(DB, *database(stage, kind), "--reload")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"reloaded {SERVER[kind]}: accepting connections, after ")
    assert acts(stage) == [command]


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_starts_up_is_waited_for_and_not_restarted(stage: Stage, kind: str) -> None:
    outcome = stage.run(DB, *database(stage, kind, ready=[REJECTING, REJECTING, ACCEPTING]))
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(
        f"{SERVER[kind]} was starting up and needed no restart: accepting connections"
    )
    assert acts(stage) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_keeps_rejecting_is_refused(stage: Stage, kind: str) -> None:
    outcome = stage.run(DB, *database(stage, kind, ready=[REJECTING]), "--wait", "1")
    assert_failed(
        outcome, 4, SERVER[kind], "starting up, recovering or shutting down", "wait, or add --force"
    )
    assert acts(stage) == []


def test_force_restarts_a_database_that_keeps_rejecting(stage: Stage) -> None:
    outcome = stage.run(DB, *database(stage, "cluster", ready=[REJECTING, ACCEPTING]), "--force")
    assert outcome.status == 0
    assert acts(stage) == ["pg_ctlcluster 15 main restart"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("ready", "says"),
    [
        ([NO_RESPONSE], "accepts no connections after 1 s"),
        ([NO_RESPONSE, REJECTING], "still starting up or recovering after 1 s; give it time"),
        ([HANGS], "accepts no connections after 1 s"),
    ],
    ids=["no-response", "rejecting", "hang"],
)
def test_a_database_that_does_not_come_up_is_told(
    stage: Stage, kind: str, ready: list[Reply], says: str
) -> None:
    outcome = stage.run(DB, *database(stage, kind, ready=ready), "--wait", "1")
    assert_failed(outcome, 5, f"{SERVER[kind]} was restarted and", says, "look at: ")
    assert outcome.took_s < 25


@pytest.mark.parametrize("kind", KINDS)
def test_a_hanging_restart_of_a_database_is_bounded(stage: Stage, kind: str) -> None:
    named = database(stage, kind)
    stage.program(
        {"unit": "systemctl", "container": "docker", "cluster": "pg_ctlcluster"}[kind],
        ("restart", [HANGS]),
        ("show", [unit()]),
        ("inspect", [db_container()]),
        ("exec", [NO_RESPONSE]),
    )
    outcome = stage.run(DB, *named, "--wait", "2")
    assert_failed(outcome, 5, f"{SERVER[kind]} is not restarted after 2 s")
    assert len(acts(stage)) == 1
    assert outcome.took_s < 12


@pytest.mark.parametrize(
    ("args", "asked"),
    [
        (["--unit", "pg"], "pg_isready -t 2"),
        (["--unit", "pg", "--host", "::1", "--port", "5433"], "pg_isready -h ::1 -p 5433 -t 2"),
        (["--unit", "pg", "--host", "/run/postgresql"], "pg_isready -h /run/postgresql -t 2"),
        (["--cluster", "15/main"], "pg_isready --cluster 15/main -t 2"),
        (["--cluster", "15/main", "--port", "5433"], "pg_isready -p 5433 -t 2"),
        (["--container", "pg"], "docker exec -- pg pg_isready -t 2"),
        (["--container", "pg", "--host", "127.0.0.1"], "pg_isready -h 127.0.0.1 -t 2"),
    ],
)
def test_readiness_is_asked_where_the_server_is(stage: Stage, args: list[str], asked: str) -> None:
    plan = stage.run(DB, *args, "--dry-run").out
    assert [line for line in plan.splitlines() if f" {asked}  # until it accepts connections" in line]


@pytest.mark.parametrize("kind", ["unit", "container"])
def test_without_pg_isready_the_state_must_do_and_that_is_said(stage: Stage, kind: str) -> None:
    named = database(stage, kind, ready=[NO_EXECUTABLE])
    (stage.bin / "pg_isready").unlink(missing_ok=True)
    outcome = stage.run(DB, *named)
    assert (outcome.status, outcome.err) == (0, "")
    assert f"restarted {SERVER[kind]}: running (pg_isready is missing" in outcome.out


def test_a_wrapper_that_cannot_ask_does_not_count_as_rejecting(stage: Stage) -> None:
    # Debian's pg_wrapper exits with 1 as well, the status that pg_isready has for "rejecting".
    refusal = {
        "err": "Error: You must install at least one postgresql-client package\n",
        "status": 1,
    }
    outcome = stage.run(DB, *database(stage, "cluster", ready=[refusal, ACCEPTING]))
    assert outcome.status == 0
    assert acts(stage) == ["pg_ctlcluster 15 main restart"]


def test_a_failed_database_unit_is_reset_before_it_is_restarted(stage: Stage) -> None:
    named = database(stage, "unit")
    failed = unit(active="failed", sub="failed", pid=0)
    stage.program("systemctl", ("show", [failed]), ("reset-failed", [DONE]), ("restart", [DONE]))
    assert stage.run(DB, *named).status == 0
    assert [call.split()[2] for call in acts(stage)] == ["reset-failed", "restart"]


@pytest.mark.parametrize(
    ("kind", "reply", "status", "says"),
    [
        ("unit", unit(load="not-found"), 3, "not loaded: no such unit"),
        ("unit", unit(load="masked"), 4, "systemctl unmask postgresql@15-main.service"),
        ("unit", unit(load="bad-setting"), 4, "systemd-analyze verify"),
        ("unit", NO_BUS, 6, "systemd did not answer"),
        ("unit", HANGS, 6, "systemd did not answer"),
        ("container", {"err": "Error: No such container: pg\n", "status": 1}, 3, "no container is called pg"),
        ("container", container(name="15db"), 3, "Docker found another one"),
        ("container", db_container("paused"), 4, "docker unpause pg"),
        ("container", db_container("dead"), 4, "create it anew"),
        ("container", NO_DAEMON, 6, "is DOCKER_HOST right?"),
        ("container", HANGS, 6, "Docker did not answer within 4 s"),
        (
            "cluster",
            {"err": "Error: Cluster 15 main does not exist\n", "status": 1},
            3,
            "compare: pg_lsclusters",
        ),
        ("cluster", HANGS, 6, "pg_lsclusters did not answer within 4 s"),
        (
            "cluster",
            {"err": "Can't locate PgCommon.pm in @INC\n", "status": 2},
            6,
            "pg_lsclusters did not answer",
        ),
    ],
)
def test_a_database_is_left_alone(stage: Stage, kind: str, reply: Reply, status: int, says: str) -> None:
    named = database(stage, kind)
    program = {"unit": "systemctl", "container": "docker", "cluster": "pg_lsclusters"}[kind]
    stage.program(program, ("", [reply]))
    outcome = stage.run(DB, *named, "--force")
    assert_failed(outcome, status, says)
    assert len(stage.calls) == 1
    assert outcome.took_s < 15


@pytest.mark.parametrize(
    ("reply", "status", "says"),
    [
        ({"err": "Error: Cluster is disabled\n", "status": 1}, 4, "edit /etc/postgresql/15/main/start.conf"),
        (
            {
                "err": "Error: You must run this program as the cluster owner (postgres) or root\n",
                "status": 1,
            },
            1,
            "run Defib with the rights for it",
        ),
        (
            {
                "err": "The PostgreSQL server failed to start. Please check the log output:\n"
                "2026-03-01 10:00:00.000 UTC [77] LOG:  skipping connection to postgresql://app:hunter2@db/\n",
                "status": 1,
            },
            1,
            "failed to start. Please check the log output:; look at: tail -n 50 /var/log/postgresql",
        ),
    ],
)
def test_a_refused_restart_of_a_cluster_is_told(stage: Stage, reply: Reply, status: int, says: str) -> None:
    named = database(stage, "cluster")
    stage.program("pg_ctlcluster", ("restart", [reply]))
    outcome = stage.run(DB, *named)
    assert_failed(outcome, status, says)
    assert "hunter2" not in outcome.err


def test_reloading_a_database_that_is_down_is_told(stage: Stage) -> None:
    named = database(stage, "cluster")
    stage.program(
        "pg_ctlcluster",
        (
            "reload",
            [
                {
                    "err": 'pg_ctl: PID file "/data/postmaster.pid" does not exist\nIs server running?\n',
                    "status": 1,
                }
            ],
        ),
    )
    assert_failed(stage.run(DB, *named, "--reload"), 1, "cannot reload cluster 15/main: pg_ctl: PID file")
    assert acts(stage) == ["pg_ctlcluster 15 main reload"]


def test_how_full_the_disk_is_is_told_on_success_and_on_failure(stage: Stage) -> None:
    df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 1000 1000 0 100% /a b\n"
    df = df.replace("/a b", "/data")
    named = database(stage, "cluster")
    stage.program("pg_lsclusters", ("", [cluster(folder=str(stage.folder))]))
    (stage.bin / "df").unlink()
    stage.program("df", ("-P", [{"out": df}]))
    assert stage.run(DB, *named).out.endswith("; the disk of its data is 100% full\n")
    stage.program("pg_isready", ("", [NO_RESPONSE]))
    assert_failed(stage.run(DB, *named, "--wait", "1"), 5, "; the disk of its data is 100% full; look at: ")


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({}, True),
        ({"DOCKER_HOST": "unix:///run/docker.sock"}, True),
        ({"DOCKER_HOST": "tcp://elsewhere:2375"}, False),
        ({"DOCKER_CONTEXT": "elsewhere"}, False),
    ],
)
def test_the_disk_of_a_container_is_told_only_where_docker_is_local(
    stage: Stage, env: dict[str, str], told: bool
) -> None:
    named = database(stage, "container")
    stage.program(
        "docker",
        ("inspect", [db_container(source=str(stage.folder))]),
        ("restart", [DONE]),
        ("exec", [NO_RESPONSE, ACCEPTING]),
    )
    outcome = stage.run(DB, *named, **env)
    assert outcome.status == 0
    assert bool(re.search(r"; the disk of its data is \d+% full\n", outcome.out)) is told


def test_a_disk_that_hangs_does_not_hold_the_script_up(stage: Stage) -> None:
    named = database(stage, "unit")
    (stage.bin / "df").unlink()
    stage.program("df", ("-P", [HANGS]))
    outcome = stage.run(DB, *named, "--data-dir", str(stage.folder))
    assert outcome.status == 0
    assert "disk" not in outcome.out
    assert outcome.took_s < 15


def test_the_database_script_has_no_command_that_kills_or_deletes() -> None:
    code = [line.split("#")[0] for line in (FOLDER / DB).read_text().partition("\n}\n")[2].splitlines()]
    assert not [
        line for line in code if re.search(r"\b(rm|unlink|mv|truncate|pg_resetwal|docker (kill|rm))\b", line)
    ]
