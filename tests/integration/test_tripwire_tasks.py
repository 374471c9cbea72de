"""What the engine makes of tripwires: looks at once, but no storm, whatever a plugin does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config_kit import real_registry
from defib import config
from defib.engine.clock import SystemClock
from defib.engine.detection.tripwires import Tripwires
from defib.engine.roster import Roster, Watched
from defib.model.ids import MonitorId
from defib.plugin import Evidence, ProbeContext
from defib.ports import Clock
from defib_testkit.logged import capture_logs
from defib_testkit.waiting import async_wait_until

MAIN = MonitorId("main")
NONE: tuple[str, ...] = ()
Script = Callable[[], AsyncGenerator[str, None]]


class HandClock:
    """Time that passes only by sleeping, which takes none; stops at ``until``."""

    def __init__(self, until: float) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        self.has_stopped = asyncio.Event()
        self._until = until

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        if self.time + seconds > self._until:
            self.has_stopped.set()
            await asyncio.Event().wait()
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class Wired:
    """A monitor whose tripwire does what a test says."""

    target, host = "a target", ""

    def __init__(self, script: Script) -> None:
        self._script = script

    def trips(self) -> AsyncGenerator[str, None]:
        return self._script()

    async def probe(self, context: ProbeContext) -> Evidence:
        return Evidence.ok("well")

    async def close(self) -> None:
        pass


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    """One monitor; :func:`running` gives it its tripwire."""
    path = tmp_path / "defib.yaml"
    path.write_text("monitors: [{id: main, type: process, program: defib-test}]\n")
    return Roster(real_registry(), config.load(path, real_registry(), {}), {})


@asynccontextmanager
async def running(
    roster: Roster, clock: Clock, script: Script
) -> AsyncIterator[tuple[Tripwires, list[float]]]:
    """Tripwires at work, and when they asked for looks."""
    roster.monitors[MAIN] = Watched(roster.monitors[MAIN].spec, Wired(script), ())
    looks: list[float] = []
    tripwires = Tripwires(clock, roster, lambda monitor: looks.append(clock.monotonic()))
    await tripwires.start()
    try:
        yield tripwires, looks
    finally:
        await tripwires.close()


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_trip_is_a_look_at_once(roster: Roster) -> None:
    async def one() -> AsyncGenerator[str, None]:
        yield "something happened"
        await forever()

    clock = HandClock(until=10)
    async with running(roster, clock, one) as (tripwires, looks):
        await async_wait_until(lambda: looks, 5, "the look")
    assert looks == [0.0]
    assert tripwires.trips == 1


async def test_trips_without_end_are_looked_at_less_and_less_often(roster: Roster) -> None:
    async def always() -> AsyncGenerator[str, None]:
        while True:
            yield "crashed again"

    clock = HandClock(until=30)
    async with running(roster, clock, always) as (_, looks):
        await asyncio.wait_for(clock.has_stopped.wait(), 5)
    assert looks == pytest.approx([0, 0.2, 0.6, 1.4, 3.0, 6.2, 11.2, 16.2, 21.2, 26.2])


async def test_trips_now_and_then_are_all_looked_at_at_once(roster: Roster) -> None:
    clock = HandClock(until=10)

    async def now_and_then() -> AsyncGenerator[str, None]:
        while True:
            yield "crashed"
            clock.time += 1.8

    async with running(roster, clock, now_and_then) as (_, looks):
        await asyncio.wait_for(clock.has_stopped.wait(), 5)
    assert looks == pytest.approx([0, 2, 4, 6, 8, 10])


@pytest.mark.parametrize(
    ("failure", "event"),
    [
        (None, "tripwire ended; the monitor keeps its turns until it is set up again"),
        (RuntimeError("no"), "tripwire crashed; the monitor keeps its turns until it is set up again"),
    ],
)
async def test_one_that_ends_is_set_up_again_ever_later_and_told_once(
    roster: Roster, failure: Exception | None, event: str
) -> None:
    async def ends() -> AsyncGenerator[str, None]:
        if failure is not None:
            raise failure
        for reason in NONE:
            yield reason

    clock = HandClock(until=250)
    with capture_logs() as logs:
        async with running(roster, clock, ends) as (_, looks):
            await asyncio.wait_for(clock.has_stopped.wait(), 5)
    assert clock.slept == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [entry["event"] for entry in logs if entry["log_level"] != "debug"] == [event]
    assert looks == []


async def test_one_that_had_lasted_is_set_up_again_soon(roster: Roster) -> None:
    clock = HandClock(until=200)

    async def lasts() -> AsyncGenerator[str, None]:
        clock.time += 60
        for reason in NONE:
            yield reason

    async with running(roster, clock, lasts):
        await asyncio.wait_for(clock.has_stopped.wait(), 5)
    assert set(clock.slept) == {1}


@pytest.mark.parametrize("is_waiting", [True, False], ids=["while it waits", "while it is waited for"])
async def test_one_that_is_taken_down_gets_to_clean_up(roster: Roster, is_waiting: bool) -> None:
    ends: list[str] = []

    async def careful() -> AsyncGenerator[str, None]:
        try:
            yield "something happened"
            await forever()
        finally:
            ends.append("cleaned up")

    clock = HandClock(until=10 if is_waiting else 0.1)
    async with running(roster, clock, careful) as (_, looks):
        await async_wait_until(lambda: looks, 5, "the look")
        if not is_waiting:
            await asyncio.wait_for(clock.has_stopped.wait(), 5)
    assert ends == ["cleaned up"]


async def test_a_reload_sets_up_the_new_before_it_takes_down_the_old(roster: Roster) -> None:
    story: list[str] = []

    def named(name: str) -> Script:
        async def script() -> AsyncGenerator[str, None]:
            story.append(f"{name} up")
            try:
                await forever()
            finally:
                story.append(f"{name} down")
            yield ""

        return script

    async with running(roster, SystemClock(), named("old")) as (tripwires, _):
        await async_wait_until(lambda: story == ["old up"], 5, "the old tripwire")
        roster.monitors[MAIN] = Watched(roster.monitors[MAIN].spec, Wired(named("new")), ())
        await tripwires.start()
        await async_wait_until(lambda: len(story) == 3, 5, "the change")
        del roster.monitors[MAIN]
        await tripwires.start()
    assert sorted(story[1:3]) == ["new up", "old down"]
    assert story[3:] == ["new down"]
