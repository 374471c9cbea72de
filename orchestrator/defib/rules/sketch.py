"""DDSketch: percentiles of any number of values within a relative error, in seventy bytes, exactly mergeable.

A value ``x > 1`` counts in bucket ``ceil(log_g(x))`` with ``g = (1 + a) / (1 - a)``; a bucket's value is
``2 g**i / (g + 1)``, which is within ``a`` of everything in it. Values up to 1 (a microsecond, here) count as zero.
Merging adds counts, so that the sketch of a month is the sketch of its hours in any order.

All counts of a sketch are one integer, 32 bits a bucket, so that merging adds two numbers instead of walking through
buckets: a report merges some hundred thousand sketches.

Source: C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees", PVLDB 12(12), 2019.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate, pairwise
from math import ceil, log
from struct import Struct

ALPHA = 0.02  #: relative error of a quantile
BUCKETS = 640  #: up to 22 hours in microseconds; whatever is larger counts in the last

_GAMMA = (1 + ALPHA) / (1 - ALPHA)
_PER_LOG = 1 / log(_GAMMA)
_FIELD = 4  #: bytes of a count in the integer
_BITS = 8 * _FIELD
_MOST = 255  #: that fits into one byte
_HEAD = Struct("<HH")  #: of a run: its first bucket; twice its length, and 1 more when its counts are wide
_APART = 12  #: empty buckets that part two runs; fewer cost less time and hardly more bytes than another head


class Sketch:
    """Counts by bucket; bucket 0 holds what is no larger than 1."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields = 0

    def add(self, values: Iterable[float]) -> None:
        """Count ``values``, none of them negative."""
        counts, per_log, last = array("I", bytes(_FIELD * BUCKETS)), _PER_LOG, BUCKETS - 1
        for value in values:
            counts[min(ceil(log(value) * per_log), last) if value > 1 else 0] += 1
        self._fields += int.from_bytes(_little(counts), "little")

    def merge(self, encoded: bytes) -> None:
        """Add what :meth:`encode` of another gave, or of many, one behind the other.

        :raises ValueError: it is no sketch.
        """
        place, size = 0, len(encoded)
        while place < size:
            if place + _HEAD.size > size:
                raise ValueError("a sketch ends within a run")
            first, length = _HEAD.unpack_from(encoded, place)
            is_wide, length = length & 1, length >> 1
            place += _HEAD.size
            end = place + (length * _FIELD if is_wide else length)
            if end > size or first + length > BUCKETS:
                raise ValueError(
                    f"a sketch of {BUCKETS} buckets has no whole run of {length} from bucket {first} on"
                )
            counts = encoded[place:end]
            self._fields += int.from_bytes(counts if is_wide else _widened(counts), "little") << _BITS * first
            place = end

    def encode(self) -> bytes:
        """Each run of buckets that counted something: its head, and its counts, of a byte each or of four.

        Empty buckets are in a run only while they are fewer than :data:`_APART`.
        """
        counts = self.counts
        filled = [bucket for bucket, count in enumerate(counts) if count]
        begins = [b for a, b in pairwise((-_APART - 1, *filled)) if b - a > _APART]
        ends = [a + 1 for a, b in pairwise((*filled, BUCKETS + _APART)) if b - a > _APART]
        encoded = bytearray()
        for begin, end in zip(begins, ends, strict=True):
            run = counts[begin:end]
            is_wide = max(run) > _MOST
            encoded += _HEAD.pack(begin, (end - begin) << 1 | is_wide)
            encoded += _little(run) if is_wide else bytes(run.tolist())
        return bytes(encoded)

    @property
    def counts(self) -> "array[int]":
        """By bucket."""
        counts = array("I", self._fields.to_bytes(_FIELD * BUCKETS, "little"))
        if sys.byteorder == "big":
            counts.byteswap()
        return counts

    def quantiles(self, *qs: float) -> tuple[int, list[float]]:
        """How many values there are, and the value of each ``q``: that of the first bucket, ascending, with a
        cumulative count above ``q * (n - 1)``.

        :param qs: 0 … 1.
        :return: no values of nothing.
        """
        seen = list(accumulate(self.counts))
        n = seen[-1]
        return n, [_VALUES[bisect_right(seen, q * (n - 1))] for q in qs] if n else []


_VALUES = (0.0, *(2 * _GAMMA**bucket / (_GAMMA + 1) for bucket in range(1, BUCKETS)))  # of each bucket


def _widened(counts: bytes) -> bytearray:
    wide = bytearray(_FIELD * len(counts))
    wide[::_FIELD] = counts
    return wide


def _little(counts: "array[int]") -> bytes:
    """The fields of some counts."""
    if sys.byteorder == "big":
        counts = counts[:]
        counts.byteswap()
    return counts.tobytes()
