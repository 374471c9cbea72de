"""Stored reports, as they are shown and downloaded."""

import re
from collections.abc import Iterable, Mapping

from defib.model.report import ReportDocument
from defib.web.questions import ReportFormat

_DAY = re.compile(r"_\d{8}")


def body_of(document: ReportDocument, form: ReportFormat) -> tuple[str, str]:
    """A report's text in one form, with its media type."""
    match form:
        case ReportFormat.JSON:
            return document.data, "application/json"
        case ReportFormat.HTML:
            return document.page, "text/html"
        case ReportFormat.TEXT:
            return document.text, "text/plain"
        case ReportFormat.CSV:
            return document.csv, "text/csv"


def neighbours(report: str, titles: Iterable[Mapping[str, str]]) -> tuple[str | None, str | None]:
    """The ids of the report before and of the one after, in the same language.

    :param titles: of the same report, newest first.
    """
    ids = [title["id"] for title in titles if _edition(title["id"]) == _edition(report)]
    if report not in ids:
        return None, None
    place = ids.index(report)
    older = ids[place + 1] if place + 1 < len(ids) else None
    return older, ids[place - 1] if place else None


def _edition(report: str) -> str:
    """``tr`` of ``report_20261120.tr``: what stands behind the day."""
    return _DAY.split(report)[-1]
