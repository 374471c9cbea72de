"""Monitor ``http``: a URL whose answer is judged by status, body, JSON, health document and time."""

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainSerializer

from defib.plugin import (
    BuildContext,
    Evidence,
    Family,
    MonitorType,
    Options,
    ProbeContext,
    ProbeStatus,
    Secret,
    hookimpl,
)  # fmt: skip
from defib_plugins.display import clip, mask_url
from defib_plugins.elsewhere import of_url
from defib_plugins.failures import network_failure, timed_out
from defib_plugins.http_judgement import HttpExpectation, judge
from defib_plugins.phrases import phrase

if TYPE_CHECKING:
    from defib_plugins.http_exchange import Exchange

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = ("connection", "content-length", "transfer-encoding")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        has_place = bool((parts.hostname or "").encode("idna")) and (parts.port is None or parts.port > 0)
    except ValueError:  # and its UnicodeError
        has_place = False
    if not has_place or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        raise ValueError("not an address that can be asked; write for example http://localhost:8000/health")
    return url


def _checked_headers(headers: dict[str, Secret]) -> dict[str, Secret]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name; write for example Authorization")
        if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
            raise ValueError(f"the value of header {name} has characters outside of printable ASCII")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"the header {name} is Defib's own; leave it out")
    return headers


Url = Annotated[str, AfterValidator(_checked_url), PlainSerializer(mask_url, return_type=str)]
"""An http or https address; credentials in it are never shown."""


class HttpOptions(Options):
    """Options of the ``http`` monitor."""

    url: Url = Field(repr=False, description="What to ask: http://localhost:8000/health.")
    method: Literal["GET", "HEAD", "POST", "PUT", "OPTIONS"] = Field(default="GET", description="How to ask.")
    headers: Annotated[dict[str, Secret], AfterValidator(_checked_headers)] = Field(
        default_factory=dict, description="Headers to send; their values are never shown."
    )
    body: Secret | None = Field(default=None, description="Body to send; never shown.")
    follow_redirects: bool = Field(
        default=False,
        description="Follow up to five redirects; headers and body never leave for another origin.",
    )
    verify_tls: bool = Field(default=True, description="Check the certificate and its name.")
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the system's.")
    expect: HttpExpectation = Field(default_factory=HttpExpectation, description="What the answer must be.")


class HttpMonitor:
    """Asks a URL, each time over a new connection."""

    def __init__(self, options: HttpOptions, context: BuildContext) -> None:
        self.target = mask_url(options.url)
        self.host = urlsplit(options.url).hostname or ""
        self.elsewhere = of_url(options.url)
        self._options = options
        self._ca_file = context.base / options.ca_file if options.ca_file else None
        self._exchange: Exchange | None = None

    async def probe(self, context: ProbeContext) -> Evidence:
        """Ask once. A timeout says which phase it hit."""
        from defib_plugins.http_exchange import BadAnswerError, Phases

        if self._exchange is None:
            try:
                self._exchange = self._open()
            except OSError:
                words = phrase(
                    "ca_file {file} is not a readable file of PEM certificates", file=str(self._ca_file)
                )
                return Evidence.inconclusive("bad-ca-file", words)
        phases = Phases(context.clock)
        deadline = asyncio.get_running_loop().time() + context.timeout.total_seconds()
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._exchange.fetch(phases, context.clock, deadline)
        except TimeoutError:
            return timed_out(context.timeout, phases.current)
        except BadAnswerError as error:
            words = phrase("bad answer: {why}", why=clip(error.message))
            return Evidence.fail(error.cause, words, status=ProbeStatus.UNHEALTHY, facts={"error": words})
        except (OSError, ExceptionGroup) as error:
            return network_failure(error, self.target)
        now = context.clock.now().timestamp()
        return judge(answer, self._options.expect, metrics=phases.metrics, now=now)

    async def close(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.close()

    def _open(self) -> "Exchange":
        """:raises OSError: the file of certificates cannot be read."""
        from defib_plugins.http_exchange import Request, tls_context

        options = self._options
        request = Request(
            method=options.method,
            url=options.url,
            headers={name.lower(): value.get_secret_value() for name, value in options.headers.items()},
            body=options.body.get_secret_value().encode() if options.body is not None else None,
        )
        if options.follow_redirects:
            from defib_plugins.http_redirects import RedirectExchange

            return RedirectExchange(request, tls_context(self._ca_file, verify=options.verify_tls))
        from defib_plugins.http_wire import WireExchange

        is_https = options.url.lower().startswith("https:")
        return WireExchange(
            request, tls_context(self._ca_file, verify=options.verify_tls) if is_https else None
        )


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="http",
            summary="HTTP endpoint: status, body, JSON and health documents, latency, certificate",
            family=Family.AGENT,
            options=HttpOptions,
            create=HttpMonitor,
        )
    ]
