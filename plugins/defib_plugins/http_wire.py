"""HTTP/1.1 for probes: one request and one answer on a connection of its own, parsed by httptools.

A tenth of a general client's cost, with the time of each phase, and stricter: bytes beyond the announced
length are an error. It follows no redirects.
"""

import asyncio
import base64
import ssl
from datetime import timedelta
from typing import cast
from urllib.parse import quote, unquote, urlsplit

import httptools

from defib.plugin import Clock
from defib_plugins.connecting import connect, resolve
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
from defib_plugins.phrases import phrase

_HEAD_LIMIT_BYTES = 64 * 1024


class WireExchange:
    """See :class:`defib_plugins.http_exchange.Exchange`."""

    def __init__(self, request: Request, tls: ssl.SSLContext | None) -> None:
        parts = urlsplit(request.url)
        self._host = (parts.hostname or "").encode("idna").decode()
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls if parts.scheme == "https" else None
        self._method = request.method
        self._message = _message(request)

    async def fetch(self, phases: Phases, clock: Clock, deadline: float) -> Answer:
        """See :class:`defib_plugins.http_exchange.Exchange`."""
        started = clock.monotonic()
        transport, answering = await self._connect(phases, deadline)
        try:
            if (error := await answering.done) is not None:
                raise error
            took = timedelta(seconds=clock.monotonic() - started)
            body, is_cut = unpacked(bytes(answering.body), answering.headers.get("content-encoding", ""))
            return Answer(
                status=answering.status,
                headers=answering.headers,
                body=body,
                is_cut=is_cut,
                took=took,
                certificate_ends_at=certificate_end(transport.get_extra_info("ssl_object")),
            )
        finally:
            transport.abort()

    async def close(self) -> None:
        """Nothing is held between requests."""

    async def _connect(self, phases: Phases, deadline: float) -> tuple[asyncio.Transport, "_Answering"]:
        def answering() -> _Answering:
            return _Answering(self._message, phases, is_head=self._method == "HEAD")

        loop = asyncio.get_running_loop()
        addresses = await resolve(self._host, self._port)
        phases.enter("connect")
        if self._tls is None and len(addresses) == 1:  # the loop's own way costs a fifth less
            return await loop.create_connection(answering, str(addresses[0][1][0]), self._port)
        connection = await connect(addresses, deadline)
        phases.enter("tls" if self._tls is not None else "wait")
        name = self._host if self._tls is not None else None
        try:
            return await loop.create_connection(
                answering, sock=connection, ssl=self._tls, server_hostname=name
            )
        except BaseException:  # cancelled while shaking hands, too
            connection.close()
            raise


def _message(request: Request) -> bytes:
    """The whole request as it goes over the wire."""
    parts = urlsplit(request.url)
    host = (parts.hostname or "").encode("idna").decode()
    host = f"[{host}]" if ":" in host else host
    headers = {"host": host if parts.port is None else f"{host}:{parts.port}", **HEADERS}
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    headers |= request.headers
    if request.body is not None or request.method in ("POST", "PUT"):
        headers["content-length"] = str(len(request.body or b""))
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        target += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]|")
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (request.body or b"")


class _Answering(asyncio.Protocol):
    """Sends the request once connected, and collects the answer."""

    def __init__(self, message: bytes, phases: Phases, *, is_head: bool) -> None:
        # A result even for an error: nobody may be left to retrieve an exception.
        self.done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self._message = message
        self._phases = phases
        self._is_head = is_head
        self._parser = httptools.HttpResponseParser(self)
        self._received = 0  # bytes of everything before the body
        self._is_in_body = False
        self._is_complete = False

    # --- the connection ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._phases.enter("wait")
        cast("asyncio.WriteTransport", transport).write(self._message)  # uvloop's is one, but does not say so

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        if not self._is_in_body:
            self._received += len(data)
            if self._received > _HEAD_LIMIT_BYTES + len(data):
                return self._end(
                    BadAnswerError(phrase("its header is longer than {n} bytes", n=_HEAD_LIMIT_BYTES))
                )
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return self._end(BadAnswerError(phrase("it changes to another protocol")))
        except httptools.HttpParserError as error:
            if self._is_complete and not self._is_head:
                return self._end(BadAnswerError(phrase("it goes on beyond its announced length")))
            if not self._is_complete:
                return self._end(BadAnswerError(phrase("not a valid HTTP answer: {error}", error=str(error))))
        if self._is_complete or len(self.body) > BODY_LIMIT_BYTES:
            self._end(None)
        return None

    def connection_lost(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is not None:
            self._end(error)
        elif self._is_in_body and self._ends_with_the_connection():
            self._end(None)
        elif self._received:
            self._end(BadAnswerError(phrase("the connection ended in the middle of the answer")))
        else:
            self._end(BadAnswerError(phrase("the connection ended without an answer")))

    def _ends_with_the_connection(self) -> bool:
        """Whether the body announces no length (RFC 9112, section 6.3)."""
        return "content-length" not in self.headers and "chunked" not in self.headers.get(
            "transfer-encoding", ""
        )

    def _end(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(error)

    # --- the parser's findings ---------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._is_in_body = self.status >= 200
        if self._is_in_body:
            self._phases.enter("read")
            self._is_complete = self._is_head  # a HEAD's answer announces a body that never comes

    def on_body(self, data: bytes) -> None:
        if len(self.body) <= BODY_LIMIT_BYTES:
            self.body += data

    def on_message_complete(self) -> None:
        if self._is_in_body:
            self._is_complete = True
        else:  # 100 Continue and its like: the answer proper follows
            self.headers.clear()
