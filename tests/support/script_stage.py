"""A stage for the shipped recovery scripts: they run for real against stand-ins for what they command.

The PATH of a script is one folder that holds the few tools it needs and stand-ins for `systemctl`, `docker`,
`pg_lsclusters`, `pg_ctlcluster` and `pg_isready`. A stand-in records how it was called and replays what the
real program prints (systemd 252, Docker 20.10, PostgreSQL 15 with Debian's postgresql-common). Nothing else
can be reached.
"""

import json
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defib_testkit.requirement import require

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
