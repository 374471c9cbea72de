"""What many looks come to: counts, latencies and metrics of one monitor within a stretch of time."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from defib.model.evidence import ProbeStatus
from defib.model.history import Hour, Latencies, Sample
from defib.rules.journal import fitted
from defib.rules.sketch import Sketch
from defib.rules.varint import put, take

_HEALTHY = str(ProbeStatus.HEALTHY)
_FIGURES = struct.Struct("<4f")


class Tally:
    """Adds up looks, and hours that were added up before. Latencies are those of healthy answers."""

    __slots__ = ("_sketch", "counts", "max_us", "min_us", "sum_us")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.sum_us = 0
        self.min_us: int | None = None
        self.max_us: int | None = None
        self._sketch = Sketch()

    def add(self, samples: Iterable[Sample]) -> None:
        """Count looks."""
        counts, latencies = self.counts, []
        for _, status, _, latency_us in samples:
            counts[status] = counts.get(status, 0) + 1
            if latency_us is not None and status == _HEALTHY:
                latencies.append(latency_us)
        if latencies:
            self.add_latencies(latencies)

    def add_latencies(self, latencies: Sequence[int]) -> None:
        """Add one latency or more, in microseconds; counts no looks."""
        self._sketch.add(latencies)
        self._widen(sum(latencies), min(latencies), max(latencies))

    def merge(
        self, counts: Mapping[str, int], sum_us: int | None, min_us: int | None, max_us: int | None,
        sketch: bytes | None,
    ) -> None:  # fmt: skip
        """Add what another came to.

        :raises ValueError: ``sketch`` is none.
        """
        for status, count in counts.items():
            if count:
                self.counts[status] = self.counts.get(status, 0) + count
        self.merge_latencies(sum_us, min_us, max_us, sketch)

    def merge_latencies(
        self, sum_us: int | None, min_us: int | None, max_us: int | None, sketch: bytes | None
    ) -> None:
        """Add the latencies of another alone; raises like :meth:`merge`.

        :param sketch: of one, or of all that ``sum_us``, ``min_us`` and ``max_us`` are of, one behind the other.
        """
        if sketch is not None and sum_us is not None and min_us is not None and max_us is not None:
            self._sketch.merge(sketch)
            self._widen(sum_us, min_us, max_us)

    def _widen(self, sum_us: int, min_us: int, max_us: int) -> None:
        self.sum_us += sum_us
        self.min_us = min_us if self.min_us is None else min(self.min_us, min_us)
        self.max_us = max_us if self.max_us is None else max(self.max_us, max_us)

    @property
    def sketch(self) -> bytes | None:
        """Of the latencies; None without any."""
        return None if self.min_us is None else self._sketch.encode()

    def latencies(self) -> Latencies | None:
        """Their mean and percentiles; None without any. No percentile is beyond the least or the largest."""
        if self.min_us is None or self.max_us is None:
            return None
        n, found = self._sketch.quantiles(0.5, 0.95, 0.99)
        p50, p95, p99 = (max(self.min_us, min(value, self.max_us)) / 1000 for value in found)
        return Latencies(mean_ms=self.sum_us / n / 1000, p50_ms=p50, p95_ms=p95, p99_ms=p99)

    def hour(self, at: datetime) -> Hour:
        """All of it as the hour that began at ``at``."""
        return Hour(
            at=at, counts=self.counts, latencies=self.latencies(),
            min_ms=None if self.min_us is None else self.min_us / 1000,
            max_ms=None if self.max_us is None else self.max_us / 1000,
        )  # fmt: skip


class Figures:
    """What one metric came to."""

    __slots__ = ("last", "max", "min", "n", "sum")

    def __init__(self, n: int, sum_: float, min_: float, max_: float, last: float) -> None:
        self.n = n
        self.sum = sum_
        self.min = min_
        self.max = max_
        self.last = last

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figures":
        """Of one value or more, oldest first."""
        return cls(len(values), sum(values), min(values), max(values), values[-1])

    def merge(self, later: "Figures") -> None:
        """Add what came to those after these."""
        self.n += later.n
        self.sum += later.sum
        self.min = min(self.min, later.min)
        self.max = max(self.max, later.max)
        self.last = later.last


def encode_metrics(metrics: Mapping[int, Figures]) -> bytes:
    """By number of the metric's name: number and n as varints, then sum, min, max and last with 32 bits each."""
    encoded = bytearray()
    for name, figures in sorted(metrics.items()):
        put(encoded, name)
        put(encoded, figures.n)
        four = (figures.sum, figures.min, figures.max, figures.last)
        encoded += _FIGURES.pack(*map(fitted, four))
    return bytes(encoded)


def decode_metrics(encoded: bytes) -> dict[int, Figures]:
    """What :func:`encode_metrics` was given, with seven digits.

    :raises ValueError: it is nothing of the kind.
    """
    found, place = {}, 0
    while place < len(encoded):
        name, place = take(encoded, place)
        n, place = take(encoded, place)
        try:
            found[name] = Figures(n, *_FIGURES.unpack_from(encoded, place))
        except struct.error as error:
            raise ValueError(f"the metrics of an hour are damaged: {error}") from error
        place += _FIGURES.size
    return found
