"""Small pictures as SVG geometry. ``static/drawing.js`` computes the first two alike in the browser."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from operator import add
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

LINE_WIDTH, LINE_HEIGHT = 100, 24
CELLS = ("ok", "some", "bad", "none")  #: kinds of an hour


def line(values: Sequence[float]) -> str:
    """Points of a polyline in a box of 100 × 24, the newest at its right edge; "" for fewer than two values.

    The scale begins at zero, so that a calm line looks calm and twice as slow looks twice as high.
    """
    if len(values) < 2:
        return ""
    scale, bottom = (LINE_HEIGHT - 2) * 10 / max(*values, 0.001), (LINE_HEIGHT - 1) * 10 + 0.5
    heights = [_TENTHS[int(bottom - value * scale)] for value in values]
    return " ".join(map(add, _places(len(values)), heights))


_TENTHS = tuple(f"{tenths / 10:g}" for tenths in range(10 * LINE_HEIGHT + 1))  # 0, 0.1 … 24


@lru_cache(maxsize=64)  # lines of latencies have forty points at most
def _places(count: int) -> tuple[str, ...]:
    """Where points lie from left to right, each as ``12.5,``."""
    step = LINE_WIDTH / (count - 1)
    return tuple(f"{int(i * step * 10 + 0.5) / 10:g}," for i in range(count))


def hour(means: Sequence[float | None]) -> str:
    """The path of a line of percentages in a box of 100 × 24, from 0 to 100 %; a minute without a mean is a gap.

    A single minute among gaps is a dot: a line of no length.
    """
    step = LINE_WIDTH / max(1, len(means) - 1)
    path, was = "", False
    for i, mean in enumerate(means):
        if mean is not None:
            x = int(i * step * 10 + 0.5) / 10
            y = int((LINE_HEIGHT - 1 - min(100.0, mean) / 100 * (LINE_HEIGHT - 2)) * 10 + 0.5) / 10
            alone = not was and (i + 1 == len(means) or means[i + 1] is None)
            path += f"{'L' if was else 'M'}{x:g},{y:g}" + ("h0" if alone else "")
        was = mean is not None
    return path


def trend(means: Sequence[float | None]) -> str:
    """What :func:`hour` shows, for those who do not see it."""
    known = [mean for mean in means if mean is not None]
    if not known:
        return "Last hour: nothing reported"
    return f"Last hour: {int(min(known) + 0.5)} to {int(max(known) + 0.5)} %, now {int(known[-1] + 0.5)} %"


def cells(hours: Sequence[str]) -> dict[str, str]:
    """One path for each kind of hour, in a box as many units wide as there are hours and one high."""
    return {
        kind: "".join(f"M{i} 0h.78v1h-.78z" for i, hour in enumerate(hours) if hour == kind) for kind in CELLS
    }


def day(hours: Sequence[str]) -> str:
    """What the cells show, for those who do not see them."""
    counts = {kind: hours.count(kind) for kind in CELLS}
    if counts["none"] == len(hours):
        return "Last 24 hours: nothing seen"
    if counts["bad"] == counts["some"] == 0:
        return "Last 24 hours: all well"
    said = [f"{n} {'hour' if n == 1 else 'hours'} bad" for n in (counts["bad"],) if n]
    said += [f"{n} with failures" for n in (counts["some"],) if n]
    return f"Last 24 hours: {', '.join(said)}"


# --- the chart of a monitor's page ---------------------------------------------------------------------

CHART_WIDTH, CHART_HEIGHT = 960, 160
SLICES = 192


@dataclass(frozen=True, slots=True)
class Chart:
    """Response times of a while, cut into slices: the median as a line, failures as ticks below."""

    lines: tuple[str, ...]  #: points of polylines; a gap in the data ends one
    spread: tuple[str, ...]  #: polygons from the least to the greatest of each slice
    failures: tuple[tuple[float, float], ...]  #: x and width of slices in which a look failed
    top_ms: float  #: of the scale
    marks: tuple[tuple[float, str], ...]  #: x and label of each fourth hour
    count: int  #: looks with a response time
    failed: int


def chart(
    samples: Sequence[Mapping[str, Any]], since: datetime, until: datetime, timezone: str = "UTC"
) -> Chart:
    """Draw ``samples`` (as :meth:`defib.engine.views.read_model.Views.history` gives them) in a box of 960 × 160.

    :param since: aware, in UTC, as is ``until``.
    :param timezone: of the labels.
    """
    span = (until - since) / timedelta(seconds=1)
    latencies: dict[int, list[float]] = {}
    failed_in: dict[int, int] = {}
    for sample in samples:
        at = (datetime.fromisoformat(sample["at"]) - since) / timedelta(seconds=1)
        i = min(SLICES - 1, max(0, int(at / span * SLICES)))
        if sample["latency_ms"] is not None:
            latencies.setdefault(i, []).append(sample["latency_ms"])
        if sample["status"] in ("unhealthy", "error"):
            failed_in[i] = failed_in.get(i, 0) + 1
    drawn = {i: (min(values), median(values), max(values)) for i, values in latencies.items()}
    marks = time_marks(since, until, timezone)
    return _draw(drawn, failed_in, SLICES, marks, count=sum(map(len, latencies.values())))


def chart_of_hours(
    hours: Sequence[Mapping[str, Any]], since: datetime, until: datetime, per: int, timezone: str = "UTC"
) -> Chart:
    """Draw ``hours`` (as :meth:`defib.engine.views.read_model.Views.hours` gives them) as :func:`chart` does looks.

    :param since: aware, in UTC, as is ``until``; a whole number of ``per`` hours apart.
    :param timezone: of the labels.
    """
    slices = (until - since) // timedelta(hours=per)
    drawn: dict[int, tuple[float, float, float]] = {}
    failed_in: dict[int, int] = {}
    count = 0
    for hour in hours:
        i = min(slices - 1, max(0, (datetime.fromisoformat(hour["at"]) - since) // timedelta(hours=per)))
        if (found := hour["latency_ms"]) is not None:
            drawn[i] = (found["min"], found["p50"], found["max"])
            count += hour["counts"].get("healthy", 0)
        if failed := hour["counts"].get("unhealthy", 0) + hour["counts"].get("error", 0):
            failed_in[i] = failed
    marks = time_marks(since, until, timezone, by_days=True)
    return _draw(drawn, failed_in, slices, marks, count=count)


def _draw(
    slices: Mapping[int, tuple[float, float, float]], failed_in: Mapping[int, int], number: int,
    marks: tuple[tuple[float, str], ...], *, count: int,
) -> Chart:  # fmt: skip
    """Of each slice its least, its middle and its greatest; ``number`` slices fill the width."""
    top = _nice(max((high for _, _, high in slices.values()), default=1.0))
    width = CHART_WIDTH / number

    def point(i: int, value: float) -> str:
        return f"{(i + 0.5) * width:.1f},{CHART_HEIGHT - value / top * CHART_HEIGHT:.1f}"

    lines, spread = [], []
    for run in _runs(sorted(slices)):
        lines.append(" ".join(point(i, slices[i][1]) for i in run))
        low = [point(i, slices[i][0]) for i in run]
        high = [point(i, slices[i][2]) for i in run]
        spread.append(" ".join([*high, *reversed(low)]))
    return Chart(
        lines=tuple(lines),
        spread=tuple(spread),
        failures=tuple((i * width, width) for i in sorted(failed_in)),
        top_ms=top,
        marks=marks,
        count=count,
        failed=sum(failed_in.values()),
    )


def _runs(slices: Sequence[int], gap: int = 6) -> list[list[int]]:
    """Slices that belong together: up to ``gap`` empty ones in between are bridged, for monitors looked at seldom."""
    runs: list[list[int]] = []
    for i in slices:
        if runs and i - runs[-1][-1] <= gap:
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


def _nice(value: float) -> float:
    """The least of 1, 1.5, 2, 3, 5, 7.5, 10, 15, … that is not below ``value``."""
    size = 1.0
    while True:
        for factor in (1, 1.5, 2, 3, 5, 7.5):
            if value <= size * factor:
                return size * factor
        size *= 10


def time_marks(
    since: datetime, until: datetime, timezone: str, *, by_days: bool = False
) -> tuple[tuple[float, str], ...]:
    """x and label of each fourth hour of a zone's clock, or of its days."""
    return tuple((_days if by_days else _marks)(since, until, ZoneInfo(timezone)))


def _days(since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[tuple[float, str]]:
    """Where days of the zone's clock begin: each, or each so many that about seven labels stand side by side."""
    step = max(1, round((until - since) / timedelta(days=7)))
    day = since.astimezone(zone).date()
    while True:
        day += timedelta(days=step)
        at = datetime.combine(day, time(), zone)
        if at >= until:
            return
        yield round((at - since) / (until - since) * CHART_WIDTH, 1), f"{at.day} {at:%b}"


def _marks(since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[tuple[float, str]]:
    """Each fourth hour of the zone's clock; zones are whole quarters of an hour away from UTC."""
    at = since.replace(minute=0, second=0, microsecond=0)
    while (at := at + timedelta(minutes=15)) < until:
        local = at.astimezone(zone)
        if at > since and local.minute == 0 and local.hour % 4 == 0:
            yield round((at - since) / (until - since) * CHART_WIDTH, 1), f"{local:%H:%M}"
