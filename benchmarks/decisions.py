"""How long a decision takes: from the evidence that makes it to the transition on disk, under a full load of looks."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks import fleet
from benchmarks.bench import Bench
from benchmarks.figures import Figure

MONITORS = 2000
INTERVAL_S = 20.0
BLINKING = (
    200  #: targets that fail now and then, see :mod:`benchmarks.targets`: some thirty decisions a second
)
STRATEGY = {
    "interval": f"{INTERVAL_S:g}s", "timeout": "3s", "confirm": ["1s", "2s"], "recover_confirm": "2s",
    "fail_threshold": 3, "recovery_threshold": 2,
}  # fmt: skip
KEPT = 1024  #: newest decisions that the daemon's percentiles are of
_METRIC = "defib_decision_latency_seconds"


def measure(bench: Bench) -> Iterator[Figure]:
    """P14."""
    company = fleet.make_fleet(
        bench.folder / "decisions", bench.targets, MONITORS, STRATEGY, blinking=BLINKING
    )
    bench.targets.arrivals()
    medians, tails, commits = [], [], []
    with fleet.ended(company):
        fleet.start(company)
        fleet.wait_until_all_seen(bench.targets, MONITORS, 60)
        for _ in range(bench.runs):
            _wait_for_decisions(company.store, KEPT)
            medians.append(fleet.metric(company, f'{_METRIC}{{quantile="0.5"}}') * 1000)
            tails.append(fleet.metric(company, f'{_METRIC}{{quantile="0.99"}}') * 1000)
            commits.append(_commit_p99_ms(bench.folder))
    note = (
        f"{MONITORS} HTTP monitors at {INTERVAL_S:g} s, of which {BLINKING} fail for a while every 40 s; of the newest "
        f"{KEPT} decisions each time, all of them new, by the daemon's own /metrics: observation → on disk"
    )
    yield Figure(
        id="P14", name="P14 decision latency, p99", unit="ms", goal=20.0, values=tuple(tails), note=note,
        yardstick="a bare commit, p99", yardstick_values=tuple(commits),
    )  # fmt: skip
    yield Figure(id="P14/median", name="   its median", unit="ms", values=tuple(medians))


def _wait_for_decisions(store: Path, count: int) -> None:
    """Return when so many more decisions have been made."""
    before = _decisions(store)
    deadline = time.monotonic() + 180
    while _decisions(store) < before + count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"fewer than {count} decisions within 180 s")
        time.sleep(1.0)


def _decisions(store: Path) -> int:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10)) as connection:
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM decision").fetchone()[0])


def _commit_p99_ms(folder: Path, count: int = 300) -> float:
    """Of one small row into an SQLite file with the daemon's settings, with nobody else at it."""
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, text TEXT)")
        took = []
        for number in range(count):
            began = time.perf_counter()
            connection.execute("INSERT INTO bare (text) VALUES (?)", (f"row {number}",))
            took.append((time.perf_counter() - began) * 1000)
    return sorted(took)[int(0.99 * (count - 1))]
