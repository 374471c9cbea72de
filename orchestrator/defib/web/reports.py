"""Stored reports, as they are shown and downloaded."""

import base64
import re

from defib.model.report import ReportDocument
from defib.web.questions import ReportFormat

_CID = re.compile(r"cid:([A-Za-z0-9._@-]+)")


def body_of(document: ReportDocument, form: ReportFormat) -> tuple[str, str]:
    """A report's text in one form, with its media type."""
    match form:
        case ReportFormat.JSON:
            return document.data, "application/json"
        case ReportFormat.HTML:
            return _with_pictures(document), "text/html"
        case ReportFormat.TEXT:
            return document.text, "text/plain"
        case ReportFormat.CSV:
            return document.csv, "text/csv"


def _with_pictures(document: ReportDocument) -> str:
    """The HTML with its pictures inside: a mail attaches them, a page cannot."""

    def picture(match: re.Match[str]) -> str:
        png = document.images.get(match[1])
        return match[0] if png is None else f"data:image/png;base64,{base64.b64encode(png).decode()}"

    return _CID.sub(picture, document.html)
