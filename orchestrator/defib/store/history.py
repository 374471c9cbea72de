"""Questions about looks: out of hours that were added up, single looks of the last days, and the journal.

A whole hour is answered by its rollup. Where a question begins or ends within an hour, that hour's single looks are
counted; once those are forgotten, the hour counts to the stretch in which it began.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from defib.model.evidence import ProbeStatus
from defib.model.history import Hour, Latencies, MetricHour, News, Sample
from defib.model.ids import MonitorId
from defib.rules import samples
from defib.rules.journal import SHARD, Part, short, unpack
from defib.rules.samples import HOUR_US
from defib.rules.tally import Figures, Tally, decode_metrics
from defib.store import schema
from defib.store.database import Database, snapshot, translated
from defib.store.hours import (
    every_hour,
    hour_rows,
    instant,
    journal_counts,
    journal_latencies,
    journal_parts,
    journal_samples,
    last_hour,
    places,
    raw_samples,
    rollups,
)  # fmt: skip
from defib.store.rolling import Rolling, merge_rollup
from defib.store.slots import beginning, hour_of, next_hour, parted, slot
from defib.store.space import Space
from defib.store.symbols import Symbols
from defib.store.walk import Walk

_STATUSES = tuple(map(str, ProbeStatus))

Counts = dict[str, int]


class HistoryReader:
    """Reads what was seen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._symbols = Symbols()
        self.rolling = Rolling(database)  #: makes hours of the journal
        self.space = Space(database)
        self.walk = Walk(database)  #: through everything

    def oldest_hours(self) -> tuple[int | None, int | None]:
        """The oldest hours since 1970 that there are single looks of, and rollups; None without any."""
        tables = (schema.raw_hour, schema.hour_rollup)
        with self._snapshot() as connection:
            oldest = (connection.execute(sa.select(sa.func.min(table.c.slot))).scalar() for table in tables)
            raw, hourly = (None if place is None else parted(place)[0] for place in oldest)
        return raw, hourly

    @contextmanager
    def _snapshot(self) -> Iterator[sa.Connection]:
        with translated(self._database.place), snapshot(self._database) as connection:
            yield connection

    # --- single looks ------------------------------------------------------------------------------

    def samples(
        self, *, since: datetime, until: datetime, monitor: MonitorId | None = None
    ) -> list[dict[str, Any]]:
        """Single looks in ``[since, until)``: monitor, at, status, cause, latency_us, metrics; oldest first.

        Those of the last hour are exact and have their metrics; older ones are exact to 50 ms and 0.017 % of
        their latency, and their metrics are in :meth:`metric_hours`.
        """
        with self._snapshot() as connection:
            number = self._number(connection, monitor)
            if number == _NOBODY:
                return []
            found = [
                _row(self._name(connection, owner), sample, None)
                for owner, sample in raw_samples(connection, since, until, number)
            ]
            for part, first in journal_parts(connection, since, until, number):
                begins = part.numbers()
                for place in places(part, number):
                    sample = part.sample(place)
                    if since <= instant(sample.at_us) < until:
                        name = self._name(connection, first + part.monitors[place])
                        found.append(_row(name, sample, part.metrics(place, begins) or None))
        found.sort(key=lambda row: row["at"])
        return found

    def follow(self, after: int) -> News | None:
        """What came into the journal after ``after``; None when some of it is not there any more."""
        with self._snapshot() as connection:
            journal = schema.journal
            query = sa.select(journal).where(journal.c.id > after).order_by(journal.c.id)
            looks: dict[MonitorId, list[Sample]] = defaultdict(list)
            upto = after
            for row in connection.execute(query):
                if upto == after and row.id != after + 1:
                    return None
                upto = row.id
                self._sort(connection, looks, unpack(row.looks, row.hour), row.shard * SHARD)
            return News(looks=looks, upto=upto)

    def recent(
        self, since: datetime, looks_since: datetime
    ) -> tuple[dict[MonitorId, dict[int, Counts]], News]:
        """:meth:`hourly_counts` since an instant, all looks since another, and where to go on following."""
        with self._snapshot() as connection:
            newest = connection.execute(sa.select(sa.func.max(schema.journal.c.id))).scalar() or 0
            end = beginning(max(hour_of(since), last_hour(connection)) + 1)
            counts = self._hourly_counts(connection, since)
            looks: dict[int, list[Sample]] = defaultdict(list)
            for owner, sample in raw_samples(connection, looks_since, end, None):
                looks[owner].append(sample)
            for owner, sample in journal_samples(connection, looks_since, end, None):
                looks[owner].append(sample)
            return counts, News(looks=self._named(connection, looks), upto=newest)

    def _sort(
        self, connection: sa.Connection, looks: dict[MonitorId, list[Sample]], part: Part, first: int
    ) -> None:
        for number, sample in part.samples():
            looks[self._name(connection, first + number)].append(sample)

    # --- counts and latencies ----------------------------------------------------------------------

    def status_counts(self, since: datetime, until: datetime) -> dict[MonitorId, Counts]:
        """Looks in ``[since, until)`` by monitor and status."""
        counts: dict[int, Counts] = defaultdict(dict)
        with self._snapshot() as connection:
            table = schema.hour_rollup
            begin, end = next_hour(since), max(next_hour(since), hour_of(until))
            sums = [
                sa.cast(sa.func.sum(table.c[status]), sa.BigInteger).label(status) for status in _STATUSES
            ]
            owner = (table.c.slot % schema.SLOT).label("owner")
            query = sa.select(owner, *sums).where(table.c.slot >= slot(begin), table.c.slot < slot(end))
            for row in connection.execute(query.group_by(owner)).mappings():
                counts[row["owner"]] = {status: row[status] for status in _STATUSES if row[status]}
            for number, tally in self._edges(connection, since, until, None).items():
                _add(counts[number], tally.counts)
            for _, number, status, n in journal_counts(connection, since, until):
                into = counts[number]
                into[status] = into.get(status, 0) + n
            return self._named(connection, {number: found for number, found in counts.items() if found})

    def hourly_counts(self, since: datetime) -> dict[MonitorId, dict[int, Counts]]:
        """Looks since an instant: monitor → hours since 1970 → status → count."""
        with self._snapshot() as connection:
            return self._hourly_counts(connection, since)

    def _hourly_counts(
        self, connection: sa.Connection, since: datetime
    ) -> dict[MonitorId, dict[int, Counts]]:
        counts: dict[int, dict[int, Counts]] = defaultdict(lambda: defaultdict(dict))
        table = schema.hour_rollup
        columns = (table.c[status] for status in _STATUSES)
        query = sa.select(table.c.slot, *columns).where(table.c.slot >= slot(next_hour(since)))
        for place, *found in connection.execute(query):
            hour, number = parted(place)
            counts[number][hour] = {
                status: count for status, count in zip(_STATUSES, found, strict=True) if count
            }
        until = beginning(max(next_hour(since), last_hour(connection) + 1))
        for number, tally in self._edges(connection, since, until, None).items():
            _add(counts[number][hour_of(since)], tally.counts)
        for hour, number, status, n in journal_counts(connection, since, until):
            into = counts[number][hour]
            into[status] = into.get(status, 0) + n
        return self._named(connection, {number: dict(hours) for number, hours in counts.items()})

    def latencies(self, since: datetime, until: datetime) -> dict[MonitorId, Latencies]:
        """Latencies of healthy answers in ``[since, until)`` by monitor."""
        with self._snapshot() as connection:
            tallies = self._edges(connection, since, until, None)
            table = schema.hour_rollup
            first, last = slot(next_hour(since)), slot(hour_of(until))
            timed = sa.and_(table.c.slot >= first, table.c.slot < last, table.c.sketch.is_not(None))
            sketches: dict[int, list[bytes]] = defaultdict(list)
            for place, sketch in connection.execute(sa.select(table.c.slot, table.c.sketch).where(timed)):
                sketches[place % schema.SLOT].append(sketch)
            owner = (table.c.slot % schema.SLOT).label("owner")
            total = sa.cast(sa.func.sum(table.c.sum_us), sa.BigInteger)
            extremes = (sa.func.min(table.c.min_us), sa.func.max(table.c.max_us))
            query = sa.select(owner, total, *extremes).where(timed).group_by(owner)
            for number, sum_us, min_us, max_us in connection.execute(query):
                tallies[number].merge_latencies(sum_us, min_us, max_us, b"".join(sketches.pop(number)))
            for number, some in journal_latencies(connection, since, until).items():
                tallies[number].add_latencies(some)
            found = ((number, tally.latencies()) for number, tally in tallies.items())
            return self._named(connection, {number: value for number, value in found if value is not None})

    def hours(self, monitor: MonitorId, since: datetime, until: datetime, per: int = 1) -> list[Hour]:
        """Each hour of a monitor that began in ``[since, until)`` and in which it was looked at, oldest first.

        :param per: so many hours together, the first of them from the first whole hour on.
        """
        begin, end = next_hour(since), next_hour(until)
        tallies: dict[int, Tally] = defaultdict(Tally)
        with self._snapshot() as connection:
            owner = self._number(connection, monitor)
            for hour, _, row in rollups(connection, begin, end, owner):
                merge_rollup(tallies[(hour - begin) // per], row)
            looks: dict[int, list[Sample]] = defaultdict(list)
            for _, sample in journal_samples(connection, beginning(begin), beginning(end), owner):
                looks[(sample.at_us // HOUR_US - begin) // per].append(sample)
        for number, some in looks.items():
            tallies[number].add(some)
        return [tally.hour(beginning(begin + number * per)) for number, tally in sorted(tallies.items())]

    def _edges(
        self, connection: sa.Connection, since: datetime, until: datetime, number: int | None
    ) -> dict[int, Tally]:
        """The looks of those hours of ``[since, until)`` that are not in it as a whole; without the journal's."""
        tallies: dict[int, Tally] = defaultdict(Tally)
        hours = {hour_of(at) for at in (since, until) if at != beginning(hour_of(at))}
        for hour in hours:
            begins, known = beginning(hour), set[int]()
            start, end = max(since, begins), min(until, beginning(hour + 1))
            for _, owner, row in hour_rows(connection, schema.raw_hour, hour, hour + 1, number):
                known.add(owner)
                found = samples.decode(row["samples"], hour)
                tallies[owner].add(sample for sample in found if start <= instant(sample.at_us) < end)
            if begins >= since:
                for _, owner, row in rollups(connection, hour, hour + 1, number):
                    if owner not in known:
                        merge_rollup(tallies[owner], row)
        return tallies

    # --- metrics -----------------------------------------------------------------------------------

    def metric_names(self, monitor: MonitorId) -> list[str]:
        """The metrics that a monitor has hours of."""
        series = schema.metric_series
        with self._snapshot() as connection:
            number = self._number(connection, monitor)
            found = connection.execute(sa.select(series.c.name).where(series.c.monitor == number))
            return sorted(self._name(connection, name) for (name,) in found.all())

    def metric_hours(
        self, name: str, since: datetime, until: datetime, monitor: MonitorId | None = None
    ) -> dict[MonitorId, list[MetricHour]]:
        """A metric of all that have it, or of one monitor: each hour that began in ``[since, until)``, oldest first."""
        begin, end = next_hour(since), next_hour(until)
        found: dict[int, dict[int, Figures]] = defaultdict(dict)
        with self._snapshot() as connection:
            wanted, number = self._symbols.number(connection, name), self._number(connection, monitor)
            if wanted is None:
                return {}
            series, table = schema.metric_series, schema.metric_hour
            hours = every_hour(connection, table, begin, end)
            query = (
                sa.select(table)
                .select_from(series)
                .join(hours, sa.true())
                .join(table, table.c.slot == hours.c.slot + series.c.monitor)
                .where(series.c.name == wanted)
            )
            if number is not None:
                query = query.where(series.c.monitor == number)
            for place, encoded in connection.execute(query):
                hour, owner = parted(place)
                if (figures := decode_metrics(encoded).get(wanted)) is not None:
                    found[owner][hour] = figures
            for part, first in journal_parts(connection, beginning(begin), beginning(end), number):
                _add_metric(found, part, first, name, number)
            named = {self._name(connection, owner): by_hour for owner, by_hour in found.items()}
        return {
            owner: [
                MetricHour(
                    at=beginning(hour), n=each.n, sum=short(each.sum), min=short(each.min), max=short(each.max),
                    last=short(each.last),
                )
                for hour, each in sorted(by_hour.items())
            ]
            for owner, by_hour in named.items()
        }  # fmt: skip

    # --- names -------------------------------------------------------------------------------------

    def _number(self, connection: sa.Connection, monitor: MonitorId | None) -> int | None:
        """None for all monitors; that of nobody where a name has none."""
        if monitor is None:
            return None
        number = self._symbols.number(connection, monitor)
        return _NOBODY if number is None else number

    def _name(self, connection: sa.Connection, number: int) -> MonitorId:
        return MonitorId(self._symbols.name(connection, number))

    def _named(self, connection: sa.Connection, found: Mapping[int, Any]) -> dict[MonitorId, Any]:
        return {self._name(connection, number): value for number, value in found.items()}


_NOBODY = -1


def _row(monitor: MonitorId, sample: Sample, metrics: Mapping[str, float] | None) -> dict[str, Any]:
    return {
        "monitor": monitor, "at": instant(sample.at_us), "status": sample.status, "cause": sample.cause,
        "latency_us": sample.latency_us, "metrics": metrics,
    }  # fmt: skip


def _add(into: Counts, counts: Mapping[str, int]) -> None:
    for status, count in counts.items():
        into[status] = into.get(status, 0) + count


def _add_metric(
    found: dict[int, dict[int, Figures]], part: Part, first: int, name: str, number: int | None
) -> None:
    values: dict[int, list[float]] = defaultdict(list)
    for owner, text, value in part.measured():
        if text == name and number in (None, first + owner):
            values[first + owner].append(value)
    for owner, some in values.items():
        if part.hour in found[owner]:
            found[owner][part.hour].merge(Figures.of(some))
        else:
            found[owner][part.hour] = Figures.of(some)
