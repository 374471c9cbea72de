"""Alertmanager: alerts into one that exists already, for its routes, its grouping and its receivers."""

import asyncio
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from pydantic import Field, field_validator

from defib.plugin import (
    Alert,
    BuildContext,
    Channel,
    ChannelType,
    DeliveryError,
    Desk,
    Duration,
    Receipt,
    ReportDocument,
    Secret,
    SendContext,
    Severity,
    get_logger,
    hookimpl,
)
from defib_alerts.alertmanager_alerts import (
    MONITOR,
    Frame,
    Labels,
    Story,
    Wording,
    filters_of,
    posts_of,
    stories_of,
)
from defib_alerts.deadlines import deadline
from defib_alerts.http_sender import (
    FOR_PROGRAMS,
    HttpLoginOptions,
    HttpSender,
    check_address,
    host_of,
    secrets_of,
)

log = get_logger("defib.alertmanager")

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LONGEST_ANSWER = 8_000_000  # bytes of what it holds of one incident's monitors
_OWN_LABELS = frozenset({"alertname", "source", MONITOR, "severity", "family", "tags"})


class AlertmanagerOptions(HttpLoginOptions):
    """One Alertmanager, or all members of a cluster of them."""

    url: tuple[Secret, ...] = Field(
        min_length=1, description="Address of the Alertmanager; a list for all members of a cluster"
    )
    labels: dict[str, str] = Field(default={}, description="Added to every alert: site, team")
    severities: dict[Severity, str] = Field(
        default={}, description="Your names for Defib's severities: {severe: critical, high: critical}"
    )
    lasting: Duration = Field(
        default=timedelta(days=7), description="How long an alert fires if nobody ever says that it is over"
    )

    @field_validator("url", mode="before")
    @classmethod
    def _one_is_a_list(cls, url: object) -> object:
        return (url,) if isinstance(url, str | Secret) else url

    @field_validator("url")
    @classmethod
    def _are_addresses(cls, urls: tuple[Secret, ...]) -> tuple[Secret, ...]:
        return tuple(check_address(url) for url in urls)

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if not _LABEL.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a label; write letters, digits and _")
            if name in _OWN_LABELS:
                raise ValueError(f"{name} is set by Defib itself; leave it out")
        return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Debt:
    """The newest that one Alertmanager has missed of a monitor, while another took it."""

    alert: Alert
    story: Story


class AlertmanagerChannel:
    """Posts to every Alertmanager; taken when one of them takes it, as Prometheus counts.

    Whatever was posted may be posted again: a try that came to nothing half-way is simply repeated.
    """

    def __init__(self, name: str, options: AlertmanagerOptions, context: BuildContext) -> None:
        self._urls = [url.get_secret_value().rstrip("/") for url in options.url]
        self.target = ", ".join(f"Alertmanager at {host_of(url)}" for url in self._urls)
        self.timeout = options.timeout
        self._lasting = options.lasting
        self._wording = Wording(labels=options.labels, severities=options.severities)
        secrets = [secret for url in self._urls for secret in secrets_of(url)]
        self._sender = HttpSender(options, context.base, secrets=secrets)
        self._missed: dict[str, dict[str, _Debt]] = {url: {} for url in self._urls}  # by monitor

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        """Let an alert fire, or end what fires."""
        if isinstance(notice, ReportDocument):
            raise DeliveryError(
                f"{self.target} takes no reports; send them through a channel of another type", permanent=True
            )
        stories = stories_of(notice)
        if not stories:
            return Receipt(detail="nothing fires or ends by it")
        outcomes = await asyncio.gather(
            *(self._tell(url, notice, stories, context.timeout) for url in self._urls), return_exceptions=True
        )
        failures: dict[str, DeliveryError] = {}
        details: list[str] = []
        for url, outcome in zip(self._urls, outcomes, strict=True):
            if isinstance(outcome, DeliveryError):
                failures[url] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                details.append(outcome)
        if not details:
            raise _together(list(failures.values()))
        self._take_note(notice, stories, failures)
        return Receipt(detail="; ".join([*details, *(str(failure) for failure in failures.values())]))

    def _take_note(self, alert: Alert, stories: Sequence[Story], failed: Collection[str]) -> None:
        """Who took it, and who has missed it."""
        for url in self._urls:
            for story in stories:
                if url in failed:
                    self._missed[url][story.monitor] = _Debt(alert=alert, story=story)
                else:
                    self._missed[url].pop(story.monitor, None)

    async def close(self) -> None:
        await self._sender.close()

    async def _tell(self, url: str, alert: Alert, stories: Sequence[Story], timeout: timedelta) -> str:
        """One Alertmanager. What it holds comes first: the end of an alert needs the labels of its beginning."""
        target = f"Alertmanager at {host_of(url)}"
        limit = min(self.timeout, timeout)
        address = f"{url}/api/v2/alerts"
        query = urlencode([("filter", matcher) for matcher in filters_of(stories)])
        async with deadline(limit, target):
            answer = await self._sender.send(
                "GET", f"{address}?{query}", target=target, timeout=limit, most=_LONGEST_ANSWER
            )
            posts = self._posts(alert, stories, _held(answer.body, target), now=answer.date)
            if not posts:
                return f"{target} holds nothing of it"
            content = json.dumps(posts).encode("utf-8", "replace")
            headers = {"Content-Type": "application/json"}
            await self._sender.send(
                "POST", address, target=target, timeout=limit, headers=headers, content=content
            )
        return f"{target} took {len(posts)} {'alert' if len(posts) == 1 else 'alerts'}"

    def _posts(
        self,
        alert: Alert,
        stories: Sequence[Story],
        held: Mapping[str, Sequence[Labels]],
        now: datetime | None,
    ) -> list[Mapping[str, object]]:
        """
        :param now: by the Alertmanager's clock: an end that lies ahead of it would be no end yet.
        """
        at = alert.at if now is None else min(alert.at, now)
        page = alert.facts.url if alert.facts.url.startswith(("http://", "https://")) else ""
        frame = Frame(wording=self._wording, at=at, lasting=self._lasting, url=page)
        return [post for story in stories for post in posts_of(story, held.get(story.monitor, ()), frame)]


class ClusterChannel(AlertmanagerChannel):
    """One with several Alertmanagers: they do not tell one another of alerts, and each has to hear of every end."""

    resend_every = timedelta(minutes=1)
    """As often as Prometheus does. Source: ``--rules.alert.resend-delay`` of Prometheus."""

    async def listen(self, desk: Desk) -> None:
        """Bring each of them what it has missed, for as long as an alert that it missed the end of would fire."""
        while True:
            await asyncio.sleep(self.resend_every.total_seconds())
            await asyncio.gather(*(self._bring(url) for url in self._urls))

    async def _bring(self, url: str) -> None:
        missed = self._missed[url]
        for monitor, debt in tuple(missed.items()):
            if datetime.now(UTC) - debt.alert.at > self._lasting:
                missed.pop(monitor, None)
                continue
            try:
                said = await self._tell(url, debt.alert, [debt.story], self.timeout)
            except DeliveryError as error:
                if not error.permanent:
                    return  # it does not answer: the others can wait, too
                log.warning("an Alertmanager will not take what it missed", monitor=monitor, error=str(error))
            else:
                log.info("an Alertmanager has caught up", monitor=monitor, said=said)
            if missed.get(monitor) is debt:
                del missed[monitor]


def _held(body: bytes, target: str) -> Mapping[str, list[Labels]]:
    """Labels of what is in force, by monitor."""
    held: dict[str, list[Labels]] = {}
    try:
        for alert in json.loads(body):
            labels = {str(name): str(value) for name, value in alert["labels"].items()}
            held.setdefault(labels[MONITOR], []).append(labels)
    except (ValueError, LookupError, AttributeError, TypeError):
        raise DeliveryError(f"{target} gives no list of alerts; is it an Alertmanager with API v2?") from None
    return held


def _together(failures: Sequence[DeliveryError]) -> DeliveryError:
    """Worth another try as long as one of them is."""
    pauses = [failure.retry_after for failure in failures if failure.retry_after is not None]
    return DeliveryError(
        "; ".join(str(failure) for failure in failures),
        permanent=all(failure.permanent for failure in failures),
        retry_after=min(pauses, default=None),
    )


def _channel(name: str, options: AlertmanagerOptions, context: BuildContext) -> Channel:
    kind = ClusterChannel if len(options.url) > 1 else AlertmanagerChannel
    return kind(name, options, context)


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    """Alertmanager."""
    return [
        ChannelType(
            kind="alertmanager",
            summary="Alerts into Prometheus' Alertmanager",
            options=AlertmanagerOptions,
            create=_channel,
            rate=FOR_PROGRAMS,
        )
    ]
