"""Rows of the tables of hours and parts of the journal, and the looks in them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from defib.model.history import Sample
from defib.rules import samples
from defib.rules.journal import SHARD, Part, unpack
from defib.store import schema
from defib.store.slots import beginning, hour_of, next_hour, parted, shard_of, slot

_MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    return (at - schema.EPOCH) // _MICROSECOND


def instant(at_us: int) -> datetime:
    return schema.EPOCH + at_us * _MICROSECOND


def last_hour(connection: sa.Connection) -> int:
    """The newest hour that there is anything of."""
    newest = connection.execute(sa.select(sa.func.max(schema.hour_rollup.c.slot))).scalar() or 0
    journaled = connection.execute(sa.select(sa.func.max(schema.journal.c.hour))).scalar() or 0
    return max(parted(newest)[0], journaled)


def every_hour(connection: sa.Connection, table: sa.Table, begin: int, end: int) -> sa.CTE:
    """The slots of monitor 0 in ``[begin, end)``, as far as ``table`` goes."""
    newest = connection.execute(sa.select(sa.func.max(table.c.slot))).scalar() or 0
    oldest = connection.execute(sa.select(sa.func.min(table.c.slot))).scalar() or 0
    first, last = max(begin, parted(oldest)[0]), min(end - 1, parted(newest)[0])
    start = sa.cast(sa.literal(slot(first)), sa.BigInteger).label("slot")
    hours = sa.select(start).where(sa.literal(first) <= last).cte("hours", recursive=True)
    step = sa.cast(hours.c.slot + schema.SLOT, sa.BigInteger)
    return hours.union_all(sa.select(step).where(hours.c.slot < slot(last)))


def hour_rows(
    connection: sa.Connection, table: sa.Table, begin: int, end: int, number: int | None
) -> Iterator[tuple[int, int, sa.RowMapping]]:
    """Hour, monitor and row in ``[begin, end)``: of all monitors, or of one, whose hours are looked up one by one."""
    query = sa.select(table)
    if number is None:
        query = query.where(table.c.slot >= slot(begin), table.c.slot < slot(end))
    else:
        hours = every_hour(connection, table, begin, end)
        query = query.select_from(hours).join(table, table.c.slot == hours.c.slot + number)
    for row in connection.execute(query).mappings():
        yield *parted(row["slot"]), row


def rollups(
    connection: sa.Connection, begin: int, end: int, number: int | None
) -> Iterator[tuple[int, int, sa.RowMapping]]:
    return hour_rows(connection, schema.hour_rollup, begin, end, number)


def raw_samples(
    connection: sa.Connection, since: datetime, until: datetime, number: int | None
) -> Iterator[tuple[int, Sample]]:
    for hour, owner, row in hour_rows(connection, schema.raw_hour, hour_of(since), next_hour(until), number):
        for sample in samples.decode(row["samples"], hour):
            if since <= instant(sample.at_us) < until:
                yield owner, sample


def journal_parts(
    connection: sa.Connection, since: datetime, until: datetime, number: int | None
) -> Iterator[tuple[Part, int]]:
    """Parts with anything of ``[since, until)``, oldest first, each with the number of its shard's first monitor."""
    journal = schema.journal
    query = sa.select(journal).where(
        journal.c.hour >= hour_of(since), journal.c.hour < next_hour(until), journal.c.newest >= since
    )
    if number is not None:
        query = query.where(journal.c.shard == shard_of(number)[0])
    for row in connection.execute(query.order_by(journal.c.id)):
        yield unpack(row.looks, row.hour), row.shard * SHARD


def places(part: Part, number: int | None) -> Iterator[int]:
    return iter(range(len(part.monitors))) if number is None else part.places(shard_of(number)[1])


def journal_counts(
    connection: sa.Connection, since: datetime, until: datetime
) -> Iterator[tuple[int, int, str, int]]:
    """Hour, monitor, status and how many looks of the journal in ``[since, until)``."""
    for part, first in journal_parts(connection, since, until, None):
        for (number, status), n in part.counts(_within(part, since, until)):
            yield part.hour, first + number, status, n


def journal_latencies(connection: sa.Connection, since: datetime, until: datetime) -> Mapping[int, list[int]]:
    """Each monitor's latencies of healthy answers in ``[since, until)``, as far as the journal has them."""
    found: dict[int, list[int]] = defaultdict(list)
    for part, first in journal_parts(connection, since, until, None):
        part.healthy_latencies(found, first, _within(part, since, until))
    return found


def _within(part: Part, since: datetime, until: datetime) -> tuple[int, int] | None:
    """The stretch in microseconds; None where all of the part is in it."""
    is_whole = since <= beginning(part.hour) and beginning(part.hour + 1) <= until
    return None if is_whole else (microseconds(since), microseconds(until))


def journal_samples(
    connection: sa.Connection, since: datetime, until: datetime, number: int | None
) -> Iterator[tuple[int, Sample]]:
    begin, end = microseconds(since), microseconds(until)
    for part, first in journal_parts(connection, since, until, number):
        if number is None:
            for owner, sample in part.samples((begin, end)):
                yield first + owner, sample
        else:
            for place in part.places(shard_of(number)[1]):
                sample = part.sample(place)
                if begin <= sample.at_us < end:
                    yield number, sample
