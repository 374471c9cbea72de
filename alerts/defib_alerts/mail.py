"""Notices as mails: parts, subject and threading. Pure."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage, MIMEPart
from email.utils import format_datetime

from defib.plugin import Alert, ReportDocument, SendContext, Severity
from defib_alerts.mail_policy import WIRE
from defib_alerts.rendering import Templates, alert_words
from defib_alerts.subjects import subject_of
from defib_alerts.wording import one_line, zone

_RECEIPT = re.compile(r"(?P<id><[^<>@\s]+@[^<>@\s]+>)(?: (?P<subject>.+))?")
_LONGEST_SUBJECT = 200  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What is the same for all mails of a channel."""

    sender: Address
    recipients: tuple[Address, ...]
    same_subject: bool = False  #: later mails of a conversation repeat the first one's


def mail_of_alert(
    alert: Alert, templates: Templates, context: SendContext, envelope: Envelope
) -> tuple[EmailMessage, str]:
    """The mail, and what is wrong with the user's own templates."""
    words = alert_words(alert, product_url=context.product_url, language=context.language)
    text, html = (templates.render(name, words) for name in ("alert.txt.j2", "alert.html.j2"))
    mail = _head(
        envelope,
        context,
        subject_of(alert, context.language),
        at=alert.at.astimezone(zone(alert.facts.timezone)),
    )
    if alert.severity.rank >= Severity.HIGH.rank and not context.is_quiet:
        mail["Importance"] = "high"
    mail["X-Defib-Kind"] = one_line(alert.kind, 100)
    mail["X-Defib-Severity"] = alert.severity.value
    if alert.monitor:
        mail["X-Defib-Monitor"] = one_line(alert.monitor, 100)
    _fill(mail, text.text, html.text)
    return mail, "; ".join(rendering.complaint for rendering in (text, html) if rendering.complaint)


def mail_of_report(report: ReportDocument, context: SendContext, envelope: Envelope) -> EmailMessage:
    """The report as its writer made it: pictures inside the HTML part, numbers attached."""
    mail = _head(envelope, context, report.subject, at=report.generated_at)
    mail["X-Defib-Kind"] = "report"
    _fill(mail, report.text, report.html)
    html = mail.get_payload(1)
    assert isinstance(html, MIMEPart)
    for content_id, picture in report.images.items():
        html.add_related(
            picture, "image", "png", cid=f"<{content_id}>", disposition="inline", filename=f"{content_id}.png"
        )
    for data, subtype in ((report.data, "json"), (report.csv, "csv")):
        if data:
            mail.add_attachment(
                data.encode(),
                maintype="application" if subtype == "json" else "text",
                subtype=subtype,
                filename=f"{report.id}.{subtype}",
            )
    return mail


def message_id(key: str, domain: str) -> str:
    """Equal for every try of one delivery, so that a mail that was sent twice shows once."""
    return f"<defib.{_short_hash(key)}@{domain}>"


def receipt_of(mail: EmailMessage, context: SendContext, envelope: Envelope) -> str:
    """What the next mail of the conversation has to know of this one: its id, and its subject where that is kept."""
    message = str(mail["Message-ID"])
    keeps_subject = envelope.same_subject and context.thread_key and not context.thread
    return f"{message} {mail['Subject']}" if keeps_subject else message


def _head(envelope: Envelope, context: SendContext, subject: str, *, at: datetime) -> EmailMessage:
    mail = EmailMessage(policy=WIRE)
    mail["From"] = envelope.sender
    mail["To"] = envelope.recipients
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id(context.key, envelope.sender.domain)
    first = _RECEIPT.fullmatch(context.thread) if context.thread else None
    if context.thread_key:
        # A root that no mail has: all mails of the incident meet below it, also when the first was lost.
        ancestors = [f"<defib.incident.{_short_hash(context.thread_key)}@{envelope.sender.domain}>"]
        if first is not None:
            ancestors.append(first["id"])
        mail["In-Reply-To"] = ancestors[-1]
        mail["References"] = " ".join(ancestors)
    if envelope.same_subject and first is not None and first["subject"]:
        subject = f"Re: {first['subject']}"
    mail["Subject"] = one_line(subject, _LONGEST_SUBJECT)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's vacation answers it
    mail["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    return mail


def _fill(mail: EmailMessage, text: str, html: str) -> None:
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(html, subtype="html", cte="quoted-printable")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
