"""The one writer: a thread that commits changes in groups."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from defib.errors import StaleEpochError, StoreError
from defib.model.changes import Changes, joined
from defib.store import audit, rows, schema
from defib.store.database import Database, translated
from defib.store.term import Term

_RAW = (
    (schema.observation, schema.observation.c.at),
    (schema.decision, schema.decision.c.decided_at),
    (schema.beat, schema.beat.c.received_at),
)
_EVENTS = (
    (schema.transition, schema.transition.c.decided_at),
    (schema.incident, schema.incident.c.closed_at),
    (schema.recovery_case, schema.recovery_case.c.closed_at),
    (schema.attempt, schema.attempt.c.intent_at),
    (schema.snapshot, schema.snapshot.c.taken_at),
    (schema.alert, schema.alert.c.at),
    (schema.delivery, schema.delivery.c.accepted_at),
    (schema.delivery_try, schema.delivery_try.c.at),
    (schema.watch, schema.watch.c.seen_at),
)
_GROUP = 256  #: most changes committed together
_HEARD = (
    schema.health.update()
    .where(schema.health.c.monitor == sa.bindparam("key"))
    .values(beats=sa.bindparam("beats"), deadline=sa.bindparam("deadline"))
)

_Item = tuple[Changes, "Future[None] | asyncio.Future[None]"]
"""Changes, and who waits for them: a thread, or a task of an event loop."""


def apply(connection: sa.Connection, changes: Changes, epoch: int = 0) -> None:
    """Write ``changes`` on ``connection``; the caller commits.

    :param epoch: of the writer's term, for the audit log.
    """
    write = _Statements(connection)
    write.replace(schema.health, [rows.health_row(item) for item in changes.health])
    if changes.heard:
        connection.execute(_HEARD, [rows.heard_row(item) for item in changes.heard])
    write.append(schema.observation, [rows.observation_row(item) for item in changes.observations])
    write.append(schema.decision, [rows.decision_row(item) for item in changes.decisions])
    write.append(schema.transition, [rows.transition_row(item) for item in changes.transitions])
    write.replace(schema.incident, [rows.plain(item) for item in changes.incidents])
    write.replace(schema.recovery_case, [rows.plain(item) for item in changes.cases])
    write.replace(schema.attempt, [rows.plain(item) for item in changes.attempts])
    write.append_new(schema.snapshot, [rows.snapshot_row(item) for item in changes.snapshots])
    audit.append(connection, changes.audit, epoch)
    write.append(schema.alert, [rows.alert_row(item) for item in changes.alerts])
    write.append_new(schema.delivery, [rows.plain(item) for item in changes.new_deliveries])
    write.replace(schema.delivery, [rows.plain(item) for item in changes.deliveries])
    write.append(schema.delivery_try, [rows.plain(item) for item in changes.tries])
    write.append(schema.beat, [rows.beat_row(item) for item in changes.beats])
    for document in changes.reports:
        row = rows.plain(document)
        images = row.pop("images")
        write.replace(schema.report, [row])
        write.replace(
            schema.report_image,
            [{"report": document.id, "cid": cid, "png": png} for cid, png in images.items()],
        )
    for key, value in changes.settings:
        if value is None:
            connection.execute(schema.setting.delete().where(schema.setting.c.key == key))
        else:
            write.replace(schema.setting, [{"key": key, "value": value}])
    write.replace(schema.watch, [rows.plain(item) for item in changes.watch])
    write.replace(schema.agent, [rows.agent_row(item) for item in changes.agents])
    write.replace(schema.made_monitor, [rows.made_monitor_row(item) for item in changes.made])
    write.replace(schema.token, [rows.plain(item) for item in changes.tokens])
    for forget in changes.forget:
        for table, at in _EVENTS if forget.events else _RAW:
            connection.execute(table.delete().where(at < forget.before))


class _Statements:
    """The three ways of writing rows, in the dialect of the connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._insert: Callable[[sa.Table], Any] = sqlite.insert
        if connection.dialect.name == "postgresql":
            from sqlalchemy.dialects import (
                postgresql,
            )  # late: it is slow to import, and most stores are SQLite

            self._insert = postgresql.insert

    def append(self, table: sa.Table, values: Sequence[dict[str, Any]]) -> None:
        if values:
            self._connection.execute(table.insert(), values)

    def append_new(self, table: sa.Table, values: Sequence[dict[str, Any]]) -> None:
        """Rows whose unique key exists already are left as they are."""
        if values:
            self._connection.execute(self._insert(table).on_conflict_do_nothing(), values)

    def replace(self, table: sa.Table, values: Sequence[dict[str, Any]]) -> None:
        if values:
            self._connection.execute(_upsert(self._insert, table), values)


@cache
def _upsert(insert: Callable[[sa.Table], Any], table: sa.Table) -> sa.Executable:
    """Insert a row, or replace the one of the same key; made once for each table."""
    keys = [column.name for column in table.primary_key]
    statement = insert(table)
    rest = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    upsert: sa.Executable = statement.on_conflict_do_update(index_elements=keys, set_=rest)
    return upsert


class Writer:
    """Commits changes on a thread of its own, as many at once as are waiting (group commit).

    ``await commit(changes)`` returns once they are on disk. Changes handed in by one caller in order are
    committed in that order. A group that fails is tried again one by one, so that one bad change takes
    no other with it.

    Once another Defib has taken over the store, nothing is written any more.
    """

    def __init__(self, database: Database, term: Term | None = None) -> None:
        """:param term: to prove in each transaction; None where nobody else can be."""
        self._database = database
        self._term = term
        self.epoch = term.epoch if term else 0
        self.stale: StaleEpochError | None = None  #: why nothing is written any more
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="defib-writer", daemon=True)
        self._thread.start()
        self._closed = False

    async def commit(self, changes: Changes) -> None:
        """Write ``changes`` in one transaction.

        The commit goes on when the waiting task is cancelled: what was handed in is written.

        :raises StaleEpochError: another Defib has taken over; nothing was written, nor ever will be.
        :raises StoreError: nothing of them was written.
        """
        if self._closed:
            raise StoreError(f"{self._database.place}: the store is closed")
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put((changes, written))
        await written

    async def confirm(self) -> None:
        """Prove that the store is still ours, before doing what no transaction can take back.

        :raises StoreError: as of :meth:`commit`.
        """
        await self.commit(Changes())

    def submit(self, changes: Changes) -> Future[None]:
        """Hand in ``changes`` from any thread; the future ends when they are on disk."""
        if self._closed:
            raise StoreError(f"{self._database.place}: the store is closed")
        future: Future[None] = Future()
        self._queue.put((changes, future))
        return future

    def close(self) -> None:
        """Write what was handed in, then stop."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        stopping = False
        while not stopping:
            first = self._queue.get()
            group = [] if first is None else [first]
            stopping = first is None
            while not stopping and len(group) < _GROUP:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    stopping = True
                else:
                    group.append(item)
            self._commit_group(group)

    def _commit_group(self, group: list[_Item]) -> None:
        if not group:
            return
        try:
            self._commit([changes for changes, _ in group])
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever a driver raises; the caller gets it
            if len(group) == 1:
                _tell(group, error)
            else:
                for item in group:
                    self._commit_group([item])
        else:
            _tell(group, None)

    def _commit(self, group: list[Changes]) -> None:
        if self.stale is not None:
            raise self.stale
        try:
            with translated(self._database.place), self._database.engine.begin() as connection:
                if self._term is not None:
                    self._term.renew(connection)
                apply(connection, group[0] if len(group) == 1 else joined(group), self.epoch)
        except StaleEpochError as error:
            self.stale = error
            raise


def _tell(group: Sequence[_Item], error: Exception | None) -> None:
    """Let those who wait go on; an event loop is woken once for all of its tasks."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for _, waiting in group:
        if isinstance(waiting, asyncio.Future):
            by_loop.setdefault(waiting.get_loop(), []).append(waiting)
        elif error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)
    for loop, futures in by_loop.items():
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(_settle, futures, error)


def _settle(futures: Sequence["asyncio.Future[None]"], error: Exception | None) -> None:
    for future in futures:
        if future.done():  # its task was cancelled; what was handed in is written all the same
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
