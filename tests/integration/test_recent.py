"""The hourly cells and latency lines of the overview, over a real store."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from defib.engine.views.recent import Recent
from defib.model.changes import Changes
from defib.model.evidence import Evidence, Observation, Source
from defib.model.history import News
from defib.model.ids import MonitorId
from defib.store import Database, Reader, Writer, open_database
from defib.store.slots import hour_of

MAIN = MonitorId("main")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'defib.db'}")
    yield database
    database.close()


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    writer = Writer(database)
    yield writer
    writer.close()


def store(writer: Writer, *observations: tuple[datetime, bool, float]) -> None:
    """Observations as (when, whether all was well, latency in ms)."""
    writer.submit(
        Changes(
            observations=tuple(
                Observation(
                    monitor=MAIN, source=Source.PROBE, started_at=at, ended_at=at,
                    evidence=Evidence.ok("well", latency=timedelta(milliseconds=ms)) if ok
                    else Evidence.fail("refused", "refused", latency=timedelta(milliseconds=ms)),
                )
                for at, ok, ms in observations
            )
        )
    ).result(5)  # fmt: skip


def test_each_of_the_last_24_hours_has_a_cell_and_the_present_one_is_last(
    database: Database, writer: Writer
) -> None:
    hour = timedelta(hours=1)
    store(
        writer,
        (NOON, True, 1),
        (NOON - hour, False, 1),
        (NOON - 23 * hour, True, 1),
        (NOON - 24 * hour, False, 1),
    )
    recent = Recent()

    recent.renew(Reader(database), NOON + timedelta(minutes=30))

    assert recent.cells(MAIN) == ["ok", *["none"] * 21, "bad", "ok"]


def test_new_observations_come_into_the_present_hour_and_into_one_that_has_just_ended(
    database: Database, writer: Writer
) -> None:
    recent, reader = Recent(max_age_s=0), Reader(database)
    minute = timedelta(minutes=1)
    store(writer, (NOON - 30 * minute, True, 1))
    recent.renew(reader, NOON - minute)
    assert recent.cells(MAIN)[-2:] == ["none", "ok"]

    store(writer, (NOON - minute / 2, False, 1), (NOON + minute, True, 1))  # the first one was stored late
    recent.renew(reader, NOON + 2 * minute)
    assert recent.cells(MAIN)[-3:] == ["none", "bad", "ok"]

    recent.renew(reader, NOON + 23 * timedelta(hours=1))
    assert recent.cells(MAIN)[:2] == ["ok", "none"]


def test_looks_that_were_rolled_up_before_they_were_followed_are_in_their_hour(
    database: Database, writer: Writer
) -> None:
    recent, reader = Recent(max_age_s=0), Reader(database)
    hour = timedelta(hours=1)
    store(writer, (NOON - 3 * hour, True, 1))
    recent.renew(reader, NOON - 3 * hour)

    store(writer, (NOON - 2 * hour, False, 1))
    for waiting in reader.rolling.waiting(hour_of(NOON)):
        writer.submit(Changes(rolls=(reader.rolling.roll(*waiting),))).result(5)
    store(writer, (NOON, True, 1))
    recent.renew(reader, NOON)

    assert recent.cells(MAIN)[-4:] == ["ok", "bad", "none", "ok"]


def test_only_what_is_new_is_read_again(database: Database, writer: Writer) -> None:
    class WatchedReader(Reader):
        asked: list[int] = []  # noqa: RUF012

        def follow(self, after: int) -> News | None:
            self.asked.append(after)
            return super().follow(after)

    recent, reader = Recent(max_age_s=0), WatchedReader(database)
    store(writer, (NOON - timedelta(hours=5), True, 1))
    recent.renew(reader, NOON + timedelta(minutes=20))
    store(writer, (NOON, True, 1))
    for minute in (21, 22):
        recent.renew(reader, NOON + timedelta(minutes=minute))

    assert reader.asked == [1, 2]
    assert recent.cells(MAIN)[-6:] == ["ok", *["none"] * 4, "ok"]


def test_a_line_has_the_newest_40_latencies_of_half_an_hour(database: Database, writer: Writer) -> None:
    old = [(NOON - timedelta(minutes=31), True, 999.0)]
    store(writer, *old, *((NOON + timedelta(seconds=i), True, float(i)) for i in range(50)))
    recent = Recent()

    recent.renew(Reader(database), NOON + timedelta(minutes=1))

    assert recent.latencies_ms(MAIN) == [float(i) for i in range(10, 50)]


def test_what_was_read_is_kept_for_a_while(database: Database, writer: Writer) -> None:
    recent = Recent()
    recent.renew(Reader(database), NOON)
    store(writer, (NOON, True, 1))

    recent.renew(Reader(database), NOON + timedelta(minutes=1))

    assert recent.cells(MAIN) == ["none"] * 24
    assert recent.latencies_ms(MAIN) == []
