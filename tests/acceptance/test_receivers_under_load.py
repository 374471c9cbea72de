"""Receivers of a real daemon: thousands of connections that mean no good, and a death amid a load."""

import asyncio
import contextlib
import json
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from defib_testkit.beat_load import ingest_token, lost
from defib_testkit.company import Company
from defib_testkit.requirement import require
from defib_testkit.waiting import wait_until

MANY = 10_000
BEAT = {"pid": 4242, "cpu": 12.5, "memory": 52428800, "version": "1.4.0", "status": "running"}


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have all the connections open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < MANY + 500:
        require(f"{MANY + 500} open files", "ulimit -Hn 20000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_ten_thousand_connections_keep_nobody_out_and_cost_bounded_memory(
    company: Company, many_files: None
) -> None:
    """A third say nothing, a third half a head, a third half a body; agents beat on beside them."""
    token = await asyncio.to_thread(ingest_token, company)
    await asyncio.to_thread(company.serve)
    assert company.daemon is not None
    daemon = psutil.Process(company.daemon.pid)
    before = daemon.memory_info().rss
    head = b"POST /heartbeat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
    halves = (b"", head, head + b"Authorization: Bearer " + token.encode() + b'\r\n\r\n{"agent_id": "ha')
    held: list[socket.socket] = []
    took: list[float] = []
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{company.port}", trust_env=False, timeout=30
        ) as client:
            for number in range(MANY):
                bad = socket.socket()
                bad.setblocking(False)
                held.append(bad)
                loop = asyncio.get_running_loop()
                with contextlib.suppress(ConnectionError):
                    await loop.sock_connect(bad, ("127.0.0.1", company.port))
                    bad.send(halves[number % 3])
                if number % 200 == 0:
                    began = time.perf_counter()
                    answer = await client.post(
                        "/heartbeat",
                        json=BEAT | {"agent_id": "good"},
                        headers={"Authorization": f"Bearer {token}", "Connection": "close"},
                    )
                    assert answer.status_code == 200, answer.text
                    took.append(time.perf_counter() - began)
            grown = daemon.memory_info().rss - before
            assert daemon.num_fds() < 4096 + 300
    finally:
        for bad in held:
            bad.close()
    assert grown < 150_000_000
    assert sorted(took)[len(took) // 2] < 1.0, took
    assert company.state("good") == "up"


def test_no_beat_that_got_its_200_is_lost_by_a_kill(company: Company) -> None:
    token = ingest_token(company)
    company.serve()
    try:
        assert lost(company, token) == 0
    finally:
        company.kill()


def test_an_agent_on_the_local_socket_outlives_a_restart_unblamed(company: Company, kit_tmp: Path) -> None:
    """Defib is told to stop while an agent is connected; the agent comes back when Defib does."""
    path = kit_tmp / "defib.sock"
    company.set(server={"listen": f"127.0.0.1:{company.port}", "unix_socket": str(path)})
    line = json.dumps(BEAT | {"agent_id": "worker"}).encode() + b"\n"
    for _ in range(2):
        company.serve()
        wait_until(path.exists, 10, "the local socket")
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(str(path))
            agent.sendall(line)
            company.wait_for("worker", "up")
            assert company.stop() == 0
            assert agent.recv(1) == b""
        assert not path.exists()
        assert company.state("worker") == "up"
    assert company.rows("SELECT count(*) FROM transition WHERE to_state IN ('suspect', 'fault')") == [(0,)]
