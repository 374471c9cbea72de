"""How long, and for how many, the server waits: who connects and says nothing keeps nobody else out.

uvicorn waits for ever for the head of a request. Here it has :data:`HEAD_WITHIN_S`; and where there are too many
connections, the one that has been idle for longest makes room. ``defib.is_whole`` in a request's scope tells that its
body has come to its end, so that nobody needs a timer to read it.
"""

import asyncio
import resource
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_WITHIN_S = 20.0  #: from a connection, or the first byte of a further request, to the end of its head
MOST_CONNECTIONS = 4096  #: WebSockets among them; some 15 KB each
_SHARE_OF_FILES = 0.5  #: of the files that we may have open; probes and the store need some, too
_TOO_MANY_STREAMS = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


def most_connections() -> int:
    """How many connections the server has open at most."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft < 0 else max(16, min(MOST_CONNECTIONS, int(soft * _SHARE_OF_FILES)))


@dataclass(eq=False, slots=True)
class Patience:
    """What one server bears."""

    most: int = field(default_factory=most_connections)  #: connections, of any kind
    head_within_s: float = HEAD_WITHIN_S
    idle: "dict[PatientProtocol, None]" = field(default_factory=dict)
    """Connections on which no request has come as a whole, the longest idle first."""
    exchanges: int = 0  #: connections that are no WebSockets

    @property
    def most_streams(self) -> int:
        """How many of the connections may be WebSockets: who holds them open leaves room for requests."""
        return self.most * 3 // 4


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with an end to its patience."""

    def __init__(self, *args: Any, patience: Patience, **others: Any) -> None:
        super().__init__(*args, **others)
        self._patience = patience
        self._deadline: asyncio.TimerHandle | None = None
        self._is_in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its own
        super().connection_made(transport)
        self._patience.exchanges += 1
        if len(self.connections) > self._patience.most:
            next(iter(self._patience.idle), self).hang_up()
        if not transport.is_closing():
            self._patience.idle[self] = None
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._patience.idle.pop(self, None)
        self._patience.exchanges -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if (
            self._is_in_head and self._deadline is None
        ):  # nearly every head comes in one piece, and needs no timer
            self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._stop_waiting()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        is_answered = self.cycle is not None and self.cycle.response_complete  # type: ignore[redundant-expr]
        if not is_answered:  # a refusal may come before the end of what is refused
            self._patience.idle.pop(self, None)
        super().on_message_complete()
        self.scope["defib.is_whole"] = True  # type: ignore[typeddict-unknown-key]

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing() and self.cycle.response_complete:
            self._patience.idle[self] = None

    def handle_websocket_upgrade(self) -> None:
        if len(self.connections) - self._patience.exchanges >= self._patience.most_streams:
            self.transport.write(_TOO_MANY_STREAMS)
            self.transport.close()
            return
        self._stop_waiting()
        self._patience.idle.pop(self, None)
        self._patience.exchanges -= (
            1  # the connection is another protocol's from now on, which tells of its end
        )
        super().handle_websocket_upgrade()

    def hang_up(self) -> None:
        """Close at once. It makes room at once, too, although the loop tells of it later."""
        self._patience.idle.pop(self, None)
        self.connections.discard(self)
        self.transport.abort()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self._patience.head_within_s, self.hang_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
