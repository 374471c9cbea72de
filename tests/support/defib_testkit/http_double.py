"""A small HTTP/1.1 server that records what it is asked: the base of the webhook sink and the Bot API."""

import asyncio
import http
import http.client
import io
import json
import ssl
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from defib_testkit.recorder import Recorder
from defib_testkit.server_double import ServerDouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came in."""

    method: str
    target: str  # path and query, as sent
    headers: http.client.HTTPMessage  # found under any spelling of the name
    body: bytes
    at: float = field(default_factory=time.monotonic)  #: when it was here as a whole, in monotonic seconds

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer; the length is added."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpDouble(ServerDouble):
    """Keeps connections alive, as real servers do."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: Recorder[Request] = Recorder("requests")
        super().__init__(tls)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    @abstractmethod
    async def _respond(self, request: Request) -> Response | None:
        """The answer; None to leave the client waiting."""

    def _protocol(self) -> asyncio.BaseProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._converse)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connected(writer.transport)
        try:
            while True:
                request = await _read_request(reader)
                self.requests.add(request)
                response = await self._respond(request)
                if response is None:
                    await reader.read()  # until the client gives up
                    return
                writer.write(_encode(response, with_body=request.method != "HEAD"))
                await writer.drain()
                if request.headers.get("Connection", "").lower() == "close":
                    return
        except (asyncio.IncompleteReadError, OSError):
            return  # the client went away, or this server died
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    line = (await reader.readuntil(b"\r\n")).decode("latin-1")
    method, target, _ = line.split(" ", 2)
    headers = http.client.parse_headers(io.BytesIO(await _until_blank_line(reader)))
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Request(method=method, target=target, headers=headers, body=body)


async def _until_blank_line(reader: asyncio.StreamReader) -> bytes:
    lines = b""
    while not lines.endswith(b"\r\n\r\n") and lines != b"\r\n":
        lines += await reader.readuntil(b"\r\n")
    return lines


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await _until_blank_line(reader)  # trailers
    return body


def _encode(response: Response, *, with_body: bool) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {http.HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines += [f"Content-Length: {len(response.body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (response.body if with_body else b"")
