"""Looks over what Defib has written: is it whole, and is it what was decided? Writes nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from defib import __version__
from defib.model.decision import DecisionRecord
from defib.ports import Detector
from defib.rules import replay
from defib.rules.auditing import contradictions
from defib.store import Reader

_MOST = 20  #: problems that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check showed."""

    check: str
    detail: str  #: what was looked at, in one line
    problems: tuple[str, ...] = ()  #: at most twenty

    @property
    def is_well(self) -> bool:
        return not self.problems


def check_leader(reader: Reader, now: datetime) -> Finding:
    """Whose the store is."""
    leader = reader.leader()
    if not leader.epoch:
        return Finding(check="leader", detail="nothing has decided here yet")
    ago = (now - leader.renewed_at).total_seconds()
    detail = f"epoch {leader.epoch}: {leader.owner}, last seen {max(ago, 0.0):.0f} s ago"
    return Finding(check="leader", detail=detail)


def check_audit(reader: Reader) -> Finding:
    """Whether the audit log is what was written, and the attempts are what it says."""
    verdict = reader.verify_audit()
    broken = (str(verdict.broken),) if verdict.broken is not None else ()

    def contradicted() -> Iterable[str]:
        attempts = {item.id: item for item in reader.attempts()}
        return contradictions(reader.audited("recovery."), attempts)

    rows = "1 row" if verdict.rows == 1 else f"{verdict.rows} rows"
    return Finding(
        check="audit",
        detail=f"{rows} hold, the last one's digest is {verdict.head}",
        problems=broken + _lasting(contradicted),
    )


def check_decisions(reader: Reader, detectors: Mapping[str, Detector]) -> Finding:
    """Whether the stored evidence leads to the stored states: as far as evidence is kept, and by this version."""
    records = _of_this_version(reader.decisions())
    if not records:
        return Finding(check="decisions", detail="none were made by this version")

    def departed() -> Iterable[str]:
        present = _of_this_version(reader.decisions(since=records[0].decided_at))
        transitions = reader.transitions(since=records[0].decided_at)
        return map(str, replay.departures(present, transitions, detectors))

    return Finding(
        check="decisions",
        detail=f"{len(records)} taken again from their evidence, since {records[0].decided_at:%Y-%m-%d %H:%M} UTC",
        problems=_lasting(departed),
    )


def _of_this_version(records: list[DecisionRecord]) -> list[DecisionRecord]:
    """Those behind the last one of another version."""
    others = (number for number, item in enumerate(records, start=1) if item.version != __version__)
    return records[max(others, default=0) :]


def _lasting(look: Callable[[], Iterable[str]]) -> tuple[str, ...]:
    """Problems that are seen twice: what a daemon writes between two questions is none."""
    first = list(look())
    again = set(look()) if first else set()
    return tuple(islice((problem for problem in first if problem in again), _MOST))


def check_store(reader: Reader, detectors: Mapping[str, Detector], now: datetime) -> Iterator[Finding]:
    """All of them."""
    yield check_leader(reader, now)
    yield check_audit(reader)
    yield check_decisions(reader, detectors)
