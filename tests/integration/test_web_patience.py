"""Connections that say nothing, or never come to the point: they end, and keep nobody else out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from defib.web.patience import Patience, PatientProtocol, most_connections
from defib_testkit.ports import free_port
from defib_testkit.waiting import async_wait_until


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def slow(request: Request) -> PlainTextResponse:
    await asyncio.sleep(1.0)
    return PlainTextResponse("at last")


async def held(request: Request) -> PlainTextResponse:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return PlainTextResponse("too late")


async def read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    with contextlib.suppress(Exception):
        while True:
            await socket.send_text(await socket.receive_text())


class Place:
    """A server with little patience."""

    def __init__(self, port: int, patience: Patience) -> None:
        self.port = port
        self.patience = patience
        self.url = f"http://127.0.0.1:{port}"

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@contextlib.asynccontextmanager
async def serving(patience: Patience) -> AsyncIterator[Place]:
    app = Starlette(
        routes=[
            Route("/", hello),
            Route("/slow", slow),
            Route("/held", held),
            Route("/read", read, methods=["POST"]),
            WebSocketRoute("/ws", echo),
        ]
    )
    port = free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", lifespan="off", ws="websockets-sansio",
        http=partial(PatientProtocol, patience=patience), timeout_graceful_shutdown=1,  # type: ignore[arg-type]
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await async_wait_until(lambda: server.started, 10, "the server to listen")
    try:
        yield Place(port, patience)
    finally:
        server.should_exit = True
        await task


async def seconds_until_end(reader: asyncio.StreamReader) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    return loop.time() - began


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /"])
async def test_a_head_that_does_not_come_ends_the_connection(said: bytes) -> None:
    async with serving(Patience(head_within_s=0.3)) as place:
        reader, writer = await place.dial()
        writer.write(said)
        assert 0.2 < await seconds_until_end(reader) < 3
        writer.close()
        assert place.patience.idle == {}


async def test_a_head_that_drips_in_ends_it_all_the_same() -> None:
    async with serving(Patience(head_within_s=0.5)) as place:
        reader, writer = await place.dial()

        async def drip() -> None:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
            with contextlib.suppress(ConnectionError):
                while not writer.is_closing():
                    writer.write(b"X-a: b\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await seconds_until_end(reader) < 5
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()


async def test_the_second_request_of_a_connection_has_no_more_time_than_the_first() -> None:
    async with serving(Patience(head_within_s=0.3)) as place:
        reader, writer = await place.dial()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"hello")
        writer.write(b"GET / HT")
        assert await seconds_until_end(reader) < 3
        writer.close()


async def test_a_request_that_takes_long_is_let_be() -> None:
    async with serving(Patience(head_within_s=0.1)) as place:
        async with httpx.AsyncClient(base_url=place.url, trust_env=False) as client:
            assert (await client.get("/slow")).text == "at last"
        async with connect(place.url.replace("http", "ws") + "/ws", proxy=None) as socket:
            await asyncio.sleep(0.3)
            await socket.send("still here")
            assert await socket.recv() == "still here"


async def test_whoever_has_been_idle_longest_makes_room() -> None:
    async with serving(Patience(most=20)) as place:
        silent = [await place.dial() for _ in range(60)]
        async with httpx.AsyncClient(base_url=place.url, trust_env=False) as client:
            for _ in range(5):
                assert (await client.get("/", headers={"Connection": "close"})).text == "hello"
        assert await seconds_until_end(silent[0][0]) < 3
        await async_wait_until(lambda: len(place.patience.idle) <= 20, 5, "room")
        for _, writer in silent:
            writer.close()


async def test_where_all_are_at_work_the_newest_is_turned_away() -> None:
    async with serving(Patience(most=4)) as place:
        address = place.url.replace("http", "ws") + "/ws"
        async with (
            connect(address, proxy=None) as one,
            connect(address, proxy=None),
            connect(address, proxy=None),
        ):
            at_work, working = await place.dial()
            working.write(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            await async_wait_until(lambda: place.patience.idle == {}, 5, "the request to come")
            reader, writer = await place.dial()
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await seconds_until_end(reader) < 3
            writer.close()
            assert not at_work.at_eof()
            working.close()
            await one.send("unharmed")
            assert await one.recv() == "unharmed"


async def test_whoever_never_ends_a_request_makes_room_as_one_that_is_idle() -> None:
    async with serving(Patience(most=20)) as place:
        dripping = [await place.dial() for _ in range(40)]
        for _, writer in dripping:
            writer.write(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        async with httpx.AsyncClient(base_url=place.url, trust_env=False) as client:
            for _ in range(5):
                assert (await client.get("/", headers={"Connection": "close"})).text == "hello"
        assert await seconds_until_end(dripping[0][0]) < 3
        for _, writer in dripping:
            writer.close()


async def test_streams_leave_room_for_requests_and_one_too_many_is_told_so() -> None:
    async with serving(Patience(most=8)) as place, contextlib.AsyncExitStack() as stack:
        address = place.url.replace("http", "ws") + "/ws"
        streams = [await stack.enter_async_context(connect(address, proxy=None)) for _ in range(6)]
        with pytest.raises(InvalidStatus) as refused:
            await connect(address, proxy=None)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "30"
        async with httpx.AsyncClient(base_url=place.url, trust_env=False) as client:
            assert (await client.get("/")).text == "hello"
        await streams[0].close()
        await async_wait_until(lambda: streams[0].close_code is not None, 5, "the close")
        await stack.enter_async_context(connect(address, proxy=None))


def test_the_bound_leaves_files_for_everything_else() -> None:
    assert 16 <= most_connections() <= 4096
