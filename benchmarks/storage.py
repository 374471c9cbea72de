"""What history takes on disk: a stretch of a day through the real judge, chores and writer, in simulated time."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from benchmarks import fleet
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib import assembly, logs
from defib.engine.clock import SystemClock
from defib.engine.engine import Engine
from defib.engine.prober import Prober
from defib.model.evidence import Observation
from defib.model.ids import MonitorId
from defib.ports import PushedMonitor
from defib.rules.phase import phase
from defib.store import Reader, Writer, open_database

MONITORS = 1000
INTERVAL_S = 30
SLICES = 5  #: parts in which growth is measured, after a first one that makes the tables
_MB = 1e6
_DAY_S = 86_400


class SimulatedClock(SystemClock):
    """Stands still until it is set."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A stretch of history, in slices."""

    sizes: tuple[int, ...]  #: of the database after each slice, in bytes
    rows: tuple[int, ...]  #: looks written in each
    log: int  #: bytes of the write-ahead log and its index at the end, while the daemon would run

    @property
    def row_bytes(self) -> tuple[float, ...]:
        """Growth for each look, by slice, without the first, which makes the tables."""
        grown = (after - before for before, after in pairwise(self.sizes))
        return tuple(size / count for size, count in zip(grown, self.rows[1:], strict=True))


def measure(bench: Bench) -> Iterator[Figure]:
    """P9, and the founding plan's limit for 100 monitors."""
    company = fleet.make_fleet(bench.folder / "history", bench.targets, MONITORS, "normal")
    per_slice = timedelta(minutes=1 if bench.is_quick else 4)
    logs.configure(level="error")
    written = asyncio.run(_write(company.config, per_slice))
    row_bytes, log = written.row_bytes, written.log
    note = (
        f"extrapolated from {sum(written.rows):,} looks, judged and written as the daemon does; "
        f"{log / _MB:.1f} MB of write-ahead log included"
    )
    yield Figure(
        id="P9/look", name="P9 one look on disk", unit="bytes", values=row_bytes,
        note="with its indexes; targets well, so without events",
    )  # fmt: skip
    yield Figure(
        id="P9", name=f"P9 history of a day, {MONITORS} monitors at {INTERVAL_S} s", unit="MB", goal=15.0,
        values=_a_day(row_bytes, MONITORS, INTERVAL_S, log), note=note,
    )  # fmt: skip
    for interval_s, preset in ((30, "normal"), (15, "aggressive")):
        yield Figure(
            id=f"F/disk/{interval_s}", name=f"disk a day, 100 monitors at {interval_s} s ('{preset}')", unit="MB",
            goal=100.0, by_worst=True, values=_a_day(row_bytes, 100, interval_s, log), note=note,
        )  # fmt: skip


def _a_day(row_bytes: tuple[float, ...], monitors: int, interval_s: float, log: int) -> tuple[float, ...]:
    return tuple((each * monitors * _DAY_S / interval_s + log) / _MB for each in row_bytes)


async def _write(config: Path, per_slice: timedelta) -> Written:
    registry, settings = assembly.load_settings(config)
    clock = SimulatedClock(datetime.now(UTC).replace(microsecond=0))
    database = open_database(settings.store)
    writer = Writer(database)
    try:
        reader = Reader(database)
        engine = Engine(clock, assembly.build_roster(registry, settings, reader), reader, writer)
        sample = await _one_real_look(engine)
        turns: dict[int, list[MonitorId]] = {}
        for monitor in engine.roster.monitors:
            turns.setdefault(int(phase(monitor, INTERVAL_S)), []).append(monitor)
        dice = random.Random(8420)
        sizes, rows = [], []
        for _ in range(SLICES + 1):
            ends, written = clock.at + per_slice, 0
            while clock.at < ends:
                for monitor in turns.get(int(clock.at.timestamp()) % INTERVAL_S, ()):
                    await engine.judge.take(_look(sample, monitor, clock.at, dice))
                    written += 1
                await engine.housekeeping.flush()
                clock.at += timedelta(seconds=1)
            rows.append(written)
            with database.engine.connect() as connection:
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
                sizes.append(pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one())
        log = sum(path.stat().st_size for path in settings.base.glob("*.db-*"))  # closing removes it
        await engine.wind_down()
    finally:
        writer.close()
        database.close()
    return Written(sizes=tuple(sizes), rows=tuple(rows), log=log)


async def _one_real_look(engine: Engine) -> Observation:
    """What the HTTP monitor really finds: with the metrics that are written beside each look."""
    monitor, watched = next(iter(engine.roster.monitors.items()))
    assert not isinstance(watched.plugin, PushedMonitor)
    observation = await Prober(SystemClock()).look(monitor, watched.plugin, timedelta(seconds=5))
    if not observation.evidence.is_ok:
        raise RuntimeError(f"the target is not well: {observation.evidence.summary}")
    return observation


def _look(sample: Observation, monitor: MonitorId, at: datetime, dice: random.Random) -> Observation:
    """Another of the kind: its times differ, as they do between real ones."""
    factor = dice.lognormvariate(3, 0.5)
    evidence = sample.evidence
    latency = (evidence.latency or timedelta()) * factor
    metrics = {name: value * factor for name, value in evidence.metrics.items()}
    return replace(
        sample, monitor=monitor, started_at=at - latency, ended_at=at,
        evidence=replace(evidence, latency=latency, metrics=metrics),
    )  # fmt: skip
