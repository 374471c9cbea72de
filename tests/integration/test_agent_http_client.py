"""The agent's own HTTP client, against servers that answer well, badly, in pieces, and not at all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from defib_agent.errors import RejectedError, UnauthorizedError, UnavailableError
from defib_agent.http_client import MOST_BODY_BYTES, Answer, HttpClient
from defib_testkit.ports import free_port
from monitor_kit import serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(*answers: bytes) -> tuple[Peer, list[bytes]]:
    """A server that answers each request with the next of these, over as many connections as it takes."""
    heard: list[bytes] = []
    waiting = list(answers)

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while waiting:
            head = await reader.readuntil(b"\r\n\r\n")
            heard.append(
                head + await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
            )
            writer.write(waiting.pop(0))
            if b"onnection: close" in heard[-1]:
                return

    return peer, heard


async def post(*answers: bytes, timeout_s: float = 3.0) -> Answer:
    peer, _ = saying(*answers)
    async with serving(peer) as port:
        client = HttpClient(f"http://127.0.0.1:{port}", timeout_s=timeout_s, agent="test")
        try:
            return await client.post("/beat", {}, "t")
        finally:
            client.close()


async def test_a_request_is_what_the_protocol_wants_and_its_connection_is_kept() -> None:
    peer, heard = saying(OK, OK)
    async with serving(peer) as port:
        client = HttpClient(f"http://127.0.0.1:{port}/base/", timeout_s=3, agent="test/1")
        for _ in range(2):
            assert (await client.post("/beat", {"a": 1}, "secret")).json() == {}
        client.close()

    expected = (
        f"POST /base/beat HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: test/1\r\nAccept: application/json\r\n"
        "Content-Type: application/json\r\nContent-Length: 7\r\nAuthorization: Bearer secret\r\n\r\n"
        '{"a":1}'
    )
    assert heard == [expected.encode()] * 2


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\nT: x\r\n\r\n',
        b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        b'HTTP/1.0 200 OK\nContent-Length: 7\n\n{"a":1}',
    ],
    ids=["chunked", "continue", "bare newlines"],
)
async def test_an_answer_comes_in_many_shapes(answer: bytes) -> None:
    assert (await post(answer)).json() == {"a": 1}


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", UnauthorizedError, "does not accept the token"),
        (b'HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n{"detail":"no"}', RejectedError,
         "/beat: the server answered 404: no"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", UnavailableError, "what answers does not speak HTTP/1.1"),
        (b"HTTP/1.1 abc\r\n\r\n", UnavailableError, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", UnavailableError, "the answer is too long"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MOST_BODY_BYTES + 1), UnavailableError, "too long"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, UnavailableError, ""),
    ],
    ids=["401", "404", "ssh", "no status", "negative", "too long", "endless line"],
)  # fmt: skip
async def test_what_is_no_good_answer_is_an_error_of_ours(
    answer: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        await post(answer)

    assert words in str(caught.value)


async def test_a_server_that_wants_to_be_left_alone_says_for_how_long() -> None:
    with pytest.raises(UnavailableError) as caught:
        await post(b"HTTP/1.1 503 Busy\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n")

    assert caught.value.retry_after_s == 17.0


async def test_a_connection_that_the_server_closed_meanwhile_is_opened_again() -> None:
    connections = 0

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"{}")
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with serving(peer) as port:
        client = HttpClient(f"http://127.0.0.1:{port}", timeout_s=3, agent="test")
        for _ in range(3):
            await client.post("/beat", {})
        client.close()

    assert connections == 3


async def test_a_server_that_is_silent_or_absent_is_told_by_its_address() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        client = HttpClient(f"http://127.0.0.1:{port}", timeout_s=0.2, agent="test")
        with pytest.raises(
            UnavailableError, match=rf"^http://127\.0\.0\.1:{port} did not answer within 0\.2 s$"
        ):
            await client.post("/beat", {})
    absent = free_port()
    client = HttpClient(f"http://127.0.0.1:{absent}", timeout_s=1, agent="test")
    with pytest.raises(UnavailableError, match=rf"^http://127\.0\.0\.1:{absent}: nobody listens there$"):
        await client.post("/beat", {})
