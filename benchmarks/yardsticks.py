"""What the same machine does at the same moment without Defib: the other half of every ratio.

As a program (``python -m benchmarks.yardsticks HOST PORT COUNT [RATE]``) it is the floor for Python: GETs by an asyncio
protocol on uvloop with httptools' parser, a new connection for each; 50 at once, or RATE of them a second.
"""

import asyncio
import sys
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import httptools
import uvloop

from benchmarks import ROOT
from benchmarks.processes import PYTHON, Ended, run
from benchmarks.targets import Targets

AT_ONCE = 50
_MANY = 4000


class Yardsticks:
    """Each is measured when it is first asked for, ``runs`` times."""

    def __init__(self, targets: Targets, folder: Path, runs: int) -> None:
        self._targets = targets
        self._folder = folder
        self._runs = runs

    @cached_property
    def start_cpu_s(self) -> tuple[float, ...]:
        """CPU of Python starting and ending."""
        return tuple(run([PYTHON, "-c", "pass"], self._folder).cpu_s for _ in range(self._runs))

    def script_cpu_s(self, gets: int) -> tuple[float, ...]:
        """CPU of a bare script that does so many GETs, the interpreter's start included."""
        return tuple(self._script(gets).cpu_s for _ in range(self._runs))

    @cached_property
    def get_cpu_ms(self) -> tuple[float, ...]:
        """CPU of one GET: the floor."""
        start = median(self._script(0).cpu_s for _ in range(self._runs))
        return tuple((self._script(_MANY).cpu_s - start) / _MANY * 1000 for _ in range(self._runs))

    def paced_get_cpu_ms(self, rate: float, seconds: float) -> tuple[float, ...]:
        """CPU of one GET at ``rate`` a second: a process that sleeps in between works on cold caches."""
        count = int(rate * seconds)
        start = median(self._script(0).cpu_s for _ in range(3))
        return tuple((self._script(count, rate).cpu_s - start) / count * 1000 for _ in range(3))

    def _script(self, gets: int, rate: float = 0.0) -> Ended:
        target = ["127.0.0.1", str(self._targets.port)]
        return run([PYTHON, "-m", "benchmarks.yardsticks", *target, str(gets), str(rate)], ROOT)


class _Get(asyncio.Protocol):
    """One GET; ``done`` ends with the answer."""

    def __init__(self, done: asyncio.Future[None]) -> None:
        self._done = done
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(b"GET /floor HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the connection ended without an answer"))

    def on_message_complete(self) -> None:
        self._done.set_result(None)
        self._transport.close()


async def _get(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    await loop.create_connection(lambda: _Get(done), host, port)
    await done


async def _get_all(host: str, port: int, count: int, rate: float) -> None:
    left = iter(range(count))

    async def one_after_the_other() -> None:
        for _ in left:
            await _get(host, port)
            if rate:
                await asyncio.sleep(1 / rate)

    await asyncio.gather(*(one_after_the_other() for _ in range(1 if rate else AT_ONCE)))


if __name__ == "__main__":
    uvloop.run(_get_all(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float((sys.argv[4:] or ["0"])[0])))
