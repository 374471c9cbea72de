"""A loop that is really held up, a process that is really stopped, a kernel that really reports pressure."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from defib.engine.observer.vitals import Blocked, LagSampler, Pressure, read_clocks, read_pressure
from defib.rules.gaps import find_gaps
from defib_testkit.waiting import async_wait_until, wait_until

HELD_UP = 0.4


@pytest.fixture
async def sampler() -> Iterator[LagSampler]:
    sampler = LagSampler()
    sampler.start()
    yield sampler
    sampler.close()


async def hold_up(seconds: float) -> None:
    """Block the event loop in a callback, and return right after it."""
    done = asyncio.Event()

    def block() -> None:
        time.sleep(seconds)
        done.set()

    asyncio.get_running_loop().call_soon(block)
    await done.wait()


async def sampled(sampler: LagSampler) -> None:
    """Wait until the timer has run after what happened."""
    await async_wait_until(lambda: sampler.blocked_for() == 0.0, what="the sampler's timer")


async def test_a_loop_that_was_held_up_is_seen_at_once_and_later(sampler: LagSampler) -> None:
    since = time.monotonic()
    await hold_up(HELD_UP)
    at_once = sampler.max_lag(since)
    await sampled(sampler)

    assert HELD_UP - 0.06 <= at_once < HELD_UP + 2
    assert HELD_UP - 0.06 <= sampler.max_lag(since) < HELD_UP + 2


async def test_what_was_before_does_not_count(sampler: LagSampler) -> None:
    await hold_up(HELD_UP)

    assert sampler.max_lag(time.monotonic()) < 0.1
    await sampled(sampler)
    assert sampler.max_lag(time.monotonic()) < 0.1


async def test_of_a_lag_that_began_before_only_the_rest_counts(sampler: LagSampler) -> None:
    started = time.monotonic()
    await hold_up(HELD_UP)
    await sampled(sampler)

    assert 0.05 <= sampler.max_lag(started + 0.3) <= sampler.max_lag(started) - 0.15


async def test_another_thread_sees_the_loop_held_up_while_it_still_is(sampler: LagSampler) -> None:
    seen: list[float] = []
    released = threading.Event()

    def look() -> None:
        wait_until(lambda: sampler.blocked_for() > 0.2, what="the loop to be held up")
        seen.append(sampler.max_lag(time.monotonic() - 0.2))
        released.set()

    thread = threading.Thread(target=look)
    thread.start()
    asyncio.get_running_loop().call_soon(released.wait, 5.0)
    await asyncio.sleep(0)
    thread.join()

    assert seen[0] >= 0.19


async def test_the_watchdog_says_once_where_the_loop_is_held_up() -> None:
    told: list[Blocked] = []
    sampler = LagSampler(told.append)
    sampler.start()
    await hold_up(1.5)
    sampler.close()

    assert [round(blocked.seconds) for blocked in told] == [1]
    assert "test_vitals.py" in told[0].place
    assert told[0].place.endswith(" block")


async def test_a_closed_sampler_leaves_no_thread_and_shows_no_lag(sampler: LagSampler) -> None:
    sampler.close()
    sampler.close()
    await asyncio.sleep(0.1)

    assert "defib-watchdog" not in {thread.name for thread in threading.enumerate()}
    assert sampler.blocked_for() == 0.0


def test_uvloop_is_sampled_as_well() -> None:
    async def run() -> float:
        sampler = LagSampler()
        sampler.start()
        since = time.monotonic()
        await hold_up(HELD_UP)
        await sampled(sampler)
        sampler.close()
        return sampler.max_lag(since)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) >= HELD_UP - 0.06


_CHILD = """
import asyncio, json, sys, time
from defib.engine.observer.vitals import LagSampler, read_clocks
from defib.rules.gaps import find_gaps

async def main():
    told = []
    sampler = LagSampler(told.append)
    sampler.start()
    before = read_clocks()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    gaps = find_gaps(before, read_clocks(), tick_s=0.0)
    lag = sampler.max_lag(before.mono)
    sampler.close()
    print(json.dumps({"lag": lag, "told": len(told), "gaps": [gap.kind for gap in gaps]}), flush=True)

asyncio.run(main())
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A process that samples until it is told to report."""
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()


def test_a_process_that_was_stopped_knows_it_and_blames_no_callback(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: "\nState:\tT" in Path(f"/proc/{child.pid}/status").read_text(), what="the stop")
    time.sleep(1.5)  # the time that the child is to miss
    child.send_signal(signal.SIGCONT)
    time.sleep(0.2)  # for its timer and its watchdog to run before it is asked
    out, _ = child.communicate("report\n", timeout=10)
    report = json.loads(out)

    assert 1.4 <= report["lag"] < 5
    assert report["gaps"] == ["stalled"]
    assert report["told"] == 0


def test_the_clocks_are_read_as_one_instant() -> None:
    before = read_clocks()
    after = read_clocks()

    assert after.mono >= before.mono
    assert after.boot >= after.mono - 0.01
    assert abs(after.wall - time.time()) < 1
    assert find_gaps(before, after) == ()


def test_pressure_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "cpu").write_text(
        "some avg10=61.25 avg60=8.61 avg300=18.93 total=710822739\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    (tmp_path / "memory").write_text(
        "some avg10=30.00 avg60=1.00 avg300=0.10 total=9\nfull avg10=12.50 avg60=0.50 avg300=0.05 total=5\n"
    )

    assert read_pressure(tmp_path) == Pressure(cpu_some_avg10=61.25, memory_full_avg10=12.5)


def test_a_kernel_without_pressure_information_has_none(tmp_path: Path) -> None:
    assert read_pressure(tmp_path) == Pressure(cpu_some_avg10=0.0, memory_full_avg10=0.0)


def test_this_machine_s_pressure_is_a_percentage() -> None:
    pressure = read_pressure()

    assert 0 <= pressure.cpu_some_avg10 <= 100
    assert 0 <= pressure.memory_full_avg10 <= 100
