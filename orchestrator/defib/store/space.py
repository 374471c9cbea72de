"""The files of an SQLite store: free pages that deleting leaves, and the log that commits go to first.

A server sees to both by itself; there, nothing is done.
"""

from defib.store.database import Database, translated

_RESERVE = 1024  #: pages that the next hours need anyway
_SHARE = 10  #: and a tenth of the file


class Space:
    """Works beside the writer, which waits some milliseconds for a slice of it at most."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_file = database.folder is not None

    def checkpoint(self) -> None:
        """Move what is in the log into the file: a commit that has to do so itself waits for the disk.

        :raises StoreError: it cannot be written.
        """
        if self._is_file:
            with translated(self._database.place), self._database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def spare_pages(self) -> int:
        """Free pages beyond a reserve for what will be written soon.

        :raises StoreError: it cannot be read.
        """
        if not self._is_file:
            return 0
        with translated(self._database.place), self._database.engine.connect() as connection:
            free, pages = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                for name in ("freelist_count", "page_count")
            )
        return max(0, free - max(_RESERVE, pages // _SHARE))

    def give_back(self, pages: int) -> None:
        """Cut so many free pages off the file, which becomes smaller with the next checkpoint.

        :raises StoreError: it cannot be written.
        """
        if self._is_file:
            with translated(self._database.place), self._database.engine.connect() as connection:
                # a script, because the driver takes but one step, of one page, of a statement without columns
                connection.connection.executescript(f"PRAGMA incremental_vacuum({pages})")
