"""How beats travel: requests, a Unix socket, or both a stream and requests. The stream itself is :mod:`stream`."""

import asyncio
import contextlib
import json
import time
from typing import Protocol

from defib_agent.beat import Beat
from defib_agent.dialects import Dialect, Identity
from defib_agent.errors import SendError, UnavailableError
from defib_agent.http_client import HttpClient


class Way(Protocol):
    """One way to the server."""

    def use(self, identity: Identity, token: str) -> None:
        """Be this one from now on."""

    async def deliver(self, beat: Beat) -> None:
        """Return once the server has it, as far as the protocol lets us know.

        :raises SendError: it does not.
        """

    async def run(self) -> None:
        """What is to be done beside deliveries, until cancelled."""

    async def close(self) -> None:
        """End the connection."""


class Requests:
    """A request for each beat."""

    def __init__(self, client: HttpClient, dialect: Dialect) -> None:
        self._client = client
        self._dialect = dialect
        self._identity = Identity(agent_id="")
        self._token = ""

    def use(self, identity: Identity, token: str) -> None:
        """See :class:`Way`."""
        self._identity, self._token = identity, token

    async def deliver(self, beat: Beat) -> None:
        """See :class:`Way`."""
        path, body = self._dialect.post(beat, self._identity, time.monotonic())
        await self._client.post(path, body, self._token)

    async def run(self) -> None:
        """See :class:`Way`."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """See :class:`Way`."""
        self._client.close()


class LocalSocket:
    """One JSON object a line into the socket of a Defib on this machine, which never answers."""

    def __init__(self, path: str, dialect: Dialect, *, timeout_s: float) -> None:
        self._path = path
        self._dialect = dialect
        self._timeout_s = timeout_s
        self._identity = Identity(agent_id="")
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def use(self, identity: Identity, token: str) -> None:
        """See :class:`Way`."""
        self._identity = identity

    async def deliver(self, beat: Beat) -> None:
        """See :class:`Way`."""
        line = json.dumps(self._dialect.message(beat, self._identity, time.monotonic()), allow_nan=False)
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._stream is not None and self._stream[0].at_eof():
                    await self.close()
                if self._stream is None:
                    self._stream = await asyncio.open_unix_connection(self._path)
                self._stream[1].write(line.encode() + b"\n")
                await self._stream[1].drain()
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            await self.close()
            why = (
                "takes nothing"
                if isinstance(error, TimeoutError)
                else getattr(error, "strerror", "") or str(error)
            )
            raise UnavailableError(f"{self._path}: {why}") from None
        except asyncio.CancelledError:  # half a line may be written: what follows would be garbage
            await self.close()
            raise

    async def run(self) -> None:
        """See :class:`Way`."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """See :class:`Way`."""
        if self._stream is not None:
            writer, self._stream = self._stream[1], None
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()


class Both:
    """Each beat by request, repeated until it is stored; and a stream beside that, for what is live."""

    def __init__(self, durable: Way, live: Way) -> None:
        self._durable = durable
        self._live = live

    def use(self, identity: Identity, token: str) -> None:
        """See :class:`Way`."""
        self._durable.use(identity, token)
        self._live.use(identity, token)

    async def deliver(self, beat: Beat) -> None:
        """See :class:`Way`."""
        copy = asyncio.create_task(self._live.deliver(beat))
        try:
            await self._durable.deliver(beat)
        finally:
            # of the copy nobody waits for the end but us: it is of no use once the next beat is made
            await asyncio.wait({copy}, timeout=1.0)
            copy.cancel()
            with contextlib.suppress(SendError, asyncio.CancelledError):
                await copy

    async def run(self) -> None:
        """See :class:`Way`."""
        await self._live.run()

    async def close(self) -> None:
        """See :class:`Way`."""
        await self._live.close()
        await self._durable.close()
