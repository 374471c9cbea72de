"""Targets that hang delay nobody but themselves."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from defib_testkit.company import Company
from defib_testkit.waiting import wait_until

INTERVAL_S = 4
HEALTHY, HANGING = 180, 20


@contextmanager
def servers() -> Iterator[tuple[int, int]]:
    """Ports of one server that answers at once and one that accepts and never answers."""
    loop = asyncio.new_event_loop()
    ports: list[int] = []
    ready = threading.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client gives up
        writer.close()

    async def serve() -> None:
        quick = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
        slow = await asyncio.start_server(hang, "127.0.0.1", 0, backlog=512)
        async with quick, slow:
            ports.extend(server.sockets[0].getsockname()[1] for server in (quick, slow))
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield ports[0], ports[1]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@pytest.mark.alone
def test_200_monitors_of_which_20_hang_are_probed_on_time(company: Company) -> None:
    company.set(strategies={"steady": {"interval": f"{INTERVAL_S}s", "timeout": "3s", "confirm": []}},
                defaults={"strategy": "steady"})  # fmt: skip
    with servers() as (quick, slow):
        for number in range(HEALTHY):
            company.watch(
                {"id": f"well-{number}", "type": "http", "url": f"http://127.0.0.1:{quick}/{number}"}
            )
        for number in range(HANGING):
            company.watch(
                {"id": f"hang-{number}", "type": "http", "url": f"http://127.0.0.1:{slow}/{number}"}
            )
        company.serve()
        wait_until(
            lambda: sum(look["monitor"].startswith("well-") for look in company.looks()) >= HEALTHY * 5,
            60, "five rounds of looks",
        )  # fmt: skip
        assert company.stop() == 0

    seen: dict[str, list[float]] = defaultdict(list)
    for look in company.looks():
        seen[look["monitor"]].append(look["at"].timestamp())
    well = {monitor: times[1:] for monitor, times in seen.items() if monitor.startswith("well-")}
    assert len(well) == HEALTHY
    # the first look of each is spread over the start; from the second on, turns are an interval apart
    late = sorted(b - a - INTERVAL_S for times in well.values() for a, b in pairwise(times))
    assert len(late) >= HEALTHY * 2
    assert late[int(len(late) * 0.99)] < 0.5
    states = dict(company.rows("SELECT substr(monitor, 1, 4) || state, count(*) FROM health GROUP BY 1"))
    assert states["wellup"] == HEALTHY
    assert "hangup" not in states
