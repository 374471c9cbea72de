"""The ``http`` monitor against real servers, by both ways of asking: plain, and following redirects."""

import asyncio
import contextlib
import gzip
import os
import resource
import socket
import ssl
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins import http_endpoint
from defib_plugins.http_exchange import tls_context
from defib_testkit.certificate import Certificate, make_certificate
from defib_testkit.ports import free_port
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import async_wait_until
from monitor_kit import build, frame, look, saying, serving, silence

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(params=["plain", "following"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options for one way of asking or the other."""
    return {"follow_redirects": request.param == "following"}


async def asked(answer: bytes, **options: Any) -> Evidence:
    """The evidence of a server that answers with these bytes."""
    async with serving(saying(answer)) as port:
        return await look(http_endpoint, url=f"http://127.0.0.1:{port}/health", **options)


async def test_a_healthy_agent_is_ok(victim: Victim, way: dict[str, Any]) -> None:
    evidence = await look(
        http_endpoint, url=victim.url, expect={"json": {"$.status": "ok"}, "within": "4s"}, **way
    )

    assert (evidence.grade, evidence.status) == (Grade.NONE, ProbeStatus.HEALTHY)
    assert evidence.facts == {"http_status": 200, "content_type": "application/json"}
    assert evidence.latency is not None
    assert timedelta(0) < evidence.latency < timedelta(seconds=4)
    assert {"connect_ms", "first_byte_ms"} <= evidence.metrics.keys()


@pytest.mark.parametrize(
    ("mode", "cause", "grade", "status"),
    [
        ("error500", "http-500", Grade.NORMAL, ProbeStatus.UNHEALTHY),
        ("truncated", "bad-response", Grade.NORMAL, ProbeStatus.UNHEALTHY),
        ("refuse", "refused", Grade.STRONG, ProbeStatus.ERROR),
    ],
)
async def test_a_broken_agent_is_a_failure(
    victim: Victim, way: dict[str, Any], mode: str, cause: str, grade: Grade, status: ProbeStatus
) -> None:
    victim.set_mode(mode)

    evidence = await look(http_endpoint, url=victim.url, **way)

    assert (evidence.outcome, evidence.cause, evidence.grade, evidence.status) == (
        Outcome.FAIL,
        cause,
        grade,
        status,
    )


@pytest.mark.parametrize(
    ("mode", "phase"),
    [
        ("hang", "waiting for the answer"),
        ("stall-headers", "waiting for the answer"),
        ("slow:30", "waiting for the answer"),
    ],
)
async def test_a_silent_agent_times_out_with_its_phase(
    victim: Victim, way: dict[str, Any], mode: str, phase: str
) -> None:
    victim.set_mode(mode)

    evidence = await look(http_endpoint, url=victim.url, timeout_s=0.2, **way)

    assert (evidence.cause, evidence.grade, evidence.status) == ("timeout", Grade.NORMAL, ProbeStatus.ERROR)
    assert evidence.summary == f"no answer within 200ms, while {phase}"


async def test_a_frozen_agent_whose_kernel_still_takes_connections_times_out(
    victim: Victim, way: dict[str, Any]
) -> None:
    victim.freeze()
    try:
        evidence = await look(http_endpoint, url=victim.url, timeout_s=0.2, **way)
    finally:
        victim.thaw()

    assert evidence.summary == "no answer within 200ms, while waiting for the answer"


async def test_a_slow_agent_is_degraded(victim: Victim) -> None:
    victim.set_mode("slow:0.05")

    evidence = await look(http_endpoint, url=victim.url, expect={"within": "20ms"})

    assert (evidence.is_degraded, evidence.cause) == (True, "slow")


async def test_more_than_the_announced_length_is_a_bad_answer(victim: Victim) -> None:
    victim.set_mode("wrong-length")

    evidence = await look(http_endpoint, url=victim.url)

    assert (evidence.cause, evidence.summary) == (
        "bad-response",
        "bad answer: it goes on beyond its announced length",
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\noops",
    ],
    ids=[
        "nothing",
        "half-a-header",
        "too-short",
        "half-a-chunk",
        "bad-chunk",
        "ssh",
        "tls",
        "two-lengths",
        "gzip",
    ],
)
async def test_what_is_no_http_is_a_bad_answer(answer: bytes, way: dict[str, Any]) -> None:
    evidence = await asked(answer, **way)

    assert (evidence.outcome, evidence.cause, evidence.status) == (
        Outcome.FAIL,
        "bad-response",
        ProbeStatus.UNHEALTHY,
    )


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}"),
        b"HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade, close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["plain", "1.0", "until-the-end", "no-reason", "chunks", "100", "103", "gzip", "apache", "cookies"],
)
async def test_all_forms_of_an_answer_are_understood(answer: bytes, way: dict[str, Any]) -> None:
    evidence = await asked(answer, expect={"body": "/^{}$/"}, **way)

    assert evidence.grade is Grade.NONE, evidence


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("OPTIONS", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_an_answer_without_a_body_is_understood(
    method: str, answer: bytes, way: dict[str, Any]
) -> None:
    assert (await asked(answer, method=method, expect={"status": "2xx"}, **way)).grade is Grade.NONE


@pytest.mark.parametrize("head", [b"Content-Length: 4000000\r\n", b"", b"Content-Encoding: gzip\r\n"])
async def test_a_huge_body_is_read_no_further_than_a_mebibyte(head: bytes, way: dict[str, Any]) -> None:
    body = gzip.compress(b"x" * 40_000_000) if b"gzip" in head else b"x" * 4_000_000

    evidence = await asked(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body, expect={"json": {"$.a": 1}}, **way)

    assert evidence.cause == "bad-json"
    assert "longer than 1048576 bytes" in evidence.summary


async def test_an_endless_header_is_a_bad_answer(way: dict[str, Any]) -> None:
    evidence = await asked(b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 4_000_000, **way)

    assert evidence.cause == "bad-response"


async def test_a_reset_connection_is_strong(way: dict[str, Any]) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with serving(reset) as port:
        evidence = await look(http_endpoint, url=f"http://127.0.0.1:{port}/", **way)

    assert (evidence.cause, evidence.grade) == ("reset", Grade.STRONG)


async def test_a_name_that_does_not_exist_is_strong_where_a_resolver_answers(way: dict[str, Any]) -> None:
    evidence = await look(http_endpoint, url="http://does-not-exist.invalid/", **way)

    assert (evidence.cause, evidence.grade) in {
        ("dns-not-found", Grade.STRONG),
        ("dns-unavailable", Grade.OWN),
        ("timeout", Grade.NORMAL),
    }


async def test_localhost_is_asked_on_all_its_addresses(way: dict[str, Any]) -> None:
    # ::1 refuses, 127.0.0.1 answers
    async with serving(saying(OK)) as port:
        evidence = await look(http_endpoint, url=f"http://localhost:{port}/", **way)

    assert evidence.grade is Grade.NONE


async def test_a_name_all_of_whose_addresses_refuse_is_refused(way: dict[str, Any]) -> None:
    evidence = await look(http_endpoint, url=f"http://localhost:{free_port()}/", **way)

    assert (evidence.cause, evidence.grade) == ("refused", Grade.STRONG)


# --- what is sent ----------------------------------------------------------------------------------


class Sent:
    """Answers, and keeps what was asked."""

    def __init__(self, answer: bytes = OK) -> None:
        self.requests: list[bytes] = []
        self.answer = answer

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
        )
        self.requests.append(head + await reader.readexactly(int(length.partition(b":")[2])))
        writer.write(self.answer)
        await writer.drain()

    @property
    def lines(self) -> list[str]:
        """The lines of the newest request, names of headers in lower case."""
        first, *rest = self.requests[-1].decode().split("\r\n")
        return [
            first,
            *(f"{name.lower()}:{value}" for name, _, value in (line.partition(":") for line in rest if line)),
        ]


async def test_the_request_is_what_was_configured(way: dict[str, Any]) -> None:
    sent = Sent()
    async with serving(sent) as port:
        await look(
            http_endpoint,
            url=f"http://user:p%40ss@127.0.0.1:{port}/a%20b/ü?q=1&r=a+b#fragment",
            method="POST",
            headers={"X-Key": "hunter2", "User-Agent": "mine"},
            body="hello",
            **way,
        )

    assert sent.lines[0] == "POST /a%20b/%C3%BC?q=1&r=a+b HTTP/1.1"
    assert f"host: 127.0.0.1:{port}" in sent.lines
    assert "x-key: hunter2" in sent.lines
    assert "user-agent: mine" in sent.lines
    assert "authorization: Basic dXNlcjpwQHNz" in sent.lines
    assert "connection: close" in sent.lines
    assert "accept-encoding: identity" in sent.lines
    assert "content-length: 5" in sent.lines
    assert sent.requests[0].endswith(b"\r\n\r\nhello")


async def test_an_address_without_a_path_asks_for_the_root(way: dict[str, Any]) -> None:
    sent = Sent()
    async with serving(sent) as port:
        await look(http_endpoint, url=f"http://127.0.0.1:{port}", **way)

    assert sent.lines[0] == "GET / HTTP/1.1"


async def test_every_probe_has_a_connection_of_its_own_and_no_cookies(way: dict[str, Any]) -> None:
    clients = []
    sent = Sent(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=1\r\n\r\n"))

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(writer.get_extra_info("peername"))
        await sent(reader, writer)

    async with serving(converse) as port:
        monitor = build(http_endpoint, url=f"http://127.0.0.1:{port}/", **way)
        for _ in range(3):
            assert (await monitor.probe(frame())).is_ok
        await monitor.close()

    assert len(set(clients)) == 3
    assert not any("cookie" in line for line in sent.lines)


async def test_proxies_of_the_environment_are_not_used(
    way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)

    assert (await asked(OK, **way)).grade is Grade.NONE


async def test_addresses_with_secrets_are_not_logged(
    way: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with serving(saying(OK)) as port:
        url = f"http://user:hunter2@127.0.0.1:{port}/?token=hunter2"
        await look(http_endpoint, url=url, headers={"X-Key": "hunter2"}, **way)

    assert "hunter2" not in caplog.text


# --- redirects -------------------------------------------------------------------------------------


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_a_redirect_is_an_answer_unless_it_is_followed() -> None:
    evidence = await asked(redirect("/login?next=secret"))

    assert (evidence.cause, evidence.facts["location"]) == ("http-302", "/login")


async def test_a_redirect_is_followed_on_demand() -> None:
    home = Sent()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await home(reader, writer)
        home.answer = OK

    home.answer = redirect("/home")
    async with serving(converse) as port:
        evidence = await look(
            http_endpoint,
            url=f"http://user:pass@127.0.0.1:{port}/",
            headers={"X-Key": "hunter2"},
            follow_redirects=True,
        )

    assert evidence.grade is Grade.NONE
    assert home.lines[0] == "GET /home HTTP/1.1"
    assert {"x-key: hunter2", "authorization: Basic dXNlcjpwYXNz"} <= set(home.lines)


async def test_headers_and_body_do_not_follow_to_another_origin() -> None:
    abroad = Sent()
    async with serving(abroad) as far, serving(Sent(redirect(f"http://127.0.0.1:{far}/x", 307))) as near:
        evidence = await look(
            http_endpoint,
            url=f"http://user:hunter2@127.0.0.1:{near}/",
            method="POST",
            body="hunter2",
            headers={"X-Key": "hunter2"},
            follow_redirects=True,
        )

    assert evidence.grade is Grade.NONE
    assert abroad.lines[0] == "GET /x HTTP/1.1"
    assert b"hunter2" not in abroad.requests[0]


async def test_redirects_come_to_an_end() -> None:
    evidence = await asked(redirect("/again"), follow_redirects=True)

    assert (evidence.cause, evidence.summary) == ("too-many-redirects", "bad answer: more than 5 redirects")


@pytest.mark.parametrize(
    "location", ["ftp://host/", "gopher:x", "http://:80/", "http://127.0.0.1:99999/", "//[/"]
)
async def test_a_redirect_to_nowhere_is_a_bad_answer(location: str) -> None:
    assert (await asked(redirect(location), follow_redirects=True)).cause == "bad-response"


# --- TLS -------------------------------------------------------------------------------------------


async def asked_tls(certificate: Certificate, **options: Any) -> Evidence:
    async with serving(saying(OK), tls=certificate.server_context()) as port:
        return await look(http_endpoint, url=f"https://localhost:{port}/", **options)


async def test_a_trusted_certificate_is_ok_and_its_days_are_counted(
    certificate: Certificate, way: dict[str, Any]
) -> None:
    evidence = await asked_tls(certificate, ca_file=str(certificate.cert), **way)

    assert evidence.grade is Grade.NONE
    assert 29 < evidence.metrics["cert_days_left"] <= 30
    assert evidence.metrics["tls_ms"] > 0


async def test_the_file_of_authorities_is_relative_to_the_configuration(certificate: Certificate) -> None:
    evidence = await asked_tls(certificate, ca_file=certificate.cert.name, base=certificate.cert.parent)

    assert evidence.grade is Grade.NONE


async def test_a_missing_file_of_authorities_is_our_own_trouble(
    certificate: Certificate, tmp_path: Path
) -> None:
    evidence = await asked_tls(certificate, ca_file=str(tmp_path / "none.pem"))

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, "bad-ca-file")


async def test_an_unknown_certificate_is_refused(certificate: Certificate, way: dict[str, Any]) -> None:
    evidence = await asked_tls(certificate, **way)

    assert (evidence.outcome, evidence.cause, evidence.grade) == (
        Outcome.FAIL,
        "tls-self-signed",
        Grade.NORMAL,
    )


async def test_an_unknown_certificate_is_taken_on_demand(
    certificate: Certificate, way: dict[str, Any]
) -> None:
    evidence = await asked_tls(certificate, verify_tls=False, **way)

    assert evidence.grade is Grade.NONE
    assert "cert_days_left" not in evidence.metrics


async def test_an_expired_certificate_is_no_case_for_a_restart(tmp_path: Path, way: dict[str, Any]) -> None:
    expired = make_certificate(tmp_path, valid_from=timedelta(days=-9), valid_until=timedelta(days=-1))

    evidence = await asked_tls(expired, ca_file=str(expired.cert), **way)

    assert (evidence.cause, evidence.grade) == ("tls-expired", Grade.SCHEDULED)


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path, way: dict[str, Any]) -> None:
    other = make_certificate(tmp_path, hosts=["other.example"])

    evidence = await asked_tls(other, ca_file=str(other.cert), **way)

    assert evidence.cause == "tls-wrong-name"


async def test_a_server_without_tls_fails_the_handshake(way: dict[str, Any]) -> None:
    async def complain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with serving(complain) as port:
        evidence = await look(http_endpoint, url=f"https://127.0.0.1:{port}/", **way)

    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, "tls-handshake", Grade.NORMAL)


async def test_a_handshake_that_is_not_answered_times_out(way: dict[str, Any]) -> None:
    async with serving(silence) as port:
        evidence = await look(http_endpoint, url=f"https://127.0.0.1:{port}/", timeout_s=0.2, **way)

    assert evidence.summary == "no answer within 200ms, while shaking hands for TLS"


# --- our own trouble, and what is left behind -------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="reads the number of open descriptors from Linux")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_descriptor_left_is_our_own_trouble(way: dict[str, Any], host: str) -> None:
    async with serving(saying(OK)) as port:
        monitor = build(http_endpoint, url=f"http://{host}:{port}/", **way)
        assert (await monitor.probe(frame())).is_ok  # loads what it needs while files can be opened
        await asyncio.sleep(0.05)  # until both sides of that connection are closed
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), hard))
        hoard = []
        try:
            with contextlib.suppress(OSError):  # too many open files
                while True:
                    hoard.append(os.dup(0))
            evidence = await monitor.probe(frame())
        finally:
            for descriptor in hoard:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await monitor.close()

    assert evidence.outcome is Outcome.INCONCLUSIVE, evidence
    assert evidence.cause in {"no-descriptors", "dns-unavailable"}


async def test_timeouts_and_cancellations_leave_no_connection_behind(way: dict[str, Any]) -> None:
    async with serving(silence) as port:
        monitor = build(http_endpoint, url=f"http://127.0.0.1:{port}/", **way)
        await monitor.probe(frame(0.01))
        before = psutil.Process().num_fds()
        await asyncio.gather(*(monitor.probe(frame(0.05)) for _ in range(20)))
        for moment in range(200):  # from before the connection until the wait for an answer
            task = asyncio.ensure_future(monitor.probe(frame()))
            await asyncio.sleep(moment * 10e-6)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        # the server's side of them ends a moment later
        await async_wait_until(
            lambda: psutil.Process().num_fds() - before <= 1, 5, "the connections to be gone"
        )
        await monitor.close()


def test_it_works_on_uvloop(
    victim: Victim, certificate: Certificate, way: dict[str, Any], make_victim: Callable[..., Victim]
) -> None:
    async def looks() -> list[str]:
        causes = []
        for mode in ("ok", "error500", "truncated", "hang"):
            victim.set_mode(mode)
            causes.append((await look(http_endpoint, url=victim.url, timeout_s=0.3, **way)).cause)
        causes.append((await look(http_endpoint, url=make_victim().url, **way)).cause)
        causes.append((await asked_tls(certificate, ca_file=str(certificate.cert), **way)).cause)
        causes.append((await asked_tls(certificate, **way)).cause)
        return causes

    assert uvloop.run(looks()) == [
        "ok", "http-500", "bad-response", "timeout", "refused", "ok", "tls-self-signed",
    ]  # fmt: skip


def test_certificates_are_checked_with_the_systems_authorities() -> None:
    assert tls_context(None, verify=True).verify_mode is ssl.CERT_REQUIRED
    assert tls_context(None, verify=True).check_hostname
    assert tls_context(None, verify=False).verify_mode is ssl.CERT_NONE


def test_monitors_share_what_they_trust_until_it_changes(certificate: Certificate, tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes(certificate.cert.read_bytes())
    before = tls_context(authorities, verify=True)
    again = tls_context(authorities, verify=True)
    os.utime(authorities, ns=(0, 0))

    assert tls_context(None, verify=True) is tls_context(None, verify=True)
    assert again is before
    assert tls_context(authorities, verify=True) is not before
