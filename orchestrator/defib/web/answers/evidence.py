"""What was seen and decided."""

from pydantic import AwareDatetime, Field

from defib.model.evidence import Grade, Outcome, ProbeStatus, Source
from defib.model.health import State
from defib.web.answers.base import Answer, Scalar


class Observation(Answer):
    """What one look or beat showed."""

    source: Source
    started_at: AwareDatetime
    ended_at: AwareDatetime
    outcome: Outcome
    grade: Grade
    status: ProbeStatus
    cause: str
    summary: str
    latency_ms: float | None
    metrics: dict[str, float | None]
    facts: dict[str, Scalar]


class Transition(Answer):
    """A change of state, with the bounds of when it really happened."""

    monitor: str
    from_: State = Field(alias="from")
    to: State
    decided_at: AwareDatetime
    not_before: AwareDatetime
    not_after: AwareDatetime
    reason: str
    incident: str | None
    evidence: Observation | None


class SnapshotPart(Answer):
    """One text of a snapshot."""

    heading: str = Field(description="docker logs gateway")
    text: str


class MissingPart(Answer):
    """A part of a snapshot that could not be had."""

    who: str = Field(description="Who should have told it.")
    why: str


class Snapshot(Answer):
    """What was to be seen of a target, and around it, before the first action: at most 64 KiB, without secrets."""

    incident: str
    taken_at: AwareDatetime
    took_ms: float
    parts: list[SnapshotPart] = Field(description="The target's own first.")
    missing: list[MissingPart]


class Sample(Answer):
    """One observation of the history."""

    at: AwareDatetime
    status: ProbeStatus
    cause: str | None = Field(description="null when all was well.")
    latency_ms: float | None
    metrics: dict[str, float | None]


class History(Answer):
    """Observations, oldest first."""

    monitor: str
    since: AwareDatetime
    until: AwareDatetime
    items: list[Sample]
    total: int
    limit: int
    offset: int


class HourLatencies(Answer):
    """How long healthy answers took, in milliseconds; percentiles within 2 %."""

    min: float
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


class Hour(Answer):
    """What the looks of an hour came to."""

    at: AwareDatetime = Field(description="Its beginning.")
    counts: dict[str, int] = Field(description="Looks by status; what did not occur is missing.")
    latency_ms: HourLatencies | None = Field(description="null when no answer was timed.")


class Hours(Answer):
    """Hours, oldest first; those without a look are missing."""

    monitor: str
    since: AwareDatetime
    until: AwareDatetime
    items: list[Hour]


class Flapping(Answer):
    """It goes up and down."""

    since: AwareDatetime
    falls: int = Field(description="Into a fault, since then.")
