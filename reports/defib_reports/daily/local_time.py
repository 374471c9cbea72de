"""Instants as the readers' clocks showed them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

from defib.plugin import DefibError, Period, Span
from defib_reports.daily.speech import Speech
from defib_reports.daily.wording import NBSP

_HOUR = timedelta(hours=1)
_LONGEST_DAY = timedelta(hours=26)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTime:
    """The period's calendar, and the language of its readers."""

    zone: tzinfo
    start: datetime
    end: datetime
    span: Span
    words: Speech
    clocks_change: bool  #: the offset from UTC changes within the period, so times need it to be unambiguous

    @classmethod
    def of(cls, period: Period) -> "LocalTime":
        """The calendar of ``period``, whose instants must be in UTC.

        :raises DefibError: the period's time zone is unknown on this machine, or its language is.
        """
        try:
            zone = ZoneInfo(period.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise DefibError(
                f"{period.report}: the time zone {period.timezone!r} is unknown; "
                "write a name such as Asia/Hong_Kong as `timezone` in the configuration"
            ) from error
        try:
            words = Speech(period.language)
        except ValueError as error:
            raise DefibError(f"{period.report}: {error}") from error
        offsets = {instant.astimezone(zone).utcoffset() for instant in _hours(period.start, period.end)}
        return cls(
            zone=zone, start=period.start, end=period.end, span=period.span, words=words,
            clocks_change=len(offsets) > 1,
        )  # fmt: skip

    def local(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone)

    def iso(self, instant: datetime) -> str:
        """For programs: ``2026-11-20T14:02:11.250000+08:00``."""
        return self.local(instant).isoformat()

    @property
    def first_day(self) -> date:
        return self.local(self.start).date()

    @property
    def last_day(self) -> date:
        return self.local(max(self.start, self.end - timedelta(microseconds=1))).date()

    @property
    def is_one_day(self) -> bool:
        return self.first_day == self.last_day

    @property
    def dates(self) -> str:
        """``2026-11-20``, ``2026-11`` for a month, or the first and the last day."""
        if self.span is Span.MONTH:
            return f"{self.first_day:%Y-%m}"
        return str(self.first_day) if self.is_one_day else f"{self.first_day} – {self.last_day}"

    @property
    def heading(self) -> str:
        """``Friday, 20 November 2026``, ``16 – 22 November 2026``, ``November 2026``."""
        if self.span is Span.MONTH:
            return self.words.month(self.first_day)
        if self.is_one_day:
            return self.words.long_day(self.first_day)
        return self.words.days(self.first_day, self.last_day)

    @property
    def oddity(self) -> str:
        """What is unusual about the length of a local day: ``the clocks changed: 25 hours``; mostly empty."""
        if not (self.clocks_change and self.is_one_day):
            return ""
        hours = self.words.number(round((self.end - self.start) / _HOUR))
        return self.words.gettext("the clocks changed: {n} hours", n=hours)

    def time(self, instant: datetime) -> str:
        """``14:02:11``; with the day where it is not the report's only one, with the zone where clocks change."""
        local = self.local(instant)
        parts = [self.words.clock(local)]
        if not self.is_one_day or local.date() != self.first_day:
            parts.insert(0, self.words.short_day(local.date()))
        if self.clocks_change:
            parts.append(local.tzname() or f"{local:%z}")
        return NBSP.join(parts)

    def told(self, text: str) -> str:
        """What was said in the engine's English, by the readers' clock and in their language."""
        return self.words.told(text, self.time)

    def day(self, instant: datetime) -> str:
        """``Friday, 20 November 2026``."""
        return self.words.long_day(self.local(instant).date())

    @property
    def is_in_hours(self) -> bool:
        """The period is short enough to be told by the hour."""
        return self.end - self.start <= _LONGEST_DAY

    def slots(self) -> tuple[tuple[datetime, datetime, str], ...]:
        """The period in hours, or in days when it is longer than a day: beginning, end and label of each."""
        if self.is_in_hours:
            edges = [*_hours(self.start, self.end), self.end]
            return tuple((a, b, f"{self.local(a):%H}") for a, b in pairwise(edges))
        return tuple((a, b, str(self.local(a).day)) for a, b in self.days())

    def days(self) -> tuple[tuple[datetime, datetime], ...]:
        """The local days of the period: beginning and end of each."""
        days = [self.first_day + timedelta(days=n) for n in range((self.last_day - self.first_day).days + 1)]
        midnights = [datetime(day.year, day.month, day.day, tzinfo=self.zone) for day in days[1:]]
        return tuple(pairwise([self.start, *midnights, self.end]))


def _hours(start: datetime, end: datetime) -> Iterator[datetime]:
    instant = start
    while instant < end:
        yield instant
        instant += _HOUR
