"""Takes stored decisions again, and tells where another one would come out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from defib import __version__
from defib.model.decision import DecisionRecord
from defib.model.evidence import Observation
from defib.model.health import Health, Transition
from defib.model.ids import MonitorId
from defib.model.strategy import Strategy
from defib.ports import Detector, Judgement
from defib.rules import status, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What is stored is not what the evidence beside it gives."""

    monitor: MonitorId
    at: datetime  #: of the decision
    what: str

    def __str__(self) -> str:
        return f"{self.monitor} at {self.at.isoformat(timespec='milliseconds')}: {self.what}"


def keep(
    before: Health, observation: Observation, strategy: Strategy, parents: status.Parents,
    decision: status.Decision, now: datetime, *, is_told: bool,
) -> DecisionRecord:  # fmt: skip
    """Keep what went into a decision, and what came out of it."""
    return DecisionRecord(
        monitor=before.monitor, decided_at=now, version=__version__, before=before, observation=observation,
        strategy=strategy, is_told=is_told, bad=parents.bad, suspect=parents.suspect, hold=parents.hold,
        state=decision.health.state, memory=decision.health.memory,
    )  # fmt: skip


def decide_again(record: DecisionRecord, detectors: Mapping[str, Detector]) -> status.Decision:
    """The decision that ``record`` leads to now.

    :raises KeyError: its detector is not there any more.
    """
    judgement = _judge(record, detectors)
    parents = status.Parents(bad=record.bad, suspect=record.suspect, hold=record.hold)
    return status.fold(record.before, record.observation, judgement, parents, record.decided_at)


def _judge(record: DecisionRecord, detectors: Mapping[str, Detector]) -> Judgement:
    if record.is_told:
        return told.judge(record.before.state, record.observation.evidence)
    return detectors[record.strategy.detector].fold(record.before, record.observation, record.strategy)


def departures(
    records: Iterable[DecisionRecord],
    transitions: Iterable[Transition],
    detectors: Mapping[str, Detector],
) -> Iterator[Departure]:
    """Where the stored decisions and transitions are not those that the stored evidence gives.

    1. Each record's evidence, folded again, gives the record's state and memory.
    2. What it changes is a stored transition, with the same bounds and reason.
    3. A monitor goes on as its record before has left it. A transition without evidence, which no observation
       made, may lead elsewhere; after a gap the detector's memory starts empty.
    4. Each other transition comes of a record.

    :param records: oldest first, of any number of monitors, none left out between the first and the last.
    :param transitions: as old as the first record at most, oldest first.
    """
    stored = {(item.monitor, item.decided_at, item.to_state): item for item in transitions}
    left: dict[MonitorId, DecisionRecord] = {}
    steered = {item.monitor for item in stored.values() if item.evidence is None}
    for record in records:
        detector = record.strategy.detector
        if not record.is_told and detector not in detectors:
            yield _departure(record, f"there is no detector {detector!r} any more")
            continue
        last = left.get(record.monitor)
        if last is not None and record.monitor not in steered:
            if last.state is not record.before.state:
                yield _departure(record, f"it was left {last.state} and went on from {record.before.state}")
            elif record.before.memory and dict(record.before.memory) != dict(last.memory):
                yield _departure(record, "the detector went on from another memory than it was left with")
        left[record.monitor] = record
        again = decide_again(record, detectors)
        if again.health.state is not record.state:
            yield _departure(record, f"decided {record.state}, the evidence gives {again.health.state}")
        elif dict(again.health.memory) != dict(record.memory):
            yield _departure(record, "the detector remembers it otherwise")
        if again.transition is not None:
            found = stored.pop((record.monitor, record.decided_at, again.transition.to_state), None)
            if found is None:
                yield _departure(record, f"no transition to {again.transition.to_state} is stored")
            elif _essence(found) != _essence(again.transition):
                yield _departure(record, f"the transition to {found.to_state} is stored otherwise")
    for item in stored.values():
        if item.evidence is not None:
            what = f"no evidence for the transition to {item.to_state} is stored"
            yield Departure(monitor=item.monitor, at=item.decided_at, what=what)


def _essence(transition: Transition) -> tuple[object, ...]:
    """All of it but the incident, which is found when it is written."""
    return (
        transition.from_state, transition.to_state, transition.t_lo, transition.t_hi, transition.reason,
        transition.evidence,
    )  # fmt: skip


def _departure(record: DecisionRecord, what: str) -> Departure:
    return Departure(monitor=record.monitor, at=record.decided_at, what=what)
