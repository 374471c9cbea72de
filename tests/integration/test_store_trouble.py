"""A store that cannot be opened or written says which, and what to do."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from defib.errors import StoreError
from defib.model.changes import Changes
from defib.store import Writer, open_database
from defib.store.schema import metadata


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere does not exist; create it or change 'store:'"):
        open_database(f"sqlite:///{tmp_path}/nowhere/defib.db")


def test_a_reader_does_not_create_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store yet"):
        open_database(f"sqlite:///{tmp_path}/defib.db", migrate=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "defib.db"
    path.write_text("these are my holiday notes, not a database at all" * 50)
    with pytest.raises(StoreError, match="is no Defib store"):
        open_database(f"sqlite:///{path}")
    assert path.read_text().startswith("these are my holiday notes")


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/defib.db"
    open_database(url).close()
    connection = sqlite3.connect(tmp_path / "defib.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="made by a newer Defib"):
        open_database(url)


def test_a_full_disk_is_an_error_with_a_remedy_and_ends_when_there_is_space(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/defib.db")
    writer = Writer(database)
    try:
        with database.engine.connect() as connection:  # SQLite's own way of running out of space
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        from sqlalchemy import event

        @event.listens_for(database.engine, "begin")
        def _limit(connection: object) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {limit[0]}")  # type: ignore[attr-defined]

        limit = [pages]
        big = Changes(settings=(("k", "x" * 1_000_000),))
        with pytest.raises(StoreError, match="free some space"):
            writer.submit(big).result(10)
        limit[0] = 1_000_000
        writer.submit(big).result(10)
    finally:
        writer.close()
        database.close()


def test_the_migrations_make_the_schema_that_the_code_uses(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/defib.db")
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
    assert "health" in inspect(database.engine).get_table_names()
    database.close()
