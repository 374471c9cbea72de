"""Is it me or them? When many targets fail at once, canaries tell whose fault it is.

Correlation never decides anything: it is the reason to look at the canaries, and their truth table decides.
A network problem excuses what is reached over the network, and never what is on this machine.
"""

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import assert_never

from defib.model.evidence import Evidence, Outcome
from defib.model.ids import MonitorId
from defib.model.phrase import phrase

WINDOW_S = 10.0
MIN_GROUPS = 3  #: fate groups that fail together
MIN_SHARE = 0.5  #: of the monitors looked at
SILENCE_S = 60.0  #: without any success on a path class

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
"""An address of this machine with its on-link network: ``192.0.2.7/24``."""


# --- paths -----------------------------------------------------------------------------------------


class PathClass(StrEnum):
    """What lies between a target and us."""

    LOCAL = "local"  #: nothing: loopback, Unix sockets, the Docker socket, this machine's own addresses
    LAN = "lan"  #: a link
    WAN = "wan"  #: a link and a gateway at least


def path_class(host: str, interfaces: Collection[Interface] = (), addresses: Iterable[str] = ()) -> PathClass:
    """The path to a monitor's host.

    :param host: an address, a name, a socket's path, or "" for what has no host.
    :param interfaces: addresses of this machine with their networks.
    :param addresses: what a name resolved to, if known; the nearest counts, since it suffices to get through.
    """
    name = host.strip("[]").lower().rstrip(".")
    if not name or name.startswith(("/", "@")) or name == "localhost" or name.endswith(".localhost"):
        return PathClass.LOCAL
    if is_named(host):
        paths = {_path_of(address, interfaces) for address in addresses}
        if not paths:  # mDNS names exist on the link only (RFC 6762)
            return PathClass.LAN if name.endswith(".local") else PathClass.WAN
        return next(path for path in PathClass if path in paths)
    return _path_of(name, interfaces)


@lru_cache(maxsize=4096)  # each look asks twice for that of its host
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is; None when it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _path_of(text: str, interfaces: Collection[Interface]) -> PathClass:
    address = _address(text)
    if address is None:
        raise ValueError(f"{text!r} is no address")
    if address.is_loopback or address.is_unspecified or any(address == own.ip for own in interfaces):
        return PathClass.LOCAL
    if address.is_link_local or any(address in own.network for own in interfaces):
        return PathClass.LAN
    return PathClass.WAN


def is_named(host: str) -> bool:
    """Whether a resolver is needed to reach ``host``."""
    return _address(host.strip("[]")) is None and bool(host) and not host.startswith(("/", "@"))


# --- the trigger -----------------------------------------------------------------------------------


def fate_group(monitor: MonitorId, host: str, path: PathClass) -> str:
    """What a monitor stands and falls with: its host, or itself where the host is this machine."""
    return f"monitor {monitor}" if path is PathClass.LOCAL else f"host {host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The newest look at one monitor that says something of the way to it."""

    monitor: MonitorId
    group: str  #: its fate group
    path: PathClass
    at: float  #: monotonic seconds
    is_ok: bool


_NO_NETWORK = frozenset({"no-route", "dns-unavailable"})
_NO_RESOURCES = frozenset({"no-descriptors", "no-memory"})


def is_network_missing(evidence: Evidence) -> bool:
    """Whether a look could not be made for want of our own network: no route, or a resolver that gives no answer.

    It says nothing about the target, and therefore the more about us.
    """
    return evidence.outcome is Outcome.INCONCLUSIVE and evidence.cause in _NO_NETWORK


def is_deaf(evidence: Evidence) -> bool:
    """Whether a look could not be made for want of what all looks need: descriptors or memory."""
    return evidence.outcome is Outcome.INCONCLUSIVE and evidence.cause in _NO_RESOURCES


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A reason to look at the canaries."""

    path: PathClass
    is_together: bool  #: many fail at once; else one does after a long silence
    reason: str


def find_trigger(
    looks: Iterable[Look], path: PathClass, last_ok_at: float, now: float, failing_since: float | None = None
) -> Trigger | None:
    """Whether the failures on a path class are a reason to look at the canaries.

    Failures, and looks that our own network kept from their targets (:func:`is_network_missing`), count while they
    are younger than :data:`WINDOW_S`: at least :data:`MIN_GROUPS` fate groups, and :data:`MIN_SHARE` of the
    monitors that were looked at in that time. (Not of all monitors: where each is looked at every 30 s, half
    of them cannot fail within 10 s, and the first faults would be declared before the trigger.) Or one
    failure when nothing on the class has succeeded for :data:`SILENCE_S`. Or, over a network, the second
    failure of a monitor when nothing on the class has succeeded since its first one: where few targets are
    watched, no three can fail together, and this comes before its fault is declared.

    :param looks: the newest one of each monitor; monitors of other classes are passed over.
    :param last_ok_at: monotonic seconds of the newest success on the class; of the start when there is none.
    :param now: monotonic seconds.
    :param failing_since: of the monitor in question, monotonic seconds; None when this is its first failure.
    """
    recent = [look for look in looks if look.path is path and now - look.at <= WINDOW_S]
    failing = [look for look in recent if not look.is_ok]
    groups = {look.group for look in failing}
    if len(groups) >= MIN_GROUPS and len(failing) >= MIN_SHARE * len(recent):
        reason = (
            f"{len(failing)} of {len(recent)} {path} monitors looked at within {WINDOW_S:.0f} s fail, "
            f"in {len(groups)} independent places"
        )
        return Trigger(path=path, is_together=True, reason=reason)
    if failing and now - last_ok_at >= SILENCE_S:
        reason = f"no {path} monitor has succeeded for {now - last_ok_at:.0f} s"
        return Trigger(path=path, is_together=False, reason=reason)
    if path is not PathClass.LOCAL and failing_since is not None and last_ok_at < failing_since:
        reason = f"no {path} monitor has succeeded since one began to fail {now - failing_since:.0f} s ago"
        return Trigger(path=path, is_together=False, reason=reason)
    return None


# --- the verdict -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the canaries showed; None where it cannot be told or is not configured."""

    own: bool | None = None  #: C1, our own server over loopback
    gateway: bool | None = None  #: C2, the default gateway
    resolver: bool | None = None  #: C3, any answer of a resolver
    anchors: bool | None = None  #: C4, any of the addresses that the user named
    carrier: bool | None = None  #: C5, the link of the default route


class Verdict(StrEnum):
    """Whose fault it is."""

    SICK = "sick"
    NETWORK_DOWN = "network-down"
    UPLINK_DOWN = "uplink-down"
    RESOLVER_DOWN = "resolver-down"
    GATEWAY_MUTE = "gateway-mute"  #: it forwards, but answers no probe: its canary is to be ignored
    CLEAR = "clear"  #: nothing speaks against us
    MASS_FAILURE = "mass-failure"  #: nothing speaks against us, and many targets fail together

    @property
    def words(self) -> str:
        """For people."""
        return _WORDS[self]

    @property
    def accuses_us(self) -> bool:
        """It is our fault, or our network's."""
        return self in _OURS


_WORDS = {
    Verdict.SICK: phrase("Defib itself is not well: its own server does not answer"),
    Verdict.NETWORK_DOWN: phrase("Defib lost its network"),
    Verdict.UPLINK_DOWN: phrase("the uplink of Defib's network is down"),
    Verdict.RESOLVER_DOWN: phrase("the resolver that Defib uses is down"),
    Verdict.GATEWAY_MUTE: phrase("the gateway answers no probes, but forwards: the network is up"),
    Verdict.CLEAR: phrase("Defib and its network are well: the fault is the target's"),
    Verdict.MASS_FAILURE: phrase("Defib and its network are well: the targets are down together"),
}

_OURS = frozenset({Verdict.SICK, Verdict.NETWORK_DOWN, Verdict.UPLINK_DOWN, Verdict.RESOLVER_DOWN})

YES, NO, ANY = frozenset({True}), frozenset({False}), frozenset({True, False, None})
NOT_NO, NOT_YES = ANY - NO, ANY - YES

_Cell = frozenset[bool] | frozenset[bool | None]

TRUTH_TABLE: tuple[tuple[tuple[_Cell, _Cell, _Cell, _Cell, _Cell], Verdict], ...] = (
    # C1 own  gateway  resolver anchors carrier; the first row that fits decides
    ((NO, ANY, ANY, ANY, ANY), Verdict.SICK),
    ((NOT_NO, ANY, NOT_YES, NOT_YES, NO), Verdict.NETWORK_DOWN),
    ((NOT_NO, NO, NOT_YES, NOT_YES, ANY), Verdict.NETWORK_DOWN),
    ((NOT_NO, ANY, ANY, NO, ANY), Verdict.UPLINK_DOWN),
    ((NOT_NO, ANY, NO, ANY, ANY), Verdict.RESOLVER_DOWN),
    ((NOT_NO, NO, ANY, ANY, ANY), Verdict.GATEWAY_MUTE),
    ((NOT_NO, ANY, ANY, ANY, ANY), Verdict.CLEAR),
)
"""An unknown cell never accuses anybody: a row names a culprit only by a canary that is known to be dead."""


def diagnose(readings: Readings, *, is_together: bool = False) -> Verdict:
    """Whose fault it is that targets fail.

    :param is_together: many of them fail at once (:class:`Trigger`).
    """
    cells = (readings.own, readings.gateway, readings.resolver, readings.anchors, readings.carrier)
    verdict = next(
        verdict
        for row, verdict in TRUTH_TABLE
        if all(cell in allowed for cell, allowed in zip(cells, row, strict=True))
    )
    if is_together and verdict in (Verdict.CLEAR, Verdict.GATEWAY_MUTE):
        return Verdict.MASS_FAILURE
    return verdict


# --- what follows from it --------------------------------------------------------------------------


class Effect(StrEnum):
    """What a verdict makes of a failure."""

    REAL = "real"
    INCONCLUSIVE = "inconclusive"
    BEHIND_UPLINK = "uplink"  #: UNREACHABLE, because of the uplink
    BEHIND_RESOLVER = "dns"  #: UNREACHABLE, because of the resolver


def effect(verdict: Verdict, path: PathClass, *, is_named: bool, is_contradicted: bool = False) -> Effect:
    """What a failure is worth while ``verdict`` holds.

    :param is_named: the target is reached through the resolver (:func:`is_named`).
    :param is_contradicted: another target was reached in the same way (class, name) since the canaries were
        looked at. That it works outweighs every canary of the network.
    """
    if verdict is Verdict.SICK:
        return Effect.INCONCLUSIVE
    if is_contradicted:
        return Effect.REAL
    match verdict:
        case Verdict.NETWORK_DOWN:
            return Effect.REAL if path is PathClass.LOCAL else Effect.INCONCLUSIVE
        case Verdict.UPLINK_DOWN:
            return Effect.BEHIND_UPLINK if path is PathClass.WAN else Effect.REAL
        case Verdict.RESOLVER_DOWN:
            return Effect.BEHIND_RESOLVER if is_named and path is not PathClass.LOCAL else Effect.REAL
        case Verdict.GATEWAY_MUTE | Verdict.CLEAR | Verdict.MASS_FAILURE:
            return Effect.REAL
    assert_never(verdict)


def excuse(evidence: Evidence, verdict: Verdict) -> Evidence:
    """A failure whose effect is INCONCLUSIVE, as evidence; anything but a failure stays as it is."""
    if evidence.outcome is not Outcome.FAIL:
        return evidence
    words = phrase("{trouble}; it looked like: {seen}", trouble=verdict.words, seen=evidence.summary)
    return Evidence.inconclusive(f"observer-{verdict}", words, facts=evidence.facts)
