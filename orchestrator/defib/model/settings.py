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
class ServerSettings:
    host: str = "127.0.0.1"
    port: int = 8420
    public_url: str = ""  #: without a slash at its end; "" uses the listening address


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
    script_folders: tuple[Path, ...] = ()
    monitors: tuple[MonitorSpec, ...] = ()
    channels: tuple[ChannelSpec, ...] = ()
    routes: tuple[Route, ...] = ()
    reports: tuple[ReportSpec, ...] = ()
    retention: Retention = Retention()
    warnings: tuple[str, ...] = ()  #: valid, but probably not what was meant
