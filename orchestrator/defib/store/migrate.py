"""The schema's version: found at start, and brought up to date under a lock."""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from defib.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_FOLDER = Path(__file__).parent / "migrations"


def current_revision(engine: sa.Engine) -> str | None:
    """The schema version of a store; None when it is empty."""
    if not sa.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def newest_revision() -> str | None:
    """The newest migration that is shipped."""
    return _scripts(_config()).get_current_head()


def upgrade(engine: sa.Engine, place: str) -> None:
    """Bring the schema to the newest revision; a no-op where it is there already.

    One connection holds the write lock from the first statement to the commit: of two processes that
    start together, the second waits and finds nothing left to do.

    :param place: of the store, for messages.
    :raises StoreError: the store was written by a newer version.
    """
    from alembic import command

    config = _config()
    found = current_revision(engine)
    if found is not None and found not in {script.revision for script in _scripts(config).walk_revisions()}:
        raise StoreError(f"{place}: the store was made by a newer Defib (schema {found}); upgrade this one")
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(8420)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


# The migration tool is slow to import, and most starts have nothing to migrate: it is loaded where it is used.


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def _scripts(config: "Config") -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config)
