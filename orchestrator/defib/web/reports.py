"""Stored reports, as they are shown and downloaded."""

from defib.model.report import ReportDocument
from defib.web.questions import ReportFormat


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
