"""Just enough of an HTTP/1.1 server for the demo: one request on each connection, on this machine only."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

HOST = "127.0.0.1"
LARGEST_BODY = 1024 * 1024
PATIENCE_S = 10.0  #: for a request to come in whole


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    method: str
    path: str
    body: bytes


Answer = Callable[[Request], Awaitable[tuple[HTTPStatus, Mapping[str, object]]]]
"""Answers a request with a status and a JSON document."""


async def serve(answer: Answer, port: int) -> asyncio.Server:
    """Listen on :data:`HOST`.

    :param port: 0 takes one that is free.
    """

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(_read(reader), PATIENCE_S)
            status, document = await answer(request)
            body = json.dumps(document).encode()
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or speaks something else
        finally:
            writer.close()

    return await asyncio.start_server(connected, HOST, port)


def port_of(server: asyncio.Server) -> int:
    """The port that a server listens on."""
    return int(server.sockets[0].getsockname()[1])


async def _read(reader: asyncio.StreamReader) -> Request:
    """:raises ValueError: it is no request, or too large."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= LARGEST_BODY:
        raise ValueError("body too large")
    return Request(method, path, await reader.readexactly(length))
