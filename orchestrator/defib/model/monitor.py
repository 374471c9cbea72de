"""What is watched, as the configuration says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from defib.model.ids import MonitorId

if TYPE_CHECKING:
    from pydantic import BaseModel


class Family(StrEnum):
    """What sort of component a monitor watches: chooses the kind of alert and the group in reports."""

    AGENT = "agent"
    DATABASE = "database"
    DOCKER = "docker"
    SERVICE = "service"
    PROCESS = "process"
    HOST = "host"
    NETWORK = "network"
    JOB = "job"
    CHECK = "check"


class RecoveryMode(StrEnum):
    AUTO = "auto"
    DRY_RUN = "dry-run"  #: the whole machine runs; the action is logged instead of executed
    OFF = "off"


class OnRelapse(StrEnum):
    """What is done about a target that falls again and again after good restarts."""

    GO_ON = "continue"  #: restart it at long intervals, and say so
    STOP = "stop"  #: leave it to a human


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step of a recovery ladder."""

    kind: str  #: the action type: ``systemd``, ``docker``, ``script``, …
    options: "BaseModel"  #: validated by the action type's own schema
    timeout: timedelta = timedelta(seconds=30)
    idempotent: bool = True  #: may run again when a crash left its outcome unknown
    max_uses: int = 2  #: in one recovery case, before the next rung's turn


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPolicy:
    """When and how often Defib may act for one monitor."""

    mode: RecoveryMode = RecoveryMode.DRY_RUN
    ladder: tuple[Rung, ...] = ()
    hold: timedelta | None = None  #: least age of a fault before acting; None: by the evidence's grade
    cooldown: timedelta = timedelta(seconds=10)  #: between two attempts, doubled after each failed one
    max_attempts: int = 3  #: failed attempts in ``window``; then it needs a human
    window: timedelta = timedelta(minutes=30)
    start_timeout: timedelta | None = None  #: how long a restarted target may take to come up; None: learned
    probation: timedelta = timedelta(seconds=60)  #: how long a recovered target is watched closely
    max_relapses: int = 5  #: falls soon after a good recovery, within an hour; then it is crash-looping
    on_relapse: OnRelapse = OnRelapse.GO_ON
    max_per_day: int = 12  #: attempts of any outcome; then it needs a human


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSpec:
    """One monitor of the configuration, fully validated."""

    id: MonitorId
    name: str
    kind: str  #: the monitor type: ``http``, ``postgres``, …
    family: Family
    options: "BaseModel"  #: validated by the monitor type's own schema
    strategy: str | None = None  #: as configured; None follows the global one
    overrides: Mapping[str, object] = field(default_factory=dict)
    """Fields of the strategy this monitor sets for itself: ``interval``, ``timeout``, ``fail_threshold``, …"""
    tags: frozenset[str] = frozenset()
    requires: tuple[MonitorId, ...] = ()  #: all of these must be well for it to be reachable
    requires_any: tuple[MonitorId, ...] = ()  #: and any of these
    group: str = ""  #: monitors that do the same work for one another: never restarted all at once
    recovery: RecoveryPolicy = RecoveryPolicy()
    enabled: bool = True
    second_opinion: bool = False  #: agents on other hosts are asked whether they reach it while it fails
    slo: float | None = None  #: share of the time that it is to be well, 0..1: its service level objective


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeMonitor:
    """A monitor that was made through an API; one of the same id in the configuration takes its place."""

    id: MonitorId
    kind: str  #: the monitor type: ``heartbeat``
    name: str
    options: Mapping[str, Any]  #: as its type's schema writes them
    made_at: datetime
    made_by: str
    settings: Mapping[str, Any] = field(default_factory=dict)  #: keys that every type has, written likewise
    description: str = ""
    tags: tuple[str, ...] = ()
    removed_at: datetime | None = None
