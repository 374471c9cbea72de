"""The composition root: the one place where the parts are put together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from defib.engine.clock import SystemClock
from defib.engine.heartbeats.enlisting import enlist_stored
from defib.engine.roster import Roster, is_setting
from defib.model.settings import Settings
from defib.registry import Registry
from defib.store import BEAT_SECRET, Database, Reader, Writer, ensure_beat_secret, open_database
from defib.store.lock import OwnerLock

if TYPE_CHECKING:  # what is large is imported by the command that needs it
    from defib.engine.engine import Engine
    from defib.engine.views.read_model import Views


@contextmanager
def engine(
    plugins: Registry, settings: Settings, *, role: str, is_daemon: bool = False
) -> "Iterator[Engine]":
    """An engine that owns the store of ``settings``; started by the caller, released at the end.

    :param role: what this process is, for the message that others get.
    :param is_daemon: it serves, and can ask its own server whether it is well.

    :raises StoreError: the store cannot be opened, or another process owns it.
    :raises ConfigError: a plugin refused its options.
    """
    from defib.engine.engine import Engine
    from defib.engine.observer.canaries import Canaries

    database = open_database(settings.store)
    try:
        with OwnerLock(database, role=role) as lock:
            writer = Writer(database, lock.term)
            try:
                ensure_beat_secret(database)
                reader = Reader(database)
                clock, roster = SystemClock(), build_roster(plugins, settings, reader)
                own = _own_address(settings) if is_daemon else None
                canaries = Canaries(clock, own=own, anchors=settings.observer.anchors)
                yield Engine(clock, roster, reader, writer, canaries, takes_snapshots=True)
            finally:
                writer.close()
    finally:
        database.close()


def _own_address(settings: Settings) -> tuple[str, int] | None:
    """Where our own server is reached from this machine; None when the system chooses the port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}.get(  # noqa: S104 - compared, not bound
        settings.server.host, settings.server.host
    )
    return (host, settings.server.port) if settings.server.port else None


def build_roster(plugins: Registry, settings: Settings, reader: Reader) -> Roster:
    """The live parts of a configuration, with the run-time settings of the store."""
    stored = reader.settings()
    switched = {key: value for key, value in stored.items() if is_setting(key)}
    return Roster(plugins, settings, switched, beat_secret=stored.get(BEAT_SECRET, ""))


def live_views(running: "Engine") -> "Views":
    """Views of a running engine."""
    return running.views


def has_store(settings: Settings) -> bool:
    """Whether something has run here before; of a server's store only opening it can tell."""
    scheme, _, path = settings.store.partition(":///")
    return scheme != "sqlite" or Path(path).exists()


@contextmanager
def stored(plugins: Registry, settings: Settings) -> Iterator[tuple[Roster, Reader]]:
    """What the store holds, and what is watched, while no engine runs here. Writes nothing."""
    database: Database = open_database(settings.store, migrate=False)
    try:
        reader = Reader(database)
        roster = build_roster(plugins, settings, reader)
        enlist_stored(roster, reader)
        yield roster, reader
    finally:
        database.close()


@contextmanager
def stored_views(plugins: Registry, settings: Settings) -> "Iterator[tuple[Views, Roster, Reader]]":
    """Views of what the store holds, while no engine runs here. Writes nothing."""
    from defib.engine.alerting.windows import Windows
    from defib.engine.events import EventBus
    from defib.engine.views.read_model import Views
    from defib.engine.views.sources import Sources

    with stored(plugins, settings) as (roster, reader):
        health = reader.health()
        cases = {case.monitor: case for case in reader.cases(only_active=True)}
        clock = SystemClock()
        sources = Sources(
            roster=roster,
            reader=reader,
            clock=clock,
            windows=Windows(clock, roster, None, reader, EventBus()),
            health=health.get,
            case=cases.get,
            store_error=lambda: "",
            observer=lambda: None,
            dead_man_problem=lambda: "",
            report_problem=lambda: "",
            started_at=None,
        )
        yield Views(lambda: sources), roster, reader
