"""Monitors as the engine makes them, and small servers for them to look at."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from defib.engine.clock import SystemClock
from defib.plugin import BuildContext, Evidence, Monitor, ProbeContext

BASE = Path("/")


def build(module: ModuleType, base: Path = BASE, **options: Any) -> Monitor:
    """The monitor that a plugin module makes of ``options`` as they stand in a configuration."""
    (kind,) = module.defib_monitors()
    created: Monitor = kind.create(kind.options.model_validate(options), BuildContext(base=base))
    return created


def frame(timeout_s: float = 5.0) -> ProbeContext:
    """The frame of a probe, with the real clock."""
    return ProbeContext(timeout=timedelta(seconds=timeout_s), clock=SystemClock())


async def look(module: ModuleType, *, timeout_s: float = 5.0, base: Path = BASE, **options: Any) -> Evidence:
    """Build a monitor, probe once in a task of its own as the engine does, and close it."""
    monitor = build(module, base, **options)
    try:
        return await asyncio.ensure_future(monitor.probe(frame(timeout_s)))
    finally:
        await monitor.close()


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(
    conversation: Conversation,
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    socket: Path | None = None,
) -> AsyncIterator[int]:
    """A server on loopback that holds ``conversation`` with each client; its port.

    :param socket: listen on this Unix socket instead; the port is 0 then.
    """

    others = asyncio.all_tasks()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await conversation(reader, writer)
        writer.close()

    if socket is not None:
        server = await asyncio.start_unix_server(converse, socket)
    else:
        server = await asyncio.start_server(converse, host, 0, ssl=tls)
    try:
        yield 0 if socket is not None else server.sockets[0].getsockname()[1]
    finally:
        server.close()
        # Those of the server: conversations, and handshakes that are about to fail.
        if own := asyncio.all_tasks() - others - {asyncio.current_task()}:
            await asyncio.wait(own, timeout=0.1)
            for task in own:
                task.cancel()
            await asyncio.wait(own)


def saying(answer: bytes) -> Conversation:
    """Reads one HTTP request without a body, writes ``answer`` and hangs up."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return converse


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Listens until the client gives up, and says nothing."""
    await reader.read()
