"""One decision's writes: committed together or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import chain
from typing import Any

from defib.model.agent import Agent, Token
from defib.model.alert import Alert, Delivery
from defib.model.beat import Beat
from defib.model.decision import DecisionRecord
from defib.model.evidence import Observation
from defib.model.health import BeatMemory, Health, Incident, Transition
from defib.model.history import Roll
from defib.model.ids import DeliveryId, MonitorId
from defib.model.monitor import MadeMonitor
from defib.model.recovery import Attempt, AuditEntry, Case
from defib.model.report import ReportDocument
from defib.model.snapshot import Snapshot
from defib.model.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTry:
    """One try to deliver, for the delivery log."""

    delivery: DeliveryId
    at: datetime  #: when it was over
    accepted: bool
    detail: str
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSpan:
    """A stretch of time in which Defib itself was watching; longer ones replace shorter ones."""

    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """History to delete: what is older than ``before``."""

    before: datetime
    events: bool = False
    """Transitions, incidents, attempts and alerts; otherwise single observations and beats."""
    hourly: bool = False  #: rollups and metrics by the hour, and nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a pushed monitor remembers after a beat that changed nothing else, and whose health is stored already: one
    of very many, so that it is less than :class:`Changes`, to make and to write."""

    monitor: MonitorId
    beats: BeatMemory
    deadline: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Rows to write in one transaction.

    Health, incidents, cases, attempts, deliveries, watch spans, agents, made monitors, tokens and windows replace the
    row of the same key; the rest is appended. A delivery whose key exists already is left as it is
    (``new_deliveries``), so that a decision that is taken again after a crash never tells twice.
    """

    health: tuple[Health, ...] = ()
    observations: tuple[Observation, ...] = ()
    decisions: tuple[DecisionRecord, ...] = ()
    transitions: tuple[Transition, ...] = ()
    incidents: tuple[Incident, ...] = ()
    cases: tuple[Case, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()  #: an incident's first one stays
    audit: tuple[AuditEntry, ...] = ()
    alerts: tuple[Alert, ...] = ()
    new_deliveries: tuple[Delivery, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    tries: tuple[DeliveryTry, ...] = ()
    beats: tuple[Beat, ...] = ()
    reports: tuple[ReportDocument, ...] = ()
    settings: tuple[tuple[str, str | None], ...] = ()  #: run-time settings; None removes one
    watch: tuple[WatchSpan, ...] = ()
    agents: tuple[Agent, ...] = ()
    made: tuple[MadeMonitor, ...] = ()
    tokens: tuple[Token, ...] = ()
    windows: tuple[Window, ...] = ()
    rolls: tuple[Roll, ...] = ()
    forget: tuple[Forget, ...] = ()

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) for f in fields(self))


def joined(group: Sequence[Changes]) -> Changes:
    """All changes of ``group`` as one, in their order; of rows that replace one another the newest alone."""
    merged: dict[str, tuple[Any, ...]] = {
        item.name: tuple(chain.from_iterable(getattr(changes, item.name) for changes in group))
        for item in fields(Changes)
    }
    health = {item.monitor: item for item in merged["health"]}
    return Changes(**{**merged, "health": tuple(health.values())})
