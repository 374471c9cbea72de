"""Which TCP ports listen on this machine, and for whom."""

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import psutil

from defib.discovery.seen import Listener

_CONTAINER = re.compile(r"(?:^|/)(?:docker/|docker-)(?P<id>[0-9a-f]{64})(?:\.scope)?(?:/|$)")
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT = (32768, 60999)  # Linux' own (ip-sysctl.rst, ip_local_port_range)


class Socket(NamedTuple):
    """A listening socket."""

    address: str
    port: int
    pid: int | None  #: None: a process of another user


class Owner(NamedTuple):
    """The process behind a socket."""

    process: str
    unit: str = ""
    container: str = ""


def listening() -> list[Listener]:
    """The listening ports of this machine; none where the system does not tell."""
    try:
        sockets = [
            Socket(connection.laddr.ip, connection.laddr.port, connection.pid)
            for connection in psutil.net_connections(kind="tcp")
            if connection.laddr and connection.status == psutil.CONN_LISTEN
        ]
    except (psutil.Error, OSError):  # macOS tells root only
        return []
    owners = {socket.pid: _owner(socket.pid) for socket in sockets if socket.pid is not None}
    return choose(sockets, owners, own_pid=psutil.Process().pid, ephemeral=_ephemeral())


def choose(
    sockets: Iterable[Socket], owners: Mapping[int, Owner], *, own_pid: int, ephemeral: tuple[int, int]
) -> list[Listener]:
    """One listener for each port that loopback reaches and that somebody chose: no ephemeral and no own ones.

    :param ephemeral: the first and the last port that the system gives to whoever wants any.
    """
    chosen: dict[int, Listener] = {}
    for socket in sorted(sockets, key=lambda socket: (socket.port, _reach(socket.address), socket.address)):
        host = _loopback(socket.address)
        if host is None or socket.pid == own_pid or ephemeral[0] <= socket.port <= ephemeral[1]:
            continue
        if socket.port not in chosen:
            owner = Owner("") if socket.pid is None else owners.get(socket.pid, Owner(""))
            chosen[socket.port] = Listener(
                port=socket.port, host=host, process=owner.process, unit=owner.unit, container=owner.container
            )
    return list(chosen.values())


def read_cgroup(text: str) -> tuple[str, str]:
    """The system's service and the id of the container that a process is in, "" for none.

    :param text: of ``/proc/PID/cgroup``: ``0::/system.slice/nginx.service``, a line for each hierarchy.
    """
    unit = container = ""
    for line in text.splitlines():
        path = line.split(":", 2)[-1]
        if match := _CONTAINER.search(path):
            container = match["id"]
        if path.startswith("/system.slice/"):
            unit = next((part for part in path.split("/") if part.endswith(".service")), unit)
    return unit, container


def _owner(pid: int) -> Owner:
    try:
        name = psutil.Process(pid).name()
        unit, container = read_cgroup(Path(f"/proc/{pid}/cgroup").read_text(errors="replace"))
    except (psutil.Error, OSError):  # it has just ended, or there is no /proc
        return Owner("")
    return Owner(name, unit, container)


def _loopback(address: str) -> str | None:
    """The address to reach a socket by that is bound to ``address``; None when loopback does not."""
    bound = ip_address(address.partition("%")[0])
    if bound.is_unspecified:
        return "127.0.0.1"
    return address if bound.is_loopback else None


def _reach(address: str) -> int:
    """The most usual address first, where one port has several."""
    return ("127.0.0.1", "0.0.0.0", "::").index(address) if address in ("127.0.0.1", "0.0.0.0", "::") else 3  # noqa: S104


def _ephemeral() -> tuple[int, int]:
    try:
        first, last = map(int, _EPHEMERAL_RANGE.read_text().split())
    except (OSError, ValueError):
        return _EPHEMERAL_DEFAULT
    return first, last
