"""Incidents with their times worked out."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from defib.plugin import Attempt, Incident, IncidentId, Period

NOTHING = timedelta(0)
_BOUT = 3  #: outages that are told as one


class Ending(StrEnum):
    """How an incident ended."""

    DEFIB = "defib"
    ITSELF = "itself"
    OTHERWISE = "otherwise"  #: closed by neither: a person closed it, the monitor was removed
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One incident. ``detect`` and ``heal`` add up to ``duration`` once it has ended."""

    incident: Incident
    name: str  #: of the component
    ending: Ending
    began: datetime  #: the likely beginning: the middle of its bounds
    uncertainty: timedelta  #: the beginning may be this much earlier or later
    detect: timedelta  #: from the likely beginning to the decision that it is a fault
    heal: timedelta | None  #: from that decision to confirmed health; None while open
    duration: timedelta  #: from the likely beginning to confirmed health, or to the making of the report
    attempts: tuple[Attempt, ...]  #: made for it in the period, oldest first

    acked_at: datetime | None = None  #: when somebody took it on

    @property
    def is_open(self) -> bool:
        return self.ending is Ending.OPEN


def find_outages(period: Period) -> tuple[Outage, ...]:
    """All incidents of the period, open ones first, each group by its beginning."""
    names = {row.monitor: row.name for row in period.monitors}
    attempts: dict[IncidentId, list[Attempt]] = defaultdict(list)
    for attempt in sorted(period.attempts, key=lambda attempt: (attempt.intent_at, attempt.id)):
        attempts[attempt.incident].append(attempt)
    outages = [
        _outage(
            incident,
            names.get(incident.monitor) or incident.monitor,
            attempts[incident.id],
            period.generated_at,
        )
        for incident in period.incidents
    ]
    return tuple(sorted(outages, key=lambda outage: (not outage.is_open, outage.began, outage.incident.id)))


def _outage(incident: Incident, name: str, attempts: list[Attempt], now: datetime) -> Outage:
    half = max(NOTHING, incident.fault_hi - incident.fault_lo) / 2
    began = incident.fault_lo + half
    closed = incident.closed_at
    return Outage(
        incident=incident,
        name=name,
        ending=_ending(incident),
        began=began,
        uncertainty=half,
        detect=max(NOTHING, incident.opened_at - began),
        heal=None if closed is None else max(NOTHING, closed - incident.opened_at),
        duration=max(NOTHING, (closed or now) - began),
        attempts=tuple(attempts),
        acked_at=incident.acked_at,
    )


def _ending(incident: Incident) -> Ending:
    if incident.closed_at is None:
        return Ending.OPEN
    if incident.healed_by in (Ending.DEFIB, Ending.ITSELF):
        return Ending(incident.healed_by)
    return Ending.OTHERWISE


@dataclass(frozen=True, slots=True, kw_only=True)
class Bout:
    """Outages of one component that came and went in the same way: told as one."""

    outages: tuple[Outage, ...]  #: oldest first; mostly a single one

    @property
    def first(self) -> Outage:
        return self.outages[0]

    @property
    def duration(self) -> timedelta:
        """All of them together."""
        return sum((outage.duration for outage in self.outages), NOTHING)


def find_bouts(outages: Iterable[Outage]) -> tuple[Bout, ...]:
    """The outages in their order; of one component, cause and ending, three or more that ended are one bout."""
    groups: dict[tuple[str, str, Ending], list[Outage]] = defaultdict(list)
    for outage in outages:
        key = (outage.incident.monitor, outage.incident.cause, outage.ending)
        groups[key].append(outage)
    bouts: list[Bout] = []
    for (_, _, ending), group in groups.items():
        if ending is Ending.OPEN or len(group) < _BOUT:
            bouts.extend(Bout(outages=(outage,)) for outage in group)
        else:
            bouts.append(Bout(outages=tuple(group)))
    return tuple(
        sorted(bouts, key=lambda bout: (not bout.first.is_open, bout.first.began, bout.first.incident.id))
    )
