"""The last day of every monitor in small: hourly cells and a line of latencies."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from defib.model.ids import MonitorId
from defib.store import Reader

HOURS = 24  #: cells of an uptime bar
POINTS = 40  #: of a latency line
LINE = timedelta(minutes=30)  #: how far a latency line goes back
MAX_AGE_S = 15.0  #: of what is shown

_HOUR_S = 3600
_LATE = timedelta(minutes=5)  #: observations are stored at most so long after they were made


class Recent:
    """Keeps cells and lines, and renews them when asked and due.

    Hours that are over are counted once; only the present one is counted again. A renewal by two threads at
    once costs twice and harms nothing: each puts whole values in place.
    """

    def __init__(self, max_age_s: float = MAX_AGE_S) -> None:
        self._max_age_s = max_age_s
        self._counts: dict[MonitorId, dict[int, dict[str, int]]] = {}
        self._counted_until: datetime | None = None
        self._cells: Mapping[MonitorId, list[str]] = {}
        self._lines: Mapping[MonitorId, list[float]] = {}
        self._fresh_until = 0.0

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
        if time.monotonic() < self._fresh_until:
            return
        counts = self._count(reader, now)
        this_hour = int(now.timestamp() // _HOUR_S)
        wanted = range(this_hour - HOURS + 1, this_hour + 1)
        self._cells = {
            monitor: [cell(hours.get(hour, {})) for hour in wanted] for monitor, hours in counts.items()
        }
        lines: dict[MonitorId, list[float]] = {}
        for row in reader.samples(since=now - LINE, until=now + timedelta(seconds=1)):
            if row["latency_us"] is not None:
                lines.setdefault(row["monitor"], []).append(row["latency_us"] / 1000)
        self._lines = {monitor: values[-POINTS:] for monitor, values in lines.items()}
        self._fresh_until = time.monotonic() + self._max_age_s

    def _count(self, reader: Reader, now: datetime) -> dict[MonitorId, dict[int, dict[str, int]]]:
        """Counts by monitor and hour since 1970: those of hours that may still change are read afresh."""
        oldest = now - timedelta(hours=HOURS)
        since = oldest if self._counted_until is None else max(oldest, self._counted_until - _LATE)
        since = _whole_hour(since)
        first = int(oldest.timestamp() // _HOUR_S)
        again = int(since.timestamp() // _HOUR_S)
        counts = {
            monitor: {hour: statuses for hour, statuses in hours.items() if first <= hour < again}
            for monitor, hours in self._counts.items()
        }
        for monitor, hours in reader.hourly_counts(since).items():
            counts.setdefault(monitor, {}).update(hours)
        self._counts, self._counted_until = counts, now
        return counts


def cell(counts: Mapping[str, int]) -> str:
    """How an hour went: ``none``, ``ok``, ``some`` (now and then bad) or ``bad`` (at least a tenth of it)."""
    total = sum(counts.values()) - counts.get("unknown", 0)
    if not total:
        return "none"
    bad = counts.get("unhealthy", 0) + counts.get("error", 0)
    return "ok" if not bad else "bad" if bad * 10 >= total else "some"


def _whole_hour(at: datetime) -> datetime:
    """The beginning of the hour since 1970 that ``at`` is in, whatever its zone."""
    return at - timedelta(seconds=at.timestamp() % _HOUR_S)
