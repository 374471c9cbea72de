"""A TCP proxy that does to connections what bad networks do."""

import asyncio
import socket
import struct
from random import Random
from typing import Any, Literal

from defib_testkit.server_double import ServerDouble

Harm = Literal["reset", "black-hole", "half-open", "truncate"]


class ChaosProxy(ServerDouble):
    """Stands before one server; what is done to a connection is decided when it comes in.

    | mode | the client sees |
    |---|---|
    | ok | the server, ``delay_s`` later |
    | reset | its connection is taken and reset |
    | black-hole | its request is taken, and nothing ever comes back |
    | half-open | the server has its request and thinks that it has answered; nothing comes back |
    | truncate | the first half of the answer, then the end |
    | dead | connection refused |

    In mode ``ok``, :meth:`lose` harms a share of the connections. ``taken`` counts those that came in, ``harmed``
    those that did not go well.
    """

    MODES = ("ok", "reset", "black-hole", "half-open", "truncate", "dead")

    def __init__(self, host: str, port: int, *, seed: int = 0) -> None:
        """
        :param host: where the server is.
        :param port: likewise.
        :param seed: of the dice that choose whom to harm.
        """
        self.taken = self.harmed = 0
        self.delay_s = 0.0
        self._upstream = (host, port)
        self._dice = Random(seed)
        self._losses: tuple[tuple[float, Harm], ...] = ()
        super().__init__()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lose(self, *losses: tuple[float, Harm]) -> None:
        """From now on, harm so large a share of all connections in that way; the shares add up to 1 at most."""
        self._losses = losses

    def _protocol(self) -> asyncio.BaseProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._carry)

    def _fate(self) -> str:
        mode = self._next_mode()
        if mode == "ok":
            drawn = self._dice.random()
            for share, harm in self._losses:
                if drawn < share:
                    mode = harm
                    break
                drawn -= share
        self.taken += 1
        self.harmed += mode != "ok"
        return mode

    async def _carry(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        self._connected(answers.transport)
        fate = self._fate()
        try:
            match fate:
                case "reset":
                    _reset(answers.transport)
                case "black-hole":
                    await client.read(-1)  # until the client gives up
                case _:
                    await self._forward(client, answers, fate)
        except OSError:
            return  # somebody went away
        finally:
            answers.close()

    async def _forward(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter, fate: str) -> None:
        server, requests = await asyncio.open_connection(*self._upstream)
        self._connected(requests.transport)
        request = asyncio.ensure_future(_pump(client, requests))
        try:
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            match fate:
                case "half-open":
                    await request
                case "truncate":
                    answer = await server.read(65536)
                    answers.write(answer[: len(answer) // 2])
                    await answers.drain()
                case _:
                    await _pump(server, answers)
        finally:
            request.cancel()
            requests.close()
            await asyncio.gather(request, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()


def _reset(transport: Any) -> None:
    """Close with RST instead of FIN."""
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()
