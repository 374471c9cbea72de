"""Targets to be probed: an HTTP server in a process of its own that notes when it was asked for what.

``GET /hang/…`` is never answered, ``/blink/N`` with 500 for 10 of every 40 s, each N at a time of its own,
``/control/arrivals`` gives the notes and forgets them, everything else is answered at once with a small health
document.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from typing import Any, Self, cast

import uvloop

from benchmarks import ROOT
from benchmarks.processes import PYTHON

HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 17)) if sys.platform == "linux" else ("127.0.0.1",)
"""Monitors of a company are spread over some machines, and Defib limits how many looks begin at one at a time."""

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n"
)
_ANSWER += b'{"status":"ok"}'
_SICK = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BLINK_EVERY_S, BLINK_FOR_S = 40.0, 10.0


class Targets:
    """The server's process. A context manager."""

    def __init__(self) -> None:
        argv = [PYTHON, "-m", "benchmarks.targets"]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def url(self, name: str, number: int) -> str:
        """Of one target: ``name`` is ``well``, ``hang`` or ``blink``."""
        return f"http://{HOSTS[number % len(HOSTS)]}:{self.port}/{name}/{number}"

    def arrivals(self) -> dict[str, list[float]]:
        """When each target was asked since the last call, by path: seconds since 1970, ascending."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/control/arrivals", timeout=30) as answer:
            return cast("dict[str, list[float]]", json.load(answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)


class _Connection(asyncio.Protocol):
    """One request."""

    def __init__(self, arrivals: dict[str, list[float]]) -> None:
        self._arrivals = arrivals
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport  # uvloop's is a WriteTransport, but does not say so

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        path = self._head.split(b" ", 2)[1].decode("latin-1")
        if path == "/control/arrivals":
            body = json.dumps(self._arrivals).encode()
            self._arrivals.clear()
            self._answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return
        if path != "/floor":
            self._arrivals[path].append(time.time())
        if not path.startswith("/hang/"):
            self._answer(_SICK if path.startswith("/blink/") and _is_dark(path) else _ANSWER)

    def _answer(self, answer: bytes) -> None:
        self._transport.write(answer)
        self._transport.close()


def _is_dark(path: str) -> bool:
    shift = int(path.rpartition("/")[2]) * 0.7
    return (time.monotonic() + shift) % BLINK_EVERY_S < BLINK_FOR_S


async def _serve() -> None:
    arrivals: dict[str, list[float]] = defaultdict(list)
    loop = asyncio.get_running_loop()
    first = await loop.create_server(lambda: _Connection(arrivals), HOSTS[0], 0, backlog=4096)
    port = first.sockets[0].getsockname()[1]
    if len(HOSTS) > 1:
        await loop.create_server(lambda: _Connection(arrivals), HOSTS[1:], port, backlog=4096)
    print(port, flush=True)
    await first.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
