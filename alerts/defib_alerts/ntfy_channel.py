"""ntfy: push messages to phones and desktops that subscribe to a topic."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, field_validator

from defib.plugin import (
    Alert,
    BuildContext,
    ChannelType,
    Receipt,
    ReportDocument,
    Secret,
    SendContext,
    Severity,
    hookimpl,
)
from defib_alerts.details import links_of
from defib_alerts.http_sender import HttpLoginOptions, HttpSender, check_address, host_of, secrets_of
from defib_alerts.tones import tone_of
from defib_alerts.wording import one_line

_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_MESSAGE_ID = re.compile(r"[-_A-Za-z0-9]{1,64}")
_LONGEST_MESSAGE = 4096
"""Bytes; what is longer becomes an attached file. Source: docs.ntfy.sh/publish, "Limitations"."""
_LONGEST_TITLE = 250
_MOST_ACTIONS = 3
_LONGEST_ANSWER = 65_536  # bytes
_REPORT_LINES = 12
_PRIORITIES: Mapping[Severity, int] = {
    Severity.SEVERE: 5,
    Severity.HIGH: 4,
    Severity.LOW: 3,
    Severity.INFO: 3,
}
_QUIET = 2  #: without sound and vibration
_TAGS = {
    "🔴": "red_circle",
    "🟠": "orange_circle",
    "🟡": "yellow_circle",
    "🔵": "blue_circle",
    "🟢": "green_circle",
}
"""What ntfy shows as that emoji. Source: docs.ntfy.sh/emojis."""


class NtfyOptions(HttpLoginOptions):
    """A topic, and the server that carries it."""

    topic: Secret = Field(description="Where to write; on a public server whoever knows it can read it")
    server: str = Field(
        default="https://ntfy.sh", description="The ntfy server: the public one, or one of your own"
    )

    @field_validator("topic")
    @classmethod
    def _is_a_topic(cls, topic: Secret) -> Secret:
        if not _TOPIC.fullmatch(topic.get_secret_value()):
            raise ValueError("is not a topic; write up to 64 letters, digits, - and _")
        return topic

    @field_validator("server")
    @classmethod
    def _is_an_address(cls, server: str) -> str:
        check_address(Secret(server))
        return server.rstrip("/")


class NtfyChannel:
    """Publishes JSON to one topic."""

    can_edit = True  # servers before 2.16 show an edited message as one more

    def __init__(self, name: str, options: NtfyOptions, context: BuildContext) -> None:
        self._options = options
        self._topic = options.topic.get_secret_value()
        self.target = f"an ntfy topic at {host_of(options.server)}"
        self.timeout = options.timeout
        self._sender = HttpSender(options, context.base, secrets=[self._topic, *secrets_of(options.server)])

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        """Publish one message, or the new content of one that was published before."""
        message = self._message(notice, context)
        if context.edits and _MESSAGE_ID.fullmatch(context.edits):
            message["sequence_id"] = context.edits
        answer = await self._sender.send(
            "POST", self._options.server, target=self.target, timeout=context.timeout,
            headers={"Content-Type": "application/json"},
            content=json.dumps(message, ensure_ascii=False).encode("utf-8", "replace"), most=_LONGEST_ANSWER,
        )  # fmt: skip
        return Receipt(id=context.edits or _id_of(answer.body), detail=f"HTTP {answer.status}")

    async def close(self) -> None:
        await self._sender.close()

    def _message(self, notice: Alert | ReportDocument, context: SendContext) -> dict[str, Any]:
        links = [(context.product_url, "Defib")] if context.product_url else []
        if isinstance(notice, Alert):
            tone = tone_of(notice, context.language)
            found = links_of(notice, product_url=context.product_url, language=context.language)
            links = [(link.url, link.label) for link in found]
            title, text = f"{tone.word} · {notice.title}", _text_of(notice)
            priority, tags = _PRIORITIES[notice.severity], [_TAGS[tone.mark], notice.severity.value]
        else:
            title, text = notice.subject, "\n".join(notice.text.strip().splitlines()[:_REPORT_LINES])
            priority, tags = _PRIORITIES[Severity.INFO], ["bar_chart"]
        message: dict[str, Any] = {
            "topic": self._topic,
            "title": one_line(title, _LONGEST_TITLE),
            "message": _cut(text) or "…",
            "priority": min(priority, _QUIET) if context.is_quiet else priority,
            "tags": tags,
        }
        if links:
            message["click"] = links[0][0]
            message["actions"] = [
                {"action": "view", "label": label, "url": url} for url, label in links[:_MOST_ACTIONS]
            ]
        return message


def _text_of(alert: Alert) -> str:
    """What happened, the newest evidence and what to do first: a phone shows a few lines."""
    lines = [alert.description]
    if alert.evidence:
        lines += ["", *alert.evidence[-2:]]
    if alert.recommendations:
        lines += ["", *(f"{number}. {line}" for number, line in enumerate(alert.recommendations, 1))]
    return "\n".join(lines)


def _cut(text: str) -> str:
    """``text`` within ntfy's limit, never inside a character."""
    raw = text.strip().encode("utf-8", "replace")
    if len(raw) <= _LONGEST_MESSAGE:
        return raw.decode()
    return raw[: _LONGEST_MESSAGE - 3].decode("utf-8", "ignore").rstrip() + "…"


def _id_of(body: bytes) -> str:
    """The id in a server's answer; "" where it gives none that could be used again."""
    try:
        found = json.loads(body).get("id", "")
    except (ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) and _MESSAGE_ID.fullmatch(found) else ""


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    """ntfy."""
    return [
        ChannelType(
            kind="ntfy", summary="Push messages over ntfy", options=NtfyOptions, create=NtfyChannel,
        )
    ]  # fmt: skip
