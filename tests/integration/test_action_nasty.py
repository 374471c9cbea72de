"""Commands that misbehave, run by the real actions: bounded time, bounded memory, nothing left behind."""

import asyncio
import os
import resource
import signal
import time
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import KILL_GRACE, ProcessExecutor
from defib.plugin import (
    Action,
    ActionContext,
    BuildContext,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
)
from defib_strategies import command_action, process_action, script_action
from defib_testkit.waiting import async_wait_until

MONITOR = MonitorSpec(id=MonitorId("m"), name="M", kind="http", family=Family.AGENT, options=Options())
GRACE_S = KILL_GRACE.total_seconds()

each_kind = pytest.mark.parametrize("kind", ["script", "command", "process"])


class Workshop:
    """Makes the same shell script an action of each kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scripts = folder / "recovery_scripts"
        self.scripts.mkdir(mode=0o755)

    def make(self, kind: str, text: str) -> Action:
        file = self.scripts / "restart.sh"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        modules: dict[str, tuple[ModuleType, dict[str, object]]] = {
            "script": (script_action, {"file": "restart.sh"}),
            "command": (command_action, {"argv": [str(file)]}),
            "process": (process_action, {"argv": [str(file)], "verify": "probe"}),
        }
        module, options = modules[kind]
        (found,) = module.defib_actions()
        made: Action = found.create(
            found.options.model_validate(options),
            MONITOR,
            BuildContext(base=self.folder, script_folders=(self.scripts,)),
        )
        return made

    def pid(self, name: str = "pid") -> int | None:
        file = self.folder / name
        text = file.read_text() if file.exists() else ""
        return int(text) if text.strip() else None


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def context(timeout_s: float) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env={}, execute=ProcessExecutor(), clock=SystemClock()
    )


def lives(pid: int | None) -> bool:
    if pid is None or not psutil.pid_exists(pid):
        return False
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@each_kind
async def test_one_that_hangs_is_killed_with_all_its_children(workshop: Workshop, kind: str) -> None:
    text = f"sleep 600 & echo $! > {workshop.folder}/child; echo $$ > {workshop.folder}/pid; wait"
    began = time.monotonic()

    result = await workshop.make(kind, text).run(context(0.5))

    assert (result.exit_status, result.timed_out) == (None, True)
    assert time.monotonic() - began < 0.5 + 2
    assert not lives(workshop.pid())
    assert not lives(workshop.pid("child"))


@each_kind
async def test_one_that_ignores_sigterm_is_killed_after_the_grace(workshop: Workshop, kind: str) -> None:
    text = f"trap '' TERM HUP INT; echo $$ > {workshop.folder}/pid; while :; do sleep 0.2; done"
    began = time.monotonic()

    result = await workshop.make(kind, text).run(context(0.5))
    took = time.monotonic() - began

    assert result.timed_out
    assert GRACE_S < took < 0.5 + GRACE_S + 3
    assert not lives(workshop.pid())


@each_kind
async def test_children_that_ignore_sigterm_do_not_outlive_their_parent(
    workshop: Workshop, kind: str
) -> None:
    child = f'trap "" TERM; echo $$ > {workshop.folder}/child; while :; do sleep 0.2; done'
    text = f"sh -c '{child}' & wait"

    result = await workshop.make(kind, text).run(context(0.7))

    assert result.timed_out
    await async_wait_until(lambda: not lives(workshop.pid("child")), what="the child to be gone")


@each_kind
async def test_one_that_forks_a_daemon_and_returns_is_not_waited_for(workshop: Workshop, kind: str) -> None:
    """The daemon is what a start script starts: it lives on, though it holds the output open."""
    text = f"setsid sleep 600 & echo $! > {workshop.folder}/daemon; echo started; exit 0"
    began = time.monotonic()

    result = await workshop.make(kind, text).run(context(20.0))
    took = time.monotonic() - began
    daemon = workshop.pid("daemon")

    assert (result.exit_status, result.output) == (0, "started\n")
    assert took < 5
    assert daemon is not None
    assert lives(daemon)
    os.kill(daemon, signal.SIGKILL)


@each_kind
async def test_one_that_prints_a_gigabyte_costs_bounded_time_and_memory(
    workshop: Workshop, kind: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()

    result = await workshop.make(kind, "head -c 1073741824 /dev/zero | tr '\\0' x; echo; echo the end").run(
        context(60.0)
    )
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    assert result.exit_status == 0
    assert result.output.endswith("x\nthe end\n")
    assert len(result.output) <= 16_384
    assert grown_mib < 32
    assert time.monotonic() - began < 60


@each_kind
async def test_one_that_never_stops_printing_is_stopped_in_time(workshop: Workshop, kind: str) -> None:
    began = time.monotonic()

    result = await workshop.make(kind, "exec yes hunter").run(context(0.5))

    assert result.timed_out
    assert len(result.output) <= 16_384
    assert time.monotonic() - began < 0.5 + GRACE_S + 2


@each_kind
async def test_what_it_says_about_itself_is_only_reported(workshop: Workshop, kind: str) -> None:
    """Whether it helped, probes tell: a lie here is only a line in the audit log."""
    without_effect = await workshop.make(kind, "exit 0").run(context(5.0))
    marker = workshop.folder / "effect"
    with_effect = await workshop.make(kind, f": > {marker}; echo broke; exit 1").run(context(5.0))

    assert (without_effect.exit_status, without_effect.timed_out) == (0, False)
    assert (with_effect.exit_status, with_effect.output) == (1, "broke\n")
    assert marker.exists()


@each_kind
async def test_one_that_kills_itself_or_its_group_is_only_a_failure(workshop: Workshop, kind: str) -> None:
    result = await workshop.make(kind, "kill -9 0").run(context(5.0))

    assert result.exit_status not in (0, None)
    assert not result.timed_out


@each_kind
async def test_one_that_closes_its_output_and_goes_on_is_killed_in_time(
    workshop: Workshop, kind: str
) -> None:
    text = f"exec >&- 2>&-; echo $$ > {workshop.folder}/pid; sleep 600"

    result = await workshop.make(kind, text).run(context(0.5))

    assert result.timed_out
    assert not lives(workshop.pid())


@each_kind
async def test_one_that_reads_from_its_input_finds_it_empty(workshop: Workshop, kind: str) -> None:
    result = await workshop.make(kind, 'read -r word; echo "status $?"; tty').run(context(5.0))

    assert result.output.startswith("status 1\nnot a tty\n")


@each_kind
async def test_bytes_that_are_no_text_and_secrets_in_its_output_are_bearable(
    workshop: Workshop, kind: str
) -> None:
    result = await workshop.make(kind, r"printf '\377\376 password=hunter2\n'").run(context(5.0))

    assert result.output == "�� password=***\n"


@each_kind
async def test_fifty_at_once_all_come_to_an_end(workshop: Workshop, kind: str) -> None:
    action = workshop.make(kind, "sleep 0.05; exit 7")

    results = await asyncio.gather(*(action.run(context(30.0)) for _ in range(50)))

    assert [result.exit_status for result in results] == [7] * 50
