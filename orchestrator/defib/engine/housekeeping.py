"""The small regular chores: write what was noted, say that we are watching, make due reports, forget old history."""

from datetime import datetime, timedelta

import structlog

from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.model.changes import Changes, Forget, WatchSpan
from defib.model.settings import Retention
from defib.ports import Clock
from defib.store import Reader, Writer

log = structlog.get_logger("defib.housekeeping")

SPAN_GAP = timedelta(minutes=2)
"""Watching with longer gaps between its signs of life counts as not watching."""
PASS_GAP = timedelta(minutes=15)
"""Between two passes the gap may be longer: cron runs them each minute, or each ten."""


class Housekeeping:
    """Flushes and stamps."""

    def __init__(self, clock: Clock, table: StateTable, writer: Writer, reader: Reader) -> None:
        self._clock = clock
        self._table = table
        self._writer = writer
        self._span: WatchSpan | None = reader.newest_watch_span()
        self._cut: tuple[WatchSpan, ...] = ()  # spans that ended earlier than was written
        self.span_gap = SPAN_GAP
        self.store_error = ""  #: why the newest group could not be written; "" when it could

    async def flush(self) -> None:
        """Write everything noted since the last flush, with a sign that we were watching."""
        now = self._clock.now()
        if self._span is None or now - self._span.seen_at > self.span_gap or now < self._span.seen_at:
            self._span = WatchSpan(started_at=now, seen_at=now)
        self._span = WatchSpan(started_at=self._span.started_at, seen_at=now)
        spans, changes = (*self._cut, self._span), self._table.drain()
        try:
            await self._writer.commit(changes + Changes(watch=spans))
        except StoreError as error:
            self._table.give_back(changes)
            if not self.store_error:
                log.error("the store cannot be written; observations are kept in memory", error=str(error))
            self.store_error = str(error)
        else:
            self._cut = ()
            if self.store_error:
                log.info("the store can be written again")
            self.store_error = ""

    def end_span(self, at: datetime) -> None:
        """Nobody watched after ``at``: the next flush begins another span."""
        if self._span is not None and self._span.seen_at > at:  # stamped already by a flush behind the gap
            self._cut += (
                WatchSpan(started_at=self._span.started_at, seen_at=max(at, self._span.started_at)),
            )
        self._span = None

    async def forget(self, retention: Retention) -> None:
        """Delete the history that is older than it is to be kept. Open incidents and the outbox stay."""
        now = self._clock.now()
        forget = []
        if retention.raw is not None:
            forget.append(Forget(before=now - retention.raw))
        if retention.events is not None:
            forget.append(Forget(before=now - retention.events, events=True))
        if forget:
            try:
                await self._writer.commit(Changes(forget=tuple(forget)))
            except StoreError as error:
                log.error("old history could not be deleted", error=str(error))
