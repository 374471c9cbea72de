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
    FLAPPING = "flapping"  #: it goes up and down
    STILL_FLAPPING = "still_flapping"  #: what became of it since people were last told
    SETTLED = "settled"  #: it flaps no more; it may be well or at fault
    STOPPED = "stopped"  #: on purpose, and not started again since
    STARTED = "started"  #: what was stopped on purpose is not stopped any more
    RELAPSED = "relapsed"  #: it fell again soon after Defib had recovered it
    CRASH_LOOPING = "crash_looping"  #: it does so again and again
    RECOVERY_LATE = "recovery_late"  #: still failing: needs a human, while Defib goes on
    RECOVERY_BLOCKED = "recovery_blocked"  #: held back for long: needs a human
    RECOVERY_FAILED = "recovery_failed"  #: given up: needs a human
    OBSERVER_SICK = "observer_sick"  #: Defib itself is held up or cut off
    OBSERVER_WELL = "observer_well"
    REMINDER = "reminder"  #: still open, and nobody has taken it on
    ESCALATED = "escalated"  #: nobody has taken it on in time: the next ones are called
    ACKNOWLEDGED = "acknowledged"  #: somebody has taken it on
    UNACKNOWLEDGED = "unacknowledged"  #: and that was taken back
    SET_ASIDE = "set_aside"  #: maintenance or a pause has begun for what people know to fail
    UNWATCHED = "unwatched"  #: what people know to fail is not watched any more
    DIGEST = "digest"  #: several alerts that have nothing to do with one another, in one message
    CHANNEL_BROKEN = "channel_broken"  #: a channel takes nothing: told through another one
    CHANNEL_WORKS = "channel_works"  #: it does again
    TEST = "test"


class Stage(StrEnum):
    """The steps that an alert passes, in their order; see :mod:`defib.rules.alerting`."""

    INHIBIT = "inhibit"  #: something else that is told explains it
    SILENCE = "silence"
    MUTE = "mute"  #: maintenance and quiet hours
    DEDUPLICATE = "deduplicate"  #: people know already, or nobody was told what it is the end of
    ROUTE = "route"
    ESCALATE = "escalate"
    DELIVER = "deliver"


class Ruling(StrEnum):
    """What a stage does with an alert."""

    PASSED = "passed"
    HELD = "held"  #: people hear of it later, if it is still so after a fresh look
    DROPPED = "dropped"


class Hold(StrEnum):
    """What keeps an alert from people for a while."""

    SILENCE = "silence"
    MAINTENANCE = "maintenance"
    PAUSE = "pause"
    DEPENDENCY = "dependency"
    INHIBITION = "inhibition"  #: something else that is told explains it
    OBSERVER = "observer"  #: Defib itself cannot see it clearly
    QUIET_HOURS = "quiet_hours"
    CALM = "calm"  #: it has to last for a while


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a stage decided about an alert, and why."""

    stage: Stage
    ruling: Ruling
    reason: str  #: for people; one sentence without a full stop
    until: datetime | None = None  #: of a hold, when that is known
    by: Hold | None = None  #: of a hold
    name: str = ""  #: of what holds: a window's reason, a monitor's id
    channels: tuple[str, ...] = ()  #: that are meant, where it is not all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why people did not hear of something at once."""

    by: Hold
    name: str = ""  #: of the window, as whoever made it gave its reason; or of what is required
    until: datetime  #: when it was over


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """One of several monitors that are told of in one message."""

    monitor: MonitorId
    name: str
    family: str
    summary: str
    since: datetime
    recovery: str = ""  #: what Defib did or will do
    duration_s: float | None = None  #: of the outage, once it is over
    event: AlertKind = AlertKind.DOWN  #: of a digest, whose members may be of any kind
    severity: Severity = Severity.INFO  #: of a digest's member
    is_over: bool = False  #: of a digest's member: what it tells of has ended meanwhile
    cause: str = ""  #: code of the deciding evidence


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
    label: str = ""  #: of the fault: ``intermittent``, ``unverified``, or nothing special
    state: str = ""  #: the monitor's at that time: ``up``, ``fault``, …
    falls: int = 0  #: into a fault, since it began to flap
    together: tuple[Together, ...] = ()  #: all that one message tells of, if more than one
    silent_host: str = (
        ""  #: on which this and others are at fault, and nothing has answered since; "": no such thing
    )
    silent: int = 0  #: monitors there that are not at fault yet, and have not answered since either
    snapshot: tuple[str, ...] = ()
    """What was to be seen of it before the first action: at most ten short lines."""
    held: Held | None = None  #: why people hear of it only now
    level: int = 0  #: of the escalation, from 1, those that the route names first; 0: none
    step: int = 0  #: how far the escalation has come, its repetitions counted
    reminders: int = 0  #: how many people have had of it, this one included
    actor: str = ""  #: who acknowledged, took that back, or set it aside
    note: str = ""  #: what they said
    until: datetime | None = None  #: of what was set aside: when that ends, where it does by itself
    acked_at: datetime | None = None  #: of a reminder or a call: when ``actor`` took on what still fails
    late_since: datetime | None = None
    """When people should have heard of it, where a channel brings it much later."""


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
    verdicts: tuple[Verdict, ...] = ()  #: why it was told to whom it was, or not; in the order of the stages


class Purpose(StrEnum):
    """Why a delivery was made."""

    ROUTE = "route"
    ESCALATION = "escalation"
    REMINDER = "reminder"
    FALLBACK = "fallback"  #: in place of another that is not accepted
    RESOLUTION = "resolution"  #: the end of what this channel was told of


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
    thread: str  #: the conversation it belongs to, which the channel keeps together
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    accepted_at: datetime | None = None
    receipt: str = ""  #: the far end's id of the message
    error: str = ""  #: of the newest failed try, without secrets
    sent_with: DeliveryId | None = None  #: the delivery in whose message it went, if not in one of its own
    purpose: Purpose = Purpose.ROUTE
    stands_in_for: DeliveryId | None = None  #: of a fallback
    is_quiet: bool = False  #: nobody needs to be woken by it
