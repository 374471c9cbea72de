"""Beats over HTTP: how many are accepted durably, how fast, at which cost; and what a ``kill -9`` loses of them."""

from collections.abc import Iterator
from statistics import median

from benchmarks import fleet, processes
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib_testkit.beat_load import CONNECTIONS, SENDERS, beaten, ingest_token, lost
from defib_testkit.company import Company

ROUND_S = 5.0


def measure(bench: Bench) -> Iterator[Figure]:
    """P7."""
    company = Company(bench.folder / "beats")
    company.folder.mkdir()
    company.write()
    token = ingest_token(company)
    rates, late, costs = [], [], []
    with fleet.ended(company):
        pid, _ = fleet.start(company)
        while beaten(company, token, ROUND_S)["senders"] < SENDERS:  # until each is registered
            pass
        for _ in range(bench.runs):
            before = processes.cpu_s(pid)
            seen = beaten(company, token, ROUND_S)
            taken = seen["statuses"]["200"]
            assert seen["statuses"] == {"200": taken}, seen["statuses"]
            rates.append(taken / ROUND_S)
            late.append(seen["p99_ms"])
            costs.append((processes.cpu_s(pid) - before) / taken * 1000)
        losses = [_killed(company, token) for _ in range(bench.runs)]
    per_second = tuple(1000 / rate for rate in rates)
    shape = f"{SENDERS} senders, {CONNECTIONS} connections"
    yield Figure(
        id="P7", name=f"P7 time for each durable beat, {shape}", unit="ms", goal=0.1, values=per_second,
        note=f"token check and detection included: {median(rates):,.0f} beats a second; the goal is 10 000",
    )  # fmt: skip
    yield Figure(
        id="P7/cpu", name="P7 CPU for each beat", unit="ms", values=tuple(costs), yardstick="a bare GET",
        yardstick_values=bench.yardsticks.get_cpu_ms, note="of the whole daemon, its writing thread too",
    )  # fmt: skip
    yield Figure(id="P7/late", name="P7 answer p99", unit="ms", goal=30.0, values=tuple(late))
    yield Figure(
        id="P7/lost", name="P7 beats lost after their 200 by kill -9", unit="beats", goal=0.0, by_worst=True,
        values=tuple(map(float, losses)),
    )  # fmt: skip


def _killed(company: Company, token: str) -> int:
    """What a kill loses; the daemon is up again afterwards."""
    count = lost(company, token)
    fleet.start(company)
    return count
