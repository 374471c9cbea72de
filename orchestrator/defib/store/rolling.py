"""Makes hours of the journal, one hour and shard at a time: outside of the writer, which commits what comes out.

What comes out replaces the hours' rows and drops the journal's in one transaction, so that a crash between any two
steps changes nothing, and looks that are written down late are added to the hour they belong to.
"""

from collections import defaultdict

import sqlalchemy as sa

from defib.model.evidence import ProbeStatus
from defib.model.history import Roll, RolledHour, Sample
from defib.rules import samples
from defib.rules.journal import SHARD, unpack
from defib.rules.tally import Figures, Tally, decode_metrics, encode_metrics
from defib.store import schema
from defib.store.database import Database, snapshot, translated
from defib.store.slots import parted, slot
from defib.store.symbols import Symbols


class Rolling:
    """Reads the journal. Synchronous: the event loop asks from a thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._symbols = Symbols()

    def waiting(self, before: int) -> list[tuple[int, int]]:
        """Hours before ``before`` and their shards that are in the journal still, oldest first.

        :raises StoreError: the store cannot be read.
        """
        journal = schema.journal
        query = sa.select(journal.c.hour, journal.c.shard).where(journal.c.hour < before).distinct()
        with translated(self._database.place), self._database.engine.connect() as connection:
            return [
                (row.hour, row.shard) for row in connection.execute(query.order_by(*query.selected_columns))
            ]

    def roll(self, hour: int, shard: int) -> Roll:
        """What is to be written for one hour and shard.

        :raises StoreError: the store cannot be read.
        """
        with translated(self._database.place), snapshot(self._database) as connection:
            return self._roll(connection, hour, shard)

    def _roll(self, connection: sa.Connection, hour: int, shard: int) -> Roll:
        journal = schema.journal
        query = sa.select(journal.c.id, journal.c.looks).where(
            journal.c.hour == hour, journal.c.shard == shard
        )
        parts = connection.execute(query.order_by(journal.c.id)).all()
        looks: dict[int, list[Sample]] = defaultdict(list)
        values: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for row in parts:
            part = unpack(row.looks, hour)
            for monitor, sample in part.samples():
                looks[monitor].append(sample)
            for monitor, name, value in part.measured():
                values[monitor][name].append(value)
        first = shard * SHARD
        earlier = _Earlier(connection, hour, first)
        hours = []
        for number in sorted(looks):
            monitor = first + number
            metrics = earlier.metrics(monitor)
            for name, measured in values[number].items():
                series = self._symbols.number(connection, name)
                assert series is not None, f"the metric {name} was written down without a number"
                figures = Figures.of(measured)
                if series in metrics:
                    metrics[series].merge(figures)
                else:
                    metrics[series] = figures
            tally = earlier.tally(monitor)
            tally.add(looks[number])
            hours.append(
                RolledHour(
                    monitor=monitor,
                    samples=samples.encode([*earlier.samples(monitor), *looks[number]], hour),
                    counts=tally.counts,
                    sum_us=None if tally.min_us is None else tally.sum_us,
                    min_us=tally.min_us,
                    max_us=tally.max_us,
                    sketch=tally.sketch,
                    metrics=encode_metrics(metrics) if metrics else None,
                    names=tuple(metrics),
                )
            )
        return Roll(hour=hour, shard=shard, upto=parts[-1].id if parts else 0, hours=tuple(hours))


class _Earlier:
    """What was rolled before for the same hour and shard: nothing, unless some looks were written down late."""

    def __init__(self, connection: sa.Connection, hour: int, first: int) -> None:
        self._hour = hour
        begin, end = slot(hour, first), slot(hour, first + SHARD)

        def rows(table: sa.Table) -> dict[int, sa.RowMapping]:
            query = sa.select(table).where(table.c.slot >= begin, table.c.slot < end)
            return {parted(row["slot"])[1]: row for row in connection.execute(query).mappings()}

        self._raw = rows(schema.raw_hour)
        self._rollups = rows(schema.hour_rollup)
        self._metrics = rows(schema.metric_hour)

    def samples(self, monitor: int) -> list[Sample]:
        found = self._raw.get(monitor)
        return samples.decode(found["samples"], self._hour) if found else []

    def tally(self, monitor: int) -> Tally:
        tally = Tally()
        if found := self._rollups.get(monitor):
            merge_rollup(tally, found)
        return tally

    def metrics(self, monitor: int) -> dict[int, Figures]:
        found = self._metrics.get(monitor)
        return decode_metrics(found["figures"]) if found else {}


def merge_rollup(tally: Tally, row: sa.RowMapping) -> None:
    """Add a row of hourly rollups."""
    counts = {str(status): row[str(status)] for status in ProbeStatus}
    tally.merge(counts, row["sum_us"], row["min_us"], row["max_us"], row["sketch"])
