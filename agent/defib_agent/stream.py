"""A WebSocket to the server that is kept open: beats go out over it, and what the server asks comes in."""

import asyncio
import json
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from defib_agent.beat import Beat
from defib_agent.dialects import Dialect, Identity
from defib_agent.errors import RejectedError, SendError, UnauthorizedError, UnavailableError, why
from defib_agent.patience import reconnect_s

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

MOST_MESSAGE_BYTES = 64 * 1024
PING_EVERY_S, PONG_WITHIN_S = 20.0, 20.0
_TOKEN_DOES_NOT_COUNT, _REPLACED = 1008, 4000  # close codes of the server

Reply = Callable[[Mapping[str, Any]], Awaitable[None]]
Hear = Callable[[str, Mapping[str, Any], Reply], None]
"""``hear(type, data, reply)``: a message that is no part of delivering beats."""


class Stream:
    """Holds the WebSocket open, and opens it again whenever it ends."""

    def __init__(
        self, url: str, dialect: Dialect, *, timeout_s: float, agent: str, tls: ssl.SSLContext | None = None,
        hear: Hear | None = None,
    ) -> None:  # fmt: skip
        self._url = "ws" + url.removeprefix("http")
        self._dialect = dialect
        self._timeout_s = timeout_s
        self._agent = agent
        self._tls = tls
        self._hear = hear
        self._identity = Identity(agent_id="")
        self._token = ""
        self._is_wanted = asyncio.Event()  # we know who we are, and the server has not refused that
        self._is_settled = asyncio.Event()  # it is open, or the newest try has failed
        self._socket: ClientConnection | None = None
        self._trouble: SendError | None = None
        self._unconfirmed: dict[int, asyncio.Future[None]] = {}
        self._is_confirming = dialect.acknowledges
        self._was_confirmed = False

    def use(self, identity: Identity, token: str) -> None:
        """See :class:`defib_agent.ways.Way`."""
        self._identity, self._token = identity, token
        self._trouble = None
        if self._socket is None:
            self._is_settled.clear()
        self._is_wanted.set()

    async def run(self) -> None:
        """See :class:`defib_agent.ways.Way`."""
        failures = 0
        while True:
            await self._is_wanted.wait()
            try:
                socket = await self._open()
            except SendError as error:
                self._settle(error)
                if isinstance(error, UnauthorizedError):
                    self._is_wanted.clear()  # until we are somebody else
                    continue
                failures += 1
            else:
                opened_at = time.monotonic()
                await self._listen(socket)
                failures = 1 if time.monotonic() - opened_at > self._timeout_s else failures + 1
            await asyncio.sleep(reconnect_s(failures, random.random()))  # noqa: S311 - nothing secret

    async def _open(self) -> "ClientConnection":
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidStatus, WebSocketException

        try:
            return await connect(
                self._url + self._dialect.stream_path(self._identity), user_agent_header=self._agent, proxy=None,
                additional_headers={"Authorization": f"Bearer {self._token}"}, compression=None,
                open_timeout=self._timeout_s, ping_interval=PING_EVERY_S, ping_timeout=PONG_WITHIN_S, close_timeout=1.0,
                max_size=MOST_MESSAGE_BYTES, max_queue=8,
                ssl=(self._tls or True) if self._url.startswith("wss") else None,
            )  # fmt: skip
        except InvalidStatus as error:
            status = error.response.status_code
            if status == 401:
                raise UnauthorizedError("the server does not accept the token") from None
            raise UnavailableError(f"the WebSocket was refused with {status}") from None
        except TimeoutError:
            raise UnavailableError(f"{self._place} did not answer within {self._timeout_s:g} s") from None
        except (OSError, EOFError, ValueError, WebSocketException) as error:
            raise UnavailableError(f"{self._place}: {why(error)}") from None

    @property
    def _place(self) -> str:
        return self._url

    async def _listen(self, socket: "ClientConnection") -> None:
        """Until it ends."""
        from websockets.exceptions import ConnectionClosed

        self._socket = socket
        self._trouble = None
        self._is_settled.set()
        why: SendError = UnavailableError("the server closed the WebSocket")
        try:
            async for frame in socket:
                await self._take(frame)
        except ConnectionClosed:
            why = UnavailableError("the WebSocket broke")
        finally:
            self._socket = None
            if socket.close_code == _TOKEN_DOES_NOT_COUNT:
                why = UnauthorizedError("the server does not accept the token any more")
                self._is_wanted.clear()
            elif socket.close_code == _REPLACED:
                why = UnavailableError(
                    "another agent with the same id has taken over, or this one was removed"
                )
            self._settle(why)
            await socket.close()

    def _settle(self, error: SendError) -> None:
        self._trouble = error
        self._is_settled.set()
        waiting, self._unconfirmed = self._unconfirmed, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(error)

    async def _take(self, frame: str | bytes) -> None:
        try:
            message = json.loads(frame)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        data = message.get("data")
        data = data if isinstance(data, dict) else {}
        match message.get("type"):
            case "heartbeat_ack":
                self._confirm(data.get("seq"), None)
            case "error":
                oldest = next(iter(self._unconfirmed), None)
                self._confirm(data.get("seq", oldest), _refusal(data))
            case "ping":
                await self._reply({"type": "pong"})
            case str(kind) if self._hear is not None:
                self._hear(kind, data, self._reply)

    def _confirm(self, seq: object, error: SendError | None) -> None:
        future = self._unconfirmed.pop(seq, None) if isinstance(seq, int) else None
        if future is not None and not future.done():
            future.set_result(None) if error is None else future.set_exception(error)

    async def _reply(self, message: Mapping[str, Any]) -> None:
        socket = self._socket
        if socket is not None:
            with suppress(OSError, EOFError):
                await self._write(socket, message)

    async def _write(self, socket: "ClientConnection", message: Mapping[str, Any]) -> None:
        """:raises UnavailableError: it is closed, or takes nothing."""
        from websockets.exceptions import WebSocketException

        try:
            async with asyncio.timeout(self._timeout_s):
                await socket.send(json.dumps(message, separators=(",", ":"), allow_nan=False))
        except (OSError, WebSocketException):  # TimeoutError is an OSError
            raise UnavailableError("the WebSocket broke") from None

    async def deliver(self, beat: Beat) -> None:
        """See :class:`defib_agent.ways.Way`."""
        socket = await self._opened()
        message = self._dialect.message(beat, self._identity, time.monotonic())
        if not self._is_confirming:
            await self._write(socket, message)
            return
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unconfirmed[beat.seq] = confirmed
        try:
            await self._write(socket, message)
            async with asyncio.timeout(self._timeout_s):
                await confirmed
            self._was_confirmed = True
        except TimeoutError:
            if not self._was_confirmed and self._socket is socket:  # an older server: it confirms nothing
                self._is_confirming = False
                return
            raise UnavailableError(f"the beat was not confirmed within {self._timeout_s:g} s") from None
        finally:
            self._unconfirmed.pop(beat.seq, None)
            if confirmed.done() and not confirmed.cancelled():
                confirmed.exception()  # seen, whatever came first

    async def _opened(self) -> "ClientConnection":
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._is_settled.wait()
        except TimeoutError:
            raise UnavailableError(f"{self._place} did not answer within {self._timeout_s:g} s") from None
        if self._socket is None:
            raise self._trouble or UnavailableError("the WebSocket is not open")
        return self._socket

    async def close(self) -> None:
        """See :class:`defib_agent.ways.Way`."""
        if self._socket is not None:
            await self._socket.close()


def _refusal(data: Mapping[str, Any]) -> SendError:
    """What an error of the server means for the beat that it is about."""
    status, said = data.get("status"), str(data.get("message", ""))[:200]
    if isinstance(status, int) and 400 <= status < 500 and status not in (401, 408, 429):
        return RejectedError(f"the server answered: {said}")
    return UnavailableError(f"the server answered: {said}")
