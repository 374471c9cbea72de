"""One owner of a store: two engines on one store would decide and act twice.

Two things keep them apart. A lock, which the operating system or the server frees when its owner dies, tells the
second that it may not begin. It can be lost unnoticed: its file is deleted, a connection breaks. So whoever gets it
also begins a term (:mod:`defib.store.term`), and every transaction of a term that is over is refused.
"""

import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType

import sqlalchemy as sa

from defib.errors import StoreBusyError, StoreError
from defib.store import term
from defib.store.database import Database, translated
from defib.store.schema import leader
from defib.store.term import LEASE, Term

_ADVISORY_KEY = 0x64666962  # "dfib"; the second key is the epoch


class OwnerLock:
    """Held from construction to :meth:`release`.

    :ivar term: the term of office that began with it.
    """

    term: Term

    def __init__(self, database: Database, *, role: str) -> None:
        """:param role: what the owner is, for the message others get: ``daemon`` or ``pass``.

        :raises StoreBusyError: another process owns the store; the message says which.
        """
        self._connection: sa.Connection | None = None
        self._file: int | None = None
        owner = f"{role} (process {os.getpid()} on {socket.gethostname()})"
        if database.folder is None:
            with translated(database.place):
                self._take_advisory(database, owner)
            return
        self._take_file(Path(f"{database.place}.lock"), owner)
        try:
            with translated(database.place), database.engine.begin() as connection:
                self.term = term.begin(connection, database, owner)
        except BaseException:
            self.release()
            raise

    def _take_file(self, path: Path, owner: str) -> None:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}; the folder of the store must be writable") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(file, 300).decode("utf-8", "replace").strip() or "another process"
            os.close(file)
            raise StoreBusyError(f"{path}: the store is in use by {other}") from None
        except OSError as error:
            os.close(file)
            raise StoreError(
                f"{path}: {error.strerror}; the store must be on a file system with locks: change 'store:'"
            ) from error
        os.ftruncate(file, 0)
        os.pwrite(file, owner.encode(), 0)
        self._file = file

    def _take_advisory(self, database: Database, owner: str) -> None:
        """Each term has a lock of its own, so that one which is still held by a term that is over hinders nobody.

        1. Lock the leader's row: takers come one after the other, and no transaction of the leader is under way.
        2. Whoever gets the lock of the present epoch knows that its session is gone. Who does not, may end a term
           that was not renewed for :data:`~defib.store.term.LEASE`: its owner is stopped or cut off.
        3. Take the lock of the next epoch, then begin it.
        """
        connection = database.engine.connect()
        try:
            present = connection.execute(
                sa.select(leader.c.epoch, leader.c.owner, leader.c.renewed_at, term.now(connection).label("now"))
                .with_for_update()
            ).one()  # fmt: skip
            is_free = _try_lock(connection, present.epoch)
            quiet = present.now - present.renewed_at
            if not is_free and quiet < LEASE:
                raise StoreBusyError(
                    f"{database.place}: the store is in use by {present.owner or 'another Defib'}, "
                    f"last seen {max(quiet.total_seconds(), 0.0):.0f} s ago"
                )
            _try_lock(connection, present.epoch + 1)
            self.term = term.begin(connection, database, owner)
            connection.commit()
        except BaseException:
            connection.invalidate()  # ends the session, and its locks with it
            connection.close()
            raise
        self._connection = connection

    def release(self) -> None:
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            self._connection.invalidate()  # ends the session, and the lock with it; a pooled one would keep it
            self._connection.close()
            self._connection = None

    def __enter__(self) -> "OwnerLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _try_lock(connection: sa.Connection, epoch: int) -> bool:
    query = sa.text("SELECT pg_try_advisory_lock(:key, :epoch)")
    return bool(connection.execute(query, {"key": _ADVISORY_KEY, "epoch": epoch}).scalar())
