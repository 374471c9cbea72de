"""Shares with their uncertainty, and percentiles."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.count} of {self.of} ({100 * low:.3g} … {100 * high:.3g} %)"

    @property
    def value(self) -> float:
        """NaN of none."""
        return self.count / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % score interval.

        Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
        """
        if not self.of:
            return 0.0, 1.0
        n, p, z2 = self.of, self.count / self.of, _Z95**2
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


def share(flags: Iterable[bool]) -> Share:
    """How many are true."""
    listed = list(flags)
    return Share(count=sum(listed), of=len(listed))


def percentile(values: Collection[float], q: float) -> float:
    """The smallest value that at least ``q`` of them do not exceed; NaN of none."""
    ascending = sorted(values)
    return ascending[max(0, math.ceil(q * len(ascending)) - 1)] if ascending else math.nan
