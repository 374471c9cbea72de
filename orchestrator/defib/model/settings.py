"""A whole configuration, validated: what the composition root builds everything from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from defib.model.monitor import MonitorSpec, RecoveryMode
from defib.model.route import InhibitRule, Route
from defib.model.strategy import Strategy
from defib.model.window import PlannedMaintenance

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """What the operator lets those do who report to us."""

    require_token: bool = True  #: also of beats for monitors under an id that can be guessed
    registration_key: str = field(default="", repr=False)  #: whoever shows it may register; "" for nobody
    open_registration: bool = False  #: anybody may register
    new_agents: bool = True  #: whoever shows a good token may bring in an agent by its first beat


class BadgeAccess(StrEnum):
    """Who can open badges, which need no login."""

    OFF = "off"
    SIGNED = "signed"  #: whoever knows their address, which nobody can guess
    PUBLIC = "public"  #: everybody: they have addresses of monitors' ids and tags, too


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    host: str = "127.0.0.1"
    port: int = 8420
    public_url: str = ""  #: without a slash at its end; "" uses the listening address
    unix_socket: Path | None = None  #: where local agents beat; None: nowhere
    unix_socket_mode: int = 0o600  #: who may connect to it: permission bits
    unix_socket_group: str = ""  #: that it belongs to; "" is the one of this process
    trusted_proxies: tuple[str, ...] = ()  #: networks whose word on where a request came from counts
    badges: BadgeAccess = BadgeAccess.OFF
    ingest: IngestSettings = IngestSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadManSettings:
    """Who is pinged while Defib works, so that its own death is noticed."""

    url: str = field(repr=False)  #: whoever knows it can ping in our name
    every: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverSettings:
    """How Defib watches itself."""

    anchors: tuple[tuple[str, int], ...] = ()  #: numeric addresses beyond the gateway, with a port
    dead_man: DeadManSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    name: str
    kind: str
    options: "BaseModel"
    language: str = "en"  #: of what it carries
    timezone: str = ""  #: of the times in it; "" is the global one
    fallback: str | None = None
    """The channel that carries an alert too when this one does not accept it soon; "" for none, None for the first
    one that its route escalates to."""
    rate: int = 20  #: messages a minute; what is beyond goes as a digest
    self_test: str = ""  #: cron expression of the times at which it says that it works


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpec:
    name: str  #: unique; ids of its reports begin with it
    kind: str  #: the report type: ``daily``, ``weekly``, ``monthly``
    cron: str
    timezone: str
    channels: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()  #: only monitors with any of them; empty takes all
    language: str | None = None  #: it is written in; None is each channel's


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryLimits:
    """What Defib may do at once, over all monitors: the blast radius of a mistake."""

    concurrent: int = 2  #: actions at the same time
    share: float = 0.1  #: and at most this share of all monitors, but always one
    burst: int = 10  #: attempts that may follow one another at once …
    refill: timedelta = timedelta(minutes=1)  #: … and how long each takes to be allowed again
    per_host: int = 1  #: actions at the same time on one host
    group_share: float = 0.2  #: of a group may be in recovery at the same time, but always one
    mass_failure: float = 0.5  #: share of a group of three or more that fails: then one at a time
    startup_grace: timedelta = timedelta(seconds=60)  #: until everything was seen once, but no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long history is kept; None is for ever."""

    raw: timedelta | None = timedelta(days=7)  #: single observations
    hourly: timedelta | None = timedelta(days=396)  #: counts, latencies and metrics by the hour: 13 months
    events: timedelta | None = None  #: transitions, incidents, attempts, alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a configuration says."""

    base: Path  #: folder of the configuration; relative paths start here
    files: tuple[Path, ...]  #: that were read
    timezone: str = "UTC"
    store: str = "sqlite:///defib.db"  #: URL; the path of SQLite is absolute already
    server: ServerSettings = ServerSettings()
    strategy: str = "normal"  #: the global one
    strategies: Mapping[str, Strategy] = field(default_factory=dict)  #: built-in ones and the user's
    recovery_mode: RecoveryMode = RecoveryMode.DRY_RUN  #: the global one
    recovery_limits: RecoveryLimits = RecoveryLimits()
    script_folders: tuple[Path, ...] = ()
    monitors: tuple[MonitorSpec, ...] = ()
    channels: tuple[ChannelSpec, ...] = ()
    routes: tuple[Route, ...] = ()
    inhibit: tuple[InhibitRule, ...] = ()
    ack_timeout: timedelta | None = timedelta(hours=1)
    """What somebody has taken on and still fails then is told again; None: never."""
    reports: tuple[ReportSpec, ...] = ()
    maintenance: tuple[PlannedMaintenance, ...] = ()
    retention: Retention = Retention()
    observer: ObserverSettings = ObserverSettings()
    warnings: tuple[str, ...] = ()  #: valid, but probably not what was meant


def waiting_for_a_start(started: Settings, loaded: Settings) -> tuple[str, ...]:
    """Of the keys that take effect at a start only those that a reload has changed.

    :param started: what the process was started with, however often it was reloaded since.
    """
    old, new = started.server, loaded.server
    changed = {
        "store": started.store != loaded.store,
        "server.listen": (old.host, old.port) != (new.host, new.port),
        "server.unix_socket": old.unix_socket != new.unix_socket,
        "server.unix_socket_mode": old.unix_socket_mode != new.unix_socket_mode,
        "server.unix_socket_group": old.unix_socket_group != new.unix_socket_group,
    }
    return tuple(key for key, is_changed in changed.items() if is_changed)
