"""Recovery: its cases, its attempts, what it has spent."""

from pydantic import AwareDatetime, Field

from defib.model.monitor import RecoveryMode
from defib.model.recovery import AttemptOutcome, CaseState, Gate
from defib.web.answers.base import Answer


class Case(Answer):
    """A recovery case: the efforts for one incident."""

    id: str
    incident: str
    monitor: str
    state: CaseState
    reason: str = Field(description="Why it is in this state.")
    rung: int = Field(description="Of the ladder, from 1.")
    attempts: int
    failures: int
    dry_run: bool
    gate: Gate | None = Field(description="What holds it back, or what has ended it; null for nothing.")
    gated_since: AwareDatetime | None = Field(description="Since when that gate has been shut.")
    actor: str = Field(description="auto, or who asked for it.")
    opened_at: AwareDatetime
    due_at: AwareDatetime = Field(description="The next step is not before this instant.")
    closed_at: AwareDatetime | None


class CaseAtWork(Case):
    """A recovery case with what its rung runs."""

    action: str = Field(description="docker restart gateway")


class Recovery(Answer):
    """How a monitor recovers, and what is being done now."""

    mode: str = Field(description="auto, dry-run, off, or none without a ladder.")
    case: CaseAtWork | None
    doing: str = Field(description="In words.")


class Attempt(Answer):
    """One execution of one rung."""

    id: str
    case: str
    incident: str
    monitor: str
    number: int
    kind: str
    action: str
    actor: str
    outcome: AttemptOutcome
    exit_status: int | None
    intent_at: AwareDatetime
    ended_at: AwareDatetime | None
    verified_at: AwareDatetime | None
    relapsed_at: AwareDatetime | None = Field(description="It had helped, and soon the target fell again.")
    output: str = Field(description="The end of what it printed.")
    detail: str


class CaseWithTries(Case):
    """A recovery case with its attempts, oldest first."""

    tries: list[Attempt]


class CasePage(Answer):
    """Part of the recovery cases, newest first."""

    items: list[CaseWithTries]
    total: int
    limit: int
    offset: int


class Budget(Answer):
    """What recovery has spent on a monitor, of what it may spend."""

    failed: int = Field(description="Attempts without success within the window.")
    max_attempts: int
    window_s: float
    relapses: int = Field(description="Falls soon after a good recovery, within an hour.")
    max_relapses: int
    today: int = Field(description="Attempts within 24 hours.")
    max_per_day: int


class Arming(Answer):
    """Whether recovery acts, and for whom."""

    configured: RecoveryMode = Field(description="What `defaults.recovery` says.")
    monitors: dict[str, str] = Field(
        description="What is in force: auto, dry-run, off, or none without a ladder."
    )
    set: dict[str, RecoveryMode] = Field(description="What was set at run time: recovery, or recovery:ID.")


class Cancelled(Answer):
    """A recovery is being ended."""

    case: Case


class Started(Answer):
    """A recovery was started."""

    case: Case
