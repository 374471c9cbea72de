"""What the audit log says of an attempt, and whether the attempt's own row still says the same."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from defib.model.evidence import Fact
from defib.model.ids import AttemptId
from defib.model.recovery import Attempt, AttemptOutcome, AuditEntry

OUTPUT = "output_sha256"
_SAID_ELSEWHERE = ("monitor", "actor")  #: subject and actor of the entry itself
_IN_PROGRESS = ("recovery.intent",)  #: the row is completed while the action runs


def attempt_facts(attempt: Attempt) -> dict[str, Fact]:
    """Everything that is known of an attempt; its output, which may be long, as a digest."""
    facts: dict[str, Fact] = {"attempt": attempt.id}
    for item in fields(attempt):
        value = getattr(attempt, item.name)
        if item.name == "output":
            facts[OUTPUT] = hashlib.sha256(value.encode()).hexdigest() if value else None
        elif item.name not in ("id", *_SAID_ELSEWHERE):
            facts[item.name] = _plain(value)
    return facts


def contradictions(entries: Iterable[AuditEntry], attempts: Mapping[AttemptId, Attempt]) -> Iterator[str]:
    """What the rows of attempts say otherwise than the audit log.

    :param entries: oldest first.
    :param attempts: those that are still kept.
    """
    newest: dict[str, AuditEntry] = {}
    for entry in entries:
        if entry.event.startswith("recovery.") and "attempt" in entry.facts:
            newest[str(entry.facts["attempt"])] = entry
    for name, attempt in attempts.items():
        audited = newest.get(name)
        if audited is None:
            yield f"attempt {name} of {attempt.monitor} is not in the audit log"
        elif audited.event not in _IN_PROGRESS:
            present = attempt_facts(attempt)
            for fact, value in audited.facts.items():
                if fact in present and present[fact] != value:
                    yield f"attempt {name}: {fact} is {present[fact]!r}, the audit log says {value!r}"


def _plain(value: Any) -> Fact:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, AttemptOutcome) else value
