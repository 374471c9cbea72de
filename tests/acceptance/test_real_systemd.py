"""The units of ``deploy/`` under a real systemd: the daemon, the pass and the agent, in their sandboxes."""

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import yaml

from defib_testkit.company import QUICK
from defib_testkit.systemd_machine import SystemdMachine
from defib_testkit.waiting import wait_until

pytestmark = pytest.mark.xdist_group("systemd")
KEY = "registration-key-0123456789"
SETTINGS: dict[str, Any] = {
    "store": "sqlite:////var/lib/defib/defib.db",
    "server": {
        "listen": "127.0.0.1:8420",
        "unix_socket": "/run/defib/defib.sock",
        "ingest": {"registration_key": "${file:registration-key}"},
    },
    "strategies": {"quick": {**QUICK, "timeout": "900ms"}},
    "defaults": {
        "strategy": "quick",
        "recovery_scripts": "/opt/defib/share/defib/recovery_scripts",
        "recovery": {
            "mode": "auto", "hold": "300ms", "cooldown": "500ms", "start_timeout": "5s", "probation": "1s",
        },
    },
    "monitors": [
        {"id": "killed", "type": "systemd", "unit": "killed", "recovery": "auto"},
        {"id": "loops", "type": "systemd", "unit": "loops", "recovery": "auto"},
        {
            "id": "scripted", "type": "systemd", "unit": "openclaw-main",
            "recovery": [{"script": {"file": "restart_agent.sh", "args": ["main"], "timeout": "20s"}}],
        },
        {"id": "journal", "type": "systemd", "unit": "systemd-journald"},
        {"id": "bus", "type": "systemd", "unit": "dbus"},
        {"id": "web-1", "type": "agent"},
    ],
}  # fmt: skip
AGENT = {"server_url": "http://127.0.0.1:8420", "agent_id": "web-1", "interval": "1s"}
ATTEMPTS = "SELECT kind, exit_status, outcome FROM attempt WHERE monitor = '{}' ORDER BY intent_at"
SLEEPS = "[Service]\nExecStart=/bin/sleep infinity\n"
LOOPS = """\
[Unit]
StartLimitBurst=3
StartLimitIntervalSec=1h
[Service]
ExecStart=/bin/sh -c 'test -e /run/mended && exec sleep infinity'
Restart=always
RestartSec=20ms
"""
QUICKLY = "[Service]\nRestartSec=50ms\nWatchdogSec={}\n"


class Installation:
    """Defib as installed in the machine."""

    def __init__(self, machine: SystemdMachine) -> None:
        self.machine = machine

    def configure(self, settings: dict[str, Any]) -> None:
        self.write("defib.yaml", yaml.safe_dump(settings))

    def write(self, name: str, text: str) -> None:
        """A file of ``/etc/defib``, as those in it are to be."""
        file = self.machine.root / "etc/defib" / name
        file.write_text(text)
        file.chmod(0o640)
        shutil.chown(file, group=file.parent.stat().st_gid)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the store; none before there is one."""
        file = self.machine.root / "var/lib/defib/defib.db"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(query).fetchall()

    def wait_for_rows(self, query: str, expected: list[tuple[Any, ...]], timeout: float = 30.0) -> None:
        try:
            wait_until(lambda: self.rows(query) == expected, timeout, f"{query} to give {expected}")
        except TimeoutError as error:
            error.add_note(self.machine.journal("defib"))
            raise

    def wait_for(self, monitor: str, state: str) -> None:
        self.wait_for_rows(f"SELECT state FROM health WHERE monitor = '{monitor}'", [(state,)])

    def complaints(self, unit: str) -> list[str]:
        """What systemd itself has against a unit."""
        journal = ("journalctl", "--quiet", "--output=cat", "--priority=warning", "_PID=1")
        return self.machine.run(*journal, f"UNIT={unit}.service").stdout.splitlines()


@pytest.fixture(scope="module")
def installed(systemd_machine: SystemdMachine) -> Iterator[Installation]:
    """Installed as README.md says, with some units to watch and the right to restart them."""
    machine = systemd_machine
    installation = Installation(machine)
    installation.write("registration-key", KEY)
    secrets = machine.root / "etc/defib-agent/environment"
    secrets.write_text(f"DEFIB_AGENT_API_TOKEN={KEY}\n")
    secrets.chmod(0o600)
    (machine.root / "etc/defib-agent/agent.yaml").write_text(yaml.safe_dump(AGENT))
    machine.add_unit("killed.service", SLEEPS)
    machine.add_unit("openclaw-main.service", SLEEPS)
    machine.add_unit("loops.service", LOOPS)
    machine.add_unit("defib.service.d/quick.conf", QUICKLY.format("5s"))
    machine.add_unit("defib-agent.service.d/quick.conf", QUICKLY.format("2s"))
    machine.add_unit("defib-pass.timer.d/quick.conf", "[Timer]\nOnCalendar=*:*:*\nAccuracySec=1us\n")
    machine.reload()
    rule = machine.run("/opt/defib/bin/defib", "polkit", "killed", "loops", "openclaw-main").stdout
    with machine.polkit_rule(rule):
        yield installation
        machine.systemctl("stop", "defib", "defib-agent", "defib-pass.timer", "defib-pass")
    machine.clear()


@pytest.fixture
def defib(installed: Installation) -> Installation:
    """The daemon runs, and all that it watches is well."""
    machine = installed.machine
    machine.path("/run/mended").touch()
    machine.systemctl("start", "killed", "openclaw-main", "loops")
    installed.configure(SETTINGS)
    done = machine.systemctl("start", "defib", timeout=60)
    assert done.returncode == 0, machine.journal("defib")
    for monitor in ("killed", "loops", "scripted"):
        installed.wait_for(monitor, "up")
    return installed


@pytest.fixture
def agent(defib: Installation) -> Installation:
    """And so does the agent, and the daemon hears of it."""
    defib.machine.systemctl("start", "defib-agent")
    defib.wait_for("web-1", "up")
    return defib


# --- the daemon ----------------------------------------------------------------------------------------


def test_the_daemon_works_in_its_sandbox(defib: Installation) -> None:
    machine = defib.machine

    assert machine.show("defib", "ActiveState", "SubState", "StatusText", "NRestarts") == {
        "ActiveState": "active", "SubState": "running", "StatusText": "watching 6 monitors", "NRestarts": "0",
    }  # fmt: skip
    assert machine.path("/run/defib/defib.sock").is_socket()
    assert defib.complaints("defib") == []


def test_a_reload_takes_the_new_configuration_and_refuses_a_wrong_one(defib: Installation) -> None:
    machine = defib.machine
    before = machine.main_pid("defib")

    defib.configure(
        {**SETTINGS, "monitors": [*SETTINGS["monitors"], {"id": "job", "type": "heartbeat", "every": "1h"}]}
    )
    assert machine.systemctl("reload", "defib").returncode == 0
    machine.wait_for("defib", ActiveState="active", StatusText="watching 7 monitors")

    defib.configure({**SETTINGS, "colour": "blue"})
    assert machine.systemctl("reload", "defib").returncode == 0
    wait_until(lambda: "the old one stays in force" in machine.journal("defib"), 20, "the refusal")
    machine.wait_for("defib", ActiveState="active", StatusText="watching 7 monitors")
    assert machine.main_pid("defib") == before


def test_killed_units_are_restarted_by_systemctl_and_by_a_script(defib: Installation) -> None:
    machine = defib.machine

    machine.signal("killed.service", signal.SIGKILL)
    machine.signal("openclaw-main.service", signal.SIGKILL)

    defib.wait_for_rows(ATTEMPTS.format("killed"), [("systemd", 0, "verified")])
    defib.wait_for_rows(ATTEMPTS.format("scripted"), [("script", 0, "verified")])
    for unit in ("killed.service", "openclaw-main.service"):
        machine.wait_for(unit, ActiveState="active", SubState="running")
    explain = ("/opt/defib/bin/defib", "explain", "killed")
    story = machine.run(*explain, user="defib").stdout
    assert "killed.service: Main process exited, code=killed, status=9/KILL" in story


def test_a_unit_at_its_start_limit_is_reset_and_started(defib: Installation) -> None:
    machine = defib.machine
    machine.path("/run/mended").unlink()
    machine.signal("loops.service", signal.SIGKILL)
    machine.wait_for("loops.service", ActiveState="failed")
    machine.path("/run/mended").touch()

    defib.wait_for_rows(ATTEMPTS.format("loops"), [("systemd", 1, "failed"), ("systemd", 0, "verified")])
    machine.wait_for("loops.service", ActiveState="active", SubState="running")


def test_a_daemon_that_hangs_is_restarted_and_its_log_says_where_it_hung(defib: Installation) -> None:
    machine = defib.machine
    before = machine.main_pid("defib")

    machine.signal("defib.service", signal.SIGSTOP)

    machine.wait_for("defib.service", timeout=60, ActiveState="active", SubState="running", NRestarts="1")
    assert machine.main_pid("defib") != before
    told = machine.journal("defib", lines=200)
    assert "defib.service: Watchdog timeout (limit 5s)!" in told
    assert "Fatal Python error: Aborted" in told
    assert "orchestrator/defib/cli/serve.py" in told


def test_a_daemon_with_a_wrong_configuration_is_not_started_again_and_again(installed: Installation) -> None:
    machine = installed.machine
    stopped = machine.systemctl("stop", "defib", timeout=60)
    assert stopped.returncode == 0
    assert machine.show("defib", "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    installed.configure({**SETTINGS, "colour": "blue"})

    assert machine.systemctl("start", "defib", timeout=60).returncode == 1

    assert machine.show("defib", "ActiveState", "Result", "ExecMainStatus", "NRestarts") == {
        "ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "2", "NRestarts": "0",
    }  # fmt: skip
    assert "colour" in machine.journal("defib")


# --- the agent -----------------------------------------------------------------------------------------


def test_the_agent_beats_in_its_sandbox(agent: Installation) -> None:
    machine = agent.machine

    machine.wait_for("defib-agent", ActiveState="active", StatusText="beats are delivered", NRestarts="0")
    identity = machine.root / "var/lib/private/defib-agent/identity.json"
    assert identity.stat().st_mode & 0o777 == 0o600
    assert agent.complaints("defib-agent") == []


def test_an_agent_that_hangs_is_restarted_and_its_log_says_where_it_hung(agent: Installation) -> None:
    machine = agent.machine
    before = machine.main_pid("defib-agent")

    machine.signal("defib-agent.service", signal.SIGSTOP)

    machine.wait_for(
        "defib-agent.service", timeout=60, ActiveState="active", SubState="running", NRestarts="1"
    )
    assert machine.main_pid("defib-agent") != before
    told = machine.journal("defib-agent", lines=200)
    assert "defib-agent.service: Watchdog timeout (limit 2s)!" in told
    assert "Fatal Python error: Aborted" in told


def test_an_agent_whose_server_is_away_stays_and_delivers_later(agent: Installation) -> None:
    machine = agent.machine
    before = machine.main_pid("defib-agent")

    machine.systemctl("stop", "defib", timeout=60)
    wait_until(
        lambda: "not delivered" in machine.show("defib-agent", "StatusText")["StatusText"],
        30,
        "a beat to fail",
    )
    machine.systemctl("start", "defib", timeout=60)

    machine.wait_for("defib-agent", timeout=60, ActiveState="active", StatusText="beats are delivered")
    assert machine.main_pid("defib-agent") == before


def test_an_agent_that_is_stopped_in_the_middle_of_sending_says_goodbye(agent: Installation) -> None:
    machine = agent.machine

    machine.signal("defib.service", signal.SIGSTOP)  # shorter than its watchdog waits
    machine.systemctl("stop", "--no-block", "defib-agent")
    machine.wait_for("defib-agent", ActiveState="deactivating")
    machine.signal("defib.service", signal.SIGCONT)

    agent.wait_for("web-1", "stopped")
    machine.wait_for("defib-agent", ActiveState="inactive", Result="success")


# --- the pass ------------------------------------------------------------------------------------------


def test_the_timer_starts_passes_and_what_they_find_is_no_failure_of_theirs(defib: Installation) -> None:
    machine = defib.machine
    machine.systemctl("stop", "defib", timeout=60)
    watched = {"id": "killed", "type": "systemd", "unit": "killed"}
    defib.configure({**SETTINGS, "monitors": [watched]})
    machine.signal("killed.service", signal.SIGKILL)

    machine.systemctl("start", "defib-pass.timer")
    machine.wait_for("defib-pass", ActiveState="activating")
    machine.systemctl("stop", "defib-pass.timer")
    ended = machine.systemctl("start", "defib-pass", timeout=60)  # waits for the end of that pass

    assert ended.returncode == 0
    assert "DEFIB CRITICAL - 0 of 1 monitors up" in machine.journal("defib-pass")
    defib.wait_for("killed", "fault")
    assert defib.complaints("defib-pass") == []


def test_a_pass_that_cannot_run_is_a_failure(installed: Installation) -> None:
    machine = installed.machine
    machine.systemctl("stop", "defib", timeout=60)
    installed.configure({**SETTINGS, "colour": "blue"})

    ended = machine.systemctl("start", "defib-pass", timeout=60)
    assert ended.returncode == 1, machine.journal("defib-pass")

    assert machine.show("defib-pass", "Result", "ExecMainStatus") == {
        "Result": "exit-code",
        "ExecMainStatus": "3",
    }
