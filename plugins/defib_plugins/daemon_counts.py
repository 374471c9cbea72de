"""What the daemon protocol's receiver counts, for ``GET /stats``."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime

from defib_plugins.receiving import instant

_RECENT = 1000  #: beats that percentiles are taken over
_NS = 1_000_000_000


class Counts:
    """Beats that were taken in, done, and not done."""

    def __init__(self, limit: int) -> None:
        """:param limit: most beats that may wait at once."""
        self.limit = limit
        self.waiting = 0  #: over HTTP, for the store
        self._received = self._processed = self._errors = 0
        self._last: datetime | None = None
        self._total_s = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def take(self, at: datetime) -> None:
        """A good beat has come."""
        self._received += 1
        self._last = at

    def finish(self, took_s: float, beats: int = 1) -> None:
        """It is stored and judged, and with it those that came right before it."""
        self._processed += beats
        self._total_s += took_s * beats
        self._recent.append(took_s)

    def fail(self) -> None:
        """Something came that was no beat, or a beat that could not be stored."""
        self._errors += 1

    def document(self) -> Mapping[str, object]:
        """As ``GET /stats`` answers: durations are integers of nanoseconds."""
        recent = sorted(self._recent)
        average = self._total_s / self._processed if self._processed else 0.0
        return {
            "total_received": self._received,
            "total_processed": self._processed,
            "total_errors": self._errors,
            "last_received_time": instant(self._last) if self._last else None,
            "average_latency": round(average * _NS),
            "latency_p50": _percentile(recent, 50),
            "latency_p95": _percentile(recent, 95),
            "latency_p99": _percentile(recent, 99),
            "queue_depth": self.waiting,
            "queue_limit": self.limit,
        }


def _percentile(ordered: list[float], percent: int) -> int:
    """Nearest rank, in nanoseconds."""
    return round(ordered[-(-len(ordered) * percent // 100) - 1] * _NS) if ordered else 0
