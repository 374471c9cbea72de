"""One HTTP request and its answer: the words that both ways of exchanging them share."""

import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from defib.plugin import Clock
from defib_plugins.phrases import phrase

BODY_LIMIT_BYTES = 1 << 20

HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "Defib", "connection": "close"}
"""Sent unless the user says otherwise, names in lower case.

A bounded body needs its real size, hence no compression; a closing connection leaves TIME_WAIT to the target.
"""

_PHASES = {
    "lookup": (phrase("looking up the name"), "dns_ms"),
    "connect": (phrase("connecting"), "connect_ms"),
    "tls": (phrase("shaking hands for TLS"), "tls_ms"),
    "wait": (phrase("waiting for the answer"), "first_byte_ms"),
    "read": (phrase("reading the answer"), ""),
}


class BadAnswerError(Exception):
    """The target answered, but not in valid HTTP, or it redirects without end."""

    def __init__(self, message: str, cause: str = "bad-response") -> None:
        self.cause = cause
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ask. Address, headers and body may hold secrets."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)  #: the user's; names in lower case
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]  #: looked up by names in lower case
    body: bytes  #: at most BODY_LIMIT_BYTES
    is_cut: bool  #: there was more of it
    took: timedelta  #: from before the name look-up until the last byte
    certificate_ends_at: float | None  #: seconds since 1970; None without TLS or unverified


class Phases:
    """Follows a request: what it waits for now, and how long each phase took, in milliseconds."""

    def __init__(self, clock: Clock) -> None:
        self.metrics: dict[str, float] = {}
        self._clock = clock
        self._phase = "lookup"
        self._entered = clock.monotonic()

    @property
    def current(self) -> str:
        """As it reads after "while"."""
        return _PHASES[self._phase][0]

    def enter(self, phase: str) -> None:
        """The phase before is over: ``lookup``, ``connect``, ``tls``, ``wait`` or ``read`` begins."""
        now = self._clock.monotonic()
        if metric := _PHASES[self._phase][1]:
            self.metrics[metric] = self.metrics.get(metric, 0.0) + (now - self._entered) * 1000
        self._phase, self._entered = phase, now


class Exchange(Protocol):
    """Sends one request again and again, each time over a new connection: a kept one hides a dead accept queue."""

    async def fetch(self, phases: Phases, clock: Clock, deadline: float) -> Answer:
        """One request.

        :param deadline: on the event loop's clock; the caller cancels then.
        :raises BadAnswerError: what came back is not valid HTTP, or redirects do not end.
        :raises OSError: no answer; also inside of groups and as causes.
        """

    async def close(self) -> None:
        """Release what is held between requests."""


def tls_context(ca_file: Path | None, *, verify: bool) -> ssl.SSLContext:
    """Trusts ``ca_file``, else the system's authorities, else certifi's where the system has none.

    :raises OSError: ``ca_file`` cannot be read, or (ssl.SSLError) holds no certificate.
    """
    if not verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if ca_file is not None:
        return _trusting(str(ca_file), ca_file.stat().st_mtime_ns)
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return _trusting(paths.cafile, Path(paths.cafile).stat().st_mtime_ns)
    if paths.capath:
        return ssl.create_default_context()
    import certifi

    return _trusting(certifi.where(), 0)


@lru_cache(maxsize=8)
def _trusting(authorities: str, changed_ns: int) -> ssl.SSLContext:
    """Shared by monitors: a context with a system's authorities takes 25 ms to make and most of a megabyte.

    :param changed_ns: when the file changed, so that a new one is noticed.
    """
    return ssl.create_default_context(cafile=authorities)


def certificate_end(tls: ssl.SSLObject | None) -> float | None:
    """When the peer's certificate ends, in seconds since 1970; None without TLS or unverified."""
    certificate = tls.getpeercert() if tls is not None else None
    return ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else None


def unpacked(raw: bytes, encoding: str) -> tuple[bytes, bool]:
    """The body behind ``raw``, at most BODY_LIMIT_BYTES of it, and whether there was more.

    :param encoding: the answer's Content-Encoding; some servers compress without being asked.
    :raises BadAnswerError: it is not what it says.
    """
    if encoding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        try:
            raw = zlib.decompressobj(47).decompress(raw, BODY_LIMIT_BYTES + 1)
        except zlib.error as error:
            raise BadAnswerError(
                phrase("the body is not {encoding}, as it says", encoding=encoding)
            ) from error
    return raw[:BODY_LIMIT_BYTES], len(raw) > BODY_LIMIT_BYTES
