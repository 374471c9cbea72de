"""The ``host`` monitor on this very machine."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import psutil

from defib.plugin import Grade, ProbeContext
from defib_plugins import host
from monitor_kit import build, frame, look


class SteppedClock:
    """Time that passes only when it is told to, and in sleeps."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


async def test_a_machine_without_limits_is_well_and_measured() -> None:
    evidence = await look(host)

    assert evidence.grade is Grade.NONE
    assert {
        "cpu_percent", "memory_percent", "swap_percent", "disk_percent", "load1", "net_in_bytes_s", "net_out_bytes_s",
    } <= evidence.metrics.keys()  # fmt: skip
    assert 0 <= evidence.metrics["cpu_percent"] <= 100
    assert 0 < evidence.metrics["memory_percent"] < 100
    assert evidence.metrics["net_in_bytes_s"] >= 0
    assert evidence.facts["processors"] == os.cpu_count()


async def test_the_root_partition_is_always_among_the_disks() -> None:
    evidence = await look(host)

    assert "disk /" in evidence.facts
    assert abs(evidence.metrics["disk_percent"] - psutil.disk_usage("/").percent) < 50


async def test_no_pseudo_file_system_is_among_the_disks() -> None:
    evidence = await look(host)
    disks = [fact.removeprefix("disk ") for fact in evidence.facts if fact.startswith("disk ")]

    assert not any(place.startswith(("/proc", "/sys", "/dev", "/run")) for place in disks)


async def test_beyond_a_limit_it_is_degraded() -> None:
    evidence = await look(host, limits={"memory": "0%", "disk": 0})

    assert (evidence.is_degraded, evidence.cause, evidence.grade) == (True, "memory", Grade.WEAK)
    assert "disk / at " in evidence.summary
    assert evidence.metrics["memory_percent"] > 0


async def test_a_full_disk_is_no_case_for_a_restart() -> None:
    evidence = await look(host, limits={"disk": 0, "inodes": 100})

    assert (evidence.cause, evidence.grade) == ("disk", Grade.SCHEDULED)


async def test_a_limit_with_a_duration_waits_for_it() -> None:
    monitor = build(host, limits={"memory": 0, "for": "5m"})
    clock = SteppedClock()
    context = ProbeContext(timeout=timedelta(seconds=5), clock=clock)
    grades = []
    for at in (0, 299, 301):
        clock.elapsed = at
        grades.append((await monitor.probe(context)).grade)
    await monitor.close()

    assert grades == [Grade.NONE, Grade.NONE, Grade.WEAK]


async def test_the_processor_is_measured_between_probes() -> None:
    monitor = build(host)
    await monitor.probe(frame())
    used = psutil.cpu_times()
    while sum(psutil.cpu_times()) - sum(used) < 0.2:  # a fifth of a second of all processors together
        pass
    evidence = await monitor.probe(frame())
    await monitor.close()

    # This loop alone keeps one processor busy.
    assert evidence.metrics["cpu_percent"] > 50 / (os.cpu_count() or 1)


async def test_probes_at_the_same_time_do_not_disturb_one_another() -> None:
    monitor = build(host)
    looks = await asyncio.gather(*(monitor.probe(frame()) for _ in range(10)))
    await monitor.close()

    assert [evidence.cause for evidence in looks] == ["ok"] * 10
