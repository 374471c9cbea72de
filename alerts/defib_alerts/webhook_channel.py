"""Webhooks: notices as signed CloudEvents, or as you write them, to a program of your own."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field, field_validator

from defib.plugin import (
    Alert,
    BuildContext,
    ChannelType,
    Receipt,
    ReportDocument,
    Secret,
    SendContext,
    hookimpl,
)
from defib_alerts.cloud_event import CONTENT_TYPE, event_of
from defib_alerts.http_sender import FOR_PROGRAMS, HttpOptions, HttpSender, check_address, host_of, secrets_of
from defib_alerts.webhook_body import BodyError, BodyTemplate
from defib_alerts.webhook_signature import key_of, message_id, signed

_OWN_HEADERS = frozenset(
    {
        "content-type",
        "content-length",
        "host",
        "idempotency-key",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
)


class WebhookOptions(HttpOptions):
    """Where to, and how to prove that it is us."""

    url: Secret = Field(
        description="The address, http:// or https://; shown without its path, which often is a key"
    )
    secret: Secret | None = Field(
        default=None,
        description="Key of the signature (Standard Webhooks): whsec_… or any text; none: unsigned",
    )
    method: Literal["POST", "PUT", "PATCH"] = Field(default="POST", description="Of the request")
    body: str | None = Field(
        default=None, description="Jinja template of a body of your own in place of the CloudEvent"
    )
    content_type: str = Field(
        default="application/json",
        pattern=r"^[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.-]+)?$",
        description="Of a body of your own; JSON is tried out when Defib starts",
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: Secret) -> Secret:
        return check_address(url)

    @field_validator("secret")
    @classmethod
    def _is_a_key(cls, secret: Secret | None) -> Secret | None:
        if secret is not None:
            key_of(secret.get_secret_value())
        return secret

    @field_validator("headers")
    @classmethod
    def _are_not_ours(cls, headers: dict[str, Secret]) -> dict[str, Secret]:
        for name in headers:
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"{name} is set by Defib itself; leave it out")
        return headers


class WebhookChannel:
    """Sends to one address."""

    def __init__(
        self,
        name: str,
        options: WebhookOptions,
        context: BuildContext,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        :param now: the time that is signed and that a Retry-After date is held against.
        """
        self._url = options.url.get_secret_value()
        self.target = host_of(self._url)
        self.timeout = options.timeout
        self._options = options
        self._now = now
        secrets = secrets_of(self._url)
        self._key: bytes | None = None
        if options.secret is not None:
            secret = options.secret.get_secret_value()
            self._key = key_of(secret)
            secrets += [secret, secret.removeprefix("whsec_")]
        self._template = None if options.body is None else BodyTemplate(options.body, options.content_type)
        self._sender = HttpSender(options, context.base, secrets=secrets, now=now)

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        """Hand over one event; taken when the answer is 2xx."""
        body, content_type, complaint = self._write(notice, context)
        message = message_id(context.key)
        headers = {"Content-Type": content_type, "Idempotency-Key": context.key, "webhook-id": message}
        if self._key is not None:
            headers |= signed(self._key, message, body, self._now())
        answer = await self._sender.send(
            self._options.method, self._url, target=self.target, timeout=context.timeout, content=body, headers=headers
        )  # fmt: skip
        return Receipt(detail="; ".join(note for note in (complaint, f"HTTP {answer.status}") if note))

    async def close(self) -> None:
        await self._sender.close()

    def _write(self, notice: Alert | ReportDocument, context: SendContext) -> tuple[bytes, str, str]:
        """Body, content type, and what is wrong with the user's own template."""
        complaint = ""
        if self._template is not None:
            try:
                return self._template.fill(notice, context.product_url), self._options.content_type, ""
            except BodyError as error:
                complaint = f"your body fails ({error}); sent as a CloudEvent"
        return event_of(notice, source=context.product_url or "/defib"), CONTENT_TYPE, complaint


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    """Webhooks."""
    return [
        ChannelType(
            kind="webhook",
            summary="Signed CloudEvents to an HTTP address",
            options=WebhookOptions,
            create=WebhookChannel,
            rate=FOR_PROGRAMS,
        )
    ]
