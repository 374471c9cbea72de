"""Everything that survives a restart: one schema on SQLite (WAL) or PostgreSQL, one writer, many readers."""

from defib.store.database import Database, open_database
from defib.store.reader import Reader
from defib.store.writer import Writer

__all__ = ["Database", "Reader", "Writer", "open_database"]
