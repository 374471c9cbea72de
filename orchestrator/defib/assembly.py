"""The composition root: the one place where the parts are put together."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from defib import config, registry
from defib.engine.clock import SystemClock
from defib.engine.engine import Engine
from defib.engine.roster import STRATEGY_KEY, Roster
from defib.engine.views import Sources, Views
from defib.model.settings import Settings
from defib.registry import Registry
from defib.store import Database, Reader, Writer, open_database
from defib.store.lock import OwnerLock


def load_settings(
    path: Path, plugins: Registry | None = None, environ: Mapping[str, str] = os.environ
) -> tuple[Registry, Settings]:
    """Plugins and configuration.

    :raises ConfigError: with every mistake.
    :raises PluginError: a built-in plugin is broken.
    """
    plugins = plugins or registry.load()
    return plugins, config.load(path, plugins, environ)


@contextmanager
def engine(plugins: Registry, settings: Settings, *, role: str) -> Iterator[Engine]:
    """An engine that owns the store of ``settings``; started by the caller, released at the end.

    :raises StoreError: the store cannot be opened, or another process owns it.
    :raises ConfigError: a plugin refused its options.
    """
    database = open_database(settings.store)
    try:
        with OwnerLock(database, role=role):
            writer = Writer(database)
            try:
                reader = Reader(database)
                yield Engine(SystemClock(), build_roster(plugins, settings, reader), reader, writer)
            finally:
                writer.close()
    finally:
        database.close()


def build_roster(plugins: Registry, settings: Settings, reader: Reader) -> Roster:
    """The live parts of a configuration, with the run-time settings of the store."""
    stored = reader.settings()
    switched = {
        key: value
        for key, value in stored.items()
        if key == STRATEGY_KEY or key.startswith(f"{STRATEGY_KEY}:")
    }
    return Roster(plugins, settings, switched)


def live_views(running: Engine) -> Views:
    """Views of a running engine."""

    def sources() -> Sources:
        return Sources(
            roster=running.roster,
            reader=running.reader,
            clock=running.clock,
            health=running.table.get,
            case=running.recovery.case,
            store_error=lambda: running.housekeeping.store_error,
            report_problem=lambda: running.reporting.problem,
            started_at=running.started_at,
        )

    return Views(sources)


def has_store(settings: Settings) -> bool:
    """Whether something has run here before; of a server's store only opening it can tell."""
    scheme, _, path = settings.store.partition(":///")
    return scheme != "sqlite" or Path(path).exists()


@contextmanager
def stored_views(plugins: Registry, settings: Settings) -> Iterator[tuple[Views, Roster, Reader]]:
    """Views of what the store holds, while no engine runs here. Writes nothing."""
    database: Database = open_database(settings.store, migrate=False)
    try:
        reader = Reader(database)
        roster = build_roster(plugins, settings, reader)
        health = reader.health()
        cases = {case.monitor: case for case in reader.cases(only_active=True)}

        sources = Sources(
            roster=roster,
            reader=reader,
            clock=SystemClock(),
            health=health.get,
            case=cases.get,
            store_error=lambda: "",
            report_problem=lambda: "",
            started_at=None,
        )
        yield Views(lambda: sources), roster, reader
    finally:
        database.close()
