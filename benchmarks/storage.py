"""What history takes on disk: days through the real chores, writer and rolling, in simulated time."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib.engine.clock import SystemClock
from defib.engine.housekeeping import LOOKS_EVERY, Housekeeping
from defib.engine.table import StateTable
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import Health, State
from defib.model.ids import MonitorId
from defib.rules.phase import phase
from defib.store import Reader, Writer, open_database

MONITORS = 1000
INTERVAL_S = 30
_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
_DAY_H = 24
_MB = 1e6
_METRICS = (
    "connect_ms",
    "first_byte_ms",
    "dns_ms",
    "tls_ms",
)  #: of a look at http://address, and at https://name
_CAUSES = ("timeout", "refused", "http-500")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Who is looked at, and what is seen."""

    monitors: int
    interval_s: int
    metrics: int  #: of each look
    failing: float = 0.0  #: share of looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A stretch of history."""

    looks: int
    first: int  #: bytes of all files after the first hour
    total: int  #: at the end, with the log as long as a running daemon has it
    closed: int  #: the same once the daemon has ended
    log: int  #: of which the write-ahead log and its index
    hours: int

    @property
    def a_day(self) -> float:
        """Megabytes that a day adds to a store that is some hours old."""
        return (self.total - self.first) / (self.hours - 1) * _DAY_H / _MB


class SimulatedClock(SystemClock):
    """Stands still until it is set."""

    at = _BEGIN

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


def measure(bench: Bench) -> Iterator[Figure]:
    """P9, and the founding plan's limit for 100 monitors."""
    hours = 3 if bench.is_quick else _DAY_H
    day = _written(bench.folder, Fleet(monitors=MONITORS, interval_s=INTERVAL_S, metrics=2), hours)
    note = f"{day.looks:,} looks with two metrics each, written and rolled up as the daemon does, {day.hours} hours"
    yield Figure(
        id="P9", name=f"P9 a day of history, {MONITORS} monitors at {INTERVAL_S} s", unit="MB", goal=15.0,
        values=(day.a_day,), note=f"what each further day adds; {note}",
    )  # fmt: skip
    yield Figure(
        id="P9/look", name="P9 one look on disk", unit="bytes",
        values=((day.total - day.first) / (day.looks * (1 - 1 / day.hours)),),
        note="with its share of rollups and of the metrics by the hour",
    )  # fmt: skip
    yield Figure(
        id="P9/files", name=f"   all files after {day.hours} hours", unit="MB", values=(day.total / _MB,),
        note=f"of which {day.log / _MB:.1f} MB of log; {day.closed / _MB:.1f} MB once the daemon has ended",
    )  # fmt: skip
    for name, metrics, failing in (("no metrics", 0, 0.0), ("four metrics", 4, 0.0), ("2 % fail", 2, 0.02)):
        fleet = Fleet(monitors=MONITORS, interval_s=INTERVAL_S, metrics=metrics, failing=failing)
        found = _written(bench.folder, fleet, 3)
        yield Figure(
            id=f"P9/{name}", name=f"   a day when {name}", unit="MB", values=(found.a_day,),
            note=f"extrapolated from {found.looks:,} looks",
        )  # fmt: skip
    for interval_s, preset in ((30, "normal"), (15, "aggressive")):
        small = _written(bench.folder, Fleet(monitors=100, interval_s=interval_s, metrics=2), 4)
        yield Figure(
            id=f"F/disk/{interval_s}", name=f"disk a day, 100 monitors at {interval_s} s ('{preset}')", unit="MB",
            goal=100.0, by_worst=True, values=(small.a_day + small.first / _MB,),
            note=f"all files after a first day, extrapolated from {small.looks:,} looks",
        )  # fmt: skip


def _written(folder: Path, fleet: Fleet, hours: int) -> Written:
    file = folder / "history.db"
    for old in folder.glob("history.db*"):
        old.unlink()
    return asyncio.run(_write(file, fleet, hours))


async def _write(file: Path, fleet: Fleet, hours: int) -> Written:
    clock, dice = SimulatedClock(), random.Random(8420)
    database = open_database(f"sqlite:///{file}")
    writer, reader, table = Writer(database), Reader(database), StateTable({})
    keeping = Housekeeping(clock, table, writer, reader)
    turns: dict[int, list[MonitorId]] = {}
    for number in range(fleet.monitors):
        monitor = MonitorId(f"service-{number:04d}")
        turns.setdefault(int(phase(monitor, fleet.interval_s)), []).append(monitor)
    looks = first = 0
    try:
        for hour in range(1, hours + 1):
            ends = _BEGIN + timedelta(hours=hour)
            while clock.at < ends:
                for monitor in turns.get(int(clock.at.timestamp()) % fleet.interval_s, ()):
                    table.note(*_seen(monitor, clock.at, fleet, dice))
                    looks += 1
                if clock.at.second % LOOKS_EVERY.seconds == 0:  # states each second would take an hour
                    await keeping.flush()
                    reader.space.checkpoint()
                clock.at += timedelta(seconds=1)
            after = clock.at
            clock.at = after + timedelta(minutes=1)
            await keeping.roll_up()
            for _ in range(2):  # the log is cut at the first commit after it was emptied
                reader.space.checkpoint()
                await keeping.flush()
            clock.at = after
            first = first or _size(file)
        total, log = _size(file), _size(file, "-*")
    finally:
        writer.close()
        database.close()
    return Written(looks=looks, first=first, total=total, closed=_size(file), log=log, hours=hours)


def _size(file: Path, which: str = "*") -> int:
    return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}{which}"))


def _seen(monitor: MonitorId, at: datetime, fleet: Fleet, dice: random.Random) -> tuple[Health, Observation]:
    """A look whose times differ, as they do between real ones."""
    latency = timedelta(milliseconds=dice.lognormvariate(3, 0.5))
    at += latency + timedelta(milliseconds=abs(dice.gauss(0, 5)))
    known: dict[str, Any] = {
        "latency": latency,
        "metrics": {name: dice.lognormvariate(1, 0.5) for name in _METRICS[: fleet.metrics]},
    }
    if dice.random() < fleet.failing:
        evidence = Evidence.fail(dice.choice(_CAUSES), "it failed", **known)
    else:
        evidence = Evidence.ok("HTTP 200 in 20 ms", **known)
    look = Observation(
        monitor=monitor, source=Source.PROBE, started_at=at - latency, ended_at=at, evidence=evidence
    )
    return Health(monitor=monitor, state=State.UP, since=_BEGIN, reason="well", last=look), look
