"""What the campaigns with real processes measure with does what it says."""

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from defib_testkit.chaos_proxy import ChaosProxy
from defib_testkit.company import ROOT
from defib_testkit.many_targets import ManyTargets
from defib_testkit.network import Cut, Network
from defib_testkit.plugin_path import add_plugin
from defib_testkit.ports import free_port
from defib_testkit.stepped_clock import SteppedClock
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

# --- victims --------------------------------------------------------------------------------------------


def test_a_victim_tells_the_truth_about_itself(victim: Victim) -> None:
    before = time.monotonic()
    victim.set_mode("hang")
    victim.set_mode("ok")

    (born, listening), (hung, hang), (well, ok) = victim.notes

    assert (listening, hang, ok) == ("listening", "mode hang", "mode ok")
    assert born < before < hung < well < time.monotonic()


def test_a_victim_fails_as_often_as_it_is_told_to(victim: Victim) -> None:
    victim.set_mode("failing:0.5")

    with httpx.Client() as client:
        statuses = Counter(client.get(victim.url).status_code for _ in range(100))

    assert set(statuses) == {200, 500}
    assert 25 <= statuses[500] <= 75


def test_a_victim_says_nothing_of_its_health(victim: Victim) -> None:
    victim.set_mode("wrong-body")

    answer = httpx.get(victim.url)

    assert (answer.status_code, answer.json()) == (200, {"notice": "this site is parked"})


# --- the proxy ------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(victim: Victim) -> Iterator[ChaosProxy]:
    with closing(ChaosProxy(victim.host, victim.port, seed=1)) as proxy:
        yield proxy


def test_the_proxy_hands_on_what_is_asked_and_answered(proxy: ChaosProxy) -> None:
    assert httpx.get(f"{proxy.origin}/health").json()["status"] == "ok"
    proxy.delay_s = 0.1
    assert httpx.get(f"{proxy.origin}/health").elapsed.total_seconds() >= 0.1


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("reset", httpx.TransportError),
        ("black-hole", httpx.ReadTimeout),
        ("half-open", httpx.ReadTimeout),
        ("truncate", httpx.RemoteProtocolError),
        ("dead", httpx.ConnectError),
    ],
)
def test_the_proxy_harms(proxy: ChaosProxy, mode: str, error: type[Exception]) -> None:
    proxy.mode = mode
    with pytest.raises(error):
        httpx.get(f"{proxy.origin}/health", timeout=0.3)
    proxy.mode = "ok"
    assert httpx.get(f"{proxy.origin}/health").status_code == 200


def test_the_proxy_loses_the_share_that_it_is_told_to(proxy: ChaosProxy) -> None:
    proxy.lose((0.3, "reset"))

    def is_lost(client: httpx.Client) -> bool:
        try:
            return client.get(f"{proxy.origin}/health").status_code != 200
        except httpx.TransportError:
            return True

    with httpx.Client() as client:
        lost = sum(is_lost(client) for _ in range(100))

    assert (proxy.taken, proxy.harmed) == (100, lost)
    assert 15 <= lost <= 45


# --- the network ----------------------------------------------------------------------------------------


@pytest.fixture
def network() -> Iterator[Network]:
    with closing(Network(near=2, far=2)) as network:
        yield network


@pytest.mark.parametrize("where", ["own", "carrier", "beyond"])
def test_a_network_is_taken_away_and_comes_back(network: Network, where: Cut) -> None:
    ask = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5).close()"
    addresses = [*network.near, *network.far]
    with closing(ManyTargets(addresses, free_port(), launcher=network.in_world)) as targets:

        def reached() -> list[bool]:
            asked = [
                subprocess.Popen(
                    [*network.at_home, sys.executable, "-I", "-S", "-c", ask, address, str(targets.port)],
                    stderr=subprocess.DEVNULL,
                )
                for address in addresses
            ]
            return [process.wait(10) == 0 for process in asked]

        wait_until(lambda: all(reached()), 10, "the network to come up")
        network.cut(where)
        assert reached() == [False] * 4
        network.mend()
        wait_until(lambda: all(reached()), 10, "the network to come back")


def test_a_socket_that_is_made_at_home_is_of_that_network(network: Network) -> None:
    with network.entered():
        inside = socket.create_server(("10.99.0.2", 0))
    with inside, pytest.raises(OSError, match="Cannot assign requested address"):
        socket.create_server(("10.99.0.2", 0))


def test_nothing_is_left_of_a_network(network: Network) -> None:
    network.close()

    assert not [name for name in os.listdir("/run/netns") if name.startswith(network.home[:-1])]
    assert not Path("/etc/netns", network.home).exists()


# --- clocks and plugins ---------------------------------------------------------------------------------


def test_a_clock_is_set_while_a_program_runs(tmp_path: Path) -> None:
    clock = SteppedClock(tmp_path)
    script = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", script], env={**os.environ, **clock.environment}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        assert program.stdin is not None
        assert program.stdout is not None

        def ahead() -> tuple[float, float]:
            assert program.stdin is not None
            assert program.stdout is not None
            print(file=program.stdin, flush=True)
            wall, monotonic = map(float, program.stdout.readline().split())
            return wall - time.time(), monotonic - time.monotonic()

        steps = []
        for seconds in (0, 3600, -3600):
            clock.set(seconds)
            steps.append(ahead())
        program.stdin.close()

    assert [wall for wall, _ in steps] == pytest.approx([0, 3600, -3600], abs=1.0)
    assert [monotonic for _, monotonic in steps] == pytest.approx([0, 0, 0], abs=1.0)


def test_a_plugin_on_the_path_is_found(tmp_path: Path, run_python: Callable[..., str]) -> None:
    folder = add_plugin(ROOT / "tests" / "data" / "defib-sluggish", tmp_path)

    found = run_python(
        "import importlib.metadata as m; print([e.value for e in m.entry_points(group='defib', name='sluggish')])",
        PYTHONPATH=os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
    )

    assert found == "['defib_sluggish.plugin']\n"


@pytest.fixture
def run_python() -> Callable[..., str]:
    """Run a program with variables of its own in its environment; what it prints."""

    def run(program: str, **variables: str) -> str:
        argv = [sys.executable, "-c", program]
        done = subprocess.run(
            argv, env={**os.environ, **variables}, capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout

    return run
