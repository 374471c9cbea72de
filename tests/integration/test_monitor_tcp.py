"""The ``tcp`` monitor against real sockets."""

import asyncio
import socket
from typing import Any

import pytest
import uvloop

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins import tcp_port
from defib_testkit.ports import free_port
from defib_testkit.victim_handle import Victim
from monitor_kit import Conversation, look, serving, silence


def answering(*words: bytes) -> Conversation:
    """Greets with the first word, then answers each line with the next."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for word in words:
            writer.write(word)
            await writer.drain()
            await reader.readline()

    return converse


async def asked(conversation: Conversation, timeout_s: float = 5.0, **options: Any) -> Evidence:
    async with serving(conversation) as port:
        return await look(tcp_port, host="127.0.0.1", port=port, timeout_s=timeout_s, **options)


async def test_a_port_that_takes_connections_is_ok(victim: Victim) -> None:
    evidence = await look(tcp_port, host="localhost", port=victim.port)

    assert (evidence.grade, evidence.status) == (Grade.NONE, ProbeStatus.HEALTHY)
    assert evidence.summary.startswith("connected in ")
    assert evidence.latency is not None
    assert evidence.metrics["connect_ms"] > 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_closed_port_is_refused(host: str) -> None:
    port = free_port()

    evidence = await look(tcp_port, host=host, port=port)

    assert (evidence.cause, evidence.grade) == ("refused", Grade.STRONG)
    assert evidence.summary == f"connection refused by {host}:{port}"


async def test_a_greeting_that_is_expected_is_ok() -> None:
    assert (await asked(answering(b"220 mail.example.com ESMTP\r\n"), expect="220 ")).grade is Grade.NONE


async def test_an_answer_may_come_in_pieces() -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"PING\r\n"
        for piece in (b"+PO", b"NG\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        await reader.read()

    assert (await asked(converse, send="PING\r\n", expect="/^\\+PONG/")).grade is Grade.NONE


async def test_a_wrong_answer_is_unhealthy() -> None:
    evidence = await asked(answering(b"-ERR\r\n"), 0.3, expect="+PONG", send="PING\n")

    assert (evidence.outcome, evidence.cause, evidence.status) == (
        Outcome.FAIL,
        "wrong-answer",
        ProbeStatus.UNHEALTHY,
    )
    assert evidence.summary == "said '-ERR', expected '+PONG'"


async def test_hanging_up_without_a_word_is_unhealthy() -> None:
    assert (await asked(answering(), expect="220")).summary == "hung up without a word, expected '220'"


async def test_silence_times_out_with_its_phase() -> None:
    evidence = await asked(silence, 0.2, expect="220")

    assert (evidence.cause, evidence.summary) == (
        "timeout",
        "no answer within 200ms, while waiting for the answer",
    )


async def test_a_flood_is_read_no_further_than_needed() -> None:
    evidence = await asked(answering(b"x" * 1_000_000), expect="220")

    assert evidence.cause == "wrong-answer"


async def test_a_full_queue_of_connections_times_out() -> None:
    # Nobody accepts: once the queue is full, the kernel drops what comes.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        queued = [socket.socket() for _ in range(4)]
        for client in queued:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))

        evidence = await look(tcp_port, host="127.0.0.1", port=port, timeout_s=0.3)

        for client in queued:
            client.close()

    assert evidence.summary == "no answer within 300ms, while connecting"


async def test_a_reset_is_strong() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()

    evidence = await asked(reset, send="x\n", expect="y")

    assert (evidence.cause, evidence.grade) == ("reset", Grade.STRONG)


async def test_ipv6_is_asked_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        async with serving(answering(b"hello\n"), host="::1") as port:
            evidence = await look(tcp_port, host="::1", port=port, expect="hello")
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 on loopback: {error}")

    assert evidence.grade is Grade.NONE


def test_it_works_on_uvloop(victim: Victim) -> None:
    async def looks() -> list[str]:
        return [
            (await look(tcp_port, host="localhost", port=victim.port)).cause,
            (await look(tcp_port, host="127.0.0.1", port=free_port())).cause,
            (await look(tcp_port, host="127.0.0.1", port=victim.port, expect="x", timeout_s=0.1)).cause,
        ]

    assert uvloop.run(looks()) == ["ok", "refused", "timeout"]
