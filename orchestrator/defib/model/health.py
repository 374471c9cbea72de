"""The state of a monitor and its changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from defib.model.evidence import Fact, Observation
from defib.model.ids import IncidentId, MonitorId


class State(StrEnum):
    """The states of the health state machine."""

    NEW = "new"  #: never seen well
    UP = "up"
    WATCH = "watch"  #: well again after a failure, still under suspicion
    SUSPECT = "suspect"  #: failing, not yet enough to call it a fault
    DEGRADED = "degraded"  #: works, but slow, nearly full or soon to expire
    FAULT = "fault"
    UNREACHABLE = "unreachable"  #: failing because something it requires is at fault
    STOPPED = "stopped"  #: stopped on purpose
    MAINTENANCE = "maintenance"
    PAUSED = "paused"

    @property
    def is_bad(self) -> bool:
        """Something is wrong enough to tell."""
        return self in (State.FAULT, State.UNREACHABLE)

    @property
    def is_aside(self) -> bool:
        """Somebody has set it aside for a while: nothing is judged."""
        return self in (State.MAINTENANCE, State.PAUSED)


Memory = Mapping[str, Fact]
"""What a detector remembers of one monitor between observations: flat, and storable as JSON."""

BeatMemory = Mapping[str, object]
"""What a pushed monitor remembers of its beats: a JSON object of its own making."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaps:
    """How a monitor went up and down of late; see :mod:`defib.rules.flapping`."""

    swings: tuple[datetime, ...] = ()
    """Falls into FAULT and returns, oldest first, as many as the rule needs."""
    since: datetime | None = None  #: when it began to flap; None: it does not
    falls: int = 0  #: into FAULT since it began to flap
    told_at: datetime | None = None  #: when people were last told that it flaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Everything that is known of one monitor now: one row, replaced as a whole."""

    monitor: MonitorId
    state: State = State.NEW
    since: datetime  #: of the state
    reason: str = ""  #: why it is in this state, for people
    memory: Memory = field(default_factory=dict)  #: the detector's
    incident: IncidentId | None = None  #: open incident
    last: Observation | None = None  #: the newest observation
    last_ok_at: datetime | None = None  #: end of the newest good one
    first_fail_at: datetime | None = None  #: start of the first failure of the present row of failures
    deadline: datetime | None = None  #: when silence becomes a fault (monitors that are beaten)
    was_up: bool = False  #: it has been seen well at least once
    beats: BeatMemory = field(default_factory=dict)  #: the pushed monitor's
    flaps: Flaps = Flaps()
    stop_told: bool = False  #: people know that it was stopped on purpose, and not yet that it is back

    @property
    def is_flapping(self) -> bool:
        """It goes up and down: its single falls and returns are not told."""
        return self.flaps.since is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A committed change of state, with the bounds of when it really happened."""

    monitor: MonitorId
    from_state: State
    to_state: State
    t_lo: datetime  #: not before this instant
    t_hi: datetime  #: not after this instant
    decided_at: datetime
    reason: str
    evidence: Observation | None = None  #: the deciding one
    incident: IncidentId | None = None


class FaultLabel(StrEnum):
    """What is special about a fault."""

    NONE = ""
    INTERMITTENT = "intermittent"  #: it fails now and then, not at every look
    UNVERIFIED = "unverified"  #: declared while Defib was too sick to be sure: told, and not acted on


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One monitor's story, from the fault to its end."""

    id: IncidentId
    monitor: MonitorId
    opened_at: datetime
    fault_lo: datetime  #: the fault began after this instant …
    fault_hi: datetime  #: … and at or before this one
    cause: str
    grade: str
    summary: str
    closed_at: datetime | None = None
    healed_by: str | None = None  #: ``defib``, ``itself``; None while open
    resolution: str = ""
    root: IncidentId | None = None  #: of those that began together, the first; None: it is this
    label: FaultLabel = FaultLabel.NONE  #: what is special about it
    acked_at: datetime | None = None  #: somebody has said that they see to it …
    acked_by: str = ""  #: … who
    ack_note: str = ""

    @property
    def story(self) -> IncidentId:
        """The incident that people are told about: the first of those that began together."""
        return self.root or self.id
