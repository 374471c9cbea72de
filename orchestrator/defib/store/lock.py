"""One owner of a store: two engines on one store would decide and act twice."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

import sqlalchemy as sa

from defib.errors import StoreBusyError, StoreError
from defib.store.database import Database

_ADVISORY_KEY = 0x6465666962  # "defib"


class OwnerLock:
    """Held from construction to :meth:`release`; the operating system or server frees it when the process dies."""

    def __init__(self, database: Database, *, role: str) -> None:
        """:param role: what the owner is, for the message others get: ``daemon`` or ``pass``.

        :raises StoreBusyError: another process owns the store; the message says which.
        """
        self._connection: sa.Connection | None = None
        self._file: int | None = None
        if database.folder is None:
            self._take_advisory(database)
        else:
            self._take_file(Path(f"{database.place}.lock"), role)

    def _take_file(self, path: Path, role: str) -> None:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}; the folder of the store must be writable") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(file, 100).decode("utf-8", "replace").strip() or "another process"
            os.close(file)
            raise StoreBusyError(f"{path}: the store is in use by {owner}") from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{role} (process {os.getpid()})".encode(), 0)
        self._file = file

    def _take_advisory(self, database: Database) -> None:
        connection = database.engine.connect()
        taken = connection.execute(
            sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_KEY}
        ).scalar()
        connection.commit()
        if not taken:
            connection.close()
            raise StoreBusyError(f"{database.place}: the store is in use by another Defib")
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
