"""How beats travel: requests, a Unix socket, or both a stream and requests. The stream itself is :mod:`stream`."""

import asyncio
import contextlib
import json
import time
from typing import Protocol

from defib_agent.beat import Beat
from defib_agent.dialects import Dialect, Identity
from defib_agent.errors import UnavailableError
from defib_agent.http_client import HttpClient

_LEFT_WITHIN_S = 1.0  #: for what is still on its way: a live copy, the end of a connection


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
                    self._hang_up()
                if self._stream is None:
                    self._stream = await asyncio.open_unix_connection(self._path)
                self._stream[1].write(line.encode() + b"\n")
                await self._stream[1].drain()
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            self._hang_up()
            why = (
                "takes nothing"
                if isinstance(error, TimeoutError)
                else getattr(error, "strerror", "") or str(error)
            )
            raise UnavailableError(f"{self._path}: {why}") from None
        except asyncio.CancelledError:  # half a line may be written: what follows would be garbage
            self._hang_up()
            raise

    async def run(self) -> None:
        """See :class:`Way`."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """See :class:`Way`."""
        writer = self._hang_up()
        if writer is not None:  # what was written last is still on its way
            with contextlib.suppress(OSError):
                async with asyncio.timeout(_LEFT_WITHIN_S):
                    await writer.wait_closed()

    def _hang_up(self) -> asyncio.StreamWriter | None:
        """The connection that there was, closing; the next beat opens another."""
        if self._stream is None:
            return None
        writer, self._stream = self._stream[1], None
        writer.close()
        return writer


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
        copy.add_done_callback(_look_away)
        try:
            await self._durable.deliver(beat)
            await asyncio.wait({copy}, timeout=_LEFT_WITHIN_S)
        finally:
            copy.cancel()

    async def run(self) -> None:
        """See :class:`Way`."""
        await self._live.run()

    async def close(self) -> None:
        """See :class:`Way`."""
        await self._live.close()
        await self._durable.close()


def _look_away(copy: asyncio.Task[None]) -> None:
    """Nobody is to be told that a copy was not delivered: what counts is told by the other way."""
    if not copy.cancelled():
        copy.exception()
