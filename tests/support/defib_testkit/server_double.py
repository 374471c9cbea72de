"""What all server doubles have in common: a port, a mode, and a way to die and come back."""

import asyncio
import contextlib
import errno
import ssl
import weakref
from abc import ABC, abstractmethod
from typing import ClassVar

from defib_testkit.loop_thread import LoopThread
from defib_testkit.ports import free_port


class ServerDouble(ABC):
    """A server on 127.0.0.1, in a thread of its own, from construction to :meth:`close`.

    It answers in ``mode``, which a test sets at any time: one of ``MODES``. Every double has ``ok``, and
    ``dead``, in which connections are refused and existing ones are reset; the port stays its own.
    """

    MODES: ClassVar[tuple[str, ...]] = ("ok", "dead")

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """
        :param tls: speak TLS from the first byte on.
        """
        self.port = 0
        self._tls = tls
        self._mode = "ok"
        self._next: list[str] = []
        self._server: asyncio.Server | None = None
        self._connections: weakref.WeakSet[asyncio.WriteTransport] = weakref.WeakSet()
        self._thread = LoopThread(type(self).__name__)
        self._thread.run(self._open())

    @property
    def mode(self) -> str:
        """How requests are answered from now on."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._check(mode)
        self._mode = mode
        self._thread.run(self._shut() if mode == "dead" else self._open())

    def then(self, *modes: str) -> None:
        """Answer the next requests in these modes, one each, and all after them in ``mode``; not ``dead``."""
        for mode in modes:
            self._check(mode)
            if mode == "dead":
                raise ValueError("a single request cannot find the server dead: set `mode`")
        self._next.extend(modes)

    def close(self) -> None:
        self._thread.run(self._shut())
        self._thread.close()

    @abstractmethod
    def _protocol(self) -> asyncio.BaseProtocol:
        """A protocol for one more connection; it hands its transport to :meth:`_connected`."""

    def _connected(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._connections.add(transport)

    def _next_mode(self) -> str:
        return self._next.pop(0) if self._next else self._mode

    def _check(self, mode: str) -> None:
        if mode not in self.MODES:
            raise ValueError(f"{type(self).__name__} has no mode {mode!r}: it has {', '.join(self.MODES)}")

    async def _open(self) -> None:
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        for attempt in range(20):
            try:
                port = self.port or free_port()
                self._server = await loop.create_server(self._protocol, "127.0.0.1", port, ssl=self._tls)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or attempt == 19:
                    raise
                await asyncio.sleep(0.01)
            else:
                self.port = port
                return

    async def _shut(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for transport in list(self._connections):
            # AttributeError: abort() of a TLS transport that has closed already (seen in Python 3.11.2).
            with contextlib.suppress(AttributeError):
                transport.abort()
        await asyncio.sleep(0)
