"""The last day of every monitor in small: hourly cells and a line of latencies."""

import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import datetime, timedelta
from threading import Lock

from defib.model.history import News, Sample
from defib.model.ids import MonitorId
from defib.rules.samples import HOUR_US
from defib.store import Reader

HOURS = 24  #: cells of an uptime bar
POINTS = 40  #: of a latency line
LINE = timedelta(minutes=30)  #: how far a latency line goes back
MAX_AGE_S = 15.0  #: of what is shown

_MICROSECONDS = 1_000_000
_ROLLED_S = 30.0  #: after so long all that came since may have left the journal
_NOTHING: Mapping[str, int] = {}


class Recent:
    """Keeps cells and lines, and renews them when asked and due.

    The store is read once as a whole; from then on only what has come into its journal since. A renewal by two
    threads at once is one: the second waits and finds nothing to do.
    """

    def __init__(self, max_age_s: float = MAX_AGE_S) -> None:
        self._max_age_s = max_age_s
        self._lock = Lock()
        self._followed: int | None = None
        self._counts: dict[MonitorId, dict[int, dict[str, int]]] = {}
        self._points: dict[MonitorId, deque[tuple[int, float]]] = {}
        self._hour = 0  # the present one, since 1970
        self._cells: dict[
            MonitorId, list[str]
        ] = {}  # lists are replaced, never changed: they were handed out
        self._lines: dict[MonitorId, list[float]] = {}
        self._fresh_until = 0.0
        self._read_at = 0.0

    def cells(self, monitor: MonitorId) -> list[str]:
        """How each of the last :data:`HOURS` hours went, the present one last; see :func:`cell`."""
        return self._cells.get(monitor, ["none"] * HOURS)

    def latencies_ms(self, monitor: MonitorId) -> list[float]:
        """The newest latencies, oldest first, at most :data:`POINTS`."""
        return self._lines.get(monitor, [])

    def renew(self, reader: Reader, now: datetime) -> None:
        """Read what is new, unless that was done a moment ago.

        :raises StoreError: the store cannot be read.
        """
        with self._lock:
            if time.monotonic() < self._fresh_until:
                return
            seen = self._follow(reader, now)
            now_us = round(now.timestamp() * _MICROSECONDS)
            this_hour = now_us // HOUR_US
            changed = seen.keys() | self._drop_points(now_us)
            if this_hour != self._hour:
                self._hour = this_hour
                self._drop_hours()
                seen = dict.fromkeys(self._counts.keys() | self._cells.keys(), self._shown)
            self._draw(seen)
            self._draw_lines(changed)
            self._read_at = time.monotonic()
            self._fresh_until = self._read_at + self._max_age_s

    @property
    def _shown(self) -> range:
        """The hours that have a cell."""
        return range(self._hour - HOURS + 1, self._hour + 1)

    def _follow(self, reader: Reader, now: datetime) -> Mapping[MonitorId, Collection[int]]:
        """Take in what is new; returns the hours that it is about, by monitor."""
        news = self._news(reader)
        seen: Mapping[MonitorId, Collection[int]]
        if news is None:
            known = self._counts.keys() | self._points.keys()
            self._counts, news = reader.recent(now - timedelta(hours=HOURS), now - LINE)
            self._points = {}
            seen = dict.fromkeys(known | self._counts.keys(), self._shown)
        else:
            seen = self._count(news)
        for monitor, looks in news.looks.items():
            points = self._points.setdefault(monitor, deque(maxlen=POINTS))
            points.extend(_points(looks))
        self._followed = news.upto
        return seen

    def _news(self, reader: Reader) -> News | None:
        """What has come since the last time; None when that cannot be told any more."""
        if self._followed is None:
            return None
        news = reader.follow(self._followed)
        is_old = time.monotonic() - self._read_at > _ROLLED_S
        return None if is_old and news is not None and not news.looks else news

    def _count(self, news: News) -> Mapping[MonitorId, Collection[int]]:
        seen: dict[MonitorId, set[int]] = {}
        for monitor, looks in news.looks.items():
            hours, touched = self._counts.setdefault(monitor, {}), seen.setdefault(monitor, set())
            for look in looks:
                hour = look.at_us // HOUR_US
                touched.add(hour)
                counts = hours.setdefault(hour, {})
                counts[look.status] = counts.get(look.status, 0) + 1
        return seen

    def _drop_hours(self) -> None:
        """Let go of hours that are too old to be shown."""
        for hours in self._counts.values():
            for hour in [hour for hour in hours if hour <= self._hour - HOURS]:
                del hours[hour]

    def _drop_points(self, now_us: int) -> Set[MonitorId]:
        """Let go of latencies that are too old to be shown; returns the monitors whose they were."""
        begins_us = now_us - LINE // timedelta(microseconds=1)
        old = {monitor for monitor, points in self._points.items() if points and points[0][0] < begins_us}
        for monitor in old:
            points = self._points[monitor]
            while points and points[0][0] < begins_us:
                points.popleft()
        return old

    def _draw(self, seen: Mapping[MonitorId, Collection[int]]) -> None:
        """Draw some hours of some monitors anew."""
        shown = self._shown
        for monitor, touched in seen.items():
            hours = self._counts.get(monitor, {})
            before = self._cells.get(monitor)
            cells = ["none"] * HOURS if before is None else before.copy()
            for hour in touched:
                if hour in shown:
                    cells[hour - shown.start] = cell(hours.get(hour, _NOTHING))
            if cells != before:
                self._cells[monitor] = cells

    def _draw_lines(self, monitors: Set[MonitorId]) -> None:
        for monitor in monitors:
            self._lines[monitor] = [ms for _, ms in self._points.get(monitor, ())]


def _points(looks: Iterable[Sample]) -> Iterable[tuple[int, float]]:
    return ((look.at_us, look.latency_us / 1000) for look in looks if look.latency_us is not None)


def cell(counts: Mapping[str, int]) -> str:
    """How an hour went: ``none``, ``ok``, ``some`` (now and then bad) or ``bad`` (at least a tenth of it)."""
    total = sum(counts.values()) - counts.get("unknown", 0)
    if not total:
        return "none"
    bad = counts.get("unhealthy", 0) + counts.get("error", 0)
    return "ok" if not bad else "bad" if bad * 10 >= total else "some"
