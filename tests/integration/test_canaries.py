"""Canaries in a network of their own that really breaks, and over loopback where a double does."""

import asyncio
import ipaddress
import json
import os
import resource
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from defib.engine.observer.canaries import (
    Canaries,
    DefaultRoute,
    Places,
    is_neighbour,
    read_carrier,
    read_default_route,
    read_interfaces,
    read_resolvers,
)
from defib.rules.correlation import Readings, Verdict, diagnose
from defib_testkit.ports import free_port
from defib_testkit.requirement import require
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import wait_until

# --- what the system tells -------------------------------------------------------------------------

ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
wlan0	00000000	FE0200C0	0003	0	0	600	00000000	0	0	0
eth0	00000000	010200C0	0003	0	0	100	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	100	00FFFFFF	0	0	0
tun0	00000000	00000000	0001	0	0	50	00000080	0	0	0
"""

NEIGHBOURS = """\
IP address       HW type     Flags       HW address            Mask     Device
192.0.2.200      0x1         0x0         00:00:00:00:00:00     *        eth0
192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0
"""


def test_the_default_route_with_the_lowest_metric_counts(tmp_path: Path) -> None:
    file = tmp_path / "route"
    file.write_text(ROUTES)
    assert read_default_route(file) == DefaultRoute(link="eth0", gateway="192.0.2.1")


def test_a_point_to_point_link_has_no_gateway(tmp_path: Path) -> None:
    file = tmp_path / "route"
    file.write_text(
        "header\nppp0	00000000	00000000	0001	0	0	0	00000000	0	0	0\n"
    )
    assert read_default_route(file) == DefaultRoute(link="ppp0", gateway=None)


def test_no_file_is_no_route(tmp_path: Path) -> None:
    assert read_default_route(tmp_path / "none") is None


def test_only_a_complete_entry_is_a_neighbour(tmp_path: Path) -> None:
    file = tmp_path / "arp"
    file.write_text(NEIGHBOURS)
    assert is_neighbour(file, "192.0.2.1")
    assert not is_neighbour(file, "192.0.2.200")
    assert not is_neighbour(file, "192.0.2.7")


def test_a_link_that_is_gone_has_no_carrier(tmp_path: Path) -> None:
    (tmp_path / "eth0").mkdir()
    (tmp_path / "eth0" / "carrier").write_text("1\n")
    (tmp_path / "eth1").mkdir()
    (tmp_path / "eth1" / "carrier").write_text("0\n")
    assert read_carrier(tmp_path, "eth0") is True
    assert read_carrier(tmp_path, "eth1") is False
    assert read_carrier(tmp_path, "eth2") is False
    assert read_carrier(tmp_path / "none", "eth0") is None


def test_three_resolvers_are_read(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# a comment\nsearch example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver\n"
        "nameserver nonsense\nnameserver 192.0.2.54\nnameserver 192.0.2.55\n"
    )
    assert read_resolvers(file) == ("192.0.2.53", "2001:db8::53", "192.0.2.54")
    assert read_resolvers(tmp_path / "none") == ()


def test_the_interfaces_of_this_machine_include_loopback() -> None:
    assert ipaddress.ip_interface("127.0.0.1/8") in read_interfaces()


# --- over loopback ---------------------------------------------------------------------------------


@dataclass
class Hand:
    """A clock that is set by hand, where caching is what is tested."""

    seconds: float = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("canaries do not sleep")


@dataclass
class Machine:
    """The files of a machine whose network is loopback."""

    folder: Path
    resolver_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.set_gateway("127.0.0.9")
        self.set_resolvers()
        (self.folder / "links" / "lo").mkdir(parents=True)
        (self.folder / "links" / "lo" / "carrier").write_text("1\n")

    def set_gateway(self, address: str | None) -> None:
        number = "" if address is None else ipaddress.ip_address(address).packed[::-1].hex().upper()
        line = (
            f"lo	00000000	{number}	0003	0	0	0	00000000	0	0	0\n"
            if number
            else ""
        )
        (self.folder / "route").write_text("header\n" + line)

    def set_resolvers(self, *addresses: str) -> None:
        (self.folder / "resolv.conf").write_text("".join(f"nameserver {a}\n" for a in addresses))

    @property
    def places(self) -> Places:
        return Places(
            routes=self.folder / "route",
            neighbours=self.folder / "arp",
            links=self.folder / "links",
            resolvers=self.folder / "resolv.conf",
            resolver_port=self.resolver_port,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@contextmanager
def resolver(address: str, port: int, code: int) -> Iterator[list[bytes]]:
    """A DNS server that answers everything with one response code; yields the queries."""
    queries: list[bytes] = []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((address, port))
        udp.setblocking(False)

        def answer() -> None:
            query, sender = udp.recvfrom(512)
            queries.append(query)
            udp.sendto(query[:2] + bytes([0x81, 0x80 | code]) + query[4:], sender)

        loop.add_reader(udp, answer)
        try:
            yield queries
        finally:
            loop.remove_reader(udp)


async def test_a_refusing_gateway_is_alive(machine: Machine) -> None:
    readings = await Canaries(Hand(), places=machine.places).look()

    assert readings == Readings(gateway=True, carrier=True)


async def test_what_is_not_configured_and_cannot_be_found_out_is_unknown(tmp_path: Path) -> None:
    nowhere = Places(
        routes=tmp_path / "a", neighbours=tmp_path / "b", links=tmp_path / "c", resolvers=tmp_path / "d"
    )
    assert await Canaries(Hand(), places=nowhere).look() == Readings()


async def test_a_default_route_that_was_lost_is_a_dead_gateway(machine: Machine) -> None:
    clock = Hand()
    canaries = Canaries(clock, places=machine.places)
    assert (await canaries.look()).gateway is True
    machine.set_gateway(None)
    clock.seconds += 2

    assert await canaries.look() == Readings(gateway=False, carrier=True)


async def test_an_outcome_holds_for_two_seconds(machine: Machine) -> None:
    clock = Hand()
    canaries = Canaries(clock, places=machine.places)
    await canaries.look()
    machine.set_gateway(None)
    clock.seconds += 1.99
    assert (await canaries.look()).gateway is True
    clock.seconds += 0.01
    assert (await canaries.look()).gateway is False


async def test_callers_at_the_same_time_share_one_look(machine: Machine) -> None:
    machine.set_resolvers("127.0.0.1")
    with resolver("127.0.0.1", machine.resolver_port, code=0) as queries:
        canaries = Canaries(Hand(), places=machine.places)
        await asyncio.gather(*(canaries.look() for _ in range(20)))

    assert len(queries) == 1
    assert queries[0][2:] == bytes.fromhex(
        "0100 0001 0000 0000 0000 00 0002 0001"
    )  # the root's NS, recursion desired


@pytest.mark.parametrize(("code", "seen"), [(0, None), (3, None), (2, False), (5, None)])
async def test_a_resolver_nearby_tells_only_of_failure(
    machine: Machine, code: int, seen: bool | None
) -> None:
    machine.set_resolvers("127.0.0.1")
    with resolver("127.0.0.1", machine.resolver_port, code):
        assert (await Canaries(Hand(), places=machine.places).look()).resolver is seen


async def test_a_resolver_that_does_not_run_is_down(machine: Machine) -> None:
    machine.set_resolvers("127.0.0.1", "127.0.0.2")

    assert (await Canaries(Hand(), places=machine.places).look()).resolver is False


async def test_one_resolver_that_works_is_enough(machine: Machine) -> None:
    machine.set_resolvers("127.0.0.1", "127.0.0.2")
    with resolver("127.0.0.2", machine.resolver_port, code=0):
        assert (await Canaries(Hand(), places=machine.places).look()).resolver is None


async def test_our_own_server_answers_or_not(machine: Machine, victim: Victim) -> None:
    clock = Hand()
    canaries = Canaries(clock, own=("127.0.0.1", victim.port), places=machine.places)
    assert (await canaries.look()).own is True
    victim.kill()
    clock.seconds += 2
    assert (await canaries.look()).own is False


async def test_a_server_that_accepts_and_stays_silent_is_dead_after_a_second(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        readings = await Canaries(Hand(), own=silent.getsockname(), places=machine.places).look()

    assert readings.own is False
    assert 0.9 < time.monotonic() - started < 3


async def test_any_anchor_will_do_and_a_refusal_is_an_answer(machine: Machine) -> None:
    anchors = [("127.0.0.1", free_port()), ("::1", free_port())]

    assert (await Canaries(Hand(), anchors=anchors, places=machine.places).look()).anchors is True


def test_an_anchor_is_an_address() -> None:
    with pytest.raises(ValueError, match=r"'example\.com' does not appear to be an IPv4 or IPv6 address"):
        Canaries(Hand(), anchors=[("example.com", 443)])


async def test_without_file_descriptors_we_are_sick(machine: Machine) -> None:
    clock = Hand()
    canaries = Canaries(clock, places=machine.places)
    assert (await canaries.look()).own is None
    clock.seconds += 2
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as taken:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        try:
            while True:
                taken.callback(os.close, os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        readings = await canaries.look()

    assert readings == Readings(own=False)


def test_uvloop_carries_them_as_well(machine: Machine) -> None:
    machine.set_resolvers("127.0.0.1")

    async def run() -> Readings:
        with resolver("127.0.0.1", machine.resolver_port, code=2):
            canaries = Canaries(Hand(), anchors=[("127.0.0.1", free_port())], places=machine.places)
            return await canaries.look()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) == Readings(gateway=True, resolver=False, anchors=True, carrier=True)


# --- in a network that breaks ----------------------------------------------------------------------

# Ours is 198.51.100.2; the router 198.51.100.1, behind it the resolver 203.0.113.53 and the anchor 203.0.113.9.

_LOOKS = """
import asyncio, dataclasses, json, pathlib, sys
from defib.engine.observer.canaries import Canaries, Places
from defib.engine.clock import SystemClock

class Fresh(SystemClock):
    def monotonic(self):
        self.asked = getattr(self, "asked", 0.0) + 10.0
        return self.asked

async def main(places, anchors):
    canaries = Canaries(Fresh(), places=places, anchors=anchors)
    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(dataclasses.asdict(await canaries.look())), flush=True)

anchors = [("203.0.113.9", 443)] if sys.argv[2] == "anchors" else []
asyncio.run(main(Places(resolvers=pathlib.Path(sys.argv[1]), routes=pathlib.Path(sys.argv[3])), anchors))
"""

_RESOLVER = """
import socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    query, sender = udp.recvfrom(512)
    udp.sendto(query[:2] + bytes([0x81, 0x82]) + query[4:], sender)  # SERVFAIL is an answer
"""


class Network:
    """Two network namespaces with a cable between them."""

    def __init__(self, stack: ExitStack, tmp_path: Path) -> None:
        self._stack = stack
        self._tmp_path = tmp_path
        name = secrets.token_hex(3)
        self.here, self.router = f"defib-{name}-a", f"defib-{name}-b"
        for namespace in (self.here, self.router):
            ip("netns", "add", namespace)
            stack.callback(ip, "netns", "del", namespace)
        ip("-n", self.here, "link", "add", "wire0", "type", "veth", "peer", "wire1", "netns", self.router)
        ip("-n", self.here, "address", "add", "198.51.100.2/24", "dev", "wire0")
        for address, link in (
            ("198.51.100.1/24", "wire1"),
            ("203.0.113.9/32", "lo"),
            ("203.0.113.53/32", "lo"),
        ):
            ip("-n", self.router, "address", "add", address, "dev", link)
        for namespace, link in ((self.here, "wire0"), (self.router, "wire1"), (self.router, "lo")):
            ip("-n", namespace, "link", "set", link, "up")
        ip("-n", self.here, "route", "add", "default", "via", "198.51.100.1")
        self.resolver = self.start_resolver("203.0.113.53")

    def start_resolver(self, address: str) -> subprocess.Popen[str]:
        return self._start(self.router, _RESOLVER, address)

    def canaries(
        self, *, anchors: bool = True, resolver: str = "203.0.113.53", routes: str = "/proc/net/route"
    ) -> "Looks":
        resolv_conf = self._tmp_path / "resolv.conf"
        resolv_conf.write_text(f"nameserver {resolver}\n")
        words = (str(resolv_conf), "anchors" if anchors else "none", routes)
        return Looks(self._start(self.here, _LOOKS, *words))

    def is_neighbour(self, address: str) -> bool:
        """As the kernel still believes at home."""
        table = self._tmp_path / "arp"
        shown = subprocess.run(
            ["ip", "netns", "exec", self.here, "cat", "/proc/net/arp"],
            check=True,
            capture_output=True,
            text=True,
        )
        table.write_text(shown.stdout)
        return is_neighbour(table, address)

    def _start(self, namespace: str, program: str, *words: str) -> subprocess.Popen[str]:
        process = self._stack.enter_context(
            subprocess.Popen(
                ["ip", "netns", "exec", namespace, sys.executable, "-c", program, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        )
        self._stack.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process


class Looks:
    """Canaries within the network."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def look(self) -> Readings:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("look\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return Readings(**answer)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        require("A network namespace", "run the tests as root, with iproute2 installed")
    with ExitStack() as stack:
        try:
            made = Network(stack, tmp_path)
        except subprocess.CalledProcessError as error:
            require(
                f"A network namespace ({error.stderr.strip()})", "run where the kernel allows them, with veth"
            )
        yield made


def test_a_network_that_works(network: Network) -> None:
    readings = network.canaries().look()

    assert readings == Readings(gateway=True, resolver=True, anchors=True, carrier=True)
    assert diagnose(readings) == "clear"


def test_a_cable_that_is_pulled(network: Network) -> None:
    canaries = network.canaries()
    canaries.look()
    ip("-n", network.router, "link", "set", "wire1", "down")
    readings = canaries.look()

    assert readings.carrier is False
    assert diagnose(readings) == "network-down"


def test_an_interface_that_is_switched_off_takes_its_route_along(network: Network) -> None:
    canaries = network.canaries()
    canaries.look()
    ip("-n", network.here, "link", "set", "wire0", "down")
    readings = canaries.look()

    assert readings == Readings(gateway=False, resolver=False, anchors=False, carrier=False)
    assert diagnose(readings) == "network-down"


def test_a_router_that_is_gone(network: Network) -> None:
    ip("-n", network.router, "address", "flush", "dev", "wire1")
    readings = network.canaries().look()

    assert readings == Readings(gateway=False, resolver=False, anchors=False, carrier=True)
    assert diagnose(readings) == "network-down"


def test_a_router_that_dies_is_dead_before_the_kernel_knows(network: Network) -> None:
    canaries = network.canaries()
    assert canaries.look().gateway is True
    ip("-n", network.router, "address", "flush", "dev", "wire1")
    readings = canaries.look()

    assert network.is_neighbour("198.51.100.1")
    assert readings == Readings(gateway=False, resolver=False, anchors=False, carrier=True)
    assert diagnose(readings) == "network-down"


def test_a_gateway_that_has_become_silent_and_is_still_there_is_left_out_of_account_at_last(
    network: Network,
) -> None:
    canaries = network.canaries()
    assert canaries.look().gateway is True
    ip("-n", network.here, "rule", "add", "to", "198.51.100.1", "blackhole")
    verdicts = [
        diagnose(canaries.look()) for _ in range(10)
    ]  # each look is 20 s or more after the one before

    turn = verdicts.index(Verdict.CLEAR)
    assert 2 <= turn <= 5
    assert verdicts == [Verdict.GATEWAY_MUTE] * turn + [Verdict.CLEAR] * (10 - turn)


def test_an_uplink_that_is_gone(network: Network) -> None:
    ip("-n", network.router, "address", "flush", "dev", "lo")
    readings = network.canaries().look()

    assert readings == Readings(gateway=True, resolver=False, anchors=False, carrier=True)
    assert diagnose(readings) == "uplink-down"


@pytest.mark.parametrize(("anchors", "seen"), [(True, True), (False, None)])
def test_a_resolver_that_is_gone(network: Network, anchors: bool, seen: bool | None) -> None:
    network.resolver.kill()
    network.resolver.wait()
    readings = network.canaries(anchors=anchors).look()

    assert readings == Readings(gateway=True, resolver=False, anchors=seen, carrier=True)
    assert diagnose(readings) == "resolver-down"


def test_a_silent_gateway_that_forwards_tells_nothing(network: Network) -> None:
    ip("-n", network.here, "rule", "add", "to", "198.51.100.1", "blackhole")
    canaries = network.canaries()
    readings = wait_until(lambda: (seen := canaries.look()).gateway is None and seen, what="an ARP entry")

    assert readings == Readings(gateway=None, resolver=True, anchors=True, carrier=True)
    assert diagnose(readings) == "clear"


def test_a_router_whose_resolver_has_lost_its_servers(network: Network) -> None:
    network.start_resolver("198.51.100.1")
    readings = network.canaries(anchors=False, resolver="198.51.100.1").look()

    assert readings == Readings(gateway=True, resolver=False, carrier=True)
    assert diagnose(readings) == "resolver-down"


def test_a_gateway_without_which_everything_works_is_left_out_of_account(
    network: Network, tmp_path: Path
) -> None:
    routes = tmp_path / "route"
    routes.write_text(
        "header\nwire0	00000000	4D6433C6	0003	0	0	0	00000000	0	0	0\n"
    )  # 198.51.100.77
    canaries = network.canaries(routes=str(routes))

    assert canaries.look() == Readings(gateway=None, resolver=True, anchors=True, carrier=True)
    ip("-n", network.router, "address", "flush", "dev", "lo")
    assert canaries.look() == Readings(gateway=None, resolver=False, anchors=False, carrier=True)


def test_the_network_s_return_is_seen(network: Network) -> None:
    canaries = network.canaries()
    ip("-n", network.router, "link", "set", "wire1", "down")
    assert diagnose(canaries.look()) == "network-down"
    ip("-n", network.router, "link", "set", "wire1", "up")
    wait_until(lambda: diagnose(canaries.look()) == "clear", timeout=10, what="the network to come back")
