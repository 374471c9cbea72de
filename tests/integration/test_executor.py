"""Recovery commands: bounded in time, memory and reach, whatever they do."""

import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from defib.engine.recovery.executor import OUTPUT_LIMIT, ProcessExecutor
from defib.errors import ActionRefusedError
from defib_testkit import processes
from defib_testkit.waiting import async_wait_until

SECOND = timedelta(seconds=1)


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


async def test_output_and_exit_status_come_back() -> None:
    done = await ProcessExecutor()(shell("echo out; echo err >&2; exit 3"), timeout=5 * SECOND, env={})
    assert done.exit_status == 3
    assert sorted(done.output.split()) == ["err", "out"]
    assert not done.timed_out


async def test_a_command_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ActionRefusedError, match="cannot run /no/such/thing: No such file"):
        await ProcessExecutor()(["/no/such/thing"], timeout=SECOND, env={})


async def test_arguments_arrive_verbatim() -> None:
    hostile = ["$(touch /tmp/x)", "; rm -rf /", "--", "-rf", "a\nb", "*", "ü"]
    show = [sys.executable, "-c", "import sys; print(sys.argv[1:])", *hostile]
    done = await ProcessExecutor()(show, timeout=10 * SECOND, env={})
    assert done.output.strip() == str(hostile)


async def test_the_environment_is_a_list_of_allowed_names_and_the_facts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    monkeypatch.setenv("LD_PRELOAD", "")
    done = await ProcessExecutor()(["/usr/bin/env"], timeout=5 * SECOND, env={"DEFIB_MONITOR": "main"})
    names = {line.split("=")[0] for line in done.output.splitlines()}
    assert "DEFIB_MONITOR" in names
    assert "PATH" in names
    assert not names & {"SMTP_PASSWORD", "LD_PRELOAD"}


async def test_a_hanging_command_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"trap '' TERM; sleep 300 & echo $! >> {pids}; echo $$ >> {pids}; wait"
    done = await ProcessExecutor()(shell(script), timeout=0.3 * SECOND, env={})
    assert done.timed_out
    assert done.exit_status is None
    assert done.duration < 7 * SECOND  # the limit, and the grace between SIGTERM and SIGKILL
    for pid in pids.read_text().split():
        await async_wait_until(
            lambda pid=pid: not processes.is_running(int(pid)), 5, f"process {pid} to be gone"
        )


async def test_a_daemon_that_keeps_the_output_open_does_not_hold_up(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    done = await ProcessExecutor()(
        shell(f"setsid sleep 300 & echo $! > {pidfile}; echo started"), timeout=30 * SECOND, env={}
    )
    assert done.exit_status == 0
    assert done.output == "started\n"
    assert done.duration < 5 * SECOND
    pid = int(pidfile.read_text())
    assert processes.is_running(pid)  # what an action starts is meant to go on
    processes.end(pid)


async def test_a_flood_of_output_costs_bounded_memory() -> None:
    before = psutil.Process().memory_info().rss
    flood = [
        sys.executable,
        "-c",
        "import os\nfor _ in range(2048): os.write(1, b'x' * 524288)\nos.write(1, b'the end')",
    ]
    done = await ProcessExecutor()(flood, timeout=60 * SECOND, env={})
    assert done.exit_status == 0
    assert len(done.output) == OUTPUT_LIMIT
    assert done.output.endswith("the end")
    assert psutil.Process().memory_info().rss - before < 50_000_000


async def test_whoever_runs_it_learns_the_process_as_soon_as_it_runs() -> None:
    seen: list[int] = []

    async def note(pid: int) -> None:
        seen.append(pid)

    done = await ProcessExecutor(note)(shell("echo $$"), timeout=5 * SECOND, env={})
    assert done.output.strip() == str(seen[0])


async def test_the_command_has_no_terminal_and_no_input() -> None:
    done = await ProcessExecutor()(shell("read line || echo nothing; tty"), timeout=5 * SECOND, env={})
    assert done.output == "nothing\nnot a tty\n"


async def test_a_command_dumps_no_core_and_lets_nobody_else_read_its_files(tmp_path: Path) -> None:
    script = f"ulimit -Sc; touch {tmp_path}/made; stat -c %a {tmp_path}/made"

    done = await ProcessExecutor()(shell(script), timeout=5 * SECOND, env={})

    assert done.output.split() == ["0", "600"]


async def test_who_asked_to_know_is_told_before_a_command_is_killed() -> None:
    started: list[int] = []
    seen: list[bool] = []

    async def on_start(pid: int) -> None:
        started.append(pid)

    async def on_kill() -> None:
        seen.append(psutil.pid_exists(started[0]))

    done = await ProcessExecutor(on_start, on_kill)(shell("sleep 300"), timeout=0.2 * SECOND, env={})

    assert done.timed_out
    assert seen == [True]
    assert not psutil.pid_exists(started[0])


async def test_a_command_is_killed_also_when_nobody_could_be_told() -> None:
    started: list[int] = []

    async def on_start(pid: int) -> None:
        started.append(pid)

    async def on_kill() -> None:
        raise RuntimeError("the store is gone")

    with pytest.raises(RuntimeError, match="the store is gone"):
        await ProcessExecutor(on_start, on_kill)(shell("sleep 300"), timeout=0.2 * SECOND, env={})

    await async_wait_until(lambda: not psutil.pid_exists(started[0]), 5)
