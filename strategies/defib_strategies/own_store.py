"""Where the PostgreSQL is that holds Defib's own store: no action may hit it.

An action that did would cut off the record of itself. Everything here blocks for milliseconds (or as long as a
name takes to resolve) and belongs into a thread.
"""

import socket
from collections.abc import Collection
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from defib.plugin import OwnParts

_ANY = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_HINT = "keep Defib's store elsewhere, or let a person recover it"


def own_store_message(what: str) -> str:
    """Why ``what`` is left alone."""
    return f"{what} holds Defib's own store, which no action may touch; {_HINT}"


def addresses_of(host: str) -> frozenset[str]:
    """The addresses of a host as text; those of this machine for the local socket; none where it has no name."""
    if host == "" or host.startswith(("/", "@")):
        return frozenset({"127.0.0.1", "::1"})
    with suppress(OSError, UnicodeError):
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return frozenset(str(address[0]).partition("%")[0] for *_, address in found)
    return frozenset()


def is_this_machine(host: str) -> bool:
    """Whether ``host`` is an address of this machine."""
    addresses = addresses_of(host)
    if any(ip_address(address).is_loopback for address in addresses):
        return True
    import psutil

    own = {item.address.partition("%")[0] for items in psutil.net_if_addrs().values() for item in items}
    return not addresses.isdisjoint(own)


def is_same_server(host: str, port: int, own: tuple[str, int] | None) -> bool:
    """Whether both are one server: the same port of the same machine."""
    if own is None or port != own[1]:
        return False
    if host == own[0]:
        return True
    mine, theirs = addresses_of(own[0]), addresses_of(host)
    return not mine.isdisjoint(theirs) or (is_this_machine(own[0]) and is_this_machine(host))


def is_published(host_ip: str, host_port: str, own: OwnParts) -> bool:
    """Whether the store is reached through this published port of a container on this machine."""
    if own.store is None or host_port != str(own.store[1]) or not is_this_machine(own.store[0]):
        return False
    return host_ip in _ANY or host_ip in addresses_of(own.store[0])


def listeners(own: OwnParts) -> frozenset[int | None]:
    """Processes of this machine that listen where the store is; None stands for one that we may not see."""
    if own.store is None or not is_this_machine(own.store[0]):
        return frozenset()
    import psutil

    host, port = own.store
    found: set[int | None] = set()
    with suppress(psutil.Error):  # where nobody but root may ask
        for item in psutil.net_connections(kind="tcp"):
            if item.status == psutil.CONN_LISTEN and item.laddr and item.laddr.port == port:
                found.add(item.pid)
        for item in psutil.net_connections(kind="unix") if host == "" else ():
            if str(item.laddr).endswith(f"/.s.PGSQL.{port}"):
                found.add(item.pid)
    return frozenset(found)


def control_groups(pid: int) -> frozenset[str]:
    """The parts of a process's control group: units, and ids of containers (``docker-….scope``) among them."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
        return frozenset(part for line in lines for part in line.split(":", 2)[-1].split("/") if part)
    return frozenset()


def runs_store(units: Collection[str], own: OwnParts) -> bool:
    """Whether one of these units runs the store's server.

    Where the server belongs to another user and we may not see which process it is, a unit called after
    PostgreSQL is taken for it: rather one action too few.
    """
    pids = listeners(own)
    if any(pid is not None and not control_groups(pid).isdisjoint(units) for pid in pids):
        return True
    return None in pids and any("postgres" in unit for unit in units)
