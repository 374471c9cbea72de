"""What is done to Defib: its network taken away, its loop blocked, its process stopped, its clock set."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from defib.model.strategy import Strategy
from defib_real.bystanders import Bystanders, Outcome
from defib_testkit.network import Cut, Network
from defib_testkit.stepped_clock import SteppedClock

TARGETS = 20
LOCAL = tuple(f"127.2.0.{number}" for number in range(1, TARGETS + 1))


def network_away(
    folder: Path, strategy: Strategy, cut: Cut, outages_s: Sequence[float], *, quiet_s: float = 8.0
) -> Outcome:
    """Scenario 10: twenty targets, half of them on the link, half behind the gateway; one outage after the other.

    :param quiet_s: between outages.
    """
    network = Network(near=TARGETS // 2, far=TARGETS // 2)
    try:
        with Bystanders(folder, strategy, [*network.near, *network.far], network=network) as bystanders:
            for seconds in outages_s:
                with bystanders.episode(quiet_s):
                    network.cut(cut)
                    time.sleep(seconds)
                    network.mend()
            return bystanders.finish(10, f"network away ({cut}) {_listed(outages_s)} s")
    finally:
        network.close()


def loop_blocked(folder: Path, strategy: Strategy, blocks_s: Sequence[float]) -> Outcome:
    """Scenario 11: a third party's probe blocks the event loop."""
    with Bystanders(folder, strategy, LOCAL) as bystanders:
        for seconds in blocks_s:
            with bystanders.episode():
                bystanders.block_loop(seconds)
                time.sleep(seconds)
        return bystanders.finish(11, f"loop blocked {_listed(blocks_s)} s")


def starved_of_cpu(
    folder: Path, strategy: Strategy, *, hogs: int, seconds: float, repetitions: int
) -> Outcome:
    """Scenario 11: Defib shares one CPU with processes that never rest, and none of them goes first."""
    with Bystanders(folder, strategy, LOCAL, launcher=()) as bystanders:
        for _ in range(repetitions):
            with bystanders.episode(), _hogs(bystanders.process.pid, hogs):
                time.sleep(seconds)
        return bystanders.finish(11, f"CPU shared with {hogs} hogs for {seconds:g} s")


def out_of_files(folder: Path, strategy: Strategy, *, spare: Sequence[int], seconds: float) -> Outcome:
    """Scenario 11: no more file descriptors than are open now, or a few.

    :param spare: how many may be opened beyond those, in one episode after the other.
    """
    with Bystanders(folder, strategy, LOCAL) as bystanders:
        pid = bystanders.process.pid
        usual, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        for free in spare:
            with bystanders.episode():
                in_use = len(os.listdir(f"/proc/{pid}/fd"))
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + free, most))
                time.sleep(seconds)
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (usual, most))
        return bystanders.finish(11, f"file descriptors used up for {seconds:g} s")


def stopped(folder: Path, strategy: Strategy, stops_s: Sequence[float]) -> Outcome:
    """Scenario 12: SIGSTOP, and SIGCONT so much later."""
    with Bystanders(folder, strategy, LOCAL) as bystanders:
        for seconds in stops_s:
            with bystanders.episode():
                bystanders.process.send_signal(signal.SIGSTOP)
                time.sleep(seconds)
                bystanders.process.send_signal(signal.SIGCONT)
        return bystanders.finish(12, f"Defib stopped for {_listed(stops_s)} s")


def clock_stepped(folder: Path, strategy: Strategy, steps_s: Sequence[float]) -> Outcome:
    """Scenario 12: the wall clock is set; each step is relative to the true time."""
    clock = SteppedClock(folder)
    with Bystanders(folder, strategy, LOCAL, environment=clock.environment) as bystanders:
        for seconds in steps_s:
            with bystanders.episode():
                clock.set(seconds)
        return bystanders.finish(12, f"clock set by {_listed(steps_s)} s")


@contextmanager
def _hogs(pid: int, count: int) -> Iterator[None]:
    """Processes that never rest, on the only CPU that ``pid`` may use meanwhile."""
    usual = os.sched_getaffinity(pid)
    cpu = {max(usual)}
    argv = [sys.executable, "-I", "-S", "-c", "while True: pass"]
    hogs = [subprocess.Popen(argv, start_new_session=True) for _ in range(count)]
    for each in (pid, *(hog.pid for hog in hogs)):
        os.sched_setaffinity(each, cpu)
    try:
        yield
    finally:
        os.sched_setaffinity(pid, usual)
        for hog in hogs:
            hog.kill()
            hog.wait()


def _listed(seconds: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in seconds)
