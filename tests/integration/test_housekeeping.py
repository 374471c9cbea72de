"""The chores over a real store, with a clock that stands still until it is set."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from defib.engine.clock import SystemClock
from defib.engine.housekeeping import Housekeeping
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.model.changes import Changes
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import Health, State
from defib.model.ids import MonitorId
from defib.model.settings import Retention
from defib.store import Database, Reader, Writer, open_database

MAIN = MonitorId("main")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class SetClock(SystemClock):
    """Stands still until it is set."""

    at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class CountingWriter(Writer):
    """Notes how many rows of health each transaction has; fails when it is told to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.sizes: list[int] = []
        self.fails_from: int | None = None

    async def commit(self, changes: Changes) -> None:
        self.sizes.append(len(changes.health))
        if self.fails_from is not None and len(self.sizes) > self.fails_from:
            raise StoreError("the disk is full")
        await super().commit(changes)


class World:
    """Everything the chores need."""

    def __init__(self, database: Database) -> None:
        self.writer, self.reader, self.clock = CountingWriter(database), Reader(database), SetClock()
        self.table = StateTable({})
        self.keeping = Housekeeping(self.clock, self.table, self.writer, self.reader)

    def see(self, at: datetime, monitor: MonitorId = MAIN) -> None:
        look = Observation(
            monitor=monitor, source=Source.PROBE, evidence=Evidence.ok("well"), started_at=at, ended_at=at
        )
        self.table.note(Health(monitor=monitor, state=State.UP, since=NOON, reason="well", last=look), look)

    def seen(self) -> list[datetime]:
        rows = self.reader.samples(since=NOON - 48 * HOUR, until=NOON + 48 * HOUR)
        return [row["at"] for row in rows]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = open_database(f"sqlite:///{tmp_path / 'defib.db'}")
    world = World(database)
    yield world
    world.writer.close()
    database.close()


async def test_looks_are_written_each_five_seconds_and_states_each_time(world: World) -> None:
    world.see(NOON)
    await world.keeping.flush(everything=False)
    assert world.seen() == [NOON]  # the first is due

    for second in (1, 2, 3, 4):
        world.clock.at = NOON + timedelta(seconds=second)
        world.see(world.clock.at)
        await world.keeping.flush(everything=False)
        last = world.reader.health()[MAIN].last
        assert last is not None
        assert last.ended_at == world.clock.at
    assert len(world.seen()) == 1

    world.clock.at = NOON + timedelta(seconds=5)
    await world.keeping.flush(everything=False)
    assert len(world.seen()) == 5


async def test_the_end_of_a_process_waits_for_nothing(world: World) -> None:
    await world.keeping.flush(everything=False)
    world.see(NOON)
    await world.keeping.flush()
    assert world.seen() == [NOON]


async def test_many_states_are_written_in_slices_between_which_decisions_go(world: World) -> None:
    for number in range(300):
        world.see(NOON, MonitorId(f"m{number}"))
    await world.keeping.flush()
    assert world.writer.sizes == [0, *[32] * 9, 12]  # the looks before all of them
    assert len(world.reader.health()) == 300
    assert len(world.seen()) == 300


async def test_what_a_full_disk_refused_is_written_once_there_is_space(world: World) -> None:
    for number in range(300):
        world.see(NOON, MonitorId(f"m{number}"))
    world.writer.fails_from = 2
    await world.keeping.flush(everything=False)
    assert world.keeping.store_error == "the disk is full"
    assert len(world.reader.health()) == 32

    world.writer.fails_from = None
    world.clock.at = NOON + timedelta(seconds=1)
    await world.keeping.flush(everything=False)
    assert world.keeping.store_error == ""
    assert len(world.reader.health()) == 300
    assert len(world.seen()) == 300


async def test_hours_that_a_dead_process_left_behind_are_rolled_up_once(world: World) -> None:
    for hours in (30, 3, 1, 0):
        world.see(NOON - hours * HOUR)
    await world.keeping.flush()
    world.clock.at = NOON + timedelta(seconds=59)
    assert await world.keeping.roll_up()
    assert len(world.reader.hours(MAIN, NOON - 31 * HOUR, NOON + HOUR)) == 4
    assert len(world.seen()) == 4
    assert not await world.keeping.roll_up()


async def test_an_hour_that_has_just_ended_waits_a_minute_for_what_comes_late(world: World) -> None:
    world.see(NOON - timedelta(seconds=1))
    await world.keeping.flush()
    world.clock.at = NOON + timedelta(seconds=59)
    assert not await world.keeping.roll_up()
    world.clock.at = NOON + timedelta(seconds=60)
    assert await world.keeping.roll_up()


async def test_each_kind_of_history_is_kept_as_long_as_the_configuration_says(world: World) -> None:
    for hours in range(40):
        world.see(NOON - hours * HOUR)
    await world.keeping.flush()
    world.clock.at = NOON + timedelta(minutes=2)
    await world.keeping.roll_up()

    await world.keeping.forget(Retention(raw=5 * HOUR, hourly=30 * HOUR))

    # to the hour: the one that the limit is in is kept as a whole
    assert min(world.seen()) == NOON - 5 * HOUR
    assert world.reader.hours(MAIN, NOON - 48 * HOUR, NOON + HOUR)[0].at == NOON - 30 * HOUR

    await world.keeping.forget(Retention(raw=None, hourly=None))

    assert min(world.seen()) == NOON - 5 * HOUR


def test_what_led_to_a_decision_is_taken_out_for_it(world: World) -> None:
    other = MonitorId("other")
    world.see(NOON)
    world.see(NOON, other)
    world.see(NOON + timedelta(seconds=1))
    taken = world.table.drain_looks(MAIN)
    assert [look.ended_at for look in taken] == [NOON, NOON + timedelta(seconds=1)]
    assert [look.monitor for look in world.table.drain().observations] == [other]
    world.table.give_back(Changes(observations=taken))
    assert world.table.drain().observations == taken
