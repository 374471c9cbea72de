"""The agents as processes: started, broken, restarted, and ended with the world."""

import asyncio
import contextlib
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable

from defib.demo.script import Trouble
from defib.demo.tiny_http import HOST
from defib.errors import DefibError

START_WITHIN_S = 15.0


class World:
    """The agents by their names, each at a port that stays.

    :ivar ports: of the agents.
    """

    def __init__(self, names: Iterable[str]) -> None:
        names = list(names)
        self.ports = dict(zip(names, _free_ports(len(names)), strict=True))
        self._processes: dict[str, Process] = {}
        self._busy = {name: asyncio.Lock() for name in names}
        self._broken: dict[str, Trouble] = {}
        self._is_closed = False

    async def start(self) -> None:
        """Start every agent; they answer when this returns."""
        outcomes = await asyncio.gather(*(self._start(name) for name in self.ports), return_exceptions=True)
        for error in filter(None, outcomes):
            raise error

    async def upset(self, name: str, trouble: Trouble) -> None:
        """Break an agent."""
        self._broken[name] = trouble
        await self._tell(name, trouble)

    async def restart(self, name: str) -> None:
        """Kill an agent and start it anew; it answers when this returns. Does nothing once the world is closed."""
        async with self._busy[name]:
            if self._is_closed:
                return
            await self._end(name)
            await self._start(name)
            self._broken.pop(name, None)

    async def mend(self) -> list[str]:
        """Make everything well that still is not; the names of those that had to be restarted."""
        restarted = []
        for name, trouble in list(self._broken.items()):
            if trouble is Trouble.SLOW:
                del self._broken[name]
                await self._tell(name, "well")
            else:
                await self.restart(name)
                restarted.append(name)
        return restarted

    async def close(self) -> None:
        """End every agent."""
        self._is_closed = True
        for name in self.ports:  # also one that is being restarted at this moment
            async with self._busy[name]:
                await self._end(name)

    async def _start(self, name: str) -> None:
        """:raises DefibError: it does not come up."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "defib.demo.agent", "--port", str(self.ports[name]),
            stdin=PIPE, stdout=PIPE, start_new_session=True,  # Ctrl-C is for the demo alone
        )  # fmt: skip
        self._processes[name] = process
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_WITHIN_S)
        except TimeoutError:
            line = b""
        if line != b"ready\n":
            raise DefibError(f"the agent {name} of the demo does not start at port {self.ports[name]}")

    async def _tell(self, name: str, word: str) -> None:
        stdin = self._processes[name].stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # it has just ended
            stdin.write(f"{word}\n".encode())
            await stdin.drain()

    async def _end(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()  # closes its pipes too


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for item in sockets:
            item.bind((HOST, 0))
        return [item.getsockname()[1] for item in sockets]
