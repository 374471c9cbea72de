"""Healthy targets in one process: an HTTP server on many addresses, and a resolver.

Run as ``python many_targets.py --port N [--delay S] [--resolver ADDRESS] ADDRESS…``; ``GET`` of anything is
answered with 200 after the delay, a question to the resolver (UDP, port 53) with "no such name". Prints
``listening`` when it does, and how often it was asked when SIGTERM ends it. Tests drive it through
:class:`ManyTargets`.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n"
)
_ANSWER += b'{"status":"ok"}'


class ManyTargets:
    """The process, from construction to :meth:`close`; it listens when this returns."""

    def __init__(
        self, addresses: Sequence[str], port: int, *, delay: float = 0.0, resolver: str = "",
        launcher: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """
        :param delay: seconds that an answer takes: most of the time somebody is waiting for one.
        :param launcher: before its command line: ``ip netns exec …``.
        """
        self.port = port
        self.asked = 0  #: requests that were answered; known when closed
        argv = [*launcher, sys.executable, "-I", "-S", __file__, "--port", str(port), "--delay", str(delay)]
        argv += ["--resolver", resolver] if resolver else []
        self._process = subprocess.Popen(
            [*argv, *addresses], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"listening\n":
            self._process.kill()
            self._process.communicate()
            raise RuntimeError(f"the targets do not listen on port {port} of {', '.join(addresses)}")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End it; idempotent."""
        if self.is_running:
            self._process.terminate()
            said, _ = self._process.communicate(timeout=10)
            self.asked = int(said)


class _Target(asyncio.Protocol):
    """One connection."""

    asked = 0

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head:
            asyncio.get_running_loop().call_later(self._delay, self._answer)

    def _answer(self) -> None:
        _Target.asked += 1
        self._transport.write(_ANSWER)
        self._transport.close()


class _Resolver(asyncio.DatagramProtocol):
    """Answers that there is no such name."""

    def connection_made(
        self, transport: Any
    ) -> None:  # which is no DatagramTransport, but does what one does
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # RFC 1035, section 4.1.1: the same id, QR and RA set, NXDOMAIN; the question follows as it was asked
        self._transport.sendto(data[:2] + b"\x81\x83" + data[4:6] + b"\0" * 6 + data[12:], addr)


async def _serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    if options.resolver:
        await loop.create_datagram_endpoint(_Resolver, local_addr=(options.resolver, 53))
    server = await loop.create_server(
        lambda: _Target(options.delay), options.addresses, options.port, backlog=1024
    )
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    print("listening", flush=True)
    await ended.wait()
    server.close()
    print(_Target.asked, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="healthy targets on many addresses")
    parser.add_argument("addresses", nargs="+")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that an answer takes")
    parser.add_argument("--resolver", default="", help="address of a resolver, on port 53")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
