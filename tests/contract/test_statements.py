"""Writing many rows at once, over both stores."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from defib.store import open_database, schema
from defib.store.statements import MOST_ROWS, Statements

T = datetime(2026, 11, 20, 12, tzinfo=UTC)
MANY = 2 * MOST_ROWS + 277  #: whole statements, and a rest of several lengths


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Connection]:
    url = f"sqlite:///{tmp_path}/defib.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database").dsn
    database = open_database(url)
    with database.engine.begin() as connection:
        yield connection
    database.close()


def spans(count: int, seconds: int = 1) -> list[dict[str, Any]]:
    """Rows of a small table, one a minute."""
    started = [T + timedelta(minutes=i) for i in range(count)]
    return [{"started_at": at, "seen_at": at + timedelta(seconds=seconds)} for at in started]


def stored(connection: sa.Connection) -> list[dict[str, Any]]:
    query = sa.select(schema.watch).order_by(schema.watch.c.started_at)
    return [dict(row) for row in connection.execute(query).mappings()]


def test_every_row_of_many_arrives(connection: sa.Connection) -> None:
    Statements(connection).append(schema.watch, spans(MANY))
    assert stored(connection) == spans(MANY)


def test_rows_get_their_numbers_in_the_order_in_which_they_came(connection: sa.Connection) -> None:
    rows = [
        {"at": T, "actor": "auto", "event": f"event {i}", "subject": "*", "facts": {"i": i, "none": None},
         "epoch": 1, "prev_sha256": "", "sha256": ""}
        for i in range(700)
    ]  # fmt: skip
    Statements(connection).append(schema.audit, rows)
    query = sa.select(schema.audit.c.event, schema.audit.c.facts).order_by(schema.audit.c.id)
    found = connection.execute(query).all()
    assert [tuple(row) for row in found] == [(f"event {i}", {"i": i, "none": None}) for i in range(700)]


def test_an_existing_row_is_replaced_and_the_last_of_the_same_key_stays(connection: sa.Connection) -> None:
    write = Statements(connection)
    write.append(schema.watch, spans(5, seconds=1))
    write.replace(schema.watch, [*spans(MANY, seconds=2), *spans(3, seconds=9)])
    assert stored(connection) == [*spans(3, seconds=9), *spans(MANY, seconds=2)[3:]]


def test_an_existing_row_is_left_alone_where_only_new_ones_are_wanted(connection: sa.Connection) -> None:
    write = Statements(connection)
    write.append(schema.watch, spans(5, seconds=1))
    write.append_new(schema.watch, spans(MANY, seconds=2))
    assert stored(connection) == [*spans(5, seconds=1), *spans(MANY, seconds=2)[5:]]


def test_an_update_changes_the_named_columns_of_the_named_rows_alone(connection: sa.Connection) -> None:
    write = Statements(connection)
    write.append(schema.watch, spans(MANY, seconds=1))
    write.update(schema.watch, spans(MANY - 1, seconds=5))
    assert stored(connection) == [*spans(MANY - 1, seconds=5), spans(MANY, seconds=1)[-1]]
    write.update(schema.watch, [{"started_at": T - timedelta(days=1), "seen_at": T}])  # nobody's key
    assert len(stored(connection)) == MANY


def test_nothing_is_written_where_there_is_nothing_to_write(connection: sa.Connection) -> None:
    write = Statements(connection)
    for method in (write.append, write.append_new, write.replace, write.update):
        method(schema.watch, [])
    assert stored(connection) == []


def test_a_key_that_exists_already_is_an_error_where_rows_are_appended(connection: sa.Connection) -> None:
    write = Statements(connection)
    write.append(schema.watch, spans(3))
    with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
        write.append(schema.watch, spans(4)[2:])
    assert stored(connection) == spans(3)
