"""The due heap: on time, one look at a time per monitor, hosts not stormed, nobody delayed by a slow one."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from defib.engine.clock import SystemClock
from defib.engine.detection.scheduler import PER_HOST, Scheduler
from defib.model.ids import MonitorId
from defib_testkit.waiting import async_wait_until

A, B = MonitorId("a"), MonitorId("b")
Look = Callable[[MonitorId], Awaitable[timedelta | None]]


@asynccontextmanager
async def running(look: Look) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(SystemClock(), look)
    task = asyncio.create_task(scheduler.run())
    try:
        yield scheduler
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


async def test_each_monitor_is_looked_at_once_an_interval() -> None:
    looks: Counter[MonitorId] = Counter()

    async def look(monitor: MonitorId) -> None:
        looks[monitor] += 1

    async with running(look) as scheduler:
        scheduler.add(A, seconds(0.1), "", first_in=0)
        scheduler.add(B, seconds(0.3), "", first_in=0)
        await async_wait_until(lambda: looks[A] >= 10, 5, "ten looks at a")
        assert 3 <= looks[B] <= 5
        assert scheduler.overruns == 0


async def test_a_look_that_asks_for_another_gets_it_before_its_turn() -> None:
    times: list[float] = []

    async def look(monitor: MonitorId) -> timedelta | None:
        times.append(time.monotonic())
        return seconds(0.05) if len(times) < 4 else None

    async with running(look) as scheduler:
        scheduler.add(A, seconds(60), "", first_in=0)
        await async_wait_until(lambda: len(times) == 4, 5, "three confirmations")
    assert times[-1] - times[0] < 1.0


async def test_looking_soon_brings_a_turn_forward_and_never_doubles_it() -> None:
    looks: list[MonitorId] = []
    gate = asyncio.Event()

    async def look(monitor: MonitorId) -> None:
        looks.append(monitor)
        await gate.wait()

    async with running(look) as scheduler:
        scheduler.add(A, seconds(60), "", first_in=60)
        scheduler.look_soon(A)
        await async_wait_until(lambda: looks == [A], 5, "the look")
        scheduler.look_soon(A)  # in flight: remembered, not doubled
        scheduler.look_soon(A)
        await asyncio.sleep(0)
        assert looks == [A]
        gate.set()
        await async_wait_until(lambda: looks == [A, A], 5, "the remembered look")


async def test_a_host_is_not_stormed_and_slow_looks_hand_their_place_on() -> None:
    started: list[float] = []

    async def look(monitor: MonitorId) -> None:
        started.append(time.monotonic())
        await asyncio.sleep(30)

    async with running(look) as scheduler:
        for number in range(3 * PER_HOST):
            scheduler.add(MonitorId(f"m{number}"), seconds(60), "db.example.com", first_in=0)
        await async_wait_until(lambda: len(started) >= PER_HOST, 5, "the first looks")
        assert len(started) == PER_HOST
        await async_wait_until(
            lambda: len(started) == 3 * PER_HOST, 5, "the others, although the first still hang"
        )
        assert started[-1] - started[0] < 2.0


async def test_a_slow_look_delays_no_other() -> None:
    looks: Counter[MonitorId] = Counter()

    async def look(monitor: MonitorId) -> None:
        looks[monitor] += 1
        if monitor == A:
            await asyncio.sleep(30)

    async with running(look) as scheduler:
        scheduler.add(A, seconds(0.05), "", first_in=0)
        scheduler.add(B, seconds(0.05), "", first_in=0)
        await async_wait_until(lambda: looks[B] >= 10, 5, "ten looks at b")
        assert looks[A] == 1


async def test_a_removed_monitor_is_looked_at_no_more() -> None:
    looks: Counter[MonitorId] = Counter()

    async def look(monitor: MonitorId) -> None:
        looks[monitor] += 1

    async with running(look) as scheduler:
        scheduler.add(A, seconds(0.05), "", first_in=0)
        scheduler.add(B, seconds(0.05), "", first_in=0)
        await async_wait_until(lambda: looks[A] >= 2, 5, "looks at a")
        scheduler.remove(A)
        before = looks[A]
        await async_wait_until(lambda: looks[B] >= 8, 5, "looks at b")
        assert looks[A] == before


async def test_a_changed_interval_holds_from_the_next_turn_on() -> None:
    looks: Counter[MonitorId] = Counter()

    async def look(monitor: MonitorId) -> None:
        looks[monitor] += 1

    async with running(look) as scheduler:
        scheduler.add(A, seconds(3600), "", first_in=3600)
        scheduler.add(A, seconds(0.05), "")
        await async_wait_until(lambda: looks[A] >= 3, 5, "looks at the new pace")
