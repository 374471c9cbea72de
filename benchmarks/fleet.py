"""A company of many HTTP monitors, watched by a real daemon, with somebody looking at the dashboard."""

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from benchmarks.targets import Targets
from defib_testkit.company import Company
from defib_testkit.waiting import wait_until

STOP_S = 10.0  #: the daemon may take so long to end; it gives requests under way 5 s


def make_fleet(
    folder: Path, targets: Targets, count: int, strategy: str | Mapping[str, Any], *, hanging: int = 0,
    blinking: int = 0,
) -> Company:  # fmt: skip
    """A company with ``count`` monitors; not served yet.

    :param hanging: so many of its targets never answer.
    :param blinking: so many fail now and then.
    :param strategy: the name of a preset, or one of our own.
    """
    folder.mkdir(parents=True)
    company = Company(folder)
    kinds = ["well"] * (count - hanging - blinking) + ["blink"] * blinking + ["hang"] * hanging
    monitors = [
        {"id": f"m-{number}", "type": "http", "url": targets.url(kind, number)}
        for number, kind in enumerate(kinds)
    ]
    if isinstance(strategy, str):
        company.set(monitors=monitors, defaults={"strategy": strategy})
    else:
        company.set(monitors=monitors, strategies={"own": dict(strategy)}, defaults={"strategy": "own"})
    return company


@contextmanager
def ended(company: Company) -> Iterator[None]:
    """End the company's daemon afterwards: it is asked to, and killed with a complaint when it does not."""
    try:
        yield
    finally:
        daemon, company.daemon = company.daemon, None
        if daemon is not None:
            daemon.terminate()
            try:
                daemon.wait(STOP_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
                print(f"defib serve went on for {STOP_S:g} s after SIGTERM and was killed", file=sys.stderr)


def start(company: Company) -> tuple[int, float]:
    """Start the daemon; its process id, and the seconds until its first page was served."""
    started = time.perf_counter()
    company.serve(wait=False)
    daemon = company.daemon
    assert daemon is not None
    wait_until(lambda: daemon.poll() is not None or _serves_a_page(company.port), 60, "the first page")
    if daemon.poll() is not None:
        raise RuntimeError(f"defib serve ended with {daemon.returncode}:\n{company.log.read_text()[-3000:]}")
    return daemon.pid, time.perf_counter() - started


def _serves_a_page(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
        except OSError:
            return False
        return answer.status == 200


def wait_until_all_seen(targets: Targets, count: int, timeout: float) -> dict[str, list[float]]:
    """Return when so many targets have been asked at least once, with when they were."""
    seen: dict[str, list[float]] = {}

    def all_seen() -> bool:
        for path, times in targets.arrivals().items():
            seen.setdefault(path, []).extend(times)
        return len(seen) >= count

    wait_until(all_seen, timeout, f"{count} targets to be asked")
    return seen


@contextmanager
def dashboard(company: Company) -> Iterator[None]:
    """An open overview: events over the WebSocket, and its data read again each second, as the page does under load."""
    stop = threading.Event()

    def listen() -> None:
        with suppress(OSError, WebSocketException):
            address = f"ws://127.0.0.1:{company.port}/api/v1/events"
            with connect(address, proxy=None, max_queue=None) as socket:
                while not stop.is_set():
                    with suppress(TimeoutError):
                        socket.recv(timeout=0.5)

    def read() -> None:
        while not stop.wait(1.0):
            company.get("/api/v1/overview")

    threads = [threading.Thread(target=listen), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def metric(company: Company, name: str) -> float:
    """One sample of ``/metrics``, by its name and labels as they are written there.

    :raises LookupError: there is no such sample.
    """
    with closing(http.client.HTTPConnection("127.0.0.1", company.port, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        for line in connection.getresponse().read().decode().splitlines():
            key, _, value = line.rpartition(" ")
            if key == name:
                return float(value)
    raise LookupError(f"/metrics has no {name}")
