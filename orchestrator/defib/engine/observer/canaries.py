"""Canaries: five quick looks at ourselves and our network, to tell our own trouble from that of targets.

Each takes a second at most, all run at once, and their outcome holds for two seconds. Gateway, link and
resolver are found as Linux shows them (``/proc/net``, ``/sys/class/net``, ``resolv.conf``), for IPv4; what
cannot be found out is None, never a failure.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from defib.engine.observer.packets import (
    SERVER_FAILURE,
    OwnTroubleError,
    answers_http,
    answers_ping,
    ask_resolver,
    is_alive_at,
    raise_own_trouble,
)
from defib.engine.observer.senses import Address
from defib.logs import get_logger
from defib.ports import Clock
from defib.rules.correlation import Interface, PathClass, Readings, Verdict, diagnose, path_class

TIMEOUT = 1.0  #: seconds for all of it
CACHED = 2.0  #: seconds that an outcome holds
SETTLED = 90.0
"""Seconds after which a gateway that is gone has left the neighbours: an entry is trusted for 45 s at most, and the
next packet, at the latest of the look that comes every 30 s, has it asked anew for 8 s (arp(7): base_reachable_time,
delay_first_probe_time, ucast_solicit)."""
_GATEWAY_PORT = 53  #: a router that does not run a resolver refuses, which tells as much

log = get_logger("defib.canaries")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the system tells about its network."""

    routes: Path = Path("/proc/net/route")
    neighbours: Path = Path("/proc/net/arp")
    links: Path = Path("/sys/class/net")
    resolvers: Path = Path("/etc/resolv.conf")
    resolver_port: int = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRoute:
    """Where what is not on-link goes."""

    link: str  #: interface name
    gateway: str | None  #: None on a point-to-point link


@dataclass(slots=True)
class Canaries:
    """Looks when asked, and remembers of the gateway whether it answers probes at all."""

    clock: Clock
    own: Address | None = None  #: C1, our own HTTP server as seen from this machine
    anchors: Sequence[Address] = ()  #: C4, numeric: a name would need the resolver that is in question
    places: Places = field(default_factory=Places)
    _route: DefaultRoute | None = None  # the newest one seen; its loss is a finding
    _is_gateway_mute: bool = False
    _answered: str = ""  # the newest gateway that answered a look …
    _silent_since: float | None = None  # … and since when it does not any more
    _readings: Readings = field(default_factory=Readings)
    _good_until: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        for host, _ in self.anchors:
            ipaddress.ip_address(host)  # ValueError says what is not an address

    async def look(self) -> Readings:
        """What the canaries show, at most :data:`CACHED` seconds old. Callers at the same time share one look."""
        async with self._lock:
            if self.clock.monotonic() >= self._good_until:
                self._readings = await self._look()
                self._good_until = self.clock.monotonic() + CACHED
            return self._readings

    async def _look(self) -> Readings:
        is_own_trouble = False
        try:
            route = read_default_route(self.places.routes)
            is_route_lost = route is None and self._route is not None
            self._route = route or self._route
            async with asyncio.TaskGroup() as group:
                own = group.create_task(self._own())
                gateway = group.create_task(self._gateway(is_route_lost))
                resolver = group.create_task(self._resolver())
                anchors = group.create_task(self._anchors())
            link = self._route.link if self._route is not None else None
            carrier = None if link is None else read_carrier(self.places.links, link)
        except* OwnTroubleError:
            log.error(
                "out of file descriptors or memory: no canary could be sent; raise LimitNOFILE or 'ulimit -n'"
            )
            is_own_trouble = True
        if is_own_trouble:
            return Readings(own=False)
        readings = Readings(
            own=own.result(),
            gateway=gateway.result(),
            resolver=resolver.result(),
            anchors=anchors.result(),
            carrier=carrier,
        )
        if readings.gateway:
            self._is_gateway_mute = False
        elif diagnose(readings) is Verdict.GATEWAY_MUTE and self._silent_since is None:
            self._is_gateway_mute = True
            log.info("the gateway answers no probes; it is left out of account")
        return replace(readings, gateway=None) if self._is_gateway_mute else readings

    async def _own(self) -> bool | None:
        return None if self.own is None else await answers_http(self.own, TIMEOUT)

    async def _gateway(self, is_route_lost: bool) -> bool | None:
        """Alive when it answers at all. One that falls silent is dead. Of one that has never answered, or has been
        silent for long, the entry among the neighbours decides: if it is complete nothing is known, for it forwards
        perhaps. (A gateway that has just died has a complete entry, too.)"""
        if is_route_lost:
            return False
        gateway = None if self._route is None else self._route.gateway
        if gateway is None:
            return None
        if await _any(answers_ping(gateway, TIMEOUT), is_alive_at((gateway, _GATEWAY_PORT), TIMEOUT)):
            self._answered, self._silent_since = gateway, None
            return True
        if gateway != self._answered:
            self._silent_since = None  # nothing is known of this one
        elif self._silent_since is None:
            self._silent_since = self.clock.monotonic()
        if self._silent_since is not None and self.clock.monotonic() - self._silent_since < SETTLED:
            return False
        return None if is_neighbour(self.places.neighbours, gateway) else False

    async def _resolver(self) -> bool | None:
        servers = read_resolvers(self.places.resolvers)
        if not servers:
            return None
        interfaces = read_interfaces()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._ask(server, interfaces)) for server in servers]
        answers = [task.result() for task in asked]
        if True in answers:
            return True
        return None if None in answers else False

    async def _ask(self, server: str, interfaces: tuple[Interface, ...]) -> bool | None:
        """Any answer from beyond the gateway is a good one. A resolver on this machine or link proves nothing of the
        network by answering (it caches), but it fails where the servers that it asks are out of its reach."""
        code = await ask_resolver((server, self.places.resolver_port), TIMEOUT)
        if path_class(server, interfaces) is PathClass.WAN:
            return code is not None
        return False if code in (None, SERVER_FAILURE) else None

    async def _anchors(self) -> bool | None:
        if not self.anchors:
            return None
        return await _any(*(is_alive_at(anchor, TIMEOUT) for anchor in self.anchors))


async def _any(*looks: Awaitable[bool]) -> bool:
    """Whether any of ``looks`` is good, as soon as that is known."""
    tasks = [asyncio.ensure_future(look) for look in looks]
    try:
        for done in asyncio.as_completed(tasks):
            if await done:
                return True
        return False
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# --- what the system tells -------------------------------------------------------------------------


def read_default_route(routes: Path) -> DefaultRoute | None:
    """The IPv4 default route with the lowest metric that is up; None without one."""
    found = []
    for fields in _rows(routes):
        flags = int(fields[3], 16)
        if fields[1] == "00000000" and fields[7] == "00000000" and flags & 0x1 and not flags & 0x200:
            # bytes in the machine's order, which is the reverse of the network's wherever we run
            address = ipaddress.ip_address(bytes.fromhex(fields[2])[::-1])
            gateway = str(address) if flags & 0x2 else None
            found.append((int(fields[6]), DefaultRoute(link=fields[0], gateway=gateway)))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def is_neighbour(neighbours: Path, address: str) -> bool:
    """Whether the link-layer address of ``address`` is known (a complete ARP entry)."""
    return any(row[0] == address and int(row[2], 16) & 0x2 for row in _rows(neighbours))


def _rows(table: Path) -> list[list[str]]:
    return [line.split() for line in _lines(table)[1:] if line.strip()]


def _lines(file: Path) -> list[str]:
    """The lines of a file, none when it is not there.

    :raises OwnTroubleError: it could not be read for want of a file descriptor.
    """
    try:
        return file.read_text().splitlines()
    except OSError as error:
        raise_own_trouble(error)
        return []


def read_carrier(links: Path, link: str) -> bool | None:
    """Whether ``link`` has a carrier; one that is gone or switched off has none. None where links are not shown."""
    if not links.is_dir():
        return None
    try:
        return (links / link / "carrier").read_text().strip() == "1"
    except OSError as error:  # ENOENT: the link is gone; EINVAL: it is down
        raise_own_trouble(error)
        return False


def read_resolvers(resolv_conf: Path) -> tuple[str, ...]:
    """Addresses of the resolvers in use, three at most as in the C library."""
    words = [line.split() for line in _lines(resolv_conf)]
    servers = [found[1] for found in words if len(found) > 1 and found[0] == "nameserver"]
    return tuple(server for server in servers if _is_address(server))[:3]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def read_interfaces() -> tuple[Interface, ...]:
    """Every address of this machine with its on-link network, for :func:`defib.rules.correlation.path_class`.

    :raises OwnTroubleError: the system could not be asked for want of a file descriptor.
    """
    try:
        shown = psutil.net_if_addrs()
    except OSError as error:
        raise_own_trouble(error)
        return ()
    found: list[Interface] = []
    for addresses in shown.values():
        for item in addresses:
            bare = item.address.partition("%")[0]
            if item.netmask and _is_address(bare):
                found.append(_interface(bare, item.netmask))
    return tuple(found)


def _interface(address: str, netmask: str) -> Interface:
    mask = ipaddress.ip_address(netmask)
    return ipaddress.ip_interface(f"{address}/{int(mask).bit_count()}")
