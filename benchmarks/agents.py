"""Live metrics of agents, from their beats to the browsers of those who look."""

import json
import subprocess
import time
from collections.abc import Iterator

import psutil

from benchmarks import fleet, processes
from benchmarks.bench import Bench
from benchmarks.figures import Figure

AGENTS = 1000
BROWSERS = 100
EVERY_S = 5.0
KEY = "a-key-for-this-measurement"
_MB = 1e6


def measure(bench: Bench) -> Iterator[Figure]:
    """P8."""
    rounds, growth_mb = _watch(bench, "quick")
    yield Figure(
        id="P8", name=f"P8 beat to browser p99, {AGENTS} agents each {EVERY_S:g} s, {BROWSERS} browsers", unit="ms",
        goal=250.0, values=tuple(item["p99_ms"] for item in rounds),
        note=f"from before the beat is sent until each browser has it; batches are of 100 ms; median "
        f"{sorted(item['p50_ms'] for item in rounds)[len(rounds) // 2]:.0f} ms; "
        f"{sum(item['told'] for item in rounds)} reports told, "
        f"{sum(item['refused'] for item in rounds)} beats refused",
    )  # fmt: skip
    yield Figure(
        id="P8/cpu", name="P8 CPU of the daemon meanwhile", unit="% of a core",
        values=tuple(item["cpu_percent"] for item in rounds),
        note=f"{AGENTS / EVERY_S:g} beats a second stored, {AGENTS / EVERY_S * BROWSERS:g} reports a second told",
    )  # fmt: skip
    stalled, grown_mb = _watch(bench, "stalled")
    yield Figure(
        id="P8/stalled", name="P8 the same beside a browser that takes nothing", unit="ms", goal=250.0,
        values=tuple(item["p99_ms"] for item in stalled),
    )  # fmt: skip
    yield Figure(
        id="P8/growth", name="P8 growth of memory beside a browser that takes nothing", unit="MB", goal=5.0,
        values=(max(0.0, grown_mb - growth_mb),),
        note=f"resident, over {len(stalled)} rounds of {EVERY_S:g} s, beyond the {growth_mb:.1f} MB without it",
    )  # fmt: skip


def _watch(bench: Bench, name: str) -> tuple[list[dict[str, float]], float]:
    """What the browsers saw in each round, and by how many MB the daemon grew from the first to the last."""
    company = fleet.make_fleet(bench.folder / name, bench.targets, 0, "normal")
    company.set(server={"listen": f"127.0.0.1:{company.port}", "ingest": {"registration_key": KEY}})
    with fleet.ended(company):
        pid, _ = fleet.start(company)
        daemon = psutil.Process(pid)
        argv = [
            processes.PYTHON, "-m", "benchmarks.agent_crowd", str(company.port), KEY, str(AGENTS), str(BROWSERS),
            str(EVERY_S), str(bench.runs + 2), name,
        ]  # fmt: skip
        rounds: list[dict[str, float]] = []
        resident: list[int] = []
        at, used = time.perf_counter(), processes.cpu_s(pid)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as crowd:
            assert crowd.stdout is not None
            for line in crowd.stdout:
                before_at, before, at, used = at, used, time.perf_counter(), processes.cpu_s(pid)
                rounds.append({**json.loads(line), "cpu_percent": 100 * (used - before) / (at - before_at)})
                resident.append(daemon.memory_info().rss)
        if crowd.returncode:
            raise RuntimeError(f"the crowd ended with {crowd.returncode}")
    return rounds[1:], (resident[-1] - resident[1]) / _MB  # the first round warms up
