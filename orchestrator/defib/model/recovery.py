"""Recovery cases and their attempts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from defib.model.evidence import Fact
from defib.model.ids import AttemptId, CaseId, IncidentId, MonitorId


class CaseState(StrEnum):
    """The recovery state machine."""

    PENDING = "pending"  #: waiting for the hold to pass
    GATED = "gated"  #: a gate is closed; ``gate`` and the reason say which
    LAST_LOOK = "last-look"  #: one more probe right before acting
    INTENT = "intent"  #: the attempt's row is committed; the action has not been seen to start
    ACTING = "acting"
    KILLING = "killing"  #: the action took too long; its processes are being ended
    VERIFYING = "verifying"
    BACKOFF = "backoff"  #: an attempt failed, or it fell again soon after one that had helped
    PROBATION = "probation"  #: recovered, and watched closely for a while
    DONE = "done"  #: verified and stayed well
    ABORTED = "aborted"  #: healed by itself, cancelled, or nothing left to do
    OPEN = "needs-human"  #: the circuit is open: Defib does nothing more by itself
    FENCED = "fenced"  #: another Defib decides now; never stored, for the row is the other's

    @property
    def is_terminal(self) -> bool:
        return self in (CaseState.DONE, CaseState.ABORTED, CaseState.OPEN, CaseState.FENCED)

    @property
    def is_under_way(self) -> bool:
        """An action may be running, or may just have changed the target."""
        return self in (CaseState.INTENT, CaseState.ACTING, CaseState.KILLING, CaseState.VERIFYING)


class Gate(StrEnum):
    """What must hold before Defib acts, in the order in which it is asked. The values are stable codes."""

    MODE = "mode"  #: recovery is switched on here, and there is a ladder
    PAUSED = "paused"  #: nobody keeps Defib off: no maintenance, no stop on purpose
    GRACE = "grace"  #: Defib has seen everything once since it started
    OBSERVER = "observer"  #: Defib trusts its own eyes
    REQUIRES = "requires"  #: what it requires is well, and has been for a moment
    FUTILE = "futile"  #: a restart could help at all
    CIRCUIT = "circuit"  #: Defib did not give it up before
    FLAPPING = "flapping"  #: it does not swing faster than acting could help
    MASS_FAILURE = "mass-failure"  #: not everything fails together, or it is this one's turn
    BUDGET_FAILED = "budget-failed"
    BUDGET_RELAPSE = "budget-relapse"
    BUDGET_DAY = "budget-day"
    LADDER = "ladder"  #: a rung is left
    GROUP = "group"  #: not too many of its group at once
    GLOBAL = "global"  #: not too many at once
    RATE = "rate"  #: not too many in a short time
    HOST = "host"  #: nothing else at the same time on its host
    LAST_LOOK = "last-look"  #: it still fails
    TARGET = "target"  #: the action names one object that it may touch
    OTHER_CONTROLLER = "other-controller"  #: nobody else is at work on it
    LEADER = "leader"  #: this Defib is the one that decides


class AttemptOutcome(StrEnum):
    RUNNING = "running"
    VERIFIED = "verified"  #: the target was seen well after it
    FAILED = "failed"  #: the target did not come back
    TIMEOUT = "timeout"  #: the action was killed, and the target did not come back
    REFUSED = "refused"  #: unsafe or impossible; nothing was executed
    DRY_RUN = "dry-run"
    UNKNOWN = "unknown"  #: Defib stopped between intent and record; settled by verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One recovery case: the efforts for one incident."""

    id: CaseId
    incident: IncidentId
    monitor: MonitorId
    state: CaseState
    opened_at: datetime
    due_at: datetime  #: the next step is not before this instant
    reason: str = ""  #: why it is in this state
    rung: int = 0  #: index into the ladder of the next or present attempt
    attempts: int = 0  #: made so far
    failures: int = 0  #: of them without success
    dry_run: bool = False
    oks: int = 0  #: good probes in a row since the action ended
    gate: Gate | None = None  #: the closed one, while GATED; the one that ended it, once it is over
    gated_since: datetime | None = None  #: when that gate was first found closed
    pages: tuple[str, ...] = ()  #: what people were told of it so far, see :mod:`defib.rules.recovery.paging`
    attempt: AttemptId | None = None  #: the present or latest one
    actor: str = "auto"  #: or the person or token that asked for it
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One execution of one rung."""

    id: AttemptId
    case: CaseId
    incident: IncidentId
    monitor: MonitorId
    number: int  #: from 1 within the case
    rung: int
    kind: str
    description: str  #: what is executed, for people: ``docker restart openclaw-gateway``
    actor: str  #: ``auto`` or the person or token that asked
    intent_at: datetime
    boot_id: str
    epoch: int = 0  #: of the Defib that intended it: its term of office over the store
    pid: int | None = None  #: process group leader of a running command
    pid_started: float | None = None  #: its start time, so that a reused pid is not mistaken for it
    started_at: datetime | None = None
    ended_at: datetime | None = None
    verified_at: datetime | None = None
    exit_status: int | None = None
    outcome: AttemptOutcome = AttemptOutcome.RUNNING
    output: str = ""  #: the end of what it printed, bounded, secrets masked
    detail: str = ""
    identity_before: str | None = None  #: of the target; None where it cannot be told
    identity_after: str | None = None
    signature_before: str = ""  #: how the target failed before the action …
    signature_after: str = ""  #: … and after it, when it failed still
    relapsed_at: datetime | None = None  #: it had helped, and soon the target fell again


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the append-only audit log."""

    at: datetime
    actor: str
    event: str  #: ``recovery.intent``, ``recovery.ended``, ``strategy.set``, …
    subject: str  #: the monitor, or ``*``
    facts: Mapping[str, Fact] = field(default_factory=dict)
