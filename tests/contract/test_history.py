"""What was seen, over every kind of store: out of the journal, out of hours, and half out of each."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from defib.model.beat import Beat, Signal
from defib.model.changes import Changes, Forget
from defib.model.evidence import Evidence, Observation, Source
from defib.model.history import MetricHour
from defib.model.ids import MonitorId
from defib.store import Database, Reader, Writer, open_database
from defib.store.slots import hour_of

MAIN, OTHER = MonitorId("main"), MonitorId("other")
DAY = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
STEP = timedelta(seconds=30)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/defib.db"
    else:
        url = request.getfixturevalue("postgres_database").dsn
    database = open_database(url)
    yield database
    database.close()


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    writer = Writer(database)
    yield writer
    writer.close()


@pytest.fixture
def reader(database: Database) -> Reader:
    return Reader(database)


def saw(at: datetime, evidence: Evidence, monitor: MonitorId = MAIN) -> Observation:
    return Observation(monitor=monitor, source=Source.PROBE, evidence=evidence, started_at=at, ended_at=at)


def well(at: datetime, ms: float = 10, monitor: MonitorId = MAIN, **metrics: float) -> Observation:
    return saw(at, Evidence.ok("", latency=timedelta(milliseconds=ms), metrics=metrics), monitor)


def write(writer: Writer, *looks: Observation) -> None:
    writer.submit(Changes(observations=looks)).result(10)


def roll_up(writer: Writer, reader: Reader, before: datetime) -> int:
    waiting = reader.rolling.waiting(hour_of(before))
    for hour, shard in waiting:
        writer.submit(Changes(rolls=(reader.rolling.roll(hour, shard),))).result(10)
    return len(waiting)


def scripted_day() -> list[Observation]:
    """A look each 30 s: 10, 20 … 1000 ms in turn; from 06:00 to 06:10 refused, at noon for five minutes nobody could
    look, and a minute of HTTP 500 at 18:30."""
    looks = []
    for number in range(2880):
        at = DAY + number * STEP
        if timedelta(hours=6) <= at - DAY < timedelta(hours=6, minutes=10):
            evidence = Evidence.fail("refused", "refused")
        elif timedelta(hours=12) <= at - DAY < timedelta(hours=12, minutes=5):
            evidence = Evidence.inconclusive("no-route", "no route")
        elif timedelta(hours=18, minutes=30) <= at - DAY < timedelta(hours=18, minutes=31):
            evidence = Evidence.degraded("slow", "slow", latency=timedelta(seconds=2))
        else:
            evidence = Evidence.ok("", latency=timedelta(milliseconds=10 * (number % 100 + 1)))
        looks.append(saw(at, evidence))
    return looks


@pytest.mark.parametrize("rolled_to", [timedelta(0), 13 * HOUR, 24 * HOUR])
def test_a_scripted_day_gives_its_counts_and_its_percentiles(
    writer: Writer, reader: Reader, rolled_to: timedelta
) -> None:
    write(writer, *scripted_day())
    roll_up(writer, reader, DAY + rolled_to)

    assert reader.status_counts(DAY, DAY + 24 * HOUR) == {MAIN: {"healthy": 2850, "error": 20, "unknown": 10}}
    assert reader.status_counts(DAY, DAY + 6 * HOUR) == {MAIN: {"healthy": 720}}
    assert reader.status_counts(DAY + timedelta(hours=6, minutes=5), DAY + 7 * HOUR) == {
        MAIN: {"error": 10, "healthy": 100}
    }
    found = reader.latencies(DAY, DAY + 24 * HOUR)[MAIN]
    assert found.mean_ms == pytest.approx(505.0246, abs=0.0001)
    assert found.p50_ms == pytest.approx(510, rel=0.02)
    assert found.p95_ms == pytest.approx(950, rel=0.02)
    assert found.p99_ms == pytest.approx(1000, rel=0.02)
    hours = reader.hours(MAIN, DAY, DAY + 24 * HOUR)
    assert [hour.at for hour in hours] == [DAY + n * HOUR for n in range(24)]
    assert hours[6].counts == {"error": 20, "healthy": 100}
    assert hours[12].counts == {"unknown": 10, "healthy": 110}
    assert (hours[18].max_ms, hours[18].min_ms) == (2000, 10)
    assert reader.hourly_counts(DAY + 23 * HOUR) == {MAIN: {hour_of(DAY + 23 * HOUR): {"healthy": 120}}}


def test_a_period_that_begins_within_an_hour_counts_exactly_as_long_as_single_looks_are_kept(
    writer: Writer, reader: Reader
) -> None:
    half = timedelta(minutes=30)  # India's days begin within an hour of ours
    write(writer, *scripted_day())
    roll_up(writer, reader, DAY + 24 * HOUR)
    assert reader.status_counts(DAY + 6 * HOUR - half, DAY + 6 * HOUR + timedelta(minutes=5)) == {
        MAIN: {"healthy": 60, "error": 10}
    }
    assert reader.latencies(DAY + half, DAY + half + STEP)[MAIN].p50_ms == pytest.approx(610, rel=0.001)

    writer.submit(Changes(forget=(Forget(before=DAY + 24 * HOUR),))).result(10)

    assert reader.samples(since=DAY, until=DAY + 24 * HOUR) == []
    # an hour counts to the stretch that it began in
    assert reader.status_counts(DAY + 5 * HOUR + half, DAY + 6 * HOUR + half) == {
        MAIN: {"healthy": 100, "error": 20}
    }
    assert reader.status_counts(DAY, DAY + 24 * HOUR) == {MAIN: {"healthy": 2850, "error": 20, "unknown": 10}}


def test_single_looks_come_back_from_the_journal_exactly_and_from_hours_nearly(
    writer: Writer, reader: Reader
) -> None:
    first = DAY + timedelta(seconds=7, microseconds=123_456)
    looks = [
        saw(first, Evidence.ok("", latency=timedelta(microseconds=1501), metrics={"queue": 3.25})),
        saw(first + timedelta(seconds=1), Evidence.fail("timeout", "")),
        saw(first + timedelta(seconds=1.2), Evidence.fail("http-500", "", latency=timedelta(seconds=2.5))),
    ]
    write(writer, *looks, well(first, monitor=OTHER))
    exact = reader.samples(monitor=MAIN, since=DAY, until=DAY + HOUR)
    assert exact == [
        {"monitor": MAIN, "at": looks[0].ended_at, "status": "healthy", "cause": None, "latency_us": 1501,
         "metrics": {"queue": 3.25}},
        {"monitor": MAIN, "at": looks[1].ended_at, "status": "error", "cause": "timeout", "latency_us": None,
         "metrics": None},
        {"monitor": MAIN, "at": looks[2].ended_at, "status": "error", "cause": "http-500", "latency_us": 2_500_000,
         "metrics": None},
    ]  # fmt: skip

    roll_up(writer, reader, DAY + HOUR)

    rounded = reader.samples(monitor=MAIN, since=DAY, until=DAY + HOUR)
    assert [row["at"] - DAY for row in rounded] == [timedelta(seconds=s) for s in (7.1, 8.1, 8.3)]
    assert [(row["status"], row["cause"]) for row in rounded] == [
        ("healthy", None), ("error", "timeout"), ("error", "http-500"),
    ]  # fmt: skip
    assert [row["latency_us"] for row in rounded] == [1501, None, pytest.approx(2_500_000, rel=0.00017)]
    assert {row["monitor"] for row in reader.samples(since=DAY, until=DAY + HOUR)} == {MAIN, OTHER}
    assert reader.samples(monitor=MonitorId("nobody"), since=DAY, until=DAY + HOUR) == []


def test_looks_that_are_written_late_come_into_the_hour_they_belong_to(
    writer: Writer, reader: Reader
) -> None:
    write(writer, well(DAY, 10, load=1), well(DAY + HOUR, 30, load=9))
    assert roll_up(writer, reader, DAY + 2 * HOUR) == 2
    write(writer, well(DAY + STEP, 20, load=4), well(DAY + STEP, 99, OTHER, free=7))
    assert roll_up(writer, reader, DAY + 2 * HOUR) == 1
    assert roll_up(writer, reader, DAY + 2 * HOUR) == 0

    hours = reader.hours(MAIN, DAY, DAY + 2 * HOUR)
    assert [(hour.counts, hour.min_ms, hour.max_ms) for hour in hours] == [
        ({"healthy": 2}, 10, 20), ({"healthy": 1}, 30, 30),
    ]  # fmt: skip
    assert len(reader.samples(since=DAY, until=DAY + HOUR)) == 3
    assert reader.metric_hours("load", DAY, DAY + 2 * HOUR) == {
        MAIN: [
            MetricHour(at=DAY, n=2, sum=5, min=1, max=4, last=4),
            MetricHour(at=DAY + HOUR, n=1, sum=9, min=9, max=9, last=9),
        ]
    }


def test_a_roll_that_was_made_before_a_crash_and_committed_after_it_counts_nothing_twice(
    writer: Writer, reader: Reader
) -> None:
    write(writer, *(well(DAY + n * STEP) for n in range(120)))
    [(hour, shard)] = reader.rolling.waiting(hour_of(DAY + HOUR))
    lost = reader.rolling.roll(hour, shard)  # and the process died
    again = reader.rolling.roll(hour, shard)
    assert again == lost
    writer.submit(Changes(rolls=(again,))).result(10)
    assert reader.status_counts(DAY, DAY + HOUR) == {MAIN: {"healthy": 120}}
    assert reader.rolling.waiting(hour_of(DAY + HOUR)) == []


def test_metrics_are_added_up_by_the_hour_of_one_monitor_or_of_all(writer: Writer, reader: Reader) -> None:
    for hour in range(3):
        at = DAY + hour * HOUR
        write(
            writer,
            well(at, disk_percent=80.5 + hour, cpu=1), well(at + STEP, disk_percent=80.25 + hour),
            well(at, 1, OTHER, disk_percent=10),
        )  # fmt: skip
    roll_up(writer, reader, DAY + 2 * HOUR)  # the third is in the journal still

    assert reader.metric_names(MAIN) == ["cpu", "disk_percent"]
    assert reader.metric_hours("disk_percent", DAY + HOUR, DAY + 3 * HOUR, MAIN) == {
        MAIN: [
            MetricHour(at=DAY + HOUR, n=2, sum=162.75, min=81.25, max=81.5, last=81.25),
            MetricHour(at=DAY + 2 * HOUR, n=2, sum=164.75, min=82.25, max=82.5, last=82.25),
        ]
    }
    everybody = reader.metric_hours("disk_percent", DAY, DAY + 24 * HOUR)
    assert {monitor: [hour.mean for hour in hours] for monitor, hours in everybody.items()} == {
        MAIN: [80.375, 81.375, 82.375], OTHER: [10, 10, 10],
    }  # fmt: skip
    assert reader.metric_hours("unheard-of", DAY, DAY + HOUR) == {}


def test_many_monitors_are_told_apart(writer: Writer, reader: Reader) -> None:
    names = [MonitorId(f"m{number:03}") for number in range(300)]  # more than a shard
    write(writer, *(well(DAY, 1 + number, name) for number, name in enumerate(names)))
    assert roll_up(writer, reader, DAY + HOUR) == 2
    found = reader.latencies(DAY, DAY + HOUR)
    assert {name: found[name].p99_ms for name in names} == {
        name: 1.0 + number for number, name in enumerate(names)
    }


def test_what_is_too_old_goes_by_the_hour_and_each_kind_at_its_time(writer: Writer, reader: Reader) -> None:
    write(writer, *(well(DAY + n * HOUR, load=n) for n in range(4)))
    roll_up(writer, reader, DAY + 4 * HOUR)
    assert reader.oldest_hours() == (hour_of(DAY), hour_of(DAY))

    writer.submit(Changes(forget=(Forget(before=DAY + 3 * HOUR),))).result(10)
    writer.submit(Changes(forget=(Forget(before=DAY + 2 * HOUR, hourly=True),))).result(10)

    assert [row["at"] for row in reader.samples(since=DAY, until=DAY + 9 * HOUR)] == [DAY + 3 * HOUR]
    assert [hour.at for hour in reader.hours(MAIN, DAY, DAY + 9 * HOUR)] == [DAY + 2 * HOUR, DAY + 3 * HOUR]
    assert len(reader.metric_hours("load", DAY, DAY + 9 * HOUR)[MAIN]) == 2


def test_followers_are_told_what_is_new_and_that_something_is_gone(writer: Writer, reader: Reader) -> None:
    write(writer, well(DAY))
    counts, news = reader.recent(DAY - HOUR, DAY - HOUR)
    assert counts == {MAIN: {hour_of(DAY): {"healthy": 1}}}
    assert [len(looks) for looks in news.looks.values()] == [1]

    write(writer, well(DAY + STEP, 7))
    more = reader.follow(news.upto)
    assert more is not None
    assert [look.latency_us for look in more.looks[MAIN]] == [7000]

    write(writer, well(DAY + 2 * STEP))
    roll_up(writer, reader, DAY + HOUR)
    write(writer, well(DAY + HOUR))
    assert reader.follow(more.upto) is None


def test_the_file_shrinks_when_much_was_forgotten(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/defib.db")
    writer, reader, file = Writer(database), Reader(database), tmp_path / "defib.db"
    try:
        beats = tuple(
            Beat(monitor=MAIN, signal=Signal.ALIVE, received_at=DAY, protocol="ping", body="x" * 100_000)
            for _ in range(120)
        )
        writer.submit(Changes(beats=beats)).result(10)
        reader.space.checkpoint()
        full = file.stat().st_size
        writer.submit(Changes(forget=(Forget(before=DAY + HOUR),))).result(10)
        reader.space.give_back(reader.space.spare_pages())
        reader.space.checkpoint()
        left = file.stat().st_size
        assert reader.space.spare_pages() == 0
    finally:
        writer.close()
        database.close()
    assert full > 12_000_000
    assert left < 5_000_000  # some free pages are kept for the next hours
