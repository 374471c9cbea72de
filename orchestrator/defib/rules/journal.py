"""Looks of many monitors within the hour they belong to, as they are written down at first: one part a flush.

Everything is exact but metrics, which keep seven digits. Deflated, in the byte order of little ends::

    looks, length of the header (32 bits each), header as JSON: {"codes": [[status, cause] …], "shapes": [[name …] …]}
    [monitor within its shard, 8 bits] …, [µs since the hour began, 32] …, [code, 16] …, [latency in µs, 32] …,
    [shape, 16] …, the metrics of each look in the order of its shape, 32 each

Columns instead of rows, because a reader mostly wants one monitor, and finds it at the speed of a byte search.
"""

import json
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import isfinite
from typing import Any

from defib.model.evidence import Observation, ProbeStatus
from defib.model.history import Sample
from defib.rules.samples import HOUR_US

SHARD = 256  #: monitors whose looks are written, read and rolled up together
LARGEST = 10_000  #: looks in one part

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NO_LATENCY = 0xFFFFFFFF
_HEALTHY = str(ProbeStatus.HEALTHY)
_CAUSE = 60  #: characters kept of one
_LARGEST_FLOAT = 3.4028234e38


def place_of(at: datetime) -> tuple[int, int]:
    """The hour since 1970 that an instant is in, and the microseconds since it began."""
    return divmod((at - _EPOCH) // _MICROSECOND, HOUR_US)


def pack(looks: Sequence[tuple[int, Observation]]) -> bytes:
    """Write down at most :data:`LARGEST` looks of one hour and shard.

    :param looks: each with its monitor's number within the shard.
    """
    codes: dict[tuple[str, str | None], int] = {}
    shapes: dict[tuple[str, ...], int] = {}
    monitors, times, latencies = bytearray(), array("I"), array("I")
    seen, shaped, values = array("H"), array("H"), array("f")
    for monitor, look in looks:
        evidence = look.evidence
        code = (str(evidence.status), None if evidence.cause == "ok" else evidence.cause[:_CAUSE])
        latency = evidence.latency
        monitors.append(monitor)
        times.append(place_of(look.ended_at)[1])
        seen.append(codes.setdefault(code, len(codes)))
        latencies.append(
            _NO_LATENCY if latency is None else max(0, min(latency // _MICROSECOND, _NO_LATENCY - 1))
        )
        shaped.append(shapes.setdefault(tuple(evidence.metrics), len(shapes)))
        values.extend(map(fitted, evidence.metrics.values()))
    header = json.dumps({"codes": list(codes), "shapes": list(shapes)}, separators=(",", ":")).encode()
    columns: tuple[array[Any], ...] = (times, seen, latencies, shaped, values)
    sizes = (len(monitors).to_bytes(4, "little"), len(header).to_bytes(4, "little"))
    body = b"".join((*sizes, header, monitors, *map(_bytes, columns)))
    return zlib.compress(body, 1, -15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the journal, opened."""

    hour: int
    monitors: bytes
    times: "array[int]"
    seen: "array[int]"
    latencies: "array[int]"
    shaped: "array[int]"
    values: "array[float]"
    codes: Sequence[tuple[str, str | None]]
    shapes: Sequence[tuple[str, ...]]

    def samples(self, within: tuple[int, int] | None = None) -> Iterator[tuple[int, Sample]]:
        """Every look, with its monitor's number within the shard.

        :param within: as of :meth:`counts`.
        """
        start, codes = self.hour * HOUR_US, self.codes
        begin, end = self._offsets(within)
        for monitor, at, seen, latency in zip(
            self.monitors, self.times, self.seen, self.latencies, strict=True
        ):
            if begin <= at < end:
                status, cause = codes[seen]
                yield monitor, Sample(start + at, status, cause, None if latency == _NO_LATENCY else latency)

    def _offsets(self, within: tuple[int, int] | None) -> tuple[int, int]:
        """A stretch of time as microseconds since the hour began; all of the hour for None."""
        start = self.hour * HOUR_US
        return (0, HOUR_US) if within is None else (within[0] - start, within[1] - start)

    def counts(self, within: tuple[int, int] | None = None) -> Iterator[tuple[tuple[int, str], int]]:
        """How many looks each monitor has of each status.

        :param within: instants in microseconds since 1970, the second of them not included; None for all.
        """
        looks: Iterable[tuple[int, int]] = zip(self.monitors, self.seen, strict=True)
        if within is not None:
            begin, end = self._offsets(within)
            looks = (look for look, at in zip(looks, self.times, strict=True) if begin <= at < end)
        for (monitor, code), n in Counter(looks).items():
            yield (monitor, self.codes[code][0]), n

    def healthy_latencies(
        self, into: Mapping[int, list[int]], first: int = 0, within: tuple[int, int] | None = None
    ) -> None:
        """Append the latency of each healthy answer to those of its monitor.

        :param into: by monitor; makes the list of one that has none yet.
        :param first: number of the shard's first monitor.
        :param within: as of :meth:`counts`.
        """
        healthy = [status == _HEALTHY for status, _ in self.codes]
        looks = zip(self.monitors, self.seen, self.latencies, self.times, strict=True)
        begin, end = self._offsets(within)
        for monitor, code, latency, at in looks:
            if healthy[code] and latency != _NO_LATENCY and begin <= at < end:
                into[first + monitor].append(latency)

    def measured(self) -> Iterator[tuple[int, str, float]]:
        """Every metric of every look: number of the monitor within the shard, name, value."""
        place = 0
        for monitor, shaped in zip(self.monitors, self.shaped, strict=True):
            for name in self.shapes[shaped]:
                yield monitor, name, self.values[place]
                place += 1

    def places(self, monitor: int) -> Iterator[int]:
        """Where looks of one monitor are."""
        place = self.monitors.find(monitor)
        while place >= 0:
            yield place
            place = self.monitors.find(monitor, place + 1)

    def sample(self, place: int) -> Sample:
        """The look at a place."""
        status, cause = self.codes[self.seen[place]]
        latency = self.latencies[place]
        return Sample(
            self.hour * HOUR_US + self.times[place],
            status,
            cause,
            None if latency == _NO_LATENCY else latency,
        )

    def numbers(self) -> list[int]:
        """Where the metrics of each look begin."""
        widths = [len(shape) for shape in self.shapes]
        return list(accumulate((widths[shape] for shape in self.shaped), initial=0))

    def metrics(self, place: int, begins: Sequence[int]) -> Mapping[str, float]:
        """The metrics of the look at a place; ``begins`` is :meth:`numbers`."""
        values = self.values[begins[place] : begins[place + 1]]
        return dict(zip(self.shapes[self.shaped[place]], map(short, values), strict=True))


def unpack(packed: bytes, hour: int) -> Part:
    """Open what :func:`pack` made.

    :raises ValueError: it is no part of a journal.
    """
    try:
        body = zlib.decompress(packed, -15)
    except zlib.error as error:
        raise ValueError(f"a part of the journal is damaged: {error}") from error
    n, length = (int.from_bytes(body[place : place + 4], "little") for place in (0, 4))
    header = json.loads(body[8 : 8 + length])
    ends = list(accumulate((n, 4 * n, 2 * n, 4 * n, 2 * n), initial=8 + length))
    monitors, times, seen, latencies, shaped, values = (
        body[begin:end] for begin, end in zip(ends, [*ends[1:], len(body)], strict=True)
    )
    return Part(
        hour=hour, monitors=monitors, times=_array("I", times), seen=_array("H", seen),
        latencies=_array("I", latencies), shaped=_array("H", shaped), values=_array("f", values),
        codes=[(status, cause) for status, cause in header["codes"]],
        shapes=[tuple(shape) for shape in header["shapes"]],
    )  # fmt: skip


def short(value: float) -> float:
    """A 32-bit number with the digits that it has."""
    return float(f"{value:.7g}")


def fitted(value: float) -> float:
    """A number that 32 bits can hold."""
    return value if not isfinite(value) else max(-_LARGEST_FLOAT, min(value, _LARGEST_FLOAT))


def _bytes(column: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _array(kind: Any, column: bytes) -> "array[Any]":
    found = array(kind, column)
    if sys.byteorder == "big":
        found.byteswap()
    return found
