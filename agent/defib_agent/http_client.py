"""HTTP/1.1 over one connection that is kept: what an agent needs of it, and nothing more.

Written here because an agent must be small: the usual clients take as much memory as all the rest of it. No
redirects, no proxies, no compression. Whatever is cancelled or fails closes the connection.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from defib_agent.errors import RejectedError, UnauthorizedError, UnavailableError, why

MOST_BODY_BYTES = 1024 * 1024
_MOST_LINE_BYTES = 16 * 1024
_MOST_HEADERS = 100
_TROUBLE = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]  #: names in lower case
    body: bytes

    def json(self) -> dict[str, Any]:
        """:raises RejectedError: it is no JSON object, so what answers is not what we talk to."""
        try:
            data = json.loads(self.body)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise RejectedError("the answer is no JSON object; is 'server_url' the address of Defib?")
        return data


class HttpClient:
    """Talks to one server.

    :param url: its address; a path in it comes before every other.
    :param tls: for https; None takes the system's certificates.
    """

    def __init__(self, url: str, *, timeout_s: float, agent: str, tls: ssl.SSLContext | None = None) -> None:
        self._url: SplitResult = urlsplit(url)
        self._timeout_s = timeout_s
        self._agent = agent
        self._tls = tls
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Mapping[str, Any], token: str = "") -> Answer:
        """Send JSON.

        :raises UnavailableError: not reached, not answered within the timeout, 408, 425, 429 or 5xx.
        :raises UnauthorizedError: 401.
        :raises RejectedError: any other answer but 2xx.
        """
        payload = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._exchange(path, payload, token)
        except TimeoutError:
            raise UnavailableError(f"{self._place} did not answer within {self._timeout_s:g} s") from None
        except _TROUBLE as error:
            raise UnavailableError(f"{self._place}: {why(error)}") from None
        return _judged(answer, path)

    async def _exchange(self, path: str, payload: bytes, token: str) -> Answer:
        """One request; once more over a new connection when the server had closed the kept one."""
        is_kept = self._stream is not None
        try:
            return await self._ask(path, payload, token)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if not is_kept or (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                raise
        return await self._ask(path, payload, token)

    async def _ask(self, path: str, payload: bytes, token: str) -> Answer:
        is_whole = False
        try:
            reader, writer = await self._connection()
            writer.write(self._head(path, len(payload), token) + payload)
            await writer.drain()
            answer, is_kept = await _read_answer(reader)
            is_whole = is_kept
            return answer
        finally:
            if not is_whole:
                self.close()

    def _head(self, path: str, length: int, token: str) -> bytes:
        lines = [
            f"POST {self._url.path.rstrip('/')}{path} HTTP/1.1", f"Host: {self._url.netloc.rpartition('@')[2]}",
            f"User-Agent: {self._agent}", "Accept: application/json", "Content-Type: application/json",
            f"Content-Length: {length}",
        ]  # fmt: skip
        if token:
            lines.append(f"Authorization: Bearer {token}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._stream is not None and self._stream[0].at_eof():
            self.close()
        if self._stream is None:
            is_tls = self._url.scheme == "https"
            if is_tls and self._tls is None:
                self._tls = ssl.create_default_context()
            self._stream = await asyncio.open_connection(
                self._url.hostname, self._url.port or (443 if is_tls else 80), limit=_MOST_LINE_BYTES,
                ssl=self._tls if is_tls else None,
            )  # fmt: skip
        return self._stream

    @property
    def _place(self) -> str:
        return f"{self._url.scheme}://{self._url.netloc.rpartition('@')[2]}"

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None


async def _read_answer(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    """An answer, and whether the connection may be used again."""
    while True:
        version, _, rest = (await _line(reader)).partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError("what answers does not speak HTTP/1.1")
        status = int(rest[:3])
        headers: dict[str, str] = {}
        while line := await _line(reader):
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
            if len(headers) > _MOST_HEADERS:
                raise ValueError("the answer has too many headers")
        if status >= 200:
            break
    is_kept = version != "HTTP/1.0" and headers.get("connection", "").lower() != "close"
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return Answer(status, headers, await _chunks(reader)), is_kept
    if status in (204, 304):
        return Answer(status, headers, b""), is_kept
    if "content-length" in headers:
        return Answer(
            status, headers, await reader.readexactly(_size(headers["content-length"], 10))
        ), is_kept
    return Answer(status, headers, await reader.read(MOST_BODY_BYTES)), False


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := _size((await _line(reader)).partition(";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        _size(str(len(body)), 10)
    while await _line(reader):  # trailers
        pass
    return bytes(body)


async def _line(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\n")).decode("latin-1").rstrip("\r\n")


def _size(text: str, base: int) -> int:
    size = int(text, base)
    if not 0 <= size <= MOST_BODY_BYTES:
        raise ValueError("the answer is too long")
    return size


def _judged(answer: Answer, path: str) -> Answer:
    if 200 <= answer.status < 300:
        return answer
    said = _detail(answer)
    if answer.status == 401:
        raise UnauthorizedError("the server does not accept the token")
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise UnavailableError(f"the server answered {answer.status}{said}", _retry_after(answer))
    raise RejectedError(f"{path.split('?', maxsplit=1)[0]}: the server answered {answer.status}{said}")


def _detail(answer: Answer) -> str:
    """What it says beside the number, whatever it calls that."""
    try:
        data = json.loads(answer.body)
    except ValueError:
        return ""
    said = (
        next((data[name] for name in ("detail", "message", "error") if data.get(name)), "")
        if isinstance(data, dict)
        else ""
    )
    return f": {str(said)[:200]}" if said else ""


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return min(3600.0, float(text)) if text.isdecimal() else 0.0
