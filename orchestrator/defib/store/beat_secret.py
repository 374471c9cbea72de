"""The secret of a store from which the ping UUIDs of its monitors follow: made once, and kept for ever."""

import secrets

import sqlalchemy as sa

from defib.store import schema
from defib.store.database import Database, translated

KEY = "beat-secret"


def ensure_beat_secret(database: Database) -> None:
    """Make it where there is none yet. Called by the process that owns the store.

    :raises StoreError: the store cannot be written.
    """
    table = schema.setting
    with translated(database.place), database.engine.begin() as connection:
        if connection.execute(sa.select(table.c.value).where(table.c.key == KEY)).first() is None:
            connection.execute(table.insert(), {"key": KEY, "value": secrets.token_hex(32)})
