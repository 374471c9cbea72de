"""Which listening sockets count, and whose they are."""

import pytest

from defib.discovery.listening import Owner, Socket, choose, read_cgroup
from defib.discovery.seen import Listener

EPHEMERAL = (32768, 60999)
CONTAINER = "4f" * 32


def chosen(*sockets: Socket, owners: dict[int, Owner] | None = None) -> list[Listener]:
    return choose(sockets, owners or {}, own_pid=1, ephemeral=EPHEMERAL)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("::", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.53", "127.0.0.53"),
        ("::1", "::1"),
    ],
)
def test_a_port_is_reached_over_loopback(address: str, host: str) -> None:
    assert chosen(Socket(address, 8080, None)) == [Listener(port=8080, host=host)]


def test_a_port_of_an_outer_address_alone_is_left_out() -> None:
    assert chosen(Socket("10.0.0.5", 8080, None), Socket("fe80::1%eth0", 8081, None)) == []


def test_ephemeral_ports_and_ones_of_our_own_are_left_out() -> None:
    sockets = [Socket("127.0.0.1", 32768, 7), Socket("127.0.0.1", 60999, 7), Socket("127.0.0.1", 9000, 1)]

    assert chosen(*sockets) == []


def test_a_port_with_several_addresses_is_one_listener() -> None:
    sockets = [Socket("::1", 53, 7), Socket("127.0.0.53", 53, 7), Socket("127.0.0.1", 53, 8)]

    found = chosen(*sockets, owners={7: Owner("systemd-resolve"), 8: Owner("unbound", "unbound.service")})

    assert found == [Listener(port=53, process="unbound", unit="unbound.service")]


@pytest.mark.parametrize(
    ("text", "unit", "container"),
    [
        ("0::/system.slice/nginx.service\n", "nginx.service", ""),
        (
            "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
            "postgresql@15-main.service",
            "",
        ),
        ("12:cpu:/\n1:name=systemd:/system.slice/redis.service\n0::/\n", "redis.service", ""),
        (f"0::/system.slice/docker-{CONTAINER}.scope\n", "", CONTAINER),
        (f"4:memory:/docker/{CONTAINER}\n0::/\n", "", CONTAINER),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/dev.service\n", "", ""),
        ("0::/user.slice/user-0.slice/session-1.scope\n", "", ""),
        ("", "", ""),
    ],
)
def test_the_cgroup_tells_the_unit_and_the_container(text: str, unit: str, container: str) -> None:
    assert read_cgroup(text) == (unit, container)
