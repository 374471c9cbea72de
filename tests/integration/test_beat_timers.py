"""The timers of those who beat: put off by each beat, without a trace in the queue."""

import asyncio
from datetime import UTC, datetime, timedelta

from defib.engine.heartbeats.timers import Timer, Timers
from defib.model.ids import MonitorId
from defib.ports import Deadline

WORKER, JOB = MonitorId("worker"), MonitorId("job")
AT = datetime(2026, 1, 1, tzinfo=UTC)
SILENCE = Deadline(at=AT, kind="late", fault_at=AT, every=timedelta(seconds=30), margin=timedelta(0))


class StillClock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        return AT + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def fired(timers: Timers, clock: StillClock, *instants: float) -> list[tuple[float, str]]:
    """What is done by each of these instants, in order."""
    done: list[tuple[float, str]] = []

    async def fire(monitor: MonitorId, timer: Timer) -> None:
        timers.drop(monitor)
        done.append((clock.at, monitor))

    for clock.at in instants:
        running = asyncio.create_task(timers.run(fire))
        for _ in range(5):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return done


async def test_a_timer_that_is_put_off_fires_at_its_new_time_and_once() -> None:
    clock = StillClock()
    timers = Timers(clock)
    timers.set(WORKER, 10.0, SILENCE)
    timers.set(WORKER, 25.0, SILENCE)
    assert await fired(timers, clock, 10.0, 24.9, 25.0, 60.0) == [(25.0, "worker")]


async def test_a_timer_that_is_put_forward_fires_at_its_new_time_and_once() -> None:
    clock = StillClock()
    timers = Timers(clock)
    timers.set(WORKER, 25.0, SILENCE)
    timers.set(WORKER, 10.0, SILENCE)
    assert await fired(timers, clock, 9.9, 10.0, 25.0, 60.0) == [(10.0, "worker")]


async def test_one_that_was_dropped_and_set_again_fires_once() -> None:
    clock = StillClock()
    timers = Timers(clock)
    timers.set(WORKER, 10.0, SILENCE)
    timers.drop(WORKER)
    assert await fired(timers, clock, 10.0) == []
    timers.set(WORKER, 12.0, SILENCE)
    timers.set(JOB, 11.0, SILENCE)
    assert await fired(timers, clock, 12.0, 30.0) == [(12.0, "job"), (12.0, "worker")]


async def test_ten_thousand_beats_leave_one_entry_in_the_queue() -> None:
    clock = StillClock()
    timers = Timers(clock)
    for number in range(10_000):
        timers.set(WORKER, 30.0 + number, SILENCE)
    assert len(timers) == 1
    assert await fired(timers, clock, 30.0, 10_028.0, 10_029.0) == [(10_029.0, "worker")]
