"""The daily report: executive summary first, then everything it is made of.

One :class:`~defib.plugin.Period` becomes four renderings that always agree, because all of them are
made of the same :class:`~defib_reports.daily.figures.Digest`: HTML for mail clients and browsers, text of
72 columns, JSON (``docs/reference/report-json.md``) and CSV with one row per component.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from defib.plugin import Period, ReportDocument, ReportType, ReportWriter, Span, hookimpl

if TYPE_CHECKING:
    from defib_reports.daily.writer import Writer


class DailyReport:
    """Loads its writer with the first report: a pass of ``defib run`` that writes none does not wait for it."""

    def write(self, period: Period) -> ReportDocument:
        """Make the document of ``period``. Pure; may be called from several threads.

        :raises DefibError: the period's time zone is unknown on this machine.
        """
        return self._writer.write(period)

    @cached_property
    def _writer(self) -> "Writer":
        from defib_reports.daily.writer import Writer

        return Writer()


def create() -> ReportWriter:
    return DailyReport()


@hookimpl
def defib_reports() -> Iterable[ReportType]:
    return tuple(
        ReportType(
            kind=kind,
            summary=f"Availability, incidents and what was healed over a {span}, as HTML, text, JSON and CSV",
            create=create,
            span=span,
        )
        for kind, span in (("daily", Span.DAY), ("weekly", Span.WEEK), ("monthly", Span.MONTH))
    )
