"""What the daily report costs, over a full day of history."""

import os
import random
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from sqlite3 import connect

from benchmarks import fleet
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.processes import Ended, defib, run
from defib import config, registry
from defib.model.changes import Changes, WatchSpan
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import State, Transition
from defib.model.history import Sample
from defib.model.ids import MonitorId
from defib.rules.tally import Tally
from defib.store import Writer, open_database
from defib.store.slots import hour_of, slot

INTERVAL = timedelta(seconds=30)
GOAL_S = {100: None, 1000: 2.0, 10_000: 15.0}
COMPARED = (7, 1, 0)  #: days before the one that is reported
_MB = 1e6
_TIME_S = 40.0  #: no further run begins after so long


def measure(bench: Bench) -> Iterator[Figure]:
    """P11: ``defib report`` over 1000 and 10 000 monitors, over 100 in a quick run."""
    for monitors in (100,) if bench.is_quick else (1000, 10_000):
        yield from _measure(bench, monitors)


def _measure(bench: Bench, monitors: int) -> Iterator[Figure]:
    company = fleet.make_fleet(bench.folder / f"report-{monitors}", bench.targets, monitors, "normal")
    company.set(timezone="UTC")
    day = datetime.now(UTC).date() - timedelta(days=1)
    _fill(company.config, day)
    argv = defib(company.config, "report", "--date", day.isoformat(), "--format", "html", "-o", "report.html")
    began, reports = time.perf_counter(), list[Ended]()
    while len(reports) < bench.runs and (not reports or time.perf_counter() - began < _TIME_S):
        reports.append(run(argv, company.folder))
    yield Figure(
        id=f"P11/{monitors}", name=f"P11 daily report, {monitors} monitors", unit="s", goal=GOAL_S[monitors],
        values=tuple(ended.wall_s for ended in reports),
        note=f"`defib report` as a whole, a look at each monitor every {INTERVAL.total_seconds():g} s; "
        "the page is made, not sent",
    )  # fmt: skip
    yield Figure(
        id=f"P11/{monitors}/cpu", name=f"   its CPU, {monitors} monitors", unit="s",
        values=tuple(ended.cpu_s for ended in reports),
    )  # fmt: skip
    yield Figure(
        id=f"P11/{monitors}/memory", name=f"   its memory, {monitors} monitors", unit="MB at most",
        values=tuple(ended.peak_bytes / _MB for ended in reports),
    )  # fmt: skip


def _fill(file: Path, day: date) -> None:
    """The hours of a full day of looks, nearly all of them well, and of those that a report compares it with."""
    settings = config.load(file, registry.load(), os.environ)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    monitors = [spec.id for spec in settings.monitors]
    dice = random.Random(8420)
    hours = [_hour(dice) for _ in range(500)]
    database = open_database(settings.store)
    writer = Writer(database)
    try:
        begun = tuple(_first_verdict(monitor, start) for monitor in monitors)
        span = WatchSpan(started_at=start - INTERVAL, seen_at=start + timedelta(days=1))
        looks = tuple(
            Observation(
                monitor=monitor,
                source=Source.PROBE,
                evidence=Evidence.ok("HTTP 200"),
                started_at=start,
                ended_at=start,
            )
            for monitor in monitors
        )  # they give each monitor its number
        changes = Changes(transitions=begun, watch=(span,), observations=looks)
        writer.submit(changes).result()
    finally:
        writer.close()
        database.close()
    with closing(connect(settings.store.removeprefix("sqlite:///"))) as connection, connection:
        names = connection.execute("SELECT id FROM symbol WHERE text LIKE 'm-%' ORDER BY id").fetchall()
        connection.execute("DELETE FROM journal")
        for back in COMPARED:
            first = hour_of(start - timedelta(days=back))
            connection.executemany(
                "INSERT INTO hour_rollup VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (slot(hour, number), *dice.choice(hours))
                    for hour in range(first, first + 24)
                    for (number,) in names
                ),
            )


def _hour(dice: random.Random) -> tuple[object, ...]:
    """What 120 looks come to, of which one in 500 failed."""
    failed = sum(dice.random() < 0.002 for _ in range(120))
    tally = Tally()
    tally.add(Sample(0, "healthy", None, round(dice.lognormvariate(10, 0.5))) for _ in range(120 - failed))
    return 120 - failed, 0, failed, 0, tally.sum_us, tally.min_us, tally.max_us, tally.sketch


def _first_verdict(monitor: MonitorId, at: datetime) -> Transition:
    return Transition(
        monitor=monitor, from_state=State.NEW, to_state=State.UP, t_lo=at - INTERVAL, t_hi=at - INTERVAL,
        decided_at=at - INTERVAL, reason="first good look",
    )  # fmt: skip
