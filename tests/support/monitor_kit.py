"""Monitors as the engine makes them, and small servers for them to look at."""

import asyncio
import contextlib
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
    """Build a monitor, probe once, and close it."""
    monitor = build(module, base, **options)
    try:
        return await monitor.probe(frame(timeout_s))
    finally:
        await monitor.close()


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(conversation: Conversation, **options: Any) -> AsyncIterator[int]:
    """A server on loopback that holds ``conversation`` with each client; its port.

    :param options: of :func:`asyncio.start_server`: ``ssl``, ``host``.
    """

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await conversation(reader, writer)
        writer.close()

    server = await asyncio.start_server(converse, options.pop("host", "127.0.0.1"), 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        # Conversations that wait for ever end with their clients; those are gone by now.
        await asyncio.sleep(0)


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
