"""Processes and what they cost, by the operating system's own accounting."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import psutil

PYTHON = sys.executable
LIMIT_S = 120.0  #: for what is run to its end
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes: getrusage(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process that came to its end."""

    wall_s: float  #: from before it was started until it was reaped
    cpu_s: float  #: user + system
    peak_bytes: int  #: the most it ever had resident
    output: bytes


def run(argv: Sequence[str], folder: Path, *, expect: int = 0) -> Ended:
    """Run a program to its end, in ``folder``; it is killed after :data:`LIMIT_S`.

    :raises RuntimeError: it did not end with ``expect``; with what it said.
    """
    with TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        limit.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode != expect:
        tail = said[-2000:].decode(errors="replace")
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}:\n{tail}")
    return Ended(
        wall_s=wall,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * _RSS_UNIT,
        output=said,
    )


def defib(config: Path, *arguments: str) -> tuple[str, ...]:
    """The command line of a Defib of this checkout."""
    return (PYTHON, "-m", "defib.cli.main", "-c", str(config), *arguments)


def cpu_s(pid: int) -> float:
    """User + system so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident_bytes(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)
