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
    GATED = "gated"  #: a gate is closed; the reason says which
    LAST_LOOK = "last-look"  #: one more probe right before acting
    INTENT = "intent"  #: the attempt's row is committed; the action has not been seen to start
    ACTING = "acting"
    VERIFYING = "verifying"
    BACKOFF = "backoff"
    PROBATION = "probation"
    DONE = "done"  #: verified and stayed well
    ABORTED = "aborted"  #: healed by itself, cancelled, or nothing left to do
    OPEN = "needs-human"  #: budget spent

    @property
    def is_terminal(self) -> bool:
        return self in (CaseState.DONE, CaseState.ABORTED, CaseState.OPEN)


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
    pid: int | None = None  #: process group leader of a running command
    pid_started: float | None = None  #: its start time, so that a reused pid is not mistaken for it
    started_at: datetime | None = None
    ended_at: datetime | None = None
    verified_at: datetime | None = None
    exit_status: int | None = None
    outcome: AttemptOutcome = AttemptOutcome.RUNNING
    output: str = ""  #: the end of what it printed, bounded, secrets masked
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the append-only audit log."""

    at: datetime
    actor: str
    event: str  #: ``recovery.intent``, ``recovery.ended``, ``strategy.set``, …
    subject: str  #: the monitor, or ``*``
    facts: Mapping[str, Fact] = field(default_factory=dict)
