"""How soon people hear of a fault: from the verdict to the first byte at the channel's far end."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

from benchmarks import fleet
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib_testkit.company import Company
from defib_testkit.listeners import Listener
from defib_testkit.waiting import wait_until
from defib_testkit.webhook_sink import WebhookSink

COUNT = 200
PER_CHANNEL = 5  #: conversations that a channel begins at once: what is beyond would wait to be a digest
GAP_S = 0.3  #: between two faults …
BYSTANDERS = 250  #: … and so many others are well all the time, so that they are no mass failure
STRATEGY = {
    "interval": "5s", "timeout": "2s", "confirm": ["200ms", "300ms"], "recover_confirm": "200ms",
    "fail_threshold": 3, "recovery_threshold": 2,
}  # fmt: skip
GROUP_WAIT = timedelta(seconds=1.5)


def measure(bench: Bench) -> Iterator[Figure]:
    """All of them."""
    count = COUNT // 5 if bench.is_quick else COUNT
    delays = sorted(_delays(bench, count))
    p99 = delays[int(0.99 * (len(delays) - 1))]
    note = (
        f"n = {len(delays)}, one fault each {GAP_S:g} s, webhook on loopback; "
        f"{GROUP_WAIT.total_seconds():g} s of it are waited for others that fall together"
    )
    yield Figure(
        id="A/alert",
        name="fault declared → first byte at the channel",
        unit="s",
        values=tuple(delays),
        note=note,
    )
    yield Figure(
        id="A/alert-p99",
        name="the same, 99 of 100",
        unit="s",
        values=(p99,),
        goal=2.0,
        by_worst=True,
        note=note,
    )


def _delays(bench: Bench, count: int) -> list[float]:
    """Seconds of each alert."""
    folder = bench.folder / "company"
    folder.mkdir()
    with ExitStack() as stack:
        sink = stack.enter_context(closing(WebhookSink()))
        services = [
            stack.enter_context(closing(Listener(f"127.0.{2 + n // 250}.{1 + n % 250}")))
            for n in range(count + BYSTANDERS)
        ]
        company = _company(folder, services, sink)
        stack.enter_context(fleet.ended(company))
        fleet.start(company)
        company.wait_for_rows(
            "SELECT count(*) FROM health WHERE state = 'up'", [(len(services),)], timeout=60
        )
        for service in services[:count]:
            service.close()
            time.sleep(GAP_S)
        wait_until(lambda: len(_arrivals(sink)) == count, 60, f"{count} alerts")
        decided = company.rows("SELECT monitor, decided_at FROM transition WHERE to_state = 'fault'")
        arrivals = _arrivals(sink)
        return [arrivals[monitor] - decided_us / 1e6 for monitor, decided_us in decided]


def _company(folder: Path, services: list[Listener], sink: WebhookSink) -> Company:
    """Each of ``services`` is watched; five of them share a channel."""
    channels = [f"hook-{n}" for n in range(math.ceil(len(services) / PER_CHANNEL))]
    company = Company(folder)
    company.set(
        strategies={"own": STRATEGY}, defaults={"strategy": "own"},
        monitors=[
            {"id": f"s{n}", "type": "tcp", "host": service.host, "port": service.port}
            for n, service in enumerate(services)
        ],
        channels={name: {"type": "webhook", "url": sink.url} for name in channels},
        routes=[
            {"match": {"monitors": [f"s{n}"]}, "channels": [channels[n // PER_CHANNEL]]}
            for n in range(len(services))
        ],
    )  # fmt: skip
    return company


def _arrivals(sink: WebhookSink) -> dict[str, float]:
    """When each monitor was first told of, in seconds of the wall clock."""
    wall = time.time() - time.monotonic()
    found: dict[str, float] = {}
    for request in sink.requests:
        data = json.loads(request.body)["data"]
        for member in data["facts"]["together"] or [{"monitor": data["monitor"]}]:
            found.setdefault(member["monitor"], request.at + wall)
    return found
