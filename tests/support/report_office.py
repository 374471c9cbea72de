"""Reports made by the real thing over a real store, at any time that a test says it is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from defib import config, registry
from defib.engine.reporting.schedule import Reporting
from defib.engine.roster import Roster
from defib.model.changes import Changes, WatchSpan
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import Incident, State, Transition
from defib.model.ids import MonitorId
from defib.registry import Registry
from defib.store import Reader, Writer, open_database


class HandClock:
    """Says what it was set to."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Office:
    """A store with what happened, and the reports over it."""

    def __init__(self, clock: HandClock, roster: Roster, writer: Writer, reader: Reader) -> None:
        self.clock = clock
        self.writer = writer
        self.reader = reader
        self.reporting = Reporting(clock, roster, writer, reader)

    def commit(self, changes: Changes) -> None:
        self.writer.submit(changes).result()

    def watched(self, *spans: tuple[datetime, datetime]) -> None:
        self.commit(Changes(watch=tuple(WatchSpan(started_at=a, seen_at=b) for a, b in spans)))

    def became(self, monitor: str, *steps: tuple[State, datetime] | tuple[State, datetime, datetime]) -> None:
        """States of a monitor with the instant, or the bounds, at which each began."""
        before, transitions = State.NEW, []
        for state, lo, *rest in steps:
            hi = rest[0] if rest else lo
            transitions.append(
                Transition(
                    monitor=MonitorId(monitor), from_state=before, to_state=state, t_lo=lo, t_hi=hi, decided_at=hi,
                    reason="",
                )
            )  # fmt: skip
            before = state
        self.commit(Changes(transitions=tuple(transitions)))

    def failed(self, *incidents: Incident) -> None:
        self.commit(Changes(incidents=incidents))

    def looked(self, monitor: str, looks: Iterable[tuple[datetime, Evidence]]) -> None:
        self.commit(
            Changes(
                observations=tuple(
                    Observation(monitor=MonitorId(monitor), source=Source.PROBE, evidence=seen, started_at=at,
                    ended_at=at)
                    for at, seen in looks
                )
            )
        )  # fmt: skip


@cache
def _plugins() -> Registry:
    """All of them, loaded once: they hold no state."""
    return registry.load()


@contextmanager
def office(
    folder: Path,
    now: datetime,
    monitors: Sequence[str | Mapping[str, Any]] = ("main",),
    **sections: Any,
) -> Iterator[Office]:
    """A configuration with such monitors and sections, and its store."""
    listed = [{"id": m} if isinstance(m, str) else dict(m) for m in monitors]
    keys = {"type": "http", "url": "http://127.0.0.1:9/health"}
    path = folder / "defib.yaml"
    path.write_text(
        yaml.safe_dump({"monitors": [{**keys, **each} for each in listed], **sections}, sort_keys=False)
    )
    plugins = _plugins()
    settings = config.load(path, plugins, {})
    database = open_database(settings.store)
    writer = Writer(database)
    try:
        reader = Reader(database)
        yield Office(HandClock(now.astimezone(UTC)), Roster(plugins, settings, {}), writer, reader)
    finally:
        writer.close()
        database.close()
