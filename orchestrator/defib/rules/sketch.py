"""DDSketch: percentiles of any number of values within a relative error, in a hundred bytes, exactly mergeable.

A value ``x > 1`` counts in bucket ``ceil(log_g(x))`` with ``g = (1 + a) / (1 - a)``; a bucket's value is
``2 g**i / (g + 1)``, which is within ``a`` of everything in it. Values up to 1 (a microsecond, here) count as zero.
Merging adds counts, so that the sketch of a month is the sketch of its hours in any order.

Source: C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees", PVLDB 12(12), 2019.
"""

from collections.abc import Iterable, Iterator
from math import ceil, log

from defib.rules.varint import put

ALPHA = 0.02  #: relative error of a quantile
BUCKETS = 640  #: up to 22 hours in microseconds; whatever is larger counts in the last

_GAMMA = (1 + ALPHA) / (1 - ALPHA)
_PER_LOG = 1 / log(_GAMMA)
_WIDE = 3  #: a gap that does not fit into its two bits
_MORE = 0x80  #: a byte that is not the last of its number


class Sketch:
    """Counts by bucket; bucket 0 holds what is no larger than 1."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS

    def add(self, values: Iterable[float]) -> None:
        """Count ``values``, none of them negative."""
        counts, per_log, last = self.counts, _PER_LOG, BUCKETS - 1
        for value in values:
            counts[min(ceil(log(value) * per_log), last) if value > 1 else 0] += 1

    def merge(self, encoded: bytes) -> None:
        """Add what :meth:`encode` of another gave.

        :raises ValueError: it is no sketch.
        """
        counts, index = self.counts, -1
        rest = iter(encoded)
        try:
            for token in rest:
                if token >= _MORE:
                    token = _long(token, rest)
                gap = token & _WIDE
                if gap == _WIDE:
                    gap += _long(next(rest), rest)
                index += gap + 1
                counts[index] += (token >> 2) + 1
        except StopIteration:
            raise ValueError("the last number of a sketch is not whole") from None
        except IndexError:
            raise ValueError(f"a sketch has {BUCKETS} buckets, and no bucket {index}") from None

    def encode(self) -> bytes:
        """For each bucket that counted something one varint: its count - 1, and in the lowest two bits how many
        empty ones are before it; 3 there means that many more as another varint."""
        encoded = bytearray()
        before = -1
        for index, count in enumerate(self.counts):
            if count:
                gap = index - before - 1
                put(encoded, count - 1 << 2 | min(gap, _WIDE))
                if gap >= _WIDE:
                    put(encoded, gap - _WIDE)
                before = index
        return bytes(encoded)

    @property
    def n(self) -> int:
        return sum(self.counts)

    def quantile(self, q: float) -> float | None:
        """The value of the first bucket, ascending, with a cumulative count above ``q * (n - 1)``; None of nothing.

        :param q: 0 … 1.
        """
        n = self.n
        rank, seen = q * (n - 1), 0
        for index, count in enumerate(self.counts):
            seen += count
            if count and seen > rank:
                return 2 * _GAMMA**index / (_GAMMA + 1) if index else 0.0
        return None


def _long(first: int, rest: Iterator[int]) -> int:
    """A varint of which the first byte was taken already."""
    number, shift = first & 0x7F, 7
    while first >= _MORE:
        first = next(rest)
        number |= (first & 0x7F) << shift
        shift += 7
    return number
