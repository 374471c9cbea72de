"""The ``process`` monitor with real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from defib.plugin import Grade, Outcome, ProbeStatus
from defib_plugins import process, process_table
from defib_testkit import processes
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until
from monitor_kit import build, frame, look


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start processes, which end with the test."""
    started = []

    def start_one(*argv: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(argv))
        return started[-1]

    yield start_one
    for one in started:
        one.kill()
        one.wait()


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def sleepers(start: Start, tmp_path: Path) -> None:
    """Two processes that sleep, with the temporary folder in their command line."""
    for _ in range(2):
        start(sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)", str(tmp_path))


async def test_a_process_is_found_by_its_pidfile(victim: Victim) -> None:
    evidence = await look(process, pidfile=str(victim.pidfile))

    assert evidence.grade is Grade.NONE
    assert evidence.facts["pid"] == victim.pid
    assert evidence.metrics["count"] == 1.0
    assert evidence.metrics["memory_bytes"] > 1_000_000
    started_at = datetime.fromisoformat(str(evidence.facts["started_at"]))
    assert abs((datetime.now(UTC) - started_at).total_seconds()) < 60


async def test_a_process_that_was_killed_is_gone(victim: Victim) -> None:
    victim.kill()

    evidence = await look(process, pidfile=str(victim.pidfile))

    assert (evidence.outcome, evidence.cause, evidence.grade) == (
        Outcome.FAIL,
        "process-gone",
        Grade.AUTHORITATIVE,
    )
    assert evidence.status is ProbeStatus.ERROR


async def test_a_zombie_is_gone(start: Start, tmp_path: Path) -> None:
    child = start(sys.executable, "-I", "-S", "-c", "")
    pidfile = tmp_path / "app.pid"
    pidfile.write_text(f"{child.pid}\n")
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)

    evidence = await look(process, pidfile=str(pidfile))

    assert evidence.cause == "process-gone"


async def test_a_missing_pidfile_is_strong(tmp_path: Path) -> None:
    evidence = await look(process, base=tmp_path, pidfile="app.pid")

    assert (evidence.cause, evidence.grade) == ("process-gone", Grade.STRONG)
    assert evidence.summary == f"{tmp_path}/app.pid does not exist"


@pytest.mark.parametrize("text", ["", "nonsense", "-5", "0"])
async def test_a_pidfile_without_a_process_id_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "app.pid").write_text(text)

    evidence = await look(process, base=tmp_path, pidfile="app.pid")

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, "bad-pidfile")


async def test_a_reused_process_id_is_told_by_the_command_line(tmp_path: Path, victim: Victim) -> None:
    (tmp_path / "app.pid").write_text(f"{victim.pid}\n")

    assert (await look(process, base=tmp_path, pidfile="app.pid", cmdline="victim.py")).is_ok
    assert (await look(process, base=tmp_path, pidfile="app.pid", cmdline="other.py")).cause == "process-gone"
    assert (await look(process, base=tmp_path, pidfile="app.pid", program="other")).cause == "process-gone"


async def test_processes_are_found_by_command_line_and_counted(sleepers: None, tmp_path: Path) -> None:
    evidence = await look(process, cmdline=str(tmp_path), count={"min": 2, "max": 2})

    assert evidence.grade is Grade.NONE
    assert evidence.metrics["count"] == 2.0
    assert evidence.summary.startswith("2 processes with ")


@pytest.mark.parametrize(
    ("count", "cause", "expected"),
    [
        ({"min": 3}, "too-few-processes", "at least 3"),
        ({"max": 1}, "too-many-processes", "1"),
        ({"min": 3, "max": 5}, "too-few-processes", "3 to 5"),
    ],
)
async def test_another_number_of_processes_is_unhealthy(
    sleepers: None, tmp_path: Path, count: dict[str, int], cause: str, expected: str
) -> None:
    evidence = await look(process, cmdline=str(tmp_path), count=count)

    assert (evidence.cause, evidence.status) == (cause, ProbeStatus.UNHEALTHY)
    assert evidence.summary == f"2 processes for {tmp_path}, expected {expected}"


async def test_a_process_is_found_by_the_name_of_its_program(start: Start) -> None:
    start("/bin/sleep", "60")

    assert (await look(process, program="sleep")).is_ok


def test_a_search_never_finds_this_very_process() -> None:
    found = process_table.find(None, name=None, is_wanted=None)

    assert found
    assert os.getpid() not in {living.pid for living in found}


async def test_this_very_process_is_found_by_its_pidfile(tmp_path: Path) -> None:
    (tmp_path / "app.pid").write_text(str(os.getpid()))

    assert (await look(process, base=tmp_path, pidfile="app.pid")).is_ok


async def test_memory_beyond_its_limit_degrades(victim: Victim) -> None:
    evidence = await look(process, pidfile=str(victim.pidfile), limits={"memory": "1MB"})

    assert (evidence.is_degraded, evidence.cause) == (True, "memory")
    assert evidence.summary.endswith("(limit 1 MB)")


async def test_the_processor_time_of_a_busy_process_is_measured_between_probes(
    start: Start, tmp_path: Path
) -> None:
    busy = start(sys.executable, "-I", "-S", "-c", "while True: pass", str(tmp_path))
    monitor = build(process, cmdline=str(tmp_path), limits={"cpu": 1})
    first = await monitor.probe(frame())
    used = psutil.Process(busy.pid).cpu_times().user
    wait_until(lambda: psutil.Process(busy.pid).cpu_times().user > used + 0.1, what="some processor time")
    second = await monitor.probe(frame())
    await monitor.close()

    assert "cpu_percent" not in first.metrics
    assert second.metrics["cpu_percent"] > 1
    assert (second.is_degraded, second.cause) == (True, "cpu")


async def test_a_stopped_process_still_exists(victim: Victim) -> None:
    assert victim.pid is not None
    processes.send(victim.pid, signal.SIGSTOP)
    try:
        evidence = await look(process, pidfile=str(victim.pidfile))
    finally:
        processes.send(victim.pid, signal.SIGCONT)

    assert evidence.is_ok
