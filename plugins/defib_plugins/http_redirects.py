"""Following redirects: exchange after exchange, until an answer is not one."""

import ssl
from dataclasses import replace
from datetime import timedelta
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from defib.plugin import Clock
from defib_plugins.http_exchange import Answer, BadAnswerError, Phases, Request
from defib_plugins.http_wire import WireExchange
from defib_plugins.phrases import phrase

_MAX_REDIRECTS = 5
_SAFE_METHODS = ("GET", "HEAD")


class RedirectExchange:
    """See :class:`defib_plugins.http_exchange.Exchange`. Follows up to five redirects."""

    def __init__(self, request: Request, tls: ssl.SSLContext) -> None:
        self._request = request
        self._tls = tls

    async def fetch(self, phases: Phases, clock: Clock, deadline: float) -> Answer:
        """See :class:`defib_plugins.http_exchange.Exchange`; the answer is the last one, its time that of all."""
        started = clock.monotonic()
        request, exchange = self._request, WireExchange(self._request, self._tls)
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await exchange.fetch(phases, clock, deadline)
            location = answer.headers.get("location")
            if location is None or answer.status not in (301, 302, 303, 307, 308):
                return replace(answer, took=timedelta(seconds=clock.monotonic() - started))
            phases.enter("lookup")
            try:
                request = self._redirected(request, answer.status, location)
                exchange = WireExchange(request, self._tls)
            except ValueError as error:
                raise BadAnswerError(phrase("it redirects to an address that cannot be asked")) from error
        raise BadAnswerError(phrase("more than {n} redirects", n=_MAX_REDIRECTS), "too-many-redirects")

    async def close(self) -> None:
        """Nothing is held between requests."""

    def _redirected(self, request: Request, status: int, location: str) -> Request:
        """The request that a redirect asks for; the user's own headers, body and credentials never leave home.

        :raises ValueError: ``location`` is not an address that can be asked.
        """
        home = urlsplit(self._request.url)
        there = urlsplit(urljoin(request.url, location))
        if there.scheme not in ("http", "https") or not there.hostname:
            raise ValueError(location)
        is_home = _origin(there) == _origin(home)
        # 303 always, 301 and 302 by long custom, turn into a plain GET (RFC 9110, section 15.4).
        keeps_method = request.method in _SAFE_METHODS or (is_home and status in (307, 308))
        netloc = home.netloc if is_home else there.netloc.rpartition("@")[2]
        return Request(
            method=request.method if keeps_method else "GET",
            url=urlunsplit(there._replace(netloc=netloc, fragment="")),
            headers=self._request.headers if is_home else {},
            body=request.body if keeps_method and request.method not in _SAFE_METHODS else None,
        )


def _origin(address: SplitResult) -> tuple[str, str | None, int]:
    """:raises ValueError: its port is none."""
    return address.scheme, address.hostname, address.port or {"http": 80, "https": 443}[address.scheme]
