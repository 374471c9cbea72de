"""HTTP by httpx, for probes that follow redirects. Heavy to import: load on first use."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx

from defib.plugin import Clock
from defib_plugins.http_exchange import (
    BODY_LIMIT_BYTES,
    HEADERS,
    Answer,
    BadAnswerError,
    Phases,
    Request,
    certificate_end,
    unpacked,
)

_MAX_REDIRECTS = 5
_HEAD_START_S = 0.01
_PHASE_OF_EVENT = {
    "connection.connect_tcp.started": "connect",
    "connection.start_tls.started": "tls",
    "http11.send_request_headers.started": "wait",
    "http11.receive_response_body.started": "read",
}


class RedirectExchange:
    """See :class:`defib_plugins.http_exchange.Exchange`. Follows up to five redirects.

    Works on httpx's transport, below its client: that one keeps cookies between requests and writes whole
    addresses, with the secrets in them, to the log.
    """

    def __init__(self, request: Request, tls: ssl.SSLContext) -> None:
        self._method = request.method
        self._body = request.body
        address = httpx.URL(request.url)
        self._url = address.copy_with(userinfo=b"", fragment=None)
        self._headers = httpx.Headers({**HEADERS, **request.headers})
        if address.userinfo:
            auth = httpx.BasicAuth(address.username, address.password)
            signed = next(auth.auth_flow(httpx.Request("GET", self._url)))
            self._headers.setdefault("authorization", signed.headers["authorization"])
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def fetch(self, phases: Phases, clock: Clock, deadline: float) -> Answer:
        """See :class:`defib_plugins.http_exchange.Exchange`."""

        async def trace(event: str, info: Mapping[str, Any]) -> None:
            if phase := _PHASE_OF_EVENT.get(event):
                phases.enter(phase)

        started = clock.monotonic()
        # httpcore closes a connection whose handshake times out, but not one whose handshake is cancelled.
        left = max(0.001, deadline - asyncio.get_running_loop().time() - _HEAD_START_S)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), left)
        request = httpx.Request(
            self._method,
            self._url,
            headers=self._headers,
            content=self._body,
            extensions={"trace": trace, "timeout": timeouts},
        )
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                response = await self._transport.handle_async_request(request)
                try:
                    if not response.has_redirect_location:
                        raw = await _read(response)
                        took = timedelta(seconds=clock.monotonic() - started)
                        body, is_cut = unpacked(raw, response.headers.get("content-encoding", ""))
                        stream: Any = response.extensions["network_stream"]
                        return Answer(
                            status=response.status_code,
                            headers=response.headers,
                            body=body,
                            is_cut=is_cut,
                            took=took,
                            certificate_ends_at=certificate_end(stream.get_extra_info("ssl_object")),
                        )
                    request = self._redirected(request, response)
                finally:
                    await response.aclose()
        except httpx.RemoteProtocolError as error:
            raise BadAnswerError(f"not a valid HTTP answer: {error}") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise BadAnswerError("it redirects to an address that cannot be asked") from error
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except httpx.TransportError as error:
            raise OSError(str(error)) from error
        raise BadAnswerError(f"more than {_MAX_REDIRECTS} redirects", "too-many-redirects")

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    def _redirected(self, request: httpx.Request, response: httpx.Response) -> httpx.Request:
        """The request that follows ``response``; the user's own headers and body never leave for another origin."""
        url = request.url.join(response.headers["location"]).copy_with(userinfo=b"", fragment=None)
        is_home = _origin(url) == _origin(self._url)
        # 303 always, 301 and 302 by long custom, turn into a plain GET (RFC 9110, section 15.4).
        keeps_method = request.method in ("GET", "HEAD") or (is_home and response.status_code in (307, 308))
        has_body = keeps_method and request.method not in ("GET", "HEAD")
        return httpx.Request(
            request.method if keeps_method else "GET",
            url,
            headers=self._headers if is_home else HEADERS,
            content=self._body if has_body else None,
            extensions=request.extensions,
        )


async def _read(response: httpx.Response) -> bytes:
    """The body as it was sent, and little more than BODY_LIMIT_BYTES of it."""
    raw = bytearray()
    try:
        async for chunk in response.aiter_raw():
            raw += chunk
            if len(raw) > BODY_LIMIT_BYTES:
                # Leaving the loop would leave four nested generators to the garbage collector; the next
                # read of a closed connection fails and unwinds them.
                await response.aclose()
    except httpx.TransportError:
        if len(raw) <= BODY_LIMIT_BYTES:
            raise
    return bytes(raw)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)
