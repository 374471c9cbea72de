"""What the report shows instead of telling: when components were down, how fast they answered, which hours were bad.

Shape says the same as colour: well is a slim band, down a full block, what was not watched nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from defib.plugin import ResponseHour, Span, State, Stretch
from defib_reports.daily.figures import Component, Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.raster import Ink, Raster
from defib_reports.daily.wording import clean

_NAME = 60
_STRIPS = 10  #: components whose time is drawn
_STRIP = (920, 32)  #: pixels: twice what is shown, for sharp screens
_CHART = (920, 104)
_HEAT = (480, 40)
_LEAST = 0.004  #: of the width: an outage of seconds is seen, too
_DOWN = (State.FAULT,)
_WELL = (State.UP, State.WATCH, State.SUSPECT)
_LOOKS: dict[State, tuple[Ink, float, float]] = {
    State.UP: (Ink.GOOD, 0.3, 0.7),
    State.WATCH: (Ink.GOOD, 0.3, 0.7),
    State.SUSPECT: (Ink.GOOD, 0.3, 0.7),
    State.DEGRADED: (Ink.FAIR, 0.2, 0.8),
    State.FAULT: (Ink.BAD, 0.0, 1.0),
    State.UNREACHABLE: (Ink.MUTE, 0.1, 0.9),
}
_ELSE = (Ink.FAINT, 0.4, 0.6)
_HOUR = timedelta(hours=1)
_GRADES = ((1.0, Ink.GOOD, 0.25), (0.999, Ink.FAIR, 0.45), (0.95, Ink.FAIR, 0.7), (0.0, Ink.BAD, 1.0))
"""From which availability on a cell of the heat map looks how; the last number is its height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture with what stands beside it."""

    cid: str
    png: bytes
    width: int  #: as shown
    height: int
    alt: str  #: what it shows, for those who do not see it
    label: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """All pictures of a report, and the labels of their common axis."""

    strips: tuple[Picture, ...] = ()
    responses: tuple[Picture, ...] = ()
    heat: tuple[Picture, ...] = ()
    axis: tuple[str, ...] = ()  #: at equal distances, from the left
    heat_axis: tuple[str, ...] = ()

    def files(self) -> dict[str, bytes]:
        """By content id."""
        return {
            picture.cid: picture.png
            for group in (self.strips, self.responses, self.heat)
            for picture in group
        }


def draw(figures: Digest, local: LocalTime) -> Pictures:
    """Draw what there is something to be seen of."""
    troubled = [c for c in figures.components if _is_worth_a_strip(c)]
    heat, heat_axis = _heat(figures, local)
    return Pictures(
        strips=tuple(_strip(n, c, figures, local) for n, c in enumerate(troubled[:_STRIPS], 1)),
        responses=tuple(
            _responses(number, figures.name_of(monitor), hours, figures, local)
            for number, (monitor, hours) in enumerate(figures.period.responses.items(), 1)
            if len(hours) > 1
        ),
        heat=heat,
        axis=_axis(local),
        heat_axis=heat_axis,
    )


def _is_worth_a_strip(component: Component) -> bool:
    return bool(component.of.timeline) and (
        component.of.down_hi > timedelta(0)
        or any(stretch.state not in _WELL for stretch in component.of.timeline)
    )


def _axis(local: LocalTime) -> tuple[str, ...]:
    """Four labels of a day, each day of a week, about five of a month."""
    slots = local.slots()
    if local.span is Span.WEEK:
        return tuple(local.words.weekday(local.local(start).date()) for start, _, _ in slots)
    parts = 4 if local.is_in_hours else 5
    edges = [local.start + (local.end - local.start) * n / parts for n in range(parts)]
    if local.is_in_hours:
        return tuple(f"{local.local(edge):%H:%M}" for edge in edges)
    return tuple(local.words.short_day(local.local(edge).date()) for edge in edges)


# --- when components were down -----------------------------------------------------------------------


def _strip(number: int, component: Component, figures: Digest, local: LocalTime) -> Picture:
    period, words = figures.period, local.words
    raster = Raster(*_STRIP)
    whole = period.end - period.start
    order = sorted(component.of.timeline, key=lambda stretch: _LOOKS.get(stretch.state, _ELSE)[0] is Ink.BAD)
    for stretch in order:  # what is bad is painted last, over its neighbours
        ink, top, bottom = _LOOKS.get(stretch.state, _ELSE)
        left, right = (stretch.since - period.start) / whole, (stretch.until - period.start) / whole
        if ink in (Ink.BAD, Ink.FAIR):
            right = max(right, left + _LEAST)
        raster.fill(ink, left, right, top, bottom)
    name = clean(component.of.name, _NAME)
    return Picture(
        cid=f"strip-{number}.{period.report}",
        png=raster.png(),
        width=_STRIP[0] // 2,
        height=_STRIP[1] // 2,
        alt=words.gettext("{name}: {what}", name=name, what=_outages(component, local)),
        label=name,
        note=words.percent(component.availability.value) if component.availability else "",
    )


def _outages(component: Component, local: LocalTime) -> str:
    """``down 3 times, 12 min in all, first at 02:59:58``."""
    down = [stretch for stretch in _merged(component.of.timeline) if stretch.state in _DOWN]
    words = local.words
    if not down:
        return words.gettext("not down")
    return words.ngettext(
        "down {n} time, {duration} in all, first at {time}", "down {n} times, {duration} in all, first at {time}",
        len(down), duration=words.duration(component.of.down), time=local.time(down[0].since),
    )  # fmt: skip


def _merged(timeline: Sequence[Stretch]) -> list[Stretch]:
    """Neighbours of one state as one: gaps in watching cut an outage, but do not make it two."""
    merged: list[Stretch] = []
    for stretch in timeline:
        if merged and merged[-1].state is stretch.state:
            merged[-1] = Stretch(state=stretch.state, since=merged[-1].since, until=stretch.until)
        else:
            merged.append(stretch)
    return merged


# --- how fast they answered ----------------------------------------------------------------------------


def _responses(
    number: int, name: str, hours: Sequence[ResponseHour], figures: Digest, local: LocalTime
) -> Picture:
    period, words = figures.period, local.words
    raster, whole = Raster(*_CHART), period.end - period.start
    slowest = max(hours, key=lambda hour: hour.p95_ms)
    raster.fill(Ink.FAINT, 0.0, 1.0, 0.985, 1.0)
    for hour in hours:
        left, right = (hour.at - period.start) / whole, (hour.at + _HOUR - period.start) / whole
        inset = (right - left) / 8
        for ink, value in ((Ink.SOFT, hour.p95_ms), (Ink.STRONG, hour.p50_ms)):
            raster.fill(ink, left + inset, right - inset, 1 - value / slowest.p95_ms, 1.0)
    peak = words.gettext(
        "p95 up to {value} from {time}",
        value=words.milliseconds(slowest.p95_ms),
        time=f"{local.local(slowest.at):%H:%M}"
        if local.is_in_hours
        else f"{local.words.weekday(local.local(slowest.at).date())} {local.local(slowest.at):%H:%M}",
    )
    label = clean(name, _NAME)
    return Picture(
        cid=f"response-{number}.{period.report}",
        png=raster.png(),
        width=_CHART[0] // 2,
        height=_CHART[1] // 2,
        alt=words.gettext("{name}: {what}", name=label, what=peak),
        label=label,
        note=peak,
    )


# --- which hours were bad --------------------------------------------------------------------------------


def _heat(figures: Digest, local: LocalTime) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """A row of hours for each day of a week, a row of days for each week of a month; nothing for a day."""
    if local.span is Span.DAY or not figures.overall.down_hi:
        return (), ()
    days = local.days()
    if local.span is Span.WEEK:
        rows = [
            (local.words.weekday(local.local(start).date()), _hours_of(start, end)) for start, end in days
        ]
        axis = tuple(f"{hour:02}" for hour in range(0, 24, 6))
    else:
        rows = _weeks(days, local)
        monday = local.first_day - timedelta(days=local.first_day.weekday())
        axis = tuple(local.words.weekday(monday + timedelta(days=n)) for n in range(7))
    cells = _Availability(figures)
    return tuple(
        _heat_row(number, label, edges, cells, figures, local)
        for number, (label, edges) in enumerate(rows, 1)
    ), axis


Edges = Sequence[tuple[datetime, datetime] | None]
"""A row's cells; None where there is none."""


def _hours_of(start: datetime, end: datetime) -> Edges:
    instants = [start + _HOUR * n for n in range(round((end - start) / _HOUR))]
    return tuple(pairwise([*instants, end]))


def _weeks(days: Sequence[tuple[datetime, datetime]], local: LocalTime) -> list[tuple[str, Edges]]:
    rows: list[tuple[str, Edges]] = []
    row: list[tuple[datetime, datetime] | None] = [None] * local.first_day.weekday()
    for start, end in days:
        row.append((start, end))
        if len(row) == 7:
            rows.append((_label_of(row, local), row))
            row = []
    if row:
        rows.append((_label_of(row, local), [*row, *[None] * (7 - len(row))]))
    return rows


def _label_of(row: Edges, local: LocalTime) -> str:
    first = next(edge for edge in row if edge is not None)
    return local.words.short_day(local.local(first[0]).date())


class _Availability:
    """All components' availability in parts of the period."""

    def __init__(self, figures: Digest) -> None:
        stretches = [s for c in figures.components for s in c.of.timeline]
        self._down = [s for s in stretches if s.state in _DOWN]
        self._up = [s for s in stretches if s.state in (*_WELL, State.DEGRADED)]

    def between(self, start: datetime, end: datetime) -> float | None:
        down, up = _overlap(self._down, start, end), _overlap(self._up, start, end)
        return up / (up + down) if up + down else None


def _overlap(stretches: Iterable[Stretch], start: datetime, end: datetime) -> timedelta:
    inner = (min(s.until, end) - max(s.since, start) for s in stretches if s.since < end and s.until > start)
    return sum(inner, timedelta(0))


def _heat_row(
    number: int, label: str, edges: Edges, cells: _Availability, figures: Digest, local: LocalTime
) -> Picture:
    raster = Raster(*_HEAT)
    worst: tuple[float, datetime] | None = None
    for position, edge in enumerate(edges):
        if edge is None:
            continue
        found = cells.between(*edge)
        left, right = position / len(edges), (position + 1) / len(edges)
        inset = 0.0025
        if found is None:
            raster.fill(Ink.FAINT, left + inset, right - inset, 0.9, 1.0)
            continue
        ink, height = next((ink, height) for least, ink, height in _GRADES if found >= least)
        raster.fill(ink, left + inset, right - inset, 1 - height, 1.0)
        if worst is None or found < worst[0]:
            worst = found, edge[0]
    words = local.words
    note = words.percent(worst[0]) if worst and worst[0] < 1 else ""
    what = (
        words.gettext("at worst {percent}, from {time}", percent=note, time=local.time(worst[1]))
        if worst and note
        else words.gettext("not down")
    )
    return Picture(
        cid=f"heat-{number}.{figures.period.report}",
        png=raster.png(),
        width=_HEAT[0],
        height=_HEAT[1] // 2,
        alt=words.gettext("{name}: {what}", name=label, what=what),
        label=label,
        note=note,
    )
