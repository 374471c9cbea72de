"""HTTP for the channels that speak it: one request under one deadline, and what its answer means for the next try."""

import asyncio
import logging
import re
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from defib.plugin import DeliveryError, Duration, Options, Secret
from defib_alerts.deadlines import deadline
from defib_alerts.masking import Masker, MaskingFilter
from defib_alerts.phrases import phrase
from defib_alerts.wording import one_line

if TYPE_CHECKING:
    import httpx

FOR_PROGRAMS = 1200
"""Messages a minute, where a program reads them and wants each for itself."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_RETRYABLE = frozenset({408, 425, 429})
_LEAST_SEGMENT = 8  # characters from which on a segment of a path is taken for a key …
_LEAST_VALUE = 4  # … and a value of a query
_LONGEST_REFUSAL = 16_384  # bytes that are read of it, for its message
_CHATTY_LOGGERS = ("httpx", "httpcore.http11", "httpcore.connection")
"""They write whole addresses and headers."""


class HttpOptions(Options):
    """What all channels over HTTP can be told."""

    headers: dict[str, Secret] = Field(default={}, description="Sent along: an Authorization, for example")
    ca_file: Path | None = Field(
        default=None,
        description="PEM file with the authority of the server's certificate, beside the system's",
    )
    timeout: Duration = Field(default=timedelta(seconds=5), description="For one try, all in all")

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, Secret]) -> dict[str, Secret]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a header")
            if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
                raise ValueError(f"the value of {name} has a line end or a character outside of ASCII")
        return headers


class HttpLoginOptions(HttpOptions):
    """Channels over HTTP whose far ends know users."""

    token: Secret | None = Field(default=None, description="Sent as Authorization: Bearer …")
    username: str | None = Field(default=None, description="For servers that want a login and no token")
    password: Secret | None = Field(default=None, description="For servers that want a login and no token")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together; write both or neither")
        if self.token is not None and self.username is not None:
            raise ValueError("a token and a login exclude one another; write one of them")
        return self

    @property
    def authorization(self) -> str:
        """The value of the header; "" for none."""
        if self.token is not None:
            return f"Bearer {self.token.get_secret_value()}"
        if self.username is not None and self.password is not None:
            login = f"{self.username}:{self.password.get_secret_value()}"
            return f"Basic {b64encode(login.encode()).decode()}"
        return ""


def check_address(url: Secret) -> Secret:
    """
    :raises ValueError: it is not an ``http(s)`` address; the message does not repeat it.
    """
    try:
        parts = urlsplit(url.get_secret_value())
        is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_complete = False
    if not is_complete:
        raise ValueError("is not an address; write https://host/path")
    return url


def host_of(url: str) -> str:
    """Scheme, host and port: what may be shown of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def secrets_of(url: str) -> list[str]:
    """What must not be seen of an address: everything beyond its host may be a key."""
    parts = urlsplit(url)
    found = [parts.path.rstrip("/"), parts.query, parts.password or ""]
    found += [f"{parts.username}:{parts.password}"] if parts.password else []
    found += [segment for segment in parts.path.split("/") if len(segment) >= _LEAST_SEGMENT]
    found += [value for _, value in parse_qsl(parts.query) if len(value) >= _LEAST_VALUE]
    return [secret for text in found for secret in {text, unquote(text)} if secret]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was said to a request that was accepted."""

    status: int
    body: bytes = b""  #: as much as was asked for
    date: datetime | None = None  #: by the far end's clock, where it tells


class HttpSender:
    """One client for one channel, made with its first request. Follows no redirects: a notice goes where it was
    meant to go.
    """

    def __init__(
        self,
        options: HttpOptions,
        base: Path,
        *,
        secrets: Iterable[str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        :param secrets: what no message may show, besides the values of the headers.
        :param now: the time that a Retry-After date is held against.
        :raises ValueError: there is no such ``ca_file``.
        """
        self._headers = {name: value.get_secret_value() for name, value in options.headers.items()}
        secrets = [*secrets]
        if isinstance(options, HttpLoginOptions) and options.authorization:
            self._headers["Authorization"] = options.authorization
            secrets += [] if options.password is None else [options.password.get_secret_value()]
        for value in self._headers.values():
            secrets += [value, value.partition(" ")[2]]
        self.mask = Masker(secrets)
        self._timeout = options.timeout
        self._now = now
        self._ca_file = None if options.ca_file is None else base / options.ca_file
        if self._ca_file is not None and not self._ca_file.is_file():
            raise ValueError(f"ca_file: there is no file {self._ca_file}")
        self._log_filter = MaskingFilter(self.mask)
        self._opening = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        target: str,
        timeout: timedelta,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        most: int = 0,
    ) -> Answer:
        """Send one request; accepted when the answer is 2xx.

        :param target: how messages call the far end.
        :param timeout: from the engine; the channel's own may be shorter.
        :param most: bytes of an accepting answer's body to read; what is longer raises.
        :raises DeliveryError: it was not accepted.
        """
        async with deadline(min(self._timeout, timeout), target):
            client = await self._open()
            import httpx

            try:
                request = client.build_request(
                    method, url, content=content, headers={**self._headers, **(headers or {})}
                )
                response = await client.send(request, stream=True)
                try:
                    if response.is_success:
                        body = await _read(response, most, target)
                        date = _date_of(response.headers.get("Date", ""))
                        return Answer(status=response.status_code, body=body, date=date)
                    raise self._refusal(response, await _read_refusal(response), target)
                finally:
                    await response.aclose()
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError) as error:
                words = one_line(self.mask(str(error)), 200) or type(error).__name__
                raise DeliveryError(
                    phrase("{target} cannot be reached: {error}", target=target, error=words)
                ) from None

    async def close(self) -> None:
        """Release the connections; may be called again."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        for name in _CHATTY_LOGGERS:
            logging.getLogger(name).removeFilter(self._log_filter)

    async def _open(self) -> "httpx.AsyncClient":
        async with self._opening:
            if self._client is None:
                for name in _CHATTY_LOGGERS:
                    logging.getLogger(name).addFilter(self._log_filter)
                self._client = await asyncio.to_thread(self._build)  # loads certificates
            return self._client

    def _build(self) -> "httpx.AsyncClient":
        import httpx

        tls = httpx.create_ssl_context()
        if self._ca_file is not None:
            tls.load_verify_locations(self._ca_file)
        return httpx.AsyncClient(
            verify=tls,
            follow_redirects=False,
            timeout=self._timeout.total_seconds(),
            limits=httpx.Limits(max_connections=4),
            headers={"User-Agent": "Defib", "Accept-Encoding": "identity"},
        )

    def _refusal(self, response: "httpx.Response", said: str, target: str) -> DeliveryError:
        status = response.status_code
        words = one_line(self.mask(said), 200)
        if response.is_redirect:
            moved = phrase(
                "{target} redirects elsewhere (HTTP {status}); write the final address in the configuration",
                target=target, status=status,
            )  # fmt: skip
            return DeliveryError(moved, permanent=True)
        if status in _RETRYABLE or status >= 500:
            pause = retry_after(response.headers.get("Retry-After", ""), self._now())
            answered = phrase("{target} answered HTTP {status}", target=target, status=status)
            return DeliveryError(_with(answered, words), retry_after=pause)
        refused = phrase("{target} refused with HTTP {status}", target=target, status=status)
        return DeliveryError(_with(refused, words), permanent=True)


def _with(what: str, said: str) -> str:
    return phrase("{what}: {said}", what=what, said=said) if said else what


async def _read(response: "httpx.Response", most: int, target: str) -> bytes:
    body = b""
    if most:
        async for part in response.aiter_bytes():
            body += part
            if len(body) > most:
                raise DeliveryError(
                    phrase("{target} answered with more than {n} bytes", target=target, n=most)
                )
    return body


async def _read_refusal(response: "httpx.Response") -> str:
    """What a refusal says; nothing where it does not tell beforehand that it is short."""
    length = response.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) > _LONGEST_REFUSAL:
        return ""
    return (await response.aread()).decode("utf-8", "replace")


def retry_after(value: str, now: datetime) -> timedelta | None:
    """Seconds or an HTTP date (RFC 9110, section 10.2.3), a day at most; None where it says nothing useful."""
    if value.strip().isdecimal():
        return timedelta(seconds=min(int(value), 86_400))
    moment = _date_of(value)
    return None if moment is None else min(max(moment - now, timedelta(0)), timedelta(days=1))


def _date_of(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
