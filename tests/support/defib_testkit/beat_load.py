"""Many senders that beat over HTTP as fast as they are answered; a program of its own, so that it has its own core.

Run with ``PORT TOKEN SECONDS`` it prints one JSON object. It ends early, and well, when the server goes away.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from defib import assembly, config, registry
from defib.model.agent import Scope
from defib_testkit.company import Company
from defib_testkit.waiting import wait_until

CONNECTIONS = 64
SENDERS = 1000
_SUPPORT = Path(__file__).parents[1]  # where the kit is imported from
_ENOUGH = 100  #: beats before a kill


# --- for those who put a company under load ------------------------------------------------------------


def ingest_token(company: Company) -> str:
    """A token for all senders, made while the company is not served."""
    company.write()
    plugins = registry.load()
    settings = config.load(company.config, plugins, os.environ)

    async def make() -> str:
        with assembly.engine(plugins, settings, role="a load") as engine:
            _, text = await engine.fleet.access.make_token("senders", Scope.INGEST, "a load")
            await engine.wind_down()
            return text

    return asyncio.run(make())


def beaten(company: Company, token: str, seconds: float) -> Any:
    """Put the company's daemon under load; what the load saw."""
    done = subprocess.run(
        _argv(company, token, seconds), stdout=subprocess.PIPE, timeout=seconds + 60, check=True, cwd=_SUPPORT
    )
    return json.loads(done.stdout)


def lost(company: Company, token: str) -> int:
    """Kill the company's daemon amid a load.

    :return: how many senders the store has heard last before their last beat that got a 200 was sent.
    :raises TimeoutError: the load did not come about.
    """
    before = _taken(company)
    load = subprocess.Popen(_argv(company, token, 60.0), stdout=subprocess.PIPE, cwd=_SUPPORT)
    try:
        wait_until(lambda: _taken(company) >= before + _ENOUGH, 60, f"{_ENOUGH} beats")
        company.kill()
        said, _ = load.communicate(timeout=30)
    finally:
        load.kill()
        load.wait()
    acknowledged: dict[str, float] = json.loads(said)["acknowledged"]
    plugins = registry.load()
    settings = config.load(company.config, plugins, os.environ)
    with assembly.stored_views(plugins, settings) as (_, _, reader):
        known = reader.health()
        heard = {
            str(agent.id): float(str(known[agent.monitor].beats.get("heard", 0)))
            for agent in reader.agents()
            if agent.monitor in known
        }
    return sum(heard.get(agent, 0.0) < sent_at for agent, sent_at in acknowledged.items())


def _taken(company: Company) -> int:
    return int(company.get("/stats")["total_processed"])


def _argv(company: Company, token: str, seconds: float) -> list[str]:
    return [sys.executable, "-m", __name__, str(company.port), token, str(seconds)]


# --- the load ------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What all connections saw."""

    until: float  #: monotonic
    statuses: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    acknowledged: dict[str, float] = field(default_factory=dict)
    """Sender → when (wall clock) its newest beat that got a 200 was sent."""


class Connection(asyncio.Protocol):
    """One kept connection; one request at a time, each by the next of its senders."""

    def __init__(self, requests: list[tuple[str, bytes]], tally: Tally, ended: asyncio.Future[None]) -> None:
        self._requests = requests
        self._tally = tally
        self._ended = ended
        self._next = 0
        self._sent = self._sent_at = 0.0
        self._answer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its type
        self._send()

    def data_received(self, data: bytes) -> None:
        """An answer, or a piece of it."""
        self._answer += data
        head, _, body = self._answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not length or len(body) < int(length):
            return
        self._answer = b""
        self._tally.took_s.append(time.perf_counter() - self._sent)
        status = head[9:12].decode()
        self._tally.statuses[status] += 1
        if status == "200":
            self._tally.acknowledged[self._requests[self._next][0]] = self._sent_at
        self._next = (self._next + 1) % len(self._requests)
        if time.monotonic() < self._tally.until:
            self._send()
        elif self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _send(self) -> None:
        assert self._transport is not None
        self._sent, self._sent_at = time.perf_counter(), time.time()
        self._transport.write(self._requests[self._next][1])


async def load(
    port: int, token: str, seconds: float, connections: int = CONNECTIONS, senders: int = SENDERS
) -> Tally:
    """Beat for a while, each sender over always the same connection."""
    loop = asyncio.get_running_loop()
    tally = Tally(until=time.monotonic() + seconds)
    ended = []
    for number in range(connections):
        requests = [
            (f"w-{sender}", _request(token, f"w-{sender}")) for sender in range(number, senders, connections)
        ]
        end: asyncio.Future[None] = loop.create_future()
        ended.append(end)
        await loop.create_connection(partial(Connection, requests, tally, end), "127.0.0.1", port)
    await asyncio.gather(*ended)
    return tally


def _request(token: str, agent: str) -> bytes:
    body = json.dumps(
        {
            "agent_id": agent,
            "pid": 4242,
            "cpu": 12.5,
            "memory": 52428800,
            "version": "1.4.0",
            "status": "running",
        }
    ).encode()
    head = (
        f"POST /heartbeat HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main(arguments: list[str]) -> None:
    """Print what was seen."""
    import uvloop

    port, token, seconds = int(arguments[0]), arguments[1], float(arguments[2])
    began = time.perf_counter()
    tally = uvloop.run(load(port, token, seconds))
    took = sorted(tally.took_s)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "statuses": tally.statuses,
                "p50_ms": took[len(took) // 2] * 1000 if took else 0.0,
                "p99_ms": took[int(0.99 * (len(took) - 1))] * 1000 if took else 0.0,
                "senders": len(tally.acknowledged),
                "acknowledged": tally.acknowledged,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
