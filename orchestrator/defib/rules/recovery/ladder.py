"""Which rung is next: the gentlest that may still help."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from defib.model.evidence import Evidence
from defib.model.monitor import RecoveryPolicy
from defib.model.recovery import Attempt, AttemptOutcome

FUTILE_AFTER = 2  #: uses of a rung that left the failure exactly as it was
_TELLING = ("http_status", "exit_code", "exit_status", "body_sha256", "error")
"""Facts that tell one failure of the same cause from another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What became of a case's attempts, by rung."""

    failed: Mapping[int, int] = field(default_factory=dict)
    relapsed: Mapping[int, int] = field(default_factory=dict)  #: it helped, but not for long
    unchanged: Mapping[int, int] = field(default_factory=dict)  #: failed, and the target fails just as before

    def of(self, rung: int) -> int:
        return self.failed.get(rung, 0) + self.relapsed.get(rung, 0)


def uses(attempts: Iterable[Attempt]) -> Uses:
    """The uses of each rung in one case."""
    failed: dict[int, int] = {}
    relapsed: dict[int, int] = {}
    unchanged: dict[int, int] = {}
    for item in attempts:
        if item.outcome in (AttemptOutcome.DRY_RUN, AttemptOutcome.REFUSED):  # nothing was executed
            continue
        by_rung = relapsed if item.outcome is AttemptOutcome.VERIFIED else failed
        by_rung[item.rung] = by_rung.get(item.rung, 0) + 1
        if item.signature_before and item.signature_before == item.signature_after:
            unchanged[item.rung] = unchanged.get(item.rung, 0) + 1
    return Uses(failed=failed, relapsed=relapsed, unchanged=unchanged)


def next_rung(policy: RecoveryPolicy, at: int, used: Uses) -> int | None:
    """The rung to use next; None when all are spent.

    ``at`` while it has uses left and is not futile, else the first later one that has. When all have been used,
    the last one that had helped for a while goes on, for the relapse budget bounds it.
    """
    rungs = range(len(policy.ladder))
    for rung in rungs[at:]:
        is_futile = used.unchanged.get(rung, 0) >= FUTILE_AFTER
        if used.of(rung) < policy.ladder[rung].max_uses and not is_futile:
            return rung
    helped = (rung for rung in reversed(rungs) if used.relapsed.get(rung, 0))
    return next((rung for rung in helped if used.failed.get(rung, 0) < policy.ladder[rung].max_uses), None)


def signature(evidence: Evidence) -> str:
    """How a target fails, so that two failures can be compared: class, status, cause, and what facts tell more."""
    told = [f"{name}={evidence.facts[name]}" for name in _TELLING if evidence.facts.get(name) is not None]
    return " ".join([str(evidence.grade), str(evidence.status), evidence.cause, *told])[:500]
