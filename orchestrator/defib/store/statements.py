"""The ways of writing rows, in the dialect of the connection.

SQLite's driver gives up the interpreter's lock for each row of an ``executemany`` and waits to get it back, beside an
event loop that hardly ever lets go of it: a group of a hundred rows waited a hundred times. Many rows therefore go
into one statement. A server's driver sends them in one go by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import cache
from typing import Any

import sqlalchemy as sa

MOST_ROWS = 512  #: of one statement; a power of two, because each power below is a statement of its own
_Row = dict[str, Any]


class _Conflict(Enum):
    """What happens to a row whose key exists already."""

    FAILS = ""
    IGNORED = " ON CONFLICT DO NOTHING"
    REPLACES = "replaces"


class Statements:
    """Writes rows on one connection; the caller commits."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._is_sqlite = connection.dialect.name == "sqlite"

    def append(self, table: sa.Table, values: Sequence[_Row]) -> None:
        self._insert(table, values, _Conflict.FAILS)

    def append_new(self, table: sa.Table, values: Sequence[_Row]) -> None:
        """Rows whose unique key exists already are left as they are."""
        self._insert(table, values, _Conflict.IGNORED)

    def replace(self, table: sa.Table, values: Sequence[_Row]) -> None:
        """Rows of the same primary key are replaced as a whole."""
        self._insert(table, values, _Conflict.REPLACES)

    def update(self, table: sa.Table, values: Sequence[_Row]) -> None:
        """Of each row the columns that are given beside the primary key, which exists already."""
        if not values:
            return
        names = tuple(values[0])
        if self._is_sqlite:
            self._in_bulk(table, names, values, partial_sql=_update_sql)
        else:
            self._connection.execute(_update(table, names), [_bound(row) for row in values])

    def _insert(self, table: sa.Table, values: Sequence[_Row], conflict: _Conflict) -> None:
        if not values:
            return
        names = tuple(values[0])
        if self._is_sqlite:
            self._in_bulk(
                table, names, values, partial_sql=lambda *parts: _insert_sql(*parts, conflict=conflict)
            )
        else:
            self._connection.execute(_insert(table, conflict), values)

    def _in_bulk(
        self, table: sa.Table, names: tuple[str, ...], values: Sequence[_Row],
        partial_sql: Callable[[sa.Table, tuple[str, ...], int], str],
    ) -> None:  # fmt: skip
        processors = _processors(table, names, self._connection.dialect)
        for chunk in _chunks(values):
            parameters = tuple(
                value if process is None else process(value)
                for row in chunk
                for value, process in zip(row.values(), processors, strict=True)
            )
            self._connection.exec_driver_sql(partial_sql(table, names, len(chunk)), parameters)


def _chunks(values: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    """All rows in order, in slices whose lengths are powers of two: few statements, each prepared once."""
    at, left = 0, len(values)
    while left:
        size = min(MOST_ROWS, 1 << (left.bit_length() - 1))
        yield values[at : at + size]
        at, left = at + size, left - size


@cache
def _processors(
    table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect
) -> tuple[Callable[[Any], Any] | None, ...]:
    """How a value of each column becomes one that the driver takes; None: as it is."""
    return tuple(table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)


@cache
def _insert_sql(table: sa.Table, names: tuple[str, ...], rows: int, conflict: _Conflict) -> str:
    row = f"({', '.join('?' * len(names))})"
    columns = ", ".join(map(_quoted, names))
    end = conflict.value
    if conflict is _Conflict.REPLACES:
        keys = [column.name for column in table.primary_key]
        rest = ", ".join(f"{_quoted(name)} = excluded.{_quoted(name)}" for name in names if name not in keys)
        end = f" ON CONFLICT ({', '.join(map(_quoted, keys))}) DO UPDATE SET {rest}"
    return f"INSERT INTO {_quoted(table.name)} ({columns}) VALUES {', '.join([row] * rows)}{end}"  # noqa: S608


@cache
def _update_sql(table: sa.Table, names: tuple[str, ...], rows: int) -> str:
    keys = [column.name for column in table.primary_key]
    at = {name: f"given.column{i}" for i, name in enumerate(names, 1)}
    change = ", ".join(f"{_quoted(name)} = {at[name]}" for name in names if name not in keys)
    same = " AND ".join(f"{_quoted(table.name)}.{_quoted(key)} = {at[key]}" for key in keys)
    row = f"({', '.join('?' * len(names))})"
    values = ", ".join([row] * rows)
    return f"UPDATE {_quoted(table.name)} SET {change} FROM (VALUES {values}) AS given WHERE {same}"  # noqa: S608


def _quoted(name: str) -> str:
    return f'"{name}"'


# --- other dialects --------------------------------------------------------------------------------


@cache
def _insert(table: sa.Table, conflict: _Conflict) -> sa.Executable:
    from sqlalchemy.dialects import postgresql  # late: it is slow to import, and most stores are SQLite

    statement = postgresql.insert(table)
    if conflict is _Conflict.IGNORED:
        return statement.on_conflict_do_nothing()
    if conflict is _Conflict.REPLACES:
        keys = [column.name for column in table.primary_key]
        rest = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
        return statement.on_conflict_do_update(index_elements=keys, set_=rest)
    return statement


@cache
def _update(table: sa.Table, names: tuple[str, ...]) -> sa.Executable:
    keys = [column.name for column in table.primary_key]
    statement = table.update().where(*(table.c[key] == sa.bindparam(_bind(key)) for key in keys))
    return statement.values({name: sa.bindparam(_bind(name)) for name in names if name not in keys})


def _bind(name: str) -> str:
    """A parameter must not be called like a column."""
    return f"given_{name}"


def _bound(row: _Row) -> _Row:
    return {_bind(name): value for name, value in row.items()}
