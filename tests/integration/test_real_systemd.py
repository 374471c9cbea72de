"""The ``systemd`` monitor and action against a real systemd, and the stand-in for ``systemctl`` beside it."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.plugin import (
    ActionContext,
    ActionHeldBackError,
    ActionRefusedError,
    ActionResult,
    BuildContext,
    Family,
    Grade,
    MonitorId,
    MonitorSpec,
    Options,
    OwnParts,
)
from defib_plugins import systemd_unit
from defib_strategies import systemd_action
from defib_strategies.systemd_action import UnitAction
from defib_testkit.systemctl_double import SystemctlDouble
from defib_testkit.systemd_machine import SystemdMachine
from monitor_kit import look

pytestmark = pytest.mark.xdist_group("systemd")
SLEEPS = "ExecStart=/bin/sleep infinity\n"
ENABLED = "[Install]\nWantedBy=multi-user.target\n"


@pytest.fixture(autouse=True)
def on_path(systemd_machine: SystemdMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``systemctl`` is that of the machine."""
    systemd_machine.put_systemctl(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


# --- what the monitor sees -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A unit, how it came to be as it is, and what it is taken for."""

    text: str = ""  #: of its file; "" makes none
    is_enabled: bool = False
    is_started: bool = True
    then: Callable[[SystemdMachine, str], object] | None = None  #: done to it once it is active
    comes_to: dict[str, str] = field(default_factory=dict)  #: properties that it has then
    cause: str = "ok"
    grade: Grade = Grade.NONE
    says: str


def service(text: str = SLEEPS, *, unit: str = "") -> str:
    return f"[Unit]\n{unit}[Service]\n{text}"


def kill(number: signal.Signals) -> Callable[[SystemdMachine, str], object]:
    return lambda machine, unit: machine.signal(unit, number)


def do(*verb: str) -> Callable[[SystemdMachine, str], object]:
    return lambda machine, unit: machine.systemctl(*verb, "--", unit)


def call(machine: SystemdMachine, unit: str) -> None:
    """Connect to the port of ``falls.socket``."""
    machine.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7001")


def run_out_of_memory(machine: SystemdMachine, unit: str) -> None:
    """What systemd-oomd does: a mark on the control group, and SIGKILL. The kernel's own kills take a controller
    that a machine may lack."""
    machine.mark_out_of_memory(unit)
    machine.signal(unit, signal.SIGKILL)


FAILED = {"ActiveState": "failed"}
DEAF = """\
Type=notify
NotifyAccess=all
ExecStart=/bin/sh -c 'trap "" TERM; systemd-notify --ready; while :; do sleep 1; done'
"""
UNITS = {
    "runs.service": Kept(text=service(), says="is active (running)"),
    "done.service": Kept(
        text=service("Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"), says="is active (exited)"
    ),
    "reloads.service": Kept(
        text=service(f"{SLEEPS}ExecReload=/bin/sleep infinity\n"), then=do("reload", "--no-block"),
        comes_to={"ActiveState": "reloading"}, says="is reloading (reload)",
    ),
    "listens.socket": Kept(text="[Socket]\nListenStream=7002\nAccept=yes\n", says="is active (listening)"),
    "listens@.service": Kept(text=service("ExecStart=/bin/cat\n"), is_started=False, says=""),
    "ticks.timer": Kept(text="[Timer]\nOnActiveSec=1h\nUnit=runs.service\n", says="is active (waiting)"),
    "exits.service": Kept(
        text=service("ExecStart=/bin/sh -c 'exit 3'\n"), comes_to=FAILED,
        cause="unit-failed", grade=Grade.AUTHORITATIVE, says="failed: exit-code, main process exited with 3",
    ),
    "absent.service": Kept(
        text=service("ExecStart=/nonexistent/program\n"), comes_to=FAILED, cause="unit-failed",
        grade=Grade.AUTHORITATIVE, says="failed: exit-code, main process exited with 203 (EXEC: its program)",
    ),
    "nobodys.service": Kept(
        text=service(f"User=no-such-user\n{SLEEPS}"), comes_to=FAILED, cause="unit-failed",
        grade=Grade.AUTHORITATIVE, says="failed: exit-code, main process exited with 217 (USER: its user)",
    ),
    "killed.service": Kept(
        text=service(), then=kill(signal.SIGKILL), comes_to=FAILED, cause="unit-failed",
        grade=Grade.AUTHORITATIVE, says="failed: signal, main process killed by SIGKILL",
    ),
    "oom.service": Kept(
        text=service(), then=run_out_of_memory, comes_to=FAILED, cause="unit-failed",
        grade=Grade.AUTHORITATIVE, says="failed: oom-kill, main process killed by SIGKILL",
    ),
    "hangs.service": Kept(
        text=service(f"WatchdogSec=100ms\nWatchdogSignal=SIGKILL\n{SLEEPS}"), comes_to=FAILED,
        cause="unit-failed", grade=Grade.AUTHORITATIVE, says="failed: watchdog, main process killed by SIGKILL",
    ),
    "late.service": Kept(
        text=service(f"Type=notify\nTimeoutStartSec=100ms\n{SLEEPS}"), comes_to=FAILED,
        cause="unit-failed", grade=Grade.AUTHORITATIVE, says="failed: timeout, main process killed by SIGTERM",
    ),
    "deaf.service": Kept(
        text=service(f"{DEAF}TimeoutStopSec=100ms\n"), then=do("stop"), comes_to=FAILED,
        cause="unit-failed", grade=Grade.AUTHORITATIVE, says="failed: timeout, main process killed by SIGKILL",
    ),
    "loops.service": Kept(
        text=service(
            "ExecStart=/bin/sh -c 'exit 4'\nRestart=always\nRestartSec=20ms\n",
            unit="StartLimitBurst=3\nStartLimitIntervalSec=1h\n",
        ),
        comes_to=FAILED, cause="unit-failed", grade=Grade.AUTHORITATIVE,
        says="failed: exit-code, main process exited with 4, after 3 automatic restarts",
    ),
    "ends.service": Kept(
        text=service(
            "ExecStart=/bin/true\nRestart=always\nRestartSec=20ms\n",
            unit="StartLimitBurst=3\nStartLimitIntervalSec=1h\n",
        ),
        comes_to=FAILED, cause="unit-failed", grade=Grade.AUTHORITATIVE,
        says="failed: start-limit-hit, main process exited with 0, after 3 automatic restarts",
    ),
    "falls.service": Kept(text=service("ExecStart=/bin/false\n"), is_started=False, says=""),
    "falls.socket": Kept(
        text="[Unit]\nAfter=falls.service\n[Socket]\nListenStream=7001\nTriggerLimitBurst=2\n", then=call,
        comes_to=FAILED, cause="unit-failed", grade=Grade.AUTHORITATIVE, says="failed: trigger-limit-hit",
    ),
    "waits.service": Kept(
        text=service("ExecStart=/bin/sh -c 'exit 5'\nRestart=always\nRestartSec=1h\n"),
        comes_to={"SubState": "auto-restart"}, cause="unit-restarting", grade=Grade.NORMAL,
        says="waits for its automatic restart: exit-code, main process exited with 5",
    ),
    "slow.service": Kept(
        text=service(f"Type=notify\nTimeoutStartSec=infinity\n{SLEEPS}"),
        comes_to={"ActiveState": "activating"}, cause="activating", grade=Grade.WEAK, says="is starting (start)",
    ),
    "queued.service": Kept(
        text=service(unit="Wants=slow.service\nAfter=slow.service\n"),
        comes_to={"ActiveState": "inactive"}, cause="activating", grade=Grade.WEAK,
        says="is about to be started, after others",
    ),
    "stops.service": Kept(
        text=service(f"{DEAF}TimeoutStopSec=1h\n"), then=do("stop", "--no-block"),
        comes_to={"ActiveState": "deactivating"}, cause="unit-inactive", grade=Grade.INTENT,
        says="is stopping (stop-sigterm)",
    ),
    "stopped.service": Kept(
        text=service(), is_enabled=True, then=do("stop"), cause="unit-inactive", grade=Grade.INTENT,
        says="is stopped (dead)",
    ),
    "forgotten.service": Kept(
        text=service(), then=do("stop"), cause="unit-inactive", grade=Grade.INTENT, says="is stopped (dead)"
    ),
    "idle.service": Kept(
        text=service(), is_started=False, cause="unit-inactive", grade=Grade.INTENT, says="is stopped (dead)"
    ),
    "needy.service": Kept(
        text=service(unit="Requires=exits-once.service\nAfter=exits-once.service\n"), is_enabled=True,
        cause="unit-inactive", grade=Grade.NORMAL,
        says="was never started, though multi-user.target wants it: has a unit failed that it needs?",
    ),
    "exits-once.service": Kept(
        text=service("Type=oneshot\nExecStart=/bin/false\n"), is_started=False, comes_to=FAILED, cause="unit-failed",
        grade=Grade.AUTHORITATIVE, says="failed: exit-code, main process exited with 1",
    ),
    "unfit.service": Kept(
        text=service(unit="ConditionPathExists=/nonexistent\n"), is_enabled=True, cause="unit-inactive",
        grade=Grade.INTENT, says="was not started, because a condition of it did not hold",
    ),
    "declined.service": Kept(
        text=service(f"ExecCondition=/bin/false\n{SLEEPS}"), is_enabled=True, cause="unit-inactive",
        grade=Grade.INTENT, says="was not started, because a condition of it did not hold",
    ),
    "wrong.service": Kept(
        text=service(unit="AssertPathExists=/nonexistent\n"), is_enabled=True, cause="unit-inactive",
        grade=Grade.NORMAL, says="was not started, because an assertion of it did not hold",
    ),
    "masked.service": Kept(
        is_started=False, then=do("mask"), cause="unit-masked", grade=Grade.INTENT, says="is masked"
    ),
    "broken.service": Kept(
        text="[Service]\nType=simple\n", cause="unit-broken", grade=Grade.NORMAL,
        says="cannot be loaded (bad-setting)",
    ),
    "unknown.service": Kept(cause="unit-not-found", grade=Grade.NORMAL, says="does not exist"),
}  # fmt: skip


@pytest.fixture(scope="module")
def units(systemd_machine: SystemdMachine) -> Iterator[SystemdMachine]:
    """The machine with all of :data:`UNITS`, each as it is kept."""
    machine = systemd_machine
    for name, kept in UNITS.items():
        if kept.text:
            machine.add_unit(name, kept.text + ENABLED * kept.is_enabled)
    machine.reload()
    machine.systemctl("enable", "--", *(name for name, kept in UNITS.items() if kept.is_enabled))
    machine.systemctl("start", "--no-block", "--", *(name for name, kept in UNITS.items() if kept.is_started))
    for name, kept in UNITS.items():
        if kept.then is not None:
            if kept.is_started:
                machine.wait_for(name, ActiveState="active")
            kept.then(machine, name)
    yield machine
    machine.clear()


@pytest.mark.parametrize("name", [name for name, kept in UNITS.items() if kept.says])
async def test_a_unit_is_judged_by_what_became_of_it(units: SystemdMachine, name: str) -> None:
    kept = UNITS[name]
    units.wait_for(name, **({"Job": ""} if not kept.comes_to else kept.comes_to))

    evidence = await look(systemd_unit, unit=name)

    assert (evidence.summary, evidence.cause, evidence.grade) == (
        f"{name} {kept.says}", kept.cause, kept.grade,
    )  # fmt: skip


# --- what the action does ------------------------------------------------------------------------------


@pytest.fixture
def machine(systemd_machine: SystemdMachine) -> Iterator[SystemdMachine]:
    """The machine; units that a test adds are taken away."""
    yield systemd_machine
    systemd_machine.clear()


def action(unit: str, step: str = "restart", own: OwnParts | None = None) -> UnitAction:
    (kind,) = systemd_action.defib_actions()
    monitor = MonitorSpec(
        id=MonitorId("m"), name="M", kind="http", family=Family.SERVICE, options=Options()
    )  # fmt: skip
    options = kind.options.model_validate({"unit": unit, "action": step})
    made = kind.create(options, monitor, BuildContext(base=Path("/"), own=own or OwnParts()))
    assert isinstance(made, UnitAction)
    return made


def context() -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=20), env={}, execute=ProcessExecutor(), clock=SystemClock()
    )


async def run(unit: str, step: str = "restart") -> ActionResult:
    return await action(unit, step).run(context())


async def test_a_restart_heals_a_unit_that_was_killed(machine: SystemdMachine) -> None:
    machine.add_unit("web.service", service())
    machine.reload()
    machine.systemctl("start", "web")
    before = await action("web").identity()
    machine.signal("web.service", signal.SIGKILL)
    machine.wait_for("web.service", **FAILED)

    result = await run("web")

    assert (result.exit_status, result.output) == (0, "")
    machine.wait_for("web.service", ActiveState="active", SubState="running")
    after = await action("web").identity()
    assert before is not None
    assert after is not None
    assert f"MainPID={machine.main_pid('web.service')}" in after
    assert after != before
    started_at = await action("web").acted_at()
    assert started_at is not None
    assert timedelta() <= datetime.now(UTC) - started_at < timedelta(minutes=1)


async def test_a_start_limit_stops_a_restart_and_reset_failed_lifts_it(machine: SystemdMachine) -> None:
    machine.add_unit(
        "loops.service",
        service(
            "ExecStart=/bin/sh -c 'test -e /run/lifted && exec sleep infinity'\nRestart=always\nRestartSec=20ms\n",
            unit="StartLimitBurst=3\nStartLimitIntervalSec=1h\n",
        ),
    )
    machine.reload()
    machine.systemctl("start", "loops")
    machine.wait_for("loops.service", **FAILED)
    machine.path("/run/lifted").touch()

    refused = await run("loops")
    assert refused.exit_status == 1
    assert refused.output.startswith(
        "Job for loops.service failed because the control process exited with error code."
    )

    assert (await run("loops", "reset-failed")).exit_status == 0
    machine.wait_for("loops.service", ActiveState="active", SubState="running", NRestarts="0")
    machine.path("/run/lifted").unlink()


async def test_a_restart_starts_what_an_enabled_unit_needs(machine: SystemdMachine) -> None:
    machine.add_unit(
        "base.service",
        service("Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/test -e /run/needed\n"),
    )
    machine.add_unit("web.service", service(unit="Requires=base.service\nAfter=base.service\n") + ENABLED)
    machine.reload()
    machine.systemctl("enable", "web")
    machine.systemctl("start", "web")
    assert machine.show("web.service", "ActiveState") == {"ActiveState": "inactive"}
    machine.path("/run/needed").touch()

    assert await action("web").stopped_on_purpose() == ""
    assert (await run("web")).exit_status == 0

    machine.wait_for("web.service", ActiveState="active")
    machine.systemctl("stop", "web")
    assert (
        await action("web").stopped_on_purpose()
        == "web.service is inactive (dead), and its end was a success"
    )
    machine.path("/run/needed").unlink()


async def test_a_reload_keeps_the_process(machine: SystemdMachine) -> None:
    machine.add_unit("web.service", service(f"{SLEEPS}ExecReload=/bin/touch /run/reloaded\n"))
    machine.reload()
    machine.systemctl("start", "web")
    before = await action("web").identity()

    assert (await run("web", "reload")).exit_status == 0

    assert machine.path("/run/reloaded").exists()
    assert await action("web").identity() == before


@pytest.mark.parametrize(
    ("unit", "text", "words"),
    [
        ("gone.service", "", "systemd has no unit gone.service; correct 'unit', 'systemctl list-units --all'"),
        ("off.service", "/dev/null", "off.service is masked, so somebody forbids it; to allow it: systemctl unmask"),
        ("base.service", service(), "base.service takes own.service along, which Defib itself runs in; name another"),
        ("dbus.service", "", "dbus.service carries the whole host; a person has to restart it"),
    ],
)  # fmt: skip
async def test_what_must_not_be_touched_is_refused(
    machine: SystemdMachine, unit: str, text: str, words: str
) -> None:
    if text == "/dev/null":
        machine.systemctl("mask", unit)
    elif text:
        machine.add_unit(unit, text)
    machine.add_unit("own.service", service(unit="Requires=base.service\n"))
    machine.reload()
    machine.systemctl("start", "own")

    with pytest.raises(ActionRefusedError, match=re.escape(words)):
        await action(unit, own=OwnParts(units=frozenset({"own.service"}))).aim()


async def test_a_unit_that_systemd_is_about_to_restart_is_left_to_it(machine: SystemdMachine) -> None:
    machine.add_unit("web.service", service("ExecStart=/bin/false\nRestart=always\nRestartSec=1h\n"))
    machine.reload()
    machine.systemctl("start", "web")
    machine.wait_for("web.service", SubState="auto-restart")

    with pytest.raises(ActionHeldBackError, match=r"web.service is activating \(auto-restart\)"):
        await run("web")


async def test_a_user_without_the_right_is_told_how_to_get_it(
    machine: SystemdMachine, tmp_path: Path
) -> None:
    machine.add_unit("web.service", service())
    machine.add_unit("other.service", service())
    machine.reload()
    machine.put_systemctl(tmp_path, user="defib")
    refused = await run("web")
    assert refused.exit_status == 1
    assert refused.output.splitlines() == [
        "Failed to restart web.service: Interactive authentication required.",
        "See system logs and 'systemctl status web.service' for details.",
        "To allow it, put into /etc/polkit-1/rules.d what this prints: defib polkit web.service",
    ]

    rule = machine.run("/opt/defib/bin/defib", "polkit", "web.service").stdout
    with machine.polkit_rule(rule):
        for step in ("restart", "reset-failed"):
            assert (await run("web", step)).exit_status == 0
        assert "Interactive authentication required" in (await run("other")).output
        stop = ("systemctl", "--no-ask-password", "stop", "--", "web.service")
        stopped = await ProcessExecutor()(stop, timeout=timedelta(seconds=20), env={})
        assert "Interactive authentication required" in stopped.output


# --- the stand-in --------------------------------------------------------------------------------------

RUN_ONCE_MENDED = "ExecStart=/bin/sh -c 'if [ -e /run/%p.mended ]; then exec sleep infinity; fi; exit {}'\n"
AGAIN = "Restart=always\nRestartSec=20ms\n"
LIMIT = "StartLimitBurst=2\nStartLimitIntervalSec=1h\n"
TEXTS = {
    "running.service": service(),
    "stopped.service": service(),
    "failed.service": service("Type=notify\nExecStart=/bin/false\n"),
    "limited.service": service(RUN_ONCE_MENDED.format(1) + AGAIN, unit=LIMIT),
    "ended.service": service(RUN_ONCE_MENDED.format(0) + AGAIN, unit=LIMIT),
    "broken.service": "[Service]\n",
}
KINDS = (*TEXTS, "masked.service", "missing.service")
SHOWN = (
    "LoadState,ActiveState,SubState,Result,ExecMainCode,Job,ConditionResult,AssertResult,WantedBy,RequiredBy"
)


@pytest.fixture
def real(machine: SystemdMachine) -> SystemdMachine:
    """Units of all :data:`KINDS`, as systemd has them."""
    for name, text in TEXTS.items():
        described = f"[Unit]\nDescription=Test unit {name}\n"
        machine.add_unit(name, text if name == "broken.service" else described + text + ENABLED)
    machine.reload()
    machine.systemctl("enable", *(name for name in TEXTS if name != "broken.service"))
    machine.systemctl("mask", "masked.service")
    machine.systemctl("start", *TEXTS)
    machine.systemctl("stop", "stopped.service")
    for name in ("failed.service", "limited.service", "ended.service"):
        machine.wait_for(name, **FAILED)
    for name in ("limited", "ended"):
        machine.path(f"/run/{name}.mended").touch()
    return machine


@pytest.fixture
def double(systemctl: SystemctlDouble) -> SystemctlDouble:
    """The same, as the stand-in has them."""
    systemctl.running("running.service")
    systemctl.stopped("stopped.service")
    systemctl.failed("failed.service")
    systemctl.on_start("failed.service", "fail")
    systemctl.failed("limited.service", is_at_start_limit=True)
    systemctl.failed("ended.service", result="start-limit-hit", status=0)
    systemctl.masked("masked.service")
    systemctl.broken("broken.service")
    return systemctl


def told(done: subprocess.CompletedProcess[str]) -> tuple[int, list[str], str]:
    """Exit status, output and errors, without what is another each time: instants, processes, logs."""
    lines = [line.partition(" since ")[0] for line in done.stdout.splitlines()]
    if any(line.lstrip().startswith("Loaded: ") for line in lines):
        lines = lines[:3]
    return done.returncode, lines, done.stderr


def test_the_stand_in_says_what_systemd_says(real: SystemdMachine, double: SystemctlDouble) -> None:
    def both(*arguments: str) -> tuple[object, object]:
        here = subprocess.run([double.path, *arguments], capture_output=True, text=True, check=False)
        return told(here), told(real.systemctl(*arguments))

    known = [name for name in KINDS if name != "missing.service"]
    questions = [("show", f"--property={SHOWN}", "--", *KINDS), ("is-active", *known), ("is-failed", *known)]
    commands = [
        (*verb, "--", name)
        for name in KINDS
        for verb in (
            ("status", "--no-pager", "--lines=0"), ("reload",), ("restart",), ("reset-failed",), ("restart",),
            ("stop",),
        )
    ]  # fmt: skip
    for arguments in (*questions, *commands):
        here, there = both(*arguments)
        assert here == there, arguments
