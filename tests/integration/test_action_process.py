"""The ``process`` action: which process must be another one, and how its command is run."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    BuildContext,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
)
from defib_plugins import process as process_monitor
from defib_strategies import process_action

(KIND,) = process_action.defib_actions()
(WATCHED,) = process_monitor.defib_monitors()


def monitor(**options: Any) -> MonitorSpec:
    """A monitor of processes, as it is."""
    return MonitorSpec(
        id=MonitorId("app"), name="App", kind="process", family=Family.PROCESS,
        options=WATCHED.options.model_validate(options),
    )  # fmt: skip


HTTP = MonitorSpec(id=MonitorId("web"), name="Web", kind="http", family=Family.AGENT, options=Options())


def action(spec: MonitorSpec, base: Path = Path("/"), **options: Any) -> Action:
    created: Action = KIND.create(KIND.options.model_validate(options), spec, BuildContext(base=base))
    return created


def context(timeout_s: float = 10.0) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env={"DEFIB_MONITOR": "app"}, execute=ProcessExecutor(),
        clock=SystemClock(),
    )  # fmt: skip


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def test_the_processes_are_those_that_the_monitor_watches(tmp_path: Path) -> None:
    mark = f"defib-test-{tmp_path.name}"
    restart = action(monitor(cmdline=mark), argv=["/bin/true"])
    assert await restart.identity() is None

    running = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", "read _", mark, stdin=asyncio.subprocess.PIPE
    )
    try:
        identity = await restart.identity()
    finally:
        running.kill()
        await running.wait()

    assert identity is not None
    assert f"{running.pid}@" in identity


async def test_the_command_runs_with_the_facts_and_its_outcome_is_reported(tmp_path: Path) -> None:
    command = script(tmp_path / "restart.sh", 'echo "$DEFIB_MONITOR $*"; exit 3')

    result = await action(monitor(program="no-such"), argv=[command, "a b", "--now"]).run(context())

    assert (result.exit_status, result.output) == (3, "app a b --now\n")


async def test_a_command_that_does_nothing_leaves_the_same_identity(tmp_path: Path) -> None:
    (tmp_path / "app.pid").write_text(str(os.getppid()))
    restart = action(monitor(pidfile="app.pid"), tmp_path, argv=["/bin/true"])
    before = await restart.identity()

    assert (await restart.run(context())).exit_status == 0

    assert before is not None
    assert await restart.identity() == before


def test_another_monitor_needs_to_say_which_process_or_that_none_matters() -> None:
    with pytest.raises(
        ValueError, match="monitor web is not of type process, so which process must be a new one"
    ):
        action(HTTP, argv=["/bin/true"])
    assert action(HTTP, argv=["/bin/true"], verify="probe").changes_identity is False
    assert action(HTTP, argv=["/bin/true"], pidfile="/run/app.pid").changes_identity is True
    with pytest.raises(ValueError, match="'pidfile' is for 'verify: new-pid'; remove one of them"):
        action(HTTP, argv=["/bin/true"], pidfile="/run/app.pid", verify="probe")


def test_a_program_that_others_may_change_is_refused(tmp_path: Path) -> None:
    command = script(tmp_path / "restart.sh", "true")
    ready = action(monitor(program="app"), argv=[command])
    (tmp_path / "restart.sh").chmod(0o757)

    with pytest.raises(ActionRefusedError, match="may be changed by"):
        ready.check()
