"""All instants of a period in UTC.

Python subtracts and compares two datetimes of the same zone by their wall clocks, which is an hour off
across a change of clocks. In UTC that cannot happen.
"""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, TypeVar, overload

from defib.plugin import MonitorPeriod, Period

T = TypeVar("T")


def in_utc(period: Period) -> Period:
    """The same period; what is in it keeps its order."""
    return replace(
        period,
        start=_utc(period.start),
        end=_utc(period.end),
        generated_at=_utc(period.generated_at),
        monitors=tuple(map(_with_timeline, period.monitors)),
        incidents=tuple(map(_moved, period.incidents)),
        attempts=tuple(map(_moved, period.attempts)),
        alerts=tuple(replace(alert, at=_utc(alert.at)) for alert in period.alerts),
        forecasts=tuple(map(_moved, period.forecasts)),
        expiries=tuple(map(_moved, period.expiries)),
        missed=tuple(map(_moved, period.missed)),
        responses={monitor: tuple(map(_moved, hours)) for monitor, hours in period.responses.items()},
        observer=replace(
            period.observer,
            gaps=tuple(map(_moved, period.observer.gaps)),
            sick=tuple(map(_moved, period.observer.sick)),
        ),
    )


def _with_timeline(row: MonitorPeriod) -> MonitorPeriod:
    """Mostly the same one: what the kernel reckons is in UTC already."""
    if all(stretch.since.tzinfo is UTC and stretch.until.tzinfo is UTC for stretch in row.timeline):
        return row
    return replace(row, timeline=tuple(map(_moved, row.timeline)))


def _moved(item: T) -> T:
    """A dataclass with its own instants in UTC."""
    moved: Any = item
    values = {field.name: getattr(moved, field.name) for field in fields(moved)}
    found: T = replace(
        moved, **{name: _utc(value) for name, value in values.items() if isinstance(value, datetime)}
    )
    return found


@overload
def _utc(instant: datetime) -> datetime: ...
@overload
def _utc(instant: datetime | None) -> datetime | None: ...
def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(UTC)
