"""When something that fills up will be full: a robust straight line through what it did, or no word at all.

The slope is the median of the slopes between all pairs of points (Theil 1950, Sen 1968): up to 29 % of the points
may be anything, such as a clean-up or a burst, without moving it. Its range is Sen's confidence interval from the
normal approximation of Kendall's statistic.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_Z = 1.96  #: 95 %
_LEAST_POINTS = 24
_LEAST_DAYS = 1.0
_MOST_POINTS = 200  #: more are thinned out, evenly: there are half their square of pairs
_LEAST_SLOPE = 0.02  #: percent points a day; slower than that is standing still
_LEAST_CERTAIN = 0.1  #: of the slope: where it may be less than that, it may as well be none
_CLOSE = 3.0  #: percent points: the line is believed only where the typical distance to it is less


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A line that fits: ``level`` now, and how it goes on. Days from the newest point."""

    level: float
    slope: float  #: per day
    full_in: float  #: days
    full_in_lo: float  #: at the earliest
    full_in_hi: float  #: at the latest


def forecast(points: Sequence[tuple[float, float]], limit: float = 100.0) -> Trend | None:
    """When the line through ``points`` reaches ``limit``; None where they do not support to say so.

    They do where they are many enough, span long enough, rise for certain (95 %), lie close to the line, and end
    near where it does: something that was emptied since says nothing of when it will be full.

    :param points: (days, percent), oldest first.
    """
    points = _thinned(points)
    if len(points) < _LEAST_POINTS or points[-1][0] - points[0][0] < _LEAST_DAYS:
        return None
    slopes = sorted(
        (y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1 :] if x2 > x1
    )
    slope, (slowest, fastest) = median(slopes), _range(slopes, len(points))
    if slope < _LEAST_SLOPE or slowest < slope * _LEAST_CERTAIN:
        return None
    now, newest = points[-1]
    offset = median(y - slope * x for x, y in points)
    level = offset + slope * now
    typical = median(abs(y - offset - slope * x) for x, y in points)
    risen = slope * (now - points[0][0])
    if typical > min(_CLOSE, risen / 2) or abs(newest - level) > max(_CLOSE, 4 * typical) or level >= limit:
        return None
    room = limit - level
    return Trend(
        level=level,
        slope=slope,
        full_in=room / slope,
        full_in_lo=room / fastest,
        full_in_hi=room / slowest,
    )


def _range(slopes: Sequence[float], n: int) -> tuple[float, float]:
    """Sen's confidence interval of the median slope, lowest and highest."""
    spread = _Z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = math.floor((len(slopes) - spread) / 2)
    high = math.ceil((len(slopes) + spread) / 2)
    return slopes[max(0, low)], slopes[min(len(slopes) - 1, high)]


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    if len(points) <= _MOST_POINTS:
        return points
    step = (len(points) - 1) / (_MOST_POINTS - 1)
    return [points[round(index * step)] for index in range(_MOST_POINTS)]
