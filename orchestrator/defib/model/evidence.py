"""What one look at a target showed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from defib.model.ids import MonitorId

Fact = str | int | float | bool | None


class Outcome(StrEnum):
    """What one look means for the target: three-valued, because our own trouble is nobody's fault."""

    OK = "ok"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Grade(StrEnum):
    """How much an observation weighs: the evidence classes of the detection design."""

    NONE = "ok"  #: nothing wrong
    AUTHORITATIVE = "E0"  #: the thing itself is gone: process exited, container died, unit failed
    STRONG = "E1"  #: refused, reset, name does not exist
    NORMAL = "E2"  #: timeout, wrong answer, handshake failure
    WEAK = "E3"  #: slow, throttled: degraded; a failure, such as "come back later", when it lasts for minutes
    INTENT = "E4"  #: stopped on purpose: no recovery
    SCHEDULED = "E5"  #: certificate or disk running out: a restart never helps
    OWN = "X"  #: our own trouble: says nothing about the target


class ProbeStatus(StrEnum):
    """The four result words of the founding plan."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"  #: answered, but wrongly
    ERROR = "error"  #: no answer
    UNKNOWN = "unknown"  #: no such component, or we could not look


class Source(StrEnum):
    """Who made the observation."""

    PROBE = "probe"
    BEAT = "beat"
    DEADLINE = "deadline"  #: a beat did not come


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The outcome of one look. Use the constructors below; they keep the fields consistent."""

    outcome: Outcome
    grade: Grade
    status: ProbeStatus
    cause: str  #: stable short code for grouping and texts: ``refused``, ``timeout``, ``http-500``, ``oom-killed``
    summary: str  #: one line for people, no secrets: ``HTTP 500 in 12 ms``; a phrase can be translated
    latency: timedelta | None = None  #: of the target's answer
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Numbers worth a curve: ``connections``, ``cpu_percent``."""
    facts: Mapping[str, Fact] = field(default_factory=dict)  #: details shown as evidence, no secrets

    @property
    def is_ok(self) -> bool:
        return self.outcome is Outcome.OK

    @property
    def is_degraded(self) -> bool:
        """It answered rightly, but something is not as it should be."""
        return self.outcome is Outcome.OK and self.grade is not Grade.NONE

    @classmethod
    def ok(
        cls,
        summary: str,
        *,
        latency: timedelta | None = None,
        metrics: Mapping[str, float] | None = None,
        facts: Mapping[str, Fact] | None = None,
    ) -> "Evidence":
        """All is well."""
        return cls(
            outcome=Outcome.OK, grade=Grade.NONE, status=ProbeStatus.HEALTHY, cause="ok", summary=summary,
            latency=latency, metrics=metrics or {}, facts=facts or {},
        )  # fmt: skip

    @classmethod
    def degraded(
        cls,
        cause: str,
        summary: str,
        *,
        grade: Grade = Grade.WEAK,
        latency: timedelta | None = None,
        metrics: Mapping[str, float] | None = None,
        facts: Mapping[str, Fact] | None = None,
    ) -> "Evidence":
        """Works, but slowly, nearly full, or soon to expire. Never becomes a fault by itself."""
        return cls(
            outcome=Outcome.OK, grade=grade, status=ProbeStatus.HEALTHY, cause=cause, summary=summary,
            latency=latency, metrics=metrics or {}, facts=facts or {},
        )  # fmt: skip

    @classmethod
    def fail(
        cls,
        cause: str,
        summary: str,
        *,
        grade: Grade = Grade.NORMAL,
        status: ProbeStatus = ProbeStatus.ERROR,
        latency: timedelta | None = None,
        metrics: Mapping[str, float] | None = None,
        facts: Mapping[str, Fact] | None = None,
    ) -> "Evidence":
        """The target is not well."""
        return cls(
            outcome=Outcome.FAIL, grade=grade, status=status, cause=cause, summary=summary,
            latency=latency, metrics=metrics or {}, facts=facts or {},
        )  # fmt: skip

    @classmethod
    def inconclusive(cls, cause: str, summary: str, *, facts: Mapping[str, Fact] | None = None) -> "Evidence":
        """We could not look: our own file descriptors, network, permissions or a crashing plugin.

        At the causes ``no-route``, ``dns-unavailable``, ``no-descriptors`` and ``no-memory`` Defib looks at itself.
        """
        return cls(
            outcome=Outcome.INCONCLUSIVE, grade=Grade.OWN, status=ProbeStatus.UNKNOWN, cause=cause,
            summary=summary, facts=facts or {},
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Evidence with its place in time: what is stored and judged."""

    monitor: MonitorId
    source: Source
    evidence: Evidence
    started_at: datetime  #: aware UTC; when the look began
    ended_at: datetime  #: aware UTC; when its outcome was known
