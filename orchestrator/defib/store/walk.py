"""Everything in a store, a little at a time: rows as flat values, for files that other programs read.

Each step reads in a moment of its own, so that a long walk holds up neither the writer nor the log of an SQLite
store; what comes in behind it meanwhile is not in it. Instants are ISO 8601 in UTC, numbers are numbers, compound
values are JSON.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from defib.model.evidence import ProbeStatus
from defib.model.history import Hour, Sample
from defib.model.ids import MonitorId
from defib.rules import samples
from defib.rules.journal import SHARD, short, unpack
from defib.rules.tally import Figures, Tally, decode_metrics
from defib.store import schema
from defib.store.database import Database, snapshot, translated
from defib.store.hours import hour_rows, instant, journal_parts, last_hour, microseconds
from defib.store.rolling import merge_rollup
from defib.store.slots import beginning, hour_of, next_hour, parted
from defib.store.symbols import Symbols

_PAGE = 1000  #: rows read at once
_STATUSES = tuple(map(str, ProbeStatus))

Flat = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What of the store is wanted."""

    since: datetime | None = None
    until: datetime | None = None
    monitor: MonitorId | None = None


@dataclass(frozen=True, slots=True)
class _Events:
    """A table of things that happened."""

    table: sa.Table
    at: str  #: the column of their instant
    without: tuple[str, ...] = ()  #: columns that are of no use outside


_EVENTS = {
    "transitions": _Events(schema.transition, "decided_at"),
    "incidents": _Events(schema.incident, "opened_at", ("said",)),
    "cases": _Events(schema.recovery_case, "opened_at"),
    "attempts": _Events(schema.attempt, "intent_at", ("pid", "pid_started", "boot_id")),
    "alerts": _Events(schema.alert, "at"),
    "deliveries": _Events(schema.delivery, "created_at"),
}


class Walk:
    """Goes through a store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._symbols = Symbols()
        self.tables: Mapping[str, Callable[[Part], Iterator[Flat]]] = {
            **{name: self._events_of(events) for name, events in _EVENTS.items()},
            "hours": self.hours,
            "metrics": self.metrics,
            "samples": self.samples,
        }  #: by name what gives their rows

    def columns(self, table: str) -> tuple[str, ...]:
        """The columns of a table, in their order."""
        if table in _EVENTS:
            events = _EVENTS[table]
            return tuple(column.name for column in events.table.c if column.name not in events.without)
        return _COLUMNS[table]

    # --- what happened -----------------------------------------------------------------------------

    def _events_of(self, events: _Events) -> Callable[[Part], Iterator[Flat]]:
        return lambda part: self._events(events, part)

    def _events(self, events: _Events, part: Part) -> Iterator[Flat]:
        table, at, key = events.table, events.table.c[events.at], events.table.c.id
        query = sa.select(*(column for column in table.c if column.name not in events.without))
        if part.since is not None:
            query = query.where(at >= part.since)
        if part.until is not None:
            query = query.where(at < part.until)
        if part.monitor is not None:
            query = query.where(self._owner(table) == part.monitor)
        query = query.order_by(at, key).limit(_PAGE)
        page = query
        while True:
            with translated(self._database.place), self._database.engine.connect() as connection:
                rows = connection.execute(page).mappings().all()
            yield from ({name: _flat(value) for name, value in row.items()} for row in rows)
            if len(rows) < _PAGE:
                return
            last_at, last_key = rows[-1][events.at], rows[-1]["id"]
            page = query.where(sa.or_(at > last_at, sa.and_(at == last_at, key > last_key)))

    @staticmethod
    def _owner(table: sa.Table) -> sa.ColumnElement[str]:
        """The monitor of a row; a delivery's is that of what it carries."""
        if "monitor" in table.c:
            return table.c.monitor
        alert = schema.alert
        owner: sa.ColumnElement[str] = (
            sa.select(alert.c.monitor).where(alert.c.id == table.c.notice).scalar_subquery()
        )
        return owner

    # --- what was seen -----------------------------------------------------------------------------

    def hours(self, part: Part) -> Iterator[Flat]:
        """What each monitor's looks of each hour came to."""
        for hour in self._every_hour(part, schema.hour_rollup):
            tallies: dict[int, Tally] = {}
            with translated(self._database.place), snapshot(self._database) as connection:
                number = self._number(connection, part)
                for _, owner, row in hour_rows(connection, schema.hour_rollup, hour, hour + 1, number):
                    merge_rollup(tallies.setdefault(owner, Tally()), row)
                looks: dict[int, list[Sample]] = {}
                for opened, first in journal_parts(connection, beginning(hour), beginning(hour + 1), number):
                    for owner, sample in opened.samples():
                        if number in (None, first + owner):
                            looks.setdefault(first + owner, []).append(sample)
                for owner, some in looks.items():
                    tallies.setdefault(owner, Tally()).add(some)
                named = [(self._symbols.name(connection, owner), tally) for owner, tally in tallies.items()]
            for monitor, tally in sorted(named, key=lambda item: item[0]):
                yield _hour(monitor, tally.hour(beginning(hour)))

    def metrics(self, part: Part) -> Iterator[Flat]:
        """What each metric of each monitor came to by the hour."""
        for hour in self._every_hour(part, schema.metric_hour):
            found: dict[tuple[str, str], Figures] = {}
            with translated(self._database.place), snapshot(self._database) as connection:
                number = self._number(connection, part)
                name = self._symbols.name
                for _, owner, row in hour_rows(connection, schema.metric_hour, hour, hour + 1, number):
                    for metric, figures in decode_metrics(row["figures"]).items():
                        found[name(connection, owner), name(connection, metric)] = figures
                values: dict[tuple[str, str], list[float]] = {}
                for opened, first in journal_parts(connection, beginning(hour), beginning(hour + 1), number):
                    for owner, text, value in opened.measured():
                        if number in (None, first + owner):
                            values.setdefault((name(connection, first + owner), text), []).append(value)
            for key, some in values.items():
                if key in found:
                    found[key].merge(Figures.of(some))
                else:
                    found[key] = Figures.of(some)
            for (monitor, text), each in sorted(found.items(), key=lambda item: item[0]):
                yield {
                    "monitor": monitor, "metric": text, "hour": beginning(hour).isoformat(), "n": each.n,
                    "mean": short(each.sum / each.n), "sum": short(each.sum), "min": short(each.min),
                    "max": short(each.max), "last": short(each.last),
                }  # fmt: skip

    def samples(self, part: Part) -> Iterator[Flat]:
        """Single looks, by hour and monitor; those of the newest hour in the order in which they were written."""
        begin_us = microseconds(part.since) if part.since else None
        end_us = microseconds(part.until) if part.until else None
        for hour in self._every_hour(part, schema.raw_hour):
            with translated(self._database.place), snapshot(self._database) as connection:
                number = self._number(connection, part)
                blobs = [
                    (self._symbols.name(connection, owner), row["samples"])
                    for _, owner, row in hour_rows(connection, schema.raw_hour, hour, hour + 1, number)
                ]
                journal = schema.journal
                query = sa.select(journal.c.shard, journal.c.looks).where(journal.c.hour == hour)
                packed = connection.execute(query.order_by(journal.c.id)).all()
                names = self._symbols.names(connection)
            for monitor, blob in blobs:
                for sample in samples.decode(blob, hour):
                    if _is_within(sample.at_us, begin_us, end_us):
                        yield _sample(monitor, sample)
            for row in packed:
                for owner, sample in unpack(row.looks, hour).samples():
                    place = row.shard * SHARD + owner
                    if number in (None, place) and _is_within(sample.at_us, begin_us, end_us):
                        yield _sample(names[place], sample)

    def _every_hour(self, part: Part, table: sa.Table) -> range:
        """The hours that are wanted and that there is anything of."""
        with translated(self._database.place), snapshot(self._database) as connection:
            oldest = connection.execute(sa.select(sa.func.min(table.c.slot))).scalar()
            journaled = connection.execute(sa.select(sa.func.min(schema.journal.c.hour))).scalar()
            newest = last_hour(connection)
        known = [
            hour for hour in (None if oldest is None else parted(oldest)[0], journaled) if hour is not None
        ]
        if not known:
            return range(0)
        begin = min(known) if part.since is None else max(min(known), hour_of(part.since))
        return range(begin, newest + 1 if part.until is None else min(newest + 1, next_hour(part.until)))

    def _number(self, connection: sa.Connection, part: Part) -> int | None:
        if part.monitor is None:
            return None
        number = self._symbols.number(connection, part.monitor)
        return -1 if number is None else number


_COLUMNS = {
    "hours": (
        "monitor", "hour", *_STATUSES, "min_ms", "max_ms", "mean_ms", "p50_ms", "p95_ms", "p99_ms",
    ),
    "metrics": ("monitor", "metric", "hour", "n", "mean", "sum", "min", "max", "last"),
    "samples": ("monitor", "at", "status", "cause", "latency_ms"),
}  # fmt: skip


def _hour(monitor: str, hour: Hour) -> Flat:
    found = hour.latencies
    percentiles = ("mean_ms", "p50_ms", "p95_ms", "p99_ms")
    return {
        "monitor": monitor, "hour": hour.at.isoformat(),
        **{status: hour.counts.get(status, 0) for status in _STATUSES},
        "min_ms": hour.min_ms, "max_ms": hour.max_ms,
        **{name: None if found is None else round(getattr(found, name), 3) for name in percentiles},
    }  # fmt: skip


def _sample(monitor: str, sample: Sample) -> Flat:
    latency_us = sample.latency_us
    return {
        "monitor": monitor, "at": instant(sample.at_us).isoformat(), "status": sample.status, "cause": sample.cause,
        "latency_ms": None if latency_us is None else latency_us / 1000,
    }  # fmt: skip


def _is_within(at_us: int, begin_us: int | None, end_us: int | None) -> bool:
    return (begin_us is None or at_us >= begin_us) and (end_us is None or at_us < end_us)


def _flat(value: Any) -> str | int | float | bool | None:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
