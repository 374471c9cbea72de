"""What fails together is told together.

    FAULT ─→ a row in the outbox, due after GROUP_WAIT ─┐
    FAULT ─→ another row of the same conversation ──────┴→ one message

Nothing is held in memory that the outbox does not have: each fault has its own alert and its own rows, and rows of
one conversation that are alike go out in one message (:mod:`defib.rules.delivering.messages`). After a crash they still
do. The first message leaves at once, in effect; what comes later joins the conversation in batches.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.model.health import Incident
from defib.model.ids import IncidentId, MonitorId

GROUP_WAIT = timedelta(seconds=1.5)
"""Of the first message."""
LONGER_WAIT = timedelta(seconds=2.5)
"""Of the first message while others that may belong to it are under suspicion: their verdicts are that near."""
BATCH = timedelta(seconds=30)  #: of what joins in the first BATCHES_FOR …
BATCHES_FOR = timedelta(minutes=5)
INTERVAL = timedelta(minutes=5)  #: … and afterwards
SLACK = timedelta(seconds=10)
"""Faults that began so soon after one another still began together: one may have brought down the other."""
MOST_SIBLINGS = 20
"""A tag that more monitors share says little about what they stand and fall with."""


# --- who belongs together --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """A monitor at fault, and what it may have in common with others."""

    incident: Incident
    host: str = ""  #: "" has no host in common with anybody
    tags: frozenset[str] = frozenset()

    def shares_with(self, other: "Fallen") -> bool:
        return (bool(self.host) and self.host == other.host) or not self.tags.isdisjoint(other.tags)


def find_root(new: Fallen, others: Iterable[Fallen], *, is_mass: bool = False) -> IncidentId | None:
    """The first incident of those that ``new`` belongs to; None when it stands alone.

    Two faults belong together when they may have begun at the same time, by their bounds, and have a host or a
    tag in common. When the canaries have found that the targets are down together, the time is enough.

    :param others: open incidents with their monitors.
    """
    found = [
        other.incident
        for other in others
        if other.incident.monitor != new.incident.monitor
        and _may_have_begun_with(new.incident, other.incident)
        and (is_mass or new.shares_with(other))
    ]
    return min(found, key=lambda incident: incident.opened_at).story if found else None


def _may_have_begun_with(one: Incident, other: Incident) -> bool:
    latest, earliest = max(one.fault_lo, other.fault_lo), min(one.fault_hi, other.fault_hi)
    return latest - earliest <= SLACK


def siblings(
    monitor: MonitorId, hosts: dict[MonitorId, str], tags: dict[MonitorId, frozenset[str]]
) -> list[MonitorId]:
    """Monitors that may stand and fall with ``monitor``: on the same host, or with a tag that few share."""
    few = {tag for tag in tags[monitor] if sum(tag in others for others in tags.values()) <= MOST_SIBLINGS}
    host = hosts[monitor]
    return [
        other
        for other in tags
        if other != monitor and ((host and hosts[other] == host) or not few.isdisjoint(tags[other]))
    ]


# --- when it is told -------------------------------------------------------------------------------


def first_due(now: datetime, *, is_sure: bool, has_suspects: bool = False) -> datetime:
    """When the first message of a conversation leaves.

    :param is_sure: the evidence is authoritative: nothing has to be waited for.
    :param has_suspects: others that may belong to it are under suspicion.
    """
    if is_sure:
        return now
    return now + (LONGER_WAIT if has_suspects else GROUP_WAIT)


def joining_due(began: datetime, now: datetime) -> datetime:
    """When something leaves that joins a conversation which began (was first decided) at ``began``."""
    if (
        now <= began + LONGER_WAIT
    ):  # a first message that is still there takes it along when its own time comes
        return began + LONGER_WAIT
    every = BATCH if now - began < BATCHES_FOR else INTERVAL
    turns = (now - began) // every + 1
    return began + turns * every
