"""Schema migrations by Alembic, run at start under a lock."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from defib.errors import StoreError
from defib.store.database import Database, current_revision

_FOLDER = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def newest_revision() -> str | None:
    """The newest migration that is shipped."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def upgrade(database: Database) -> None:
    """Bring the schema to the newest revision; a no-op where it is there already.

    One connection holds the write lock from the first statement to the commit: of two processes that
    start together, the second waits and finds nothing left to do.

    :raises StoreError: the store was written by a newer version.
    """
    scripts = ScriptDirectory.from_config(_config())
    found = current_revision(database)
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(
            f"{database.place}: the store was made by a newer Defib (schema {found}); upgrade this one"
        )
    config = _config()
    with database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(8420)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
