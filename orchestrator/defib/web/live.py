"""``/api/v1/events``: tells open pages that something changed, so that they read it."""

import asyncio
import contextlib
import json

from starlette.websockets import WebSocket, WebSocketDisconnect

from defib.engine.events import Event, EventBus
from defib.web.access import Access
from defib.web.problems import Problem, problem

QUIET_S = 15.0  #: without events an ``alive`` goes out, so that a dead connection is noticed
GATHER_S = 0.05  #: events that come together go out together, each once


class Events:
    """The endpoint."""

    def __init__(self, access: Access, bus: EventBus) -> None:
        self._access = access
        self._bus = bus

    async def listen(self, socket: WebSocket) -> None:
        """Send events until the browser goes or the server stops."""
        try:
            self._access.reader(socket)
        except Problem as error:
            await socket.send_denial_response(problem(error.status_code, error.detail, headers=error.headers))
            return
        if not self._access.is_known_origin(socket):
            await socket.send_denial_response(problem(403, "a page of another site may not listen here"))
            return
        await socket.accept()
        with self._bus.subscribe() as queue:
            sending = asyncio.create_task(_send(socket, queue))
            try:
                while (await socket.receive())["type"] != "websocket.disconnect":
                    pass  # what a browser says is of no interest, that it goes is
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
                    await sending


async def _send(socket: WebSocket, queue: "asyncio.Queue[Event]") -> None:
    while True:
        try:
            async with asyncio.timeout(QUIET_S):  # wait_for would lose a cancellation that meets an event
                event = await queue.get()
        except TimeoutError:
            await socket.send_text('{"type":"alive","monitor":null}')
            continue
        await asyncio.sleep(GATHER_S)
        events = {event: None}
        while not queue.empty():
            events[queue.get_nowait()] = None
        for item in events:
            await socket.send_text(json.dumps({"type": item.type, "monitor": item.monitor}))
