"""When a beat must have come: by interval, or by cron expression in a time zone. Pure; UTC in and out."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Protocol

from cronsim import CronSim

from defib.plugin import format_duration

_DST_ALLOWANCE = timedelta(hours=1)
_NIGHT_ENDS_HOUR = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What was due after a beat."""

    expected_at: datetime  #: when the next beat is due
    grace: timedelta  #: how much later it may come

    @property
    def deadline(self) -> datetime:
        return self.expected_at + self.grace


class Schedule(Protocol):
    """When beats are due."""

    text: str  #: for people: ``every 30s``
    zone: tzinfo  #: for times shown to people

    def after(self, last_beat_at: datetime) -> Expectation:
        """What is due after a beat."""


class Interval:
    """Every so often; ``misses`` intervals may pass before a beat counts as missed.

    :param grace: None for a tenth of the interval, at least a second.
    """

    zone: tzinfo = UTC

    def __init__(self, every: timedelta, *, misses: int, grace: timedelta | None) -> None:
        self._patience = every * misses
        self._grace = max(timedelta(seconds=1), every / 10) if grace is None else grace
        self.text = f"every {format_duration(every)}" + (f", {misses} in a row" if misses > 1 else "")

    def after(self, last_beat_at: datetime) -> Expectation:
        return Expectation(expected_at=last_beat_at + self._patience, grace=self._grace)


class Cron:
    """By a cron expression, as Debian's cron reads it, in the zone of the job's own clock.

    Jobs between midnight and four in a night of a clock change get an hour more: the scheduler that runs
    them may treat the change otherwise than we do (systemd timers, Kubernetes in UTC).

    :param grace: None for a tenth of the time between two runs, 60 s to 1 h.
    :raises cronsim.CronSimError: the expression is wrong.
    :raises StopIteration: it never comes true (30 February).
    """

    def __init__(self, expression: str, *, zone: tzinfo, grace: timedelta | None) -> None:
        self._expression = expression
        self.zone = zone
        self._grace = grace
        self.text = f"at {expression!r} in {zone}"
        next(CronSim(expression, datetime(2000, 1, 1, tzinfo=zone)))

    def after(self, last_beat_at: datetime) -> Expectation:
        runs = CronSim(self._expression, last_beat_at.astimezone(self.zone))
        expected = next(runs)
        grace = self._grace
        if grace is None:
            # In UTC: local arithmetic would ignore a clock change in between.
            period = next(runs).astimezone(UTC) - expected.astimezone(UTC)
            grace = min(max(period / 10, timedelta(seconds=60)), timedelta(hours=1))
        if expected.hour < _NIGHT_ENDS_HOUR and self._is_clock_change_night(expected):
            grace += _DST_ALLOWANCE
        return Expectation(expected_at=expected.astimezone(UTC), grace=grace)

    def _is_clock_change_night(self, instant: datetime) -> bool:
        """Whether the clocks change between the noons around the night of ``instant``."""
        noon = datetime.combine(instant.date(), time(12), tzinfo=self.zone)
        return noon.utcoffset() != (noon - timedelta(days=1)).utcoffset()
