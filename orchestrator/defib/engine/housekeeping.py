"""The small regular chores: write what was noted, say that we are watching, roll up hours, forget old history.

None of them holds up a decision: each hands the writer one small slice after another, and decisions go in between.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.logs import get_logger
from defib.model.changes import Changes, Forget, WatchSpan
from defib.model.settings import Retention
from defib.ports import Clock
from defib.store import Reader, Writer
from defib.store.slots import beginning, hour_of

log = get_logger("defib.housekeeping")

SPAN_GAP = timedelta(minutes=2)
"""Watching with longer gaps between its signs of life counts as not watching."""
PASS_GAP = timedelta(minutes=15)
"""Between two passes the gap may be longer: cron runs them each minute, or each ten."""
LOOKS_EVERY = timedelta(seconds=5)
"""Looks that changed nothing are written so often; a crash loses no more of them."""
ROLL_AFTER = timedelta(minutes=1)
"""An hour is rolled up when it has been over for so long: what came late is in the journal by then."""

_SLICE = 32  #: rows of health in one transaction, which takes some two milliseconds
_PAGES = 256  #: of a file given back in one transaction


class Housekeeping:
    """Flushes, stamps, rolls up and forgets."""

    def __init__(self, clock: Clock, table: StateTable, writer: Writer, reader: Reader) -> None:
        self._clock = clock
        self._table = table
        self._writer = writer
        self._reader = reader
        self._span: WatchSpan | None = reader.newest_watch_span()
        self._cut: tuple[WatchSpan, ...] = ()  # spans that ended earlier than was written
        self._looks_at = float("-inf")  # when looks were last written, by the monotonic clock
        self.span_gap = SPAN_GAP
        self.store_error = ""  #: why the newest group could not be written; "" when it could

    async def flush(self, *, everything: bool = True) -> None:
        """Write what was noted since the last flush, with a sign that we were watching.

        :param everything: False leaves looks for :data:`LOOKS_EVERY`.
        """
        now, tick = self._clock.now(), self._clock.monotonic()
        if self._span is None or now - self._span.seen_at > self.span_gap or now < self._span.seen_at:
            self._span = WatchSpan(started_at=now, seen_at=now)
        self._span = WatchSpan(started_at=self._span.started_at, seen_at=now)
        spans = (*self._cut, self._span)
        is_time = everything or tick - self._looks_at >= LOOKS_EVERY.total_seconds()
        changes = self._table.drain(looks=is_time)
        left = list(_slices(changes))
        try:
            await self._writer.commit(left[0] + Changes(watch=spans))
            while len(left) > 1:
                del left[0]
                await self._writer.commit(left[0])
        except StoreError as error:
            for each in left:
                self._table.give_back(each)
            if not self.store_error:
                log.error("the store cannot be written; observations are kept in memory", error=str(error))
            self.store_error = str(error)
        else:
            self._cut = ()
            if is_time:
                self._looks_at = tick
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

    async def roll_up(self) -> bool:
        """Turn the journal of hours that are over into hours; returns whether there were any.

        What is left behind by a crash, or by passes that are over, is taken up by the next call of anybody.
        """
        rolling, before = self._reader.rolling, hour_of(self._clock.now() - ROLL_AFTER)
        try:
            waiting = await asyncio.to_thread(rolling.waiting, before)
            for hour, shard in waiting:
                roll = await asyncio.to_thread(rolling.roll, hour, shard)
                await self._writer.commit(Changes(rolls=(roll,)))
        except StoreError as error:
            log.error("looks could not be rolled up; the journal keeps them", error=str(error))
            return False
        return bool(waiting)

    async def checkpoint(self) -> None:
        """Keep the log of the store short."""
        with suppress(StoreError):  # the next flush tells
            await asyncio.to_thread(self._reader.space.checkpoint)

    async def forget(self, retention: Retention) -> None:
        """Delete the history that is older than it is to be kept, and give its space back.

        Open incidents and the outbox stay.
        """
        now = self._clock.now()
        try:
            raw, hourly = await asyncio.to_thread(self._reader.oldest_hours)
            if retention.raw is not None:
                for before in _steps(raw, now - retention.raw):
                    await self._writer.commit(Changes(forget=(Forget(before=before),)))
            if retention.hourly is not None:
                for before in _steps(hourly, now - retention.hourly):
                    await self._writer.commit(Changes(forget=(Forget(before=before, hourly=True),)))
            if retention.events is not None:
                before = now - retention.events
                await self._writer.commit(Changes(forget=(Forget(before=before, events=True),)))
            space = self._reader.space
            for _ in range(await asyncio.to_thread(space.spare_pages) // _PAGES):
                await asyncio.to_thread(space.give_back, _PAGES)
        except StoreError as error:
            log.error("old history could not be deleted", error=str(error))


def _slices(changes: Changes) -> Iterator[Changes]:
    """The looks, and then health a few rows at a time; without looks, the first of these at once."""
    if changes.observations or not changes.health:
        yield Changes(observations=changes.observations)
    for begin in range(0, len(changes.health), _SLICE):
        yield Changes(health=changes.health[begin : begin + _SLICE])


def _steps(oldest: int | None, before: datetime) -> Iterator[datetime]:
    """The ends of every hour from the oldest that is kept until ``before``, and ``before`` itself."""
    if oldest is not None:
        for hour in range(oldest + 1, hour_of(before)):
            yield beginning(hour)
    yield before
