"""What the overview costs the server with 90 days of history behind it."""

import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect

from benchmarks import fleet
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib import assembly
from defib.engine.views import Views
from defib.model.changes import Changes
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import Health, State
from defib.model.ids import MonitorId
from defib.rules.tally import Tally
from defib.store import Writer, open_database
from defib.store.slots import hour_of, slot
from defib.web.encoding import encode

DAYS = 90
GOAL_MS = {1000: 40.0, 5000: 120.0}
_INTERVAL = timedelta(seconds=30)
_ROUNDS = 60  #: of the overview, one after another while looks come in


def measure(bench: Bench) -> Iterator[Figure]:
    """P10: making and encoding the overview, which page and API lists are cut from."""
    for monitors in (1000,) if bench.is_quick else (1000, 5000):
        company = fleet.make_fleet(bench.folder / f"pages-{monitors}", bench.targets, monitors, "normal")
        registry, settings = assembly.load_settings(company.config)
        names = [spec.id for spec in settings.monitors]
        now = datetime.now(UTC)
        _fill(settings.store, names, now)
        _add_days(Path(settings.store.removeprefix("sqlite:///")), names, now)
        with assembly.stored_views(registry, settings) as (views, _, _):
            first = _timed(views)
            times = _rounds(settings.store, views, names)
        times.sort()
        yield Figure(
            id=f"P10/{monitors}", name=f"P10 overview, {monitors} monitors, {DAYS} days, p99", unit="ms",
            goal=GOAL_MS[monitors], values=(times[int(len(times) * 0.99) - 1],),
            note=f"made and encoded; median {times[len(times) // 2]:.0f} ms of {len(times)}, a flush of looks before each; "
            f"the first one of a process takes {first:.0f} ms",
        )  # fmt: skip


def _rounds(store: str, views: Views, names: list[MonitorId]) -> list[float]:
    """Milliseconds of each overview, with new looks before each and nothing of the one before kept."""
    database = open_database(store)
    writer, dice, times = Writer(database), random.Random(8420), []
    try:
        for number in range(_ROUNDS):
            some = names[number * 17 % len(names) :][: len(names) // 6]
            at = datetime.now(UTC)
            writer.submit(Changes(observations=tuple(_look(name, at, dice) for name in some))).result()
            views.expire()
            times.append(_timed(views))
    finally:
        writer.close()
        database.close()
    return times


def _timed(views: Views) -> float:
    began = time.perf_counter()
    encode(views.overview())
    return (time.perf_counter() - began) * 1000


def _fill(store: str, names: list[MonitorId], now: datetime) -> None:
    """The last hour as the daemon leaves it, and a state for every monitor."""
    database = open_database(store)
    writer, dice = Writer(database), random.Random(8420)
    try:
        begin = now - timedelta(hours=1)
        for number in range(timedelta(hours=1) // _INTERVAL):
            at = begin + number * _INTERVAL
            writer.submit(Changes(observations=tuple(_look(name, at, dice) for name in names))).result()
        health = tuple(
            replace(Health(monitor=name, state=State.UP, since=begin, reason="well"), last=_look(name, now, dice))
            for name in names
        )
        writer.submit(Changes(health=health)).result()
    finally:
        writer.close()
        database.close()


def _add_days(store: Path, names: list[MonitorId], now: datetime) -> None:
    """Rollups of all hours before the last one."""
    tally = Tally()
    tally.merge({"healthy": 119, "error": 1}, None, None, None, None)
    values = (119, 0, 1, 0, 120_000, 500, 9_000, bytes(50))
    first, last = hour_of(now - timedelta(days=DAYS)), hour_of(now - timedelta(hours=1)) - 1
    with closing(connect(store)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE hour(slot) AS (SELECT ? UNION ALL SELECT slot + ? FROM hour WHERE slot < ?) "
            "INSERT INTO hour_rollup SELECT slot + symbol.id, ?, ?, ?, ?, ?, ?, ?, ? FROM hour, symbol "
            "WHERE symbol.text LIKE 'm-%' ORDER BY 1",
            (slot(first), slot(1), slot(last), *values),
        )


def _look(monitor: MonitorId, at: datetime, dice: random.Random) -> Observation:
    evidence = Evidence.ok("HTTP 200", latency=timedelta(milliseconds=dice.lognormvariate(3, 0.5)))
    return Observation(monitor=monitor, source=Source.PROBE, evidence=evidence, started_at=at, ended_at=at)
