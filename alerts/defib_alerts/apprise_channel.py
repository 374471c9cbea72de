"""Apprise: the hundred and more services that it knows, each by its own address."""

import asyncio
import importlib.util
import logging
import re
import warnings
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, field_validator

from defib.plugin import (
    Alert,
    BuildContext,
    ChannelType,
    DeliveryError,
    Duration,
    Options,
    Receipt,
    ReportDocument,
    Secret,
    SendContext,
    Severity,
    hookimpl,
)
from defib_alerts.deadlines import deadline
from defib_alerts.details import links_of
from defib_alerts.halfway import Halfway
from defib_alerts.http_sender import secrets_of
from defib_alerts.masking import Masker, MaskingFilter
from defib_alerts.tones import is_good_news, tone_of
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    from apprise import NotifyBase

_SCHEME = re.compile(r"[a-z][a-z0-9]{1,31}://\S+", re.IGNORECASE)
_REFUSAL = re.compile(r"error=(\d{3})\b")
_MARKS = re.compile(r"([\\`*_\[\]<>#|~])")
_CHATTY_LOGGERS = ("apprise", "urllib3.connectionpool")
"""They write addresses and what was sent."""
_LEAST_SECRET = 4  # characters of a part of an address from which on it is masked
_REPORT_LINES = 60
_RETRYABLE = frozenset({408, 425, 429})


class AppriseOptions(Options):
    """One service, or several that are all told."""

    url: tuple[Secret, ...] = Field(
        min_length=1, description="Address as Apprise writes it: slack://…, msteams://…; a list for several"
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="For one try, all in all")

    @field_validator("url", mode="before")
    @classmethod
    def _one_is_a_list(cls, url: object) -> object:
        return (url,) if isinstance(url, str | Secret) else url

    @field_validator("url")
    @classmethod
    def _are_addresses(cls, urls: tuple[Secret, ...]) -> tuple[Secret, ...]:
        for url in urls:
            if not _SCHEME.fullmatch(url.get_secret_value()):
                raise ValueError(
                    "is not an address of Apprise's; write service://…, as its documentation says"
                )
        return urls


class _Words(NamedTuple):
    """A notice in the formats that services take."""

    title: str
    text: str
    markdown: str
    kind: str  #: of Apprise's: info, success, warning, failure


class AppriseChannel:
    """Tells each service in a thread of its own: Apprise waits where it stands."""

    def __init__(self, name: str, options: AppriseOptions, context: BuildContext) -> None:
        if importlib.util.find_spec("apprise") is None:
            raise ValueError(
                "needs Apprise, which is not installed; install it: pip install 'defib[apprise]'"
            )
        self._urls = [url.get_secret_value() for url in options.url]
        self.target = ", ".join(f"{url.partition('://')[0].lower()} by Apprise" for url in self._urls)
        self.timeout = options.timeout
        self.is_read_by_people = True
        self._mask = Masker(secret for url in self._urls for secret in _secrets(url))
        self._log_filter = MaskingFilter(self._mask)
        self._halfway = Halfway()
        self._is_open = False

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        """Tell every service that has not been told in an earlier try of the same delivery.

        :raises DeliveryError: one of them did not take it.
        """
        await self._open()
        limit = min(self.timeout, context.timeout)
        words = _words_of_alert(notice, context) if isinstance(notice, Alert) else _words_of_report(notice)
        progress = self._halfway.of(context.key)
        missing = [url for url in self._urls if url not in progress.answers]
        outcomes = await asyncio.gather(
            *(self._tell(url, words, limit) for url in missing), return_exceptions=True
        )
        failures: list[DeliveryError] = []
        for url, outcome in zip(missing, outcomes, strict=True):
            if isinstance(outcome, DeliveryError):
                failures.append(outcome)
                if outcome.permanent:
                    progress.answers[url] = str(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                progress.answers[url] = ""
        refused = [answer for answer in progress.answers.values() if answer]
        if any(not failure.permanent for failure in failures) or not progress.taken:
            taken = f"; taken by {progress.taken} of {len(self._urls)}" if progress.taken else ""
            raise DeliveryError(
                "; ".join(str(failure) for failure in failures) + taken,
                permanent=all(failure.permanent for failure in failures),
            )
        self._halfway.forget(context.key)
        return Receipt(detail="; ".join(refused))

    async def close(self) -> None:
        self._is_open = False
        for name in _CHATTY_LOGGERS:
            logging.getLogger(name).removeFilter(self._log_filter)

    async def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            for name in _CHATTY_LOGGERS:
                logging.getLogger(name).addFilter(self._log_filter)
            await asyncio.to_thread(_load)

    async def _tell(self, url: str, words: _Words, limit: timedelta) -> None:
        target = f"{url.partition('://')[0].lower()} by Apprise"
        async with deadline(limit, target):
            complaint = await asyncio.to_thread(_notify, url, words, limit.total_seconds())
        if complaint is None:
            return
        said = one_line(self._mask(complaint), 200)
        if not said:
            remedy = "see https://appriseit.com for how its address is written"
            raise DeliveryError(
                f"{target} knows no such service, or misses a part of it; {remedy}", permanent=True
            )
        refusals = [int(code) for code in _REFUSAL.findall(complaint)]
        is_final = any(400 <= code < 500 and code not in _RETRYABLE for code in refusals)
        raise DeliveryError(f"{target} did not take it: {said}", permanent=is_final)


def _load() -> None:
    """Load Apprise with all of its services: most of a second."""
    warnings.filterwarnings("ignore", message=".*imghdr.*", category=DeprecationWarning)  # it knows
    from apprise import Apprise

    Apprise.instantiate("json://localhost")


def _notify(url: str, words: _Words, limit_s: float) -> str | None:
    """Blocks.

    :return: None when it was taken, "" when the address is not understood, else what Apprise complains of.
    """
    from apprise import Apprise, AppriseAsset, NotifyFormat

    # Without a timeout of its own, Apprise works in this thread and leaves none of its own behind.
    asset = AppriseAsset(service_timeout=0)
    service: NotifyBase | None = Apprise.instantiate(url, asset=asset)
    if service is None:
        return ""
    service.socket_connect_timeout = service.socket_read_timeout = limit_s
    is_plain = service.resolve_format(NotifyFormat.MARKDOWN) == NotifyFormat.TEXT
    body = words.text if is_plain else words.markdown
    room = service.body_maxlen - (0 if service.title_maxlen else len(words.title) + 2)
    complaints: list[str] = []

    def note(entry: Any, _service: Any) -> None:
        if entry.level in ("WARNING", "ERROR", "CRITICAL"):
            complaints.append(entry.message)

    apprise = Apprise(asset=asset)
    apprise.add(service)
    is_taken = apprise.notify(
        body if len(body) <= room else body[: room - 1] + "…",
        title=words.title[: service.title_maxlen or len(words.title)],
        notify_type=words.kind,
        body_format=NotifyFormat.TEXT if is_plain else NotifyFormat.MARKDOWN,
        log_callback=note,
    )
    return None if is_taken else "; ".join(complaints) or "it does not say why"


def _words_of_alert(alert: Alert, context: SendContext) -> _Words:
    steps = [f"{number}. {line}" for number, line in enumerate(alert.recommendations, 1)]
    marked = [f"{number}. {_marked(line)}" for number, line in enumerate(alert.recommendations, 1)]
    fenced = (
        ["```", *(line.replace("```", "'''") for line in alert.evidence), "```"] if alert.evidence else []
    )
    links = links_of(alert, product_url=context.product_url, language=context.language)
    return _Words(
        title=one_line(f"{tone_of(alert, context.language).word} · {alert.title}", 250),
        text=_paragraphs(
            [alert.description], alert.evidence, steps, [f"{link.label}: {link.url}" for link in links]
        ),
        markdown=_paragraphs(
            [_marked(alert.description)],
            fenced,
            marked,
            [" · ".join(f"[{link.label}]({link.url})" for link in links)],
        ),
        kind=_kind_of(alert),
    )


def _words_of_report(report: ReportDocument) -> _Words:
    text = "\n".join(report.text.strip().splitlines()[:_REPORT_LINES])
    fenced = "```\n" + text.replace("```", "'''") + "\n```"
    return _Words(title=one_line(report.subject, 250), text=text, markdown=fenced, kind="info")


def _paragraphs(*parts: Iterable[str]) -> str:
    return "\n\n".join(text for part in parts if (text := "\n".join(part)))


def _marked(text: str) -> str:
    """Markdown of a text in which only what stands in backticks is code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # one backtick without its other
        return _MARKS.sub(r"\\\1", text)
    return "".join(
        f"`{piece}`" if number % 2 else _MARKS.sub(r"\\\1", piece) for number, piece in enumerate(pieces)
    )


def _kind_of(alert: Alert) -> str:
    if is_good_news(alert):
        return "success"
    if alert.severity.rank >= Severity.HIGH.rank:
        return "failure"
    return "warning" if alert.severity is Severity.LOW else "info"


def _secrets(url: str) -> list[str]:
    """Everything beyond the scheme may be a key: the whole, and each part that is long enough to be one."""
    rest = url.partition("://")[2]
    parts = re.split(r"[/:@?&=]", rest)
    return [url, rest, *secrets_of(url), *(part for part in parts if len(part) >= _LEAST_SECRET)]


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    """Apprise."""
    return [
        ChannelType(
            kind="apprise",
            summary="Any service that Apprise knows",
            options=AppriseOptions,
            create=AppriseChannel,
        )
    ]
