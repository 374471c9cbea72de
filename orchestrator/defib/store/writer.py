"""The one writer: a thread that commits changes in groups."""

import asyncio
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from defib.errors import StaleEpochError, StoreError
from defib.model.changes import Changes, Forget, Heard, joined
from defib.store import audit, looks, rows, schema
from defib.store.database import Database, translated
from defib.store.slots import hour_of, slot
from defib.store.statements import Statements
from defib.store.symbols import Numbering
from defib.store.term import Term

_RAW = (
    (schema.journal, schema.journal.c.newest),
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
    (schema.window, schema.window.c.ends_at),
    (schema.window, schema.window.c.ended_at),
)
_GROUP = 256  #: most changes committed together
_Item = tuple[Changes | Heard, "Future[None] | asyncio.Future[None]"]
"""Changes, and who waits for them: a thread, or a task of an event loop."""


def apply(
    connection: sa.Connection, changes: Changes, epoch: int = 0, numbering: Numbering | None = None
) -> None:
    """Write ``changes`` on ``connection``; the caller commits.

    :param epoch: of the writer's term, for the audit log.
    :param numbering: of names, that goes on from one transaction to the next.
    """
    write = Statements(connection)
    write.replace(schema.health, [rows.health_row(item) for item in changes.health])
    looks.note(connection, changes.observations, numbering or Numbering())
    write.append(schema.decision, [rows.decision_row(item) for item in changes.decisions])
    write.append(schema.transition, [rows.transition_row(item) for item in changes.transitions])
    write.replace(schema.incident, [rows.incident_row(item) for item in changes.incidents])
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
    write.replace(schema.window, [rows.window_row(item) for item in changes.windows])
    for roll in changes.rolls:
        looks.settle(connection, roll)
    for forget in changes.forget:
        _forget(connection, forget)


def hear(connection: sa.Connection, heard: Sequence[Heard]) -> None:
    """Write what was heard, of each monitor the newest; the caller commits."""
    newest = {item.monitor: item for item in heard}
    Statements(connection).update(schema.health, [rows.heard_row(item) for item in newest.values()])


def _forget(connection: sa.Connection, forget: Forget) -> None:
    hourly: tuple[sa.Table, ...] = ()
    if forget.hourly:
        hourly = (schema.hour_rollup, schema.metric_hour)
    else:
        for table, at in _EVENTS if forget.events else _RAW:
            connection.execute(table.delete().where(at < forget.before))
        hourly = () if forget.events else (schema.raw_hour,)
    for table in hourly:
        connection.execute(table.delete().where(table.c.slot < slot(hour_of(forget.before))))


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
        self._numbering = Numbering()
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._kept: sa.Connection | None = None
        self._thread = threading.Thread(target=self._work, name="defib-writer", daemon=True)
        self._thread.start()
        self._closed = False

    async def commit(self, changes: Changes | Heard) -> None:
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
        if self._kept is not None:
            self._kept.close()

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

    def _commit(self, group: list[Changes | Heard]) -> None:
        if self.stale is not None:
            raise self.stale
        try:
            with translated(self._database.place), self._transaction() as connection:
                if self._term is not None:
                    self._term.renew(connection)
                changes = [item for item in group if isinstance(item, Changes)]
                if changes:
                    whole = changes[0] if len(changes) == 1 else joined(changes)
                    apply(connection, whole, self.epoch, self._numbering)
                hear(connection, [item for item in group if isinstance(item, Heard)])
        except BaseException as error:
            self._numbering.forget()
            if isinstance(error, StaleEpochError):
                self.stale = error
            raise

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """A connection to a file is kept: taking one from the pool costs as much as a small transaction does. One to
        a server is taken afresh, which tells whether it was cut meanwhile."""
        if self._database.folder is None:
            with self._database.engine.begin() as connection:
                yield connection
            return
        connection = self._kept or self._database.engine.connect()
        self._kept = None
        try:
            with connection.begin():
                yield connection
        except BaseException:
            connection.close()
            raise
        self._kept = connection


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
