"""Looks as they are written: into the journal first, and out of it into hours."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import sqlalchemy as sa

from defib.model.evidence import Observation, ProbeStatus
from defib.model.history import Roll
from defib.rules.journal import LARGEST, SHARD, pack, place_of
from defib.store import schema
from defib.store.slots import slot
from defib.store.statements import Statements
from defib.store.symbols import Numbering


def note(connection: sa.Connection, looks: Sequence[Observation], numbering: Numbering) -> None:
    """Write looks down in the journal, those of an hour and shard together."""
    if not looks:
        return
    names = chain.from_iterable((look.monitor, *look.evidence.metrics) for look in looks)
    numbers = numbering.numbers(connection, names)
    parts: dict[tuple[int, int], list[tuple[int, Observation]]] = defaultdict(list)
    for look in looks:
        shard, number = divmod(numbers[look.monitor], SHARD)
        parts[place_of(look.ended_at)[0], shard].append((number, look))
    rows = [
        {
            "hour": hour,
            "shard": shard,
            "newest": max(look.ended_at for _, look in some),
            "looks": pack(some),
        }
        for (hour, shard), part in parts.items()
        for some in (part[begin : begin + LARGEST] for begin in range(0, len(part), LARGEST))
    ]
    Statements(connection).append(schema.journal, rows)


def settle(connection: sa.Connection, roll: Roll) -> None:
    """Put rolled hours in their place, and drop what they were made of."""
    write = Statements(connection)
    journal = schema.journal
    kept = [(slot(roll.hour, hour.monitor), hour) for hour in roll.hours]
    write.replace(schema.raw_hour, [{"slot": place, "samples": hour.samples} for place, hour in kept])
    write.replace(
        schema.hour_rollup,
        [
            {
                "slot": place,
                **{str(status): hour.counts.get(str(status), 0) for status in ProbeStatus},
                "sum_us": hour.sum_us,
                "min_us": hour.min_us,
                "max_us": hour.max_us,
                "sketch": hour.sketch,
            }
            for place, hour in kept
        ],
    )
    write.replace(
        schema.metric_hour,
        [{"slot": place, "figures": hour.metrics} for place, hour in kept if hour.metrics is not None],
    )
    series = [{"name": name, "monitor": hour.monitor} for hour in roll.hours for name in hour.names]
    write.append_new(schema.metric_series, series)
    connection.execute(
        journal.delete().where(
            journal.c.hour == roll.hour, journal.c.shard == roll.shard, journal.c.id <= roll.upto
        )
    )
