"""Listening: sockets with errors that name the remedy, and uvicorn inside the engine's event loop."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from defib.errors import ListenError
from defib.logs import get_logger
from defib.model.settings import ServerSettings
from defib.web.patience import Patience, PatientProtocol

log = get_logger("defib.server")

STOP_WITHIN_S = 5  #: for requests under way when the server stops
GO_WITHIN_S = 5.0  #: a WebSocket's peer that has not taken the rest by then is cut off
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
_LOWEST_FREE_PORT = 1024


class _Uvicorn(uvicorn.Server):
    """Leaves the signals to the command line."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _WebSocket(WebSocketsSansIOProtocol):
    """Ends also where the peer takes nothing: closing alone waits for it to take the rest, for ever."""

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self._cut_off_soon()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._cut_off_soon()

    def _cut_off_soon(self) -> None:
        if not self.disconnected:
            self.loop.call_later(GO_WITHIN_S, self.transport.abort)


class Server:
    """Serves one application until :meth:`stop`."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._settings = settings
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                http=partial(PatientProtocol, patience=Patience()),  # type: ignore[arg-type] # it is called only
                ws=_WebSocket,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_WITHIN_S,
                ws_max_size=64 * 1024,
                ws_per_message_deflate=False,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self._port = settings.port

    @property
    def url(self) -> str:
        """Where this machine reaches the server, without a slash at its end; the real port once it has started."""
        host = _WILDCARDS.get(self._settings.host, self._settings.host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Listen, and serve in the background from now on: who connects at once waits a moment in the backlog.

        :raises ListenError: the address cannot be bound; nothing is left open.
        """
        sockets = listen(self._settings.host, self._settings.port)
        self._port = sockets[0].getsockname()[1]
        self._task = asyncio.create_task(self._uvicorn.serve(sockets), name="defib-server")

    async def wait_ended(self) -> None:
        """Return when the server has stopped, for whatever reason."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def stop(self) -> None:
        """Close the WebSockets, let requests come to their end for a moment, and stop. Harmless when not started."""
        self._uvicorn.should_exit = True
        if self._task is not None:
            await asyncio.wait({self._task})
            if not self._task.cancelled() and (error := self._task.exception()) is not None:
                log.error("the server ended with an error", error=repr(error))


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of ``host``, all on one port.

    :param port: 0 takes one that is free.
    :raises ListenError: with the remedy.
    """
    place = f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # the latter for what cannot be a name
        why = error.strerror if isinstance(error, OSError) else "it is no host name"
        raise ListenError(
            f"{place}: the host name cannot be resolved ({why}); change 'server.listen'"
        ) from error
    sockets: list[socket.socket] = []
    refusal: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        bound = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_bind(family, kind, protocol, (address[0], bound, *address[2:])))
        except OSError as error:
            refusal = error
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # a machine without IPv6, say
                break
    if sockets and (refusal is None or refusal.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)):
        return sockets
    for item in sockets:
        item.close()
    assert refusal is not None, "getaddrinfo answered no address"
    raise ListenError(f"{place} {_remedy(refusal, port)}") from refusal


def _bind(family: int, kind: int, protocol: int, address: tuple[str | int, ...]) -> socket.socket:
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(1024)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def _remedy(error: OSError, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "is in use by another program; stop it or change 'server.listen'"
        case errno.EACCES if port < _LOWEST_FREE_PORT:
            return (
                "is forbidden for this user; take a port from 1024 on in 'server.listen', "
                "or grant CAP_NET_BIND_SERVICE"
            )
        case errno.EADDRNOTAVAIL:
            return "is no address of this machine; change 'server.listen'"
    return f"cannot be bound ({error.strerror}); change 'server.listen'"
