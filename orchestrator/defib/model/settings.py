"""A whole configuration, validated: what the composition root builds everything from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from defib.model.alert import Severity
from defib.model.ids import MonitorId
from defib.model.monitor import MonitorSpec, RecoveryMode
from defib.model.strategy import Strategy

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """What the operator lets those do who report to us."""

    require_token: bool = True  #: also of beats for monitors under an id that can be guessed
    registration_key: str = field(default="", repr=False)  #: whoever shows it may register; "" for nobody
    open_registration: bool = False  #: anybody may register
    new_agents: bool = True  #: whoever shows a good token may bring in an agent by its first beat


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    host: str = "127.0.0.1"
    port: int = 8420
    public_url: str = ""  #: without a slash at its end; "" uses the listening address
    unix_socket: Path | None = None  #: where local agents beat; None: nowhere
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMatch:
    """Which alerts a route takes; an empty field takes all."""

    severity: frozenset[Severity] = frozenset()
    kind: frozenset[str] = frozenset()  #: kinds of alert: ``agent_down``
    tags: frozenset[str] = frozenset()  #: any of them
    monitors: frozenset[MonitorId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """First match wins unless it says to continue."""

    match: RouteMatch = RouteMatch()
    channels: tuple[str, ...] = ()
    resume: bool = False  #: ``continue: true``


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpec:
    kind: str  #: the report's name: ``daily``
    cron: str
    timezone: str
    channels: tuple[str, ...] = ()


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
    reports: tuple[ReportSpec, ...] = ()
    retention: Retention = Retention()
    observer: ObserverSettings = ObserverSettings()
    warnings: tuple[str, ...] = ()  #: valid, but probably not what was meant
