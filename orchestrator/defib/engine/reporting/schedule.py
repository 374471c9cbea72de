"""Makes reports when they are due: numbers from the store, words from the report's plugin, rows to the outbox."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from defib.engine.reporting.periods import Periods
from defib.engine.roster import Roster
from defib.errors import StoreError, UsageError
from defib.languages import ENGLISH
from defib.logs import get_logger
from defib.model.changes import Changes
from defib.model.ids import ReportId
from defib.model.report import ReportDocument, Span
from defib.model.settings import ReportSpec
from defib.ports import Clock
from defib.rules import calendar
from defib.store import Reader, Writer

log = get_logger("defib.reporting")

_FIRED = "report-fired:"  #: run-time setting: when a report was last made
_FROM_THE_FUTURE = timedelta(days=1)
_DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Made:
    """A finished report, and who is to have it."""

    document: ReportDocument
    channels: tuple[str, ...]


def report_id(name: str, day: date, language: str = "") -> ReportId:
    """``report_YYYYMMDD`` for the one named daily; another one's name stands before its first day.

    :param language: of a further edition, in another language than the first.
    """
    edition = f".{language}" if language else ""
    return ReportId(f"{'report' if name == _DAILY else name}_{day:%Y%m%d}{edition}")


class Reporting:
    """The reports of a configuration."""

    def __init__(
        self,
        clock: Clock,
        roster: Roster,
        writer: Writer | None,
        reader: Reader,
        lateness: Callable[[], Sequence[float]] = tuple,
    ) -> None:
        """
        :param writer: None where reports are only looked at.
        :param lateness: of the newest looks against their time, in seconds.
        """
        self._clock = clock
        self.roster = roster
        self._writer = writer
        self._reader = reader
        self._periods = Periods(clock, reader, lateness)
        self._problem = ""

    # --- which -------------------------------------------------------------------------------------

    def spec(self, name: str) -> ReportSpec:
        """The report of that name in the configuration, or else a plain one of that type.

        :raises UsageError: there is neither.
        """
        settings = self.roster.settings
        for spec in settings.reports:
            if spec.name == name:
                return spec
        kinds = self.roster.registry.reports
        if name not in kinds:
            known = ", ".join(sorted({*kinds.names(), *(spec.name for spec in settings.reports)}))
            raise UsageError(f"there is no report {name!r}; there are: {known}")
        return ReportSpec(name=name, kind=name, cron="", timezone=settings.timezone)

    def spec_over(self, span: Span) -> ReportSpec:
        """The first report of the configuration that covers such a span, or else a plain one.

        :raises UsageError: no plugin makes one.
        """
        for spec in self.roster.settings.reports:
            if self.span(spec) is span:
                return spec
        kinds = self.roster.registry.reports.items.values()
        kind = next((kind.kind for kind in kinds if kind.span is span), None)
        if kind is None:
            raise UsageError(f"no report covers a {span}; 'defib plugins' lists what there is")
        return self.spec(kind)

    def span(self, spec: ReportSpec) -> Span:
        """What a report covers."""
        return self.roster.registry.reports[spec.kind].span

    def id_of(self, name: str, day: date) -> ReportId:
        """The id of the report that covers ``day``; of one that is not configured any more by its day alone."""
        try:
            span = self.span(self.spec(name))
        except UsageError:
            span = Span.DAY
        return report_id(name, calendar.first_day(span, day))

    # --- when --------------------------------------------------------------------------------------

    def due(self, spec: ReportSpec, fired: str | None) -> datetime | None:
        """The newest time of ``spec`` that has come since it was last made; None when there is none.

        However many times were missed, one report makes up for them.
        """
        now = self._clock.now().astimezone(ZoneInfo(spec.timezone))
        newest = next(CronSim(spec.cron, now, reverse=True), None)
        if newest is None or fired is None:
            return None
        return newest if newest.astimezone(UTC) > datetime.fromisoformat(fired) else None

    async def make_due(self) -> Changes:
        """Make every report that is due; returns what was committed.

        The report, its deliveries and the note that it was made are one transaction: killed before it, the report is
        made at the next start; killed after it, it is not made again.
        """
        assert self._writer is not None
        settings = await asyncio.to_thread(self._reader.settings)
        done = Changes()
        for spec in self.roster.settings.reports:
            key = _FIRED + spec.name
            fired = settings.get(key)
            now = self._clock.now()
            stamp = Changes(settings=((key, now.isoformat()),))
            if fired is None or datetime.fromisoformat(fired) > now + _FROM_THE_FUTURE:
                # a new installation owes no report for days it did not see, nor one whose clock was wrong
                await self._writer.commit(stamp)
                continue
            moment = self.due(spec, fired)
            if moment is None:
                continue
            try:
                made = await asyncio.to_thread(self.editions, spec, self._newest_complete(spec, moment))
            except StoreError:
                raise
            except Exception as error:  # a report is a plugin
                log.error("report failed", report=spec.name, error=repr(error), exc_info=error)
                self._problem = f"report {spec.name} failed: {type(error).__name__}: {error}"
                await self._writer.commit(stamp)
                continue
            changes = self.posted(made, now) + stamp
            await self._writer.commit(changes)
            log.info("report made", report=made[0].document.id, channels=list(spec.channels))
            self._problem = ""
            done += changes
        return done

    def _newest_complete(self, spec: ReportSpec, moment: datetime) -> date:
        return calendar.newest_complete(self.span(spec), moment.date())

    def newest_day(self, spec: ReportSpec) -> date:
        """The first day of the newest period of a report that is over now."""
        return self._newest_complete(spec, self._clock.now().astimezone(ZoneInfo(spec.timezone)))

    @property
    def problem(self) -> str:
        """What went wrong with the newest report; "" when nothing did."""
        return self._problem

    # --- what --------------------------------------------------------------------------------------

    def posted(self, made: Iterable[Made], now: datetime, *, again: str = "") -> Changes:
        """The reports as rows, on their way to their readers.

        :param again: makes the deliveries different from earlier ones of the same report.
        """
        from defib.engine.alerting.notifier import (
            Notifier,  # late: a report that is only looked at needs none
        )

        notifier, changes = Notifier(self.roster), Changes()
        for one in made:
            changes += notifier.report(one.document, one.channels, now, again=again)
        return changes

    def write(self, spec: ReportSpec, day: date, *, language: str | None = None) -> ReportDocument:
        """The report of the period that ``day`` is in. Reads the store; runs in a thread.

        :param language: None is the first that the report is sent in.
        """
        return self._write(spec, day, [(language or self._languages(spec)[0][0], ())])[0].document

    def editions(self, spec: ReportSpec, day: date) -> list[Made]:
        """The same, once in each language of its channels: the numbers are read once."""
        return self._write(spec, day, self._languages(spec))

    def _languages(self, spec: ReportSpec) -> list[tuple[str, tuple[str, ...]]]:
        """The languages that a report is written in, with the channels that take it so."""
        if spec.language is not None or not spec.channels:
            return [(spec.language or ENGLISH, spec.channels)]
        spoken = {channel.name: channel.language for channel in self.roster.settings.channels}
        editions: dict[str, tuple[str, ...]] = {}
        for channel in spec.channels:
            language = spoken.get(channel, ENGLISH)
            editions[language] = (*editions.get(language, ()), channel)
        return list(editions.items())

    def _write(
        self, spec: ReportSpec, day: date, languages: Iterable[tuple[str, tuple[str, ...]]]
    ) -> list[Made]:
        writer = self.roster.reports.get(spec.kind) or self.roster.registry.reports[spec.kind].create()
        span = self.span(spec)
        first = calendar.first_day(span, day)
        period = self._periods.read(report_id(spec.name, first), spec, span, first, self.roster)
        made = []
        for number, (language, channels) in enumerate(languages):
            name = report_id(spec.name, first, language if number else "")
            document = writer.write(replace(period, report=name, language=language))
            made.append(Made(document, channels))
        return made
