"""What people are told, and how the telling went."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from defib.model.evidence import Fact
from defib.model.ids import AlertId, DeliveryId, IncidentId, MonitorId


class Severity(StrEnum):
    """From the least to the most pressing."""

    INFO = "info"
    LOW = "low"
    HIGH = "high"
    SEVERE = "severe"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class AlertKind(StrEnum):
    """What an alert is about, whatever the sort of component."""

    DOWN = "down"
    DEGRADED = "degraded"
    RECOVERED = "recovered"
    RECOVERY_FAILED = "recovery_failed"  #: needs a human
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFacts:
    """What the decision knew: everything a text may use. Flat, typed, without secrets."""

    event: AlertKind
    monitor: MonitorId
    monitor_name: str
    monitor_kind: str  #: ``http``, ``postgres``, …
    family: str  #: ``agent``, ``database``, …
    target: str  #: what is watched, safe to show
    at: datetime
    since: datetime  #: the fault's (or the degradation's) likely beginning
    cause: str
    summary: str  #: of the deciding evidence
    evidence: tuple[str, ...] = ()  #: lines, newest last
    facts: Mapping[str, Fact] = field(default_factory=dict)
    recovery: str = ""  #: what Defib did or will do: ``Defib will run: docker restart gateway``
    healed_by: str | None = None
    duration_s: float | None = None  #: of the outage, once it is over
    attempts: int = 0
    tags: tuple[str, ...] = ()
    timezone: str = "UTC"  #: for times shown to people
    url: str = ""  #: the monitor's page, when a public address is configured


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertText:
    """An alert in words, before any channel's markup."""

    kind: str  #: ``agent_down``, ``database_down``, ``recovered``, …
    severity: Severity
    title: str  #: one line
    description: str  #: plain sentences
    evidence: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert, stored with the decision that caused it."""

    id: AlertId
    kind: str
    severity: Severity
    title: str
    description: str
    evidence: tuple[str, ...]
    recommendations: tuple[str, ...]
    at: datetime
    monitor: MonitorId | None
    incident: IncidentId | None
    facts: AlertFacts


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  #: given up, shown and retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One notice on its way through one channel: a row of the outbox."""

    id: DeliveryId
    channel: str
    notice: str  #: id of the alert or report
    notice_type: str  #: ``alert`` or ``report``
    key: str  #: idempotency key, unique: the same notice never enters a channel's outbox twice
    created_at: datetime
    due_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    accepted_at: datetime | None = None
    receipt: str = ""  #: the far end's id of the message
    error: str = ""  #: of the newest failed try, without secrets
