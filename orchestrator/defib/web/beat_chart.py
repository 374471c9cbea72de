"""The chart of a monitor that is told, not looked at: when it was heard, what it missed, how long its runs took."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from defib.rules.spans import span
from defib.web.drawing import CHART_HEIGHT, CHART_WIDTH, SLICES, time_marks

LANE_HEIGHT = 28  #: of the ticks, below the bars of the runs
_LATE = "late-beat"  #: the cause of a suspicion, which is no miss yet
_LEAST_WIDTH = 2.0

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BeatChart:
    """Ticks in a lane as wide as the chart, and above them a bar for each run; x and width of each."""

    heard: tuple[tuple[float, float], ...]  #: slices in which it was well
    failed: tuple[tuple[float, float], ...]  #: slices in which it said itself that it failed
    missed: tuple[tuple[float, float], ...]  #: slices in which it was silent when a beat was due
    runs: tuple[tuple[float, float, bool], ...]  #: x, height, and whether it ended well
    top: str  #: of the scale of the runs: ``5 min``
    marks: tuple[tuple[float, str], ...]  #: x and label of hours or days
    says: str  #: all of it in words


def beat_chart(
    seen: Sequence[Json], runs: Sequence[Json], since: datetime, until: datetime, timezone: str = "UTC", *,
    per: int | None = None,
) -> BeatChart:  # fmt: skip
    """Draw what was heard in a box of 960 × :data:`LANE_HEIGHT`, with 160 above for the runs, if there are any.

    :param seen: single looks, as :meth:`defib.engine.views.read_model.Views.history` gives them; with ``per`` what
        :meth:`defib.engine.views.read_model.Views.hours` gives.
    :param runs: as :meth:`defib.engine.views.read_model.Views.runs` gives them.
    :param since: aware, in UTC, as is ``until``.
    :param per: hours in one slice.
    """
    number = SLICES if per is None else (until - since) // timedelta(hours=per)
    heard: set[int] = set()
    failed: dict[int, int] = {}
    missed: dict[int, int] = {}
    for item in seen:
        i = min(
            number - 1, max(0, int((datetime.fromisoformat(item["at"]) - since) / (until - since) * number))
        )
        counts = item["counts"] if per is not None else _counts(item)
        if counts.get("healthy"):
            heard.add(i)
        for found, status in ((failed, "unhealthy"), (missed, "error")):
            if counts.get(status):
                found[i] = found.get(i, 0) + counts[status]
    drawn = [run for run in runs if since <= datetime.fromisoformat(run["at"]) < until]
    top_s, top = _top(max((run["took_s"] for run in drawn), default=1.0))
    width = CHART_WIDTH / number
    return BeatChart(
        heard=_slices(heard - failed.keys() - missed.keys(), width),
        failed=_slices(failed.keys() - missed.keys(), width),
        missed=_slices(missed, width),
        runs=tuple(_bar(run, since, until, top_s) for run in drawn),
        top=top,
        marks=time_marks(since, until, timezone, by_days=per is not None),
        says=_says(
            sum(missed.values()), sum(failed.values()), drawn, is_heard=bool(heard), is_exact=per is None
        ),
    )


def _counts(look: Json) -> Mapping[str, int]:
    """Of one look, as of an hour; a beat that is late may still come."""
    return {} if look["cause"] == _LATE else {look["status"]: 1}


def _slices(found: Iterable[int], width: float) -> tuple[tuple[float, float], ...]:
    return tuple((round(i * width, 1), max(_LEAST_WIDTH, round(0.7 * width, 1))) for i in sorted(found))


def _bar(run: Json, since: datetime, until: datetime, top_s: float) -> tuple[float, float, bool]:
    x = (datetime.fromisoformat(run["at"]) - since) / (until - since) * CHART_WIDTH
    return round(x, 1), round(max(1.5, run["took_s"] / top_s * CHART_HEIGHT), 1), run["is_well"]


def _says(missed: int, failed: int, runs: Sequence[Json], *, is_heard: bool, is_exact: bool) -> str:
    said = []
    if missed:
        said.append(f"{missed} {'missed' if is_exact else 'late or missed'}")
    if failed:
        said.append(f"{failed} failed")
    if not said:
        said.append("all beats came" if is_heard else "nothing heard")
    if runs:
        took = [run["took_s"] for run in runs]
        runs_said = f"{len(took)} {'run' if len(took) == 1 else 'runs'} took {_length(min(took))}"
        if len(took) > 1:
            runs_said += f" to {_length(max(took))}, {_length(median(took))} in the middle"
        said.append(runs_said)
    return ", ".join(said)


def _length(seconds: float) -> str:
    return span(seconds) if seconds >= 10 else f"{round(seconds, 1):g} s"


def _top(seconds: float) -> tuple[float, str]:
    """The least round length of time that is not below ``seconds``, and how it is written."""
    for unit_s, unit, numbers in _ROUND:
        for number in numbers:
            if seconds <= number * unit_s:
                return number * unit_s, f"{number} {unit}"
    days = math.ceil(seconds / 86400)
    return days * 86400.0, f"{days} d"


_ROUND = (
    (1.0, "s", (1, 2, 5, 10, 20, 30)),
    (60.0, "min", (1, 2, 5, 10, 20, 30)),
    (3600.0, "h", (1, 2, 3, 6, 12)),
)
