"""Opening the store: address, pragmas, schema version, and errors in plain words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from defib.errors import StoreError
from defib.store.migrate import current_revision, upgrade
from defib.store.schema import REVISION


@dataclass(frozen=True, slots=True)
class Database:
    """An open store."""

    engine: sa.Engine
    place: str  #: for messages: the file, or the address without its password
    folder: Path | None  #: of the SQLite file; where lock and socket files live

    def close(self) -> None:
        self.engine.dispose()


def open_database(url: str, *, migrate: bool = True) -> Database:
    """Open the store at ``url`` and bring its schema up to date.

    :param migrate: create and migrate; a reader that must not write passes False.
    :raises StoreError: it cannot be opened, written or migrated; the message names the place and the remedy.
    """
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite":
        path = Path(address.database or "")
        database = Database(_sqlite(path, migrate), str(path), path.parent)
    else:
        if address.drivername == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(address, pool_pre_ping=True)
        event.listen(engine, "connect", _bound_transactions)
        database = Database(engine, address.render_as_string(hide_password=True), None)
    try:
        with translated(database.place):
            _ensure_schema(database, migrate)
    except BaseException:
        database.close()
        raise
    return database


def _sqlite(path: Path, create: bool) -> sa.Engine:
    if not path.parent.is_dir():
        raise StoreError(f"{path}: the folder {path.parent} does not exist; create it or change 'store:'")
    if not path.exists():
        if not create:
            raise StoreError(f"{path}: there is no store yet; 'defib run' or 'defib serve' makes it")
        if not os.access(path.parent, os.W_OK):
            _refuse_read_only(path.parent)
            raise StoreError(
                f"{path}: the folder {path.parent} is not writable for this user; change its owner or 'store:'"
            )
    elif create and not os.access(path, os.W_OK):
        _refuse_read_only(path)
        raise StoreError(f"{path}: the store is read-only for this user; run as its owner or change 'store:'")
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        if create:
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA wal_autocheckpoint=2000")  # pages; mostly done before, see store/space.py
            cursor.execute("PRAGMA journal_size_limit=2097152")  # bytes kept of a log that grew
        cursor.execute("PRAGMA synchronous=FULL")  # an intent row must be on disk before its action
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.close()

    return engine


def _bound_transactions(connection: Any, _record: object) -> None:
    """What a Defib that was stopped within a transaction has locked becomes free for the one that takes over."""
    cursor = connection.cursor()
    cursor.execute("SET idle_in_transaction_session_timeout = '15s'")
    cursor.close()
    connection.commit()


def _refuse_read_only(path: Path) -> None:
    """:raises StoreError: the whole file system is read-only, so that no other user could write either."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise StoreError(f"{path}: the file system is read-only; mount it writable or change 'store:'")


def _ensure_schema(database: Database, migrate: bool) -> None:
    revision = current_revision(database.engine)
    if revision == REVISION:
        return
    if not migrate:
        raise StoreError(
            f"{database.place}: the store has schema {revision or 'none'}, this version needs {REVISION}; "
            "'defib run' or 'defib serve' brings it up to date"
        )
    upgrade(database.engine, database.place)


@contextmanager
def snapshot(database: Database) -> Iterator[sa.Connection]:
    """A connection all of whose questions see the store as it was at the first of them. Keep it short: while it is
    open, SQLite's log grows."""
    with database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn the library's errors into a :class:`StoreError` that names the place and the remedy."""
    try:
        yield
    except exc.DBAPIError as error:
        cause = str(error.orig)
        raise StoreError(f"{place}: {cause}{_remedy(cause)}") from error
    except exc.SQLAlchemyError as error:
        raise StoreError(f"{place}: {error}") from error
    except OSError as error:
        raise StoreError(f"{place}: {error.strerror or error}{_remedy(str(error))}") from error


def _remedy(cause: str) -> str:
    text = cause.lower()
    if "readonly" in text or "read-only" in text:
        return "; the file system or file is read-only: make it writable or change 'store:'"
    if "disk is full" in text or "no space" in text or "disk i/o" in text:
        return "; free some space: nothing already accepted is lost"
    if "locked" in text:
        return "; another process holds it: stop that one, or wait for its pass to end"
    if "not a database" in text or "malformed" in text:
        return "; the file is no Defib store: restore a backup or move it away"
    if "unable to open" in text:
        return "; check that the folder exists and that this user may write there"
    return ""


def size_bytes(database: Database) -> int | None:
    """What a store takes on disk, its journal included; None where its server does not say."""
    if database.folder is not None:
        files = (Path(f"{database.place}{suffix}") for suffix in ("", "-wal", "-shm"))
        return sum(file.stat().st_size for file in files if file.exists())
    with translated(database.place), database.engine.connect() as connection:
        found = connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar()
        return None if found is None else int(found)
