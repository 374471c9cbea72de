"""What the standalone agent costs the host that it watches."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks import fleet, processes
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.processes import PYTHON
from defib_testkit.beat_load import ingest_token
from defib_testkit.company import Company

TRANSPORTS = ("http", "websocket", "both")
INTERVAL_S = 5
SPAN_S, QUICK_SPAN_S = 300.0, 60.0  #: the kernel counts CPU in hundredths of a second
SETTLED_S = 12.0


def measure(bench: Bench) -> Iterator[Figure]:
    """P12: processor use and memory of agents that report each 5 s, one for each transport, side by side."""
    company = Company(bench.folder / "lone-agent")
    company.folder.mkdir()
    company.write()
    token = ingest_token(company)
    span_s = QUICK_SPAN_S if bench.is_quick else SPAN_S
    with fleet.ended(company), ExitStack() as stack:
        fleet.start(company)
        pids = [stack.enter_context(_agent(company, token, transport)) for transport in TRANSPORTS]
        time.sleep(SETTLED_S)
        before = [processes.cpu_s(pid) for pid in pids]
        began = time.monotonic()
        time.sleep(span_s)
        elapsed_s = time.monotonic() - began
        shares = [
            100 * (processes.cpu_s(pid) - spent) / elapsed_s for pid, spent in zip(pids, before, strict=True)
        ]
        sizes = [processes.resident_bytes(pid) / 1e6 for pid in pids]
    for transport, share, size in zip(TRANSPORTS, shares, sizes, strict=True):
        yield Figure(
            id=f"P12/{transport}", name=f"P12 agent, report each {INTERVAL_S} s, {transport}", unit="% of a core",
            goal=0.4, values=(share,),
        )  # fmt: skip
        yield Figure(id=f"P12/{transport}/rss", name="    its memory", unit="MB", goal=35.0, values=(size,))


@contextmanager
def _agent(company: Company, token: str, transport: str) -> Iterator[int]:
    """One agent; its process id."""
    argv = [
        PYTHON, "-m", "defib_agent", "--server-url", f"http://127.0.0.1:{company.port}", "--agent-id", transport,
        "--interval", f"{INTERVAL_S}s", "--transport", transport, "--state-folder", str(company.folder / transport),
    ]  # fmt: skip
    process = subprocess.Popen(
        argv, stderr=subprocess.DEVNULL, env={**os.environ, "DEFIB_AGENT_API_TOKEN": token}
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)
