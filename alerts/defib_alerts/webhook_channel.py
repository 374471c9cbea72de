"""Webhooks: notices as signed CloudEvents to a program of your own."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

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
    hookimpl,
)
from defib_alerts.cloud_event import CONTENT_TYPE, event_of, signature
from defib_alerts.deadlines import deadline
from defib_alerts.masking import Masker, MaskingFilter
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    import httpx

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_OWN_HEADERS = frozenset({"content-type", "content-length", "host", "idempotency-key", "x-defib-signature"})
_RETRYABLE = frozenset({408, 425, 429})
_LEAST_KEY = 16  # characters from which on a segment of a path is taken for a key
_LONGEST_ANSWER = 16_384  # bytes of a refusal that are read, for its message


class WebhookOptions(Options):
    """Where to, and how to prove that it is us."""

    url: Secret = Field(
        description="The address, http:// or https://; shown without its path, which often is a key"
    )
    secret: Secret | None = Field(
        default=None, description="Key of the signature in X-Defib-Signature; none: unsigned"
    )
    headers: dict[str, Secret] = Field(default={}, description="Sent along: an Authorization, for example")
    method: Literal["POST", "PUT"] = Field(default="POST", description="Of the request")
    timeout: Duration = Field(default=timedelta(seconds=10), description="For one try, all in all")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: Secret) -> Secret:
        try:
            parts = urlsplit(url.get_secret_value())
            is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_complete = False
        if not is_complete:
            raise ValueError("is not an address; write https://host/path")
        return url

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, Secret]) -> dict[str, Secret]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a header")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"{name} is set by Defib itself; leave it out")
            if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
                raise ValueError(f"the value of {name} has a line end or a character outside of ASCII")
        return headers


class WebhookChannel:
    """Sends to one address. Follows no redirects: a signed notice goes where it was meant to go."""

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
        address = urlsplit(options.url.get_secret_value())
        self.target = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
        self._options = options
        self._now = now
        self._headers = {key: value.get_secret_value() for key, value in options.headers.items()}
        self._mask = Masker(_secrets(options))
        self._log_filter = MaskingFilter(self._mask)
        self._opening = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        """Hand over one event; taken when the answer is 2xx."""
        body = event_of(notice, source=context.product_url or "/defib")
        headers = {**self._headers, "Content-Type": CONTENT_TYPE, "Idempotency-Key": context.key}
        if self._options.secret is not None:
            headers["X-Defib-Signature"] = signature(
                self._options.secret.get_secret_value(), body, self._now()
            )
        async with deadline(min(self._options.timeout, context.timeout), self.target):
            client = await self._open()
            import httpx

            url = self._options.url.get_secret_value()
            try:
                async with client.stream(
                    self._options.method, url, content=body, headers=headers
                ) as response:
                    if response.is_success:
                        return Receipt(detail=f"HTTP {response.status_code}")
                    raise self._refusal(response, await _read(response))
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                words = one_line(self._mask(str(error)), 200) or type(error).__name__
                raise DeliveryError(f"{self.target} cannot be reached: {words}") from None

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        logging.getLogger("httpx").removeFilter(self._log_filter)

    async def _open(self) -> "httpx.AsyncClient":
        async with self._opening:
            if self._client is None:
                logging.getLogger("httpx").addFilter(self._log_filter)  # it logs whole addresses
                self._client = await asyncio.to_thread(self._build)  # loads certificates
            return self._client

    def _build(self) -> "httpx.AsyncClient":
        import httpx

        return httpx.AsyncClient(
            follow_redirects=False,
            timeout=self._options.timeout.total_seconds(),
            limits=httpx.Limits(max_connections=4),
            headers={"User-Agent": "Defib", "Accept-Encoding": "identity"},
        )

    def _refusal(self, response: "httpx.Response", answer: str) -> DeliveryError:
        status = response.status_code
        said = f": {one_line(self._mask(answer), 200)}" if answer.strip() else ""
        if response.is_redirect:
            return DeliveryError(
                f"{self.target} redirects elsewhere (HTTP {status}); write the final address as url",
                permanent=True,
            )
        if status in _RETRYABLE or status >= 500:
            pause = _retry_after(response.headers.get("Retry-After", ""), self._now())
            return DeliveryError(f"{self.target} answered HTTP {status}{said}", retry_after=pause)
        return DeliveryError(f"{self.target} refused with HTTP {status}{said}", permanent=True)


def _secrets(options: WebhookOptions) -> list[str]:
    """Whatever in the options must not be seen: keys, header values, and the address beyond its host."""
    address = urlsplit(options.url.get_secret_value())
    secrets = [value.get_secret_value() for value in options.headers.values()]
    if options.secret is not None:
        secrets.append(options.secret.get_secret_value())
    secrets += [part for part in (address.path.rstrip("/"), address.query, address.password) if part]
    secrets += [segment for segment in address.path.split("/") if len(segment) >= _LEAST_KEY]
    return secrets


async def _read(response: "httpx.Response") -> str:
    """What a refusal says; nothing where it does not tell beforehand that it is short."""
    length = response.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) > _LONGEST_ANSWER:
        return ""
    return (await response.aread()).decode("utf-8", "replace")


def _retry_after(value: str, now: datetime) -> timedelta | None:
    """Seconds or an HTTP date (RFC 9110, section 10.2.3); None where it says nothing useful."""
    if value.strip().isdecimal():
        return timedelta(seconds=min(int(value), 86_400))
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), timedelta(days=1))


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    """Webhooks."""
    return [
        ChannelType(
            kind="webhook",
            summary="Signed CloudEvents to an HTTP address",
            options=WebhookOptions,
            create=WebhookChannel,
        )
    ]
