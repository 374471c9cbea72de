"""What is written into a chat, and what its buttons say when they are pressed. Pure."""

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace

from defib.plugin import Alert, Button, IncidentId, ReportDocument, SendContext
from defib_alerts.rendering import Rendering, Templates, alert_words, report_words
from defib_alerts.telegram_markup import MESSAGE_LIMIT, shorten, visible_length

_LONGEST_DATA = 64
"""Bytes of a button's ``callback_data``. Source: Bot API, InlineKeyboardButton."""
_BUTTONS_A_ROW = 2
_REPORT_LINES = 30
_REPORT_CHARACTERS = 3000


def write_alert(templates: Templates, alert: Alert, context: SendContext) -> Rendering:
    """The message, with as much of the newest evidence as has room; what is too long even so ends with a link."""
    url = alert.facts.url or context.product_url
    while True:
        words = alert_words(alert, product_url=context.product_url, language=context.language)
        text, complaint = templates.render("alert.telegram.html.j2", words)
        text = text.strip()
        if visible_length(text) <= MESSAGE_LIMIT:
            return Rendering(text, complaint)
        if not alert.evidence:
            return Rendering(shorten(text, end=_link(url)), complaint)
        alert = replace(alert, evidence=alert.evidence[1:])


def write_report(templates: Templates, report: ReportDocument, context: SendContext) -> Rendering:
    """The first lines; the whole of it goes by e-mail."""
    whole = report.text.strip()
    summary = "\n".join(whole.splitlines()[:_REPORT_LINES])[:_REPORT_CHARACTERS].rstrip()
    words = report_words(
        report, summary if summary == whole else f"{summary}\n…", product_url=context.product_url,
        language=context.language,
    )  # fmt: skip
    text, complaint = templates.render("report.telegram.html.j2", words)
    return Rendering(shorten(text.strip(), end=_link(context.product_url)), complaint)


def _link(url: str) -> str:
    return f'\n\n<a href="{html.escape(url)}">Defib</a>' if url else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """What a button stands for."""

    act: str
    incident: IncidentId


def data_of(button: Button) -> str:
    """What Telegram hands back when ``button`` is pressed."""
    return f"{button.act}:{button.incident}"


def press_of(data: str | None) -> Press | None:
    """The meaning of what was handed back; None for what is not ours."""
    act, colon, incident = (data or "").partition(":")
    return Press(act=act, incident=IncidentId(incident)) if colon and act and incident else None


def rows_of(buttons: Sequence[Button]) -> list[list[Button]]:
    """An inline keyboard; without those that Telegram would refuse."""
    fitting = [
        button for button in buttons if button.label and len(data_of(button).encode()) <= _LONGEST_DATA
    ]
    return [list(fitting[start : start + _BUTTONS_A_ROW]) for start in range(0, len(fitting), _BUTTONS_A_ROW)]
