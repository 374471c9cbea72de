"""What the overview costs the server with 90 days of history behind it."""

import os
import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect
from statistics import median
from typing import Any

from starlette.requests import Request

from benchmarks import fleet
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib import assembly, config, registry
from defib.cli.daemon import collect_seldom
from defib.engine.views.read_model import Views
from defib.engine.views.recent import Recent
from defib.model.changes import Changes
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import Health, State
from defib.model.ids import MonitorId
from defib.store import Writer, open_database
from defib.store.slots import hour_of, slot
from defib.web.encoding import encode
from defib.web.overview_page import OverviewPage
from defib.web.rendering import Pages
from defib.web.snapshot import Monitors

DAYS = 90
GOAL_MS = {1000: 40.0, 5000: 120.0}
_INTERVAL = timedelta(seconds=30)
_ROUNDS = 200  #: of the overview, one after another while looks come in


def measure(bench: Bench) -> Iterator[Figure]:
    """P10: making and encoding the overview, which API lists are cut from; and the page that is made of it."""
    for monitors in (1000,) if bench.is_quick else (1000, 5000):
        company = fleet.make_fleet(bench.folder / f"pages-{monitors}", bench.targets, monitors, "normal")
        plugins = registry.load()
        settings = config.load(company.config, plugins, os.environ)
        names = [spec.id for spec in settings.monitors]
        now = datetime.now(UTC)
        _fill(settings.store, names, now)
        _add_days(Path(settings.store.removeprefix("sqlite:///")), names, now)
        with assembly.stored_views(plugins, settings) as (views, _, _):
            views._recent = Recent(max_age_s=0)  # every overview reads what is new
            encoded = Monitors()
            first, _ = _timed(views, encoded)
            collect_seldom()  # as the daemon does
            times = _rounds(settings.store, views, names, encoded)
            drawn = [_drawn(views.overview()) for _ in range(bench.runs)]
        walls, cpus = (sorted(each) for each in zip(*times, strict=True))
        yield Figure(
            id=f"P10/{monitors}", name=f"P10 overview, {monitors} monitors, {DAYS} days, p99", unit="ms",
            goal=GOAL_MS[monitors], values=(_p99(walls),),
            note=f"made and encoded; median {median(walls):.0f} ms of {len(times)}, a flush of looks before each; "
            f"CPU: median {median(cpus):.0f} ms, p99 {_p99(cpus):.0f} ms; the first of a process {first:.0f} ms",
        )  # fmt: skip
        yield Figure(
            id=f"P10/{monitors}/page", name=f"   the page of {monitors} monitors: CPU", unit="ms", values=tuple(drawn),
            note="rendered from an overview that is there; besides the figure above when none is",
        )  # fmt: skip


def _drawn(view: dict[str, Any]) -> float:
    """Milliseconds of CPU that the page takes."""
    pages = Pages(lambda name: name, lambda request: {"csrf": "", "timezone": "UTC"})
    page = OverviewPage(pages)
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})
    page.render(request, view)  # templates are compiled once
    worked = time.thread_time()
    page.render(request, view)
    return (time.thread_time() - worked) * 1000


def _rounds(store: str, views: Views, names: list[MonitorId], encoded: Monitors) -> list[tuple[float, float]]:
    """Each overview as :func:`_timed` measures it, with new looks before each."""
    database = open_database(store)
    writer, dice, times = Writer(database), random.Random(8420), []
    try:
        for number in range(_ROUNDS):
            some = names[number * 17 % len(names) :][: len(names) // 6]
            at = datetime.now(UTC)
            writer.submit(Changes(observations=tuple(_look(name, at, dice) for name in some))).result()
            times.append(_timed(views, encoded))
    finally:
        writer.close()
        database.close()
    return times


def _p99(ordered: list[float]) -> float:
    return ordered[int(len(ordered) * 0.99) - 1]


def _timed(views: Views, encoded: Monitors) -> tuple[float, float]:
    """Milliseconds, and those of CPU."""
    began, worked = time.perf_counter(), time.thread_time()
    view = views.overview()
    encoded.encode(view["monitors"])
    encode({key: value for key, value in view.items() if key != "monitors"})
    return (time.perf_counter() - began) * 1000, (time.thread_time() - worked) * 1000


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
            replace(
                Health(monitor=name, state=State.UP, since=begin, reason="well"), last=_look(name, now, dice)
            )
            for name in names
        )
        writer.submit(Changes(health=health)).result()
    finally:
        writer.close()
        database.close()


def _add_days(store: Path, names: list[MonitorId], now: datetime) -> None:
    """Rollups of all hours before the last one."""
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
