"""What the daily report costs, over a full day of history."""

import random
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks import fleet
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.processes import Ended, defib, run
from defib import assembly
from defib.model.changes import Changes, WatchSpan
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import State, Transition
from defib.model.ids import MonitorId
from defib.store import Writer, open_database

INTERVAL = timedelta(seconds=30)
GOAL_S = {100: None, 1000: 2.0}
_MB = 1e6
_TIME_S = 40.0  #: no further run begins after so long


def measure(bench: Bench) -> Iterator[Figure]:
    """P11: ``defib report`` over 1000 monitors, over 100 in a quick run."""
    monitors = 100 if bench.is_quick else 1000
    company = fleet.make_fleet(bench.folder / "report", bench.targets, monitors, "normal")
    company.set(timezone="UTC")
    day = datetime.now(UTC).date() - timedelta(days=1)
    _fill(company.config, day)
    argv = defib(company.config, "report", "--date", day.isoformat(), "--format", "html", "-o", "report.html")
    began, reports = time.perf_counter(), list[Ended]()
    while len(reports) < bench.runs and (not reports or time.perf_counter() - began < _TIME_S):
        reports.append(run(argv, company.folder))
    scans = tuple(_scan_cpu_s(company.folder / "defib.db") for _ in range(2))
    yield Figure(
        id=f"P11/{monitors}", name=f"P11 daily report, {monitors} monitors", unit="s", goal=GOAL_S[monitors],
        values=tuple(ended.wall_s for ended in reports),
        note=f"`defib report` as a whole, a look at each monitor every {INTERVAL.total_seconds():g} s; "
        "the page is made, not sent",
    )  # fmt: skip
    yield Figure(
        id=f"P11/{monitors}/cpu", name=f"   its CPU, {monitors} monitors", unit="s",
        values=tuple(ended.cpu_s for ended in reports), yardstick="reading the day with bare sqlite3",
        yardstick_values=scans,
    )  # fmt: skip
    yield Figure(
        id=f"P11/{monitors}/memory", name=f"   its memory, {monitors} monitors", unit="MB at most",
        values=tuple(ended.peak_bytes / _MB for ended in reports),
    )  # fmt: skip


def _fill(config: Path, day: date) -> None:
    """A full day of looks, nearly all of them well."""
    _, settings = assembly.load_settings(config)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    monitors = [spec.id for spec in settings.monitors]
    dice = random.Random(8420)
    answers = [_answer(dice) for _ in range(1000)]
    database = open_database(settings.store)
    try:
        writer = Writer(database)
        try:
            begun = tuple(_first_verdict(monitor, start) for monitor in monitors)
            span = WatchSpan(started_at=start - INTERVAL, seen_at=start + timedelta(days=1))
            waiting = [writer.submit(Changes(transitions=begun, watch=(span,)))]
            for number in range(timedelta(days=1) // INTERVAL):
                turn = start + number * INTERVAL
                looks = tuple(_look(monitor, turn, dice.choice(answers)) for monitor in monitors)
                waiting.append(writer.submit(Changes(observations=looks)))
                if len(waiting) > 20:  # no more in memory than a few rounds
                    wait(waiting)
                    for future in waiting:
                        future.result()
                    waiting.clear()
        finally:
            writer.close()
    finally:
        database.close()


def _answer(dice: random.Random) -> Evidence:
    latency = timedelta(milliseconds=dice.lognormvariate(3, 0.5))
    metrics = {"connect_ms": dice.random(), "first_byte_ms": latency / timedelta(milliseconds=1)}
    if dice.random() < 0.002:
        return Evidence.fail("http-500", "HTTP 500", latency=latency, metrics=metrics)
    return Evidence.ok("HTTP 200", latency=latency, metrics=metrics)


def _look(monitor: MonitorId, at: datetime, evidence: Evidence) -> Observation:
    return Observation(monitor=monitor, source=Source.PROBE, evidence=evidence, started_at=at, ended_at=at)


def _first_verdict(monitor: MonitorId, at: datetime) -> Transition:
    return Transition(
        monitor=monitor, from_state=State.NEW, to_state=State.UP, t_lo=at - INTERVAL, t_hi=at - INTERVAL,
        decided_at=at - INTERVAL, reason="first good look",
    )  # fmt: skip


def _scan_cpu_s(store: Path) -> float:
    """CPU of counts and sums of the whole day, by monitor and status."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        started = time.process_time()
        connection.execute(
            "SELECT monitor, status, count(*), sum(latency_us) FROM observation GROUP BY monitor, status"
        ).fetchall()
        return time.process_time() - started
