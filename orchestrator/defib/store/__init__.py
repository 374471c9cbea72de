"""Everything that survives a restart: one schema on SQLite (WAL) or PostgreSQL, one writer, many readers."""

from defib.store.beat_secret import KEY as BEAT_SECRET
from defib.store.beat_secret import ensure_beat_secret
from defib.store.database import Database, open_database
from defib.store.reader import Reader
from defib.store.writer import Writer

__all__ = ["BEAT_SECRET", "Database", "Reader", "Writer", "ensure_beat_secret", "open_database"]
