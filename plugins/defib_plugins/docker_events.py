"""The events of one container, as a Docker daemon tells them: one connection, no thread.

Docker Engine API, ``GET /events``. Asked in HTTP/1.0, the daemon sends plain lines of JSON until one side
hangs up, and nothing needs to be taken apart.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncGenerator
from typing import Any, cast
from urllib.parse import quote, urlsplit

_TELLING = ("die", "health_status", "pause", "destroy")
"""``kill`` comes before the end, when a look still finds the container running; ``stop`` and ``oom`` come with
``die``, or change nothing."""
_ANSWER_WITHIN_S = 10.0
_LINE_LIMIT_BYTES = 1 << 20  # an event holds the container's labels


class ContainerEvents:
    """Listens to one daemon about one container.

    :param address: of the daemon; None for ``DOCKER_HOST``, else the local default.
    """

    def __init__(self, address: str | None, container: str) -> None:
        self._address = address or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        is_plain = urlsplit(self._address).scheme in ("unix", "tcp", "http")
        self._can_listen = is_plain and not (address is None and os.environ.get("DOCKER_TLS_VERIFY"))
        self._container = container
        self._since = ""  # the daemon's time of the last event, in seconds
        self._was_lost = False

    async def trips(self) -> AsyncGenerator[str, None]:
        """Yield what happened, and also when the daemon hangs up and when it is back.

        Returns when the daemon hangs up or cannot be asked; one behind TLS or SSH is not asked.
        """
        if not self._can_listen:
            return
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                transport, listener = await self._connect()
        except OSError:  # a TimeoutError too
            return
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                if not await listener.is_taken:
                    return
            if self._was_lost:
                self._was_lost = False
                yield "the Docker daemon tells events again"
            is_over = False
            while not is_over:
                await listener.news.wait()
                listener.news.clear()
                actions, is_over = listener.take(), listener.is_over
                self._since = listener.since or self._since
                if is_over:
                    self._was_lost = True
                    actions.append("the Docker daemon hung up")
                yield ", ".join(dict.fromkeys(actions))
        except TimeoutError:
            return
        finally:
            transport.abort()

    async def _connect(self) -> "tuple[asyncio.Transport, _Listener]":
        def listener() -> _Listener:
            return _Listener(self._request())

        loop = asyncio.get_running_loop()
        if self._address.startswith("unix://"):
            return await loop.create_unix_connection(listener, self._address.removeprefix("unix://"))
        place = urlsplit(self._address)
        transport, protocol = await loop.create_connection(listener, place.hostname or "", place.port or 2375)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return transport, protocol

    def _request(self) -> bytes:
        filters = {"type": ["container"], "container": [self._container], "event": list(_TELLING)}
        target = f"/events?filters={quote(json.dumps(filters))}"
        if self._since:
            target += f"&since={self._since}"
        return f"GET {target} HTTP/1.0\r\nHost: docker\r\nUser-Agent: Defib\r\n\r\n".encode()


class _Listener(asyncio.Protocol):
    """Asks once connected, and takes down what comes.

    :ivar is_taken: whether the daemon agreed, once it has answered.
    :ivar since: the daemon's time just after the newest event.
    """

    def __init__(self, request: bytes) -> None:
        self.is_taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.news = asyncio.Event()
        self.is_over = False
        self.since = ""
        self._request = request
        self._actions: list[str] = []
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def take(self) -> list[str]:
        """What happened since the last time."""
        actions, self._actions = self._actions, []
        return actions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if not self.is_taken.done():
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return self._check_length()
            self._rest = rest
            self.is_taken.set_result(head.split(None, 2)[1:2] == [b"200"])
        *lines, self._rest = self._rest.split(b"\n")
        for line in filter(None, lines):
            self._note(line)
        return self._check_length()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_taken.done():
            self.is_taken.set_result(False)
        self.is_over = True
        self.news.set()

    def _check_length(self) -> None:
        if len(self._rest) > _LINE_LIMIT_BYTES and self._transport is not None:
            self._transport.abort()

    def _note(self, line: bytes) -> None:
        try:
            event: dict[str, Any] = json.loads(line)
            self.since = _just_after(int(event["timeNano"]))
            self._actions.append(f"container {str(event['Action'])[:60]}")
        except (ValueError, KeyError, TypeError):  # not what a Docker daemon says: a look tells more
            self._actions.append("container event that cannot be read")
        self.news.set()


def _just_after(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns + 1, 10**9)
    return f"{seconds}.{nanoseconds:09d}"
