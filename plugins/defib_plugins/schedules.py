"""When runs are due, by the clock on the wall: cron expressions and systemd calendars. Pure; UTC in and out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Protocol

from defib_plugins.phrases import phrase

_DST_ALLOWANCE = timedelta(hours=1)
_NIGHT_ENDS_HOUR = 4
_LEAST_GRACE, _MOST_GRACE = timedelta(seconds=60), timedelta(hours=1)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One run that is due."""

    expected_at: datetime
    grace: timedelta  #: how much later it may come
    period: timedelta  #: until the run after it

    @property
    def deadline(self) -> datetime:
        return self.expected_at + self.grace


class Schedule(Protocol):
    """When runs are due."""

    text: str  #: for people: ``at '30 2 * * *' in Europe/Berlin``
    zone: tzinfo  #: for times shown to people

    def after(self, instant: datetime) -> Expectation | None:
        """The first run after ``instant``; None when there is none any more."""


class _WallClock(ABC):
    """What all schedules by the clock have in common.

    Jobs between midnight and four in a night of a clock change get an hour more: the scheduler that runs
    them may treat the change otherwise than we do (cron, systemd timers, Kubernetes in UTC).
    """

    def __init__(self, text: str, *, zone: tzinfo, grace: timedelta | None) -> None:
        """:param grace: None for a tenth of the time between two runs, 60 s to 1 h."""
        self.zone = zone
        self.text = text
        self._grace = grace

    @abstractmethod
    def runs(self, start: datetime) -> Iterator[datetime]:
        """Runs after ``start``, which is in the zone."""

    def after(self, instant: datetime) -> Expectation | None:
        """See :class:`Schedule`."""
        runs = self.runs(instant.astimezone(self.zone))
        expected = next(runs, None)
        if expected is None:
            return None
        following = next(runs, None)
        # In UTC: local arithmetic would ignore a clock change in between.
        period = following.astimezone(UTC) - expected.astimezone(UTC) if following else timedelta.max
        grace = self._grace
        if grace is None:
            grace = min(max(period / 10, _LEAST_GRACE), _MOST_GRACE)
        if expected.hour < _NIGHT_ENDS_HOUR and self._is_clock_change_night(expected):
            grace += _DST_ALLOWANCE
        return Expectation(expected_at=expected.astimezone(UTC), grace=grace, period=period)

    def _is_clock_change_night(self, instant: datetime) -> bool:
        """Whether the clocks change between the noons around the night of ``instant``."""
        noon = datetime.combine(instant.date(), time(12), tzinfo=self.zone)
        return noon.utcoffset() != (noon - timedelta(days=1)).utcoffset()


class Cron(_WallClock):
    """By a cron expression, as Debian's cron reads it, in the zone of the job's own clock.

    :raises cronsim.CronSimError: the expression is wrong.
    :raises StopIteration: it never comes true (30 February).
    """

    def __init__(self, expression: str, *, zone: tzinfo, grace: timedelta | None) -> None:
        super().__init__(
            phrase("at {expression} in {zone}", expression=repr(expression), zone=str(zone)),
            zone=zone,
            grace=grace,
        )
        self._expression = expression
        next(self.runs(_LONG_AGO.astimezone(zone)))

    def runs(self, start: datetime) -> Iterator[datetime]:
        from cronsim import CronSim

        return CronSim(self._expression, start)


class Calendar(_WallClock):
    """By an OnCalendar expression, as systemd timers read it; one that names a zone of its own is read in that.

    :raises oncalendar.OnCalendarError: the expression is wrong.
    :raises StopIteration: it never comes true.
    """

    def __init__(self, expression: str, *, zone: tzinfo, grace: timedelta | None) -> None:
        super().__init__(
            phrase("on {expression} in {zone}", expression=repr(expression), zone=str(zone)),
            zone=zone,
            grace=grace,
        )
        self._expression = expression
        next(self.runs(_LONG_AGO.astimezone(zone)))

    def runs(self, start: datetime) -> Iterator[datetime]:
        from oncalendar import TzIterator

        return TzIterator(self._expression, start)
