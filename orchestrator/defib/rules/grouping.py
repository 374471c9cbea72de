"""What fails together is told together.

    FAULT ─→ a row in the outbox, due after GROUP_WAIT ─┐
    FAULT ─→ another row of the same conversation ──────┴→ one message

Nothing is held in memory that the outbox does not have: each fault has its own alert and its own rows, and rows of
one conversation that are alike go out in one message (:mod:`defib.rules.delivering.messages`). After a crash they still
do. The first message leaves at once, in effect; what comes later joins the conversation in batches.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.model.evidence import Outcome
from defib.model.health import Health, Incident, State
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
FEW = 3
"""Monitors of one host that are at fault together: so many, and nothing else there answers, are the host."""


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


class Kinship:
    """Monitors that may stand and fall together: those on one host, and those with a tag that few share."""

    def __init__(self, members: Iterable[tuple[MonitorId, str, frozenset[str]]]) -> None:
        """:param members: each with its host, or "" where that is not known, and its tags."""
        self._bonds: dict[MonitorId, tuple[tuple[str, str], ...]] = {}
        self._bound: dict[tuple[str, str], list[MonitorId]] = defaultdict(list)
        for monitor, host, tags in members:
            bonds = tuple(("tag", tag) for tag in tags) + ((("host", host),) if host else ())
            self._bonds[monitor] = bonds
            for bond in bonds:
                self._bound[bond].append(monitor)
        self._places = {monitor: place for place, monitor in enumerate(self._bonds)}

    def of(self, monitor: MonitorId) -> list[MonitorId]:
        """All others that may fall with it, in the order of the members; none of one that is no member."""
        found: set[MonitorId] = set()
        for bond in self._bonds.get(monitor, ()):
            bound = self._bound[bond]
            if bond[0] == "host" or len(bound) <= MOST_SIBLINGS:
                found.update(bound)
        return sorted(found - {monitor}, key=self._places.__getitem__)


def silent_beside(at_fault: int, others: Iterable[Health], began: datetime) -> int:
    """How many others on a host have not answered since its monitors began to fail; 0 when one has.

    A host that dies takes minutes to be looked at everywhere, each look as long as its timeout, and so many at a time.
    The first message speaks for all of it, while nothing speaks against that.

    :param at_fault: monitors there that are at fault together; fewer than :data:`FEW` are not the host.
    :param others: all the others there.
    :param began: the first of those at fault failed.
    """
    waiting = [other for other in others if not (other.state.is_aside or other.state in _NOT_ASKED)]
    return 0 if at_fault < FEW or any(_has_answered(other, began) for other in waiting) else len(waiting)


_NOT_ASKED = frozenset({State.FAULT, State.STOPPED})


def _has_answered(health: Health, since: datetime) -> bool:
    last = health.last
    return last is not None and last.started_at >= since and last.evidence.outcome is Outcome.OK


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
