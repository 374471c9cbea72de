"""From a period to its document."""

from defib.plugin import Period, ReportDocument
from defib_reports.daily.concerns import Concern, find_concerns
from defib_reports.daily.csv_table import write_csv
from defib_reports.daily.excerpt import Limits
from defib_reports.daily.figures import Digest, digest
from defib_reports.daily.html_page import HtmlPage
from defib_reports.daily.instants import in_utc
from defib_reports.daily.json_data import write_json
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.pictures import Pictures, draw
from defib_reports.daily.summary import Headline, headline
from defib_reports.daily.text_part import write_text
from defib_reports.daily.view import View, compose

LARGEST_PAGE = 100_000
"""Bytes of HTML. Gmail hides what comes after 102 kB."""


class Writer:
    """Writes the report of a day, a week or a month."""

    def __init__(self) -> None:
        self._page = HtmlPage()

    def write(self, period: Period) -> ReportDocument:
        """Render ``period`` four times from one set of figures.

        :raises DefibError: the period's time zone is unknown on this machine.
        """
        figures = digest(in_utc(period))
        local = LocalTime.of(figures.period)
        concerns = find_concerns(figures, local)
        head = headline(figures, concerns, local)
        pictures = draw(figures, local)
        view, html = self._fit(figures, concerns, head, local, pictures)
        return ReportDocument(
            id=period.report,
            name=period.name,
            start=period.start,
            end=period.end,
            generated_at=period.generated_at,
            subject=head.subject,
            html=html,
            text=write_text(view),
            data=write_json(figures, concerns, head, local),
            csv=write_csv(figures, local),
            images=pictures.files(),
        )

    def _fit(
        self,
        figures: Digest,
        concerns: tuple[Concern, ...],
        head: Headline,
        local: LocalTime,
        pictures: Pictures,
    ) -> tuple[View, str]:
        """As much as fits into :data:`LARGEST_PAGE`: showing less until it does, or one of each is left."""
        limits = Limits()
        while True:
            view = compose(figures, concerns, head, local, limits, pictures)
            html = self._page.render(view)
            if len(html.encode("utf-8", "replace")) <= LARGEST_PAGE or limits == limits.tighter:
                return view, html
            limits = limits.tighter
