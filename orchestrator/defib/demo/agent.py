"""An agent that can break: ``python -m defib.demo.agent --port N``.

It answers ``GET /health``, and does what it is told on standard input, a word on each line: ``well``, ``slow``,
``errors``, ``hang`` or ``crash``. It ends when standard input ends, so that it never outlives its world.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus

from defib.demo import tiny_http
from defib.demo.script import Trouble
from defib.demo.tiny_http import Request

SLOW_S = 0.8


class Agent:
    """One agent."""

    def __init__(self) -> None:
        self._trouble: Trouble | None = None
        self._started = time.monotonic()

    async def answer(self, request: Request) -> tuple[HTTPStatus, Mapping[str, object]]:
        """What it says about itself, as well as it can just now."""
        match self._trouble:
            case Trouble.HANG:
                await asyncio.Event().wait()
            case Trouble.SLOW:
                await asyncio.sleep(SLOW_S)
            case Trouble.ERRORS:
                return HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "the model cannot be loaded"}
        if request.path != "/health":
            return HTTPStatus.NOT_FOUND, {"error": "try /health"}
        return HTTPStatus.OK, {"status": "pass", "uptime_s": round(time.monotonic() - self._started, 1)}

    async def obey(self) -> None:
        """Do what standard input says until it ends."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            word = line.decode().strip()
            self._trouble = None if word == "well" else Trouble(word)
            if self._trouble is Trouble.CRASH:
                os._exit(1)


async def _run(port: int) -> None:
    agent = Agent()
    server = await tiny_http.serve(agent.answer, port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await agent.obey()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m defib.demo.agent", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_run(parser.parse_args().port))


if __name__ == "__main__":
    main()
