"""What happened to each target, and what the engine made of it: the log beside the truth."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from defib.model.alert import Alert, AlertKind
from defib.model.health import State, Transition
from defib_sim.modes import BOOTING, Truth
from defib_sim.targets import Target
from defib_sim.virtual_loop import seconds_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One time that the target was really broken. Virtual seconds."""

    began: float
    ended: float | None  #: None: it lasted until nobody looked any more
    found: float | None  #: when FAULT was declared
    restarts: int  #: while it lasted

    @property
    def detection_s(self) -> float | None:
        return None if self.found is None else self.found - self.began

    @property
    def outage_s(self) -> float | None:
        return None if self.ended is None else self.ended - self.began


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One alert that reached people."""

    event: AlertKind
    decided: float
    told: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One target in one episode."""

    role: str
    episode: int
    watched_s: float
    faults: tuple[Fault, ...]
    alarms: tuple[Truth, ...]  #: the truth behind each FAULT that was declared
    restarts: tuple[tuple[float, float, Truth], ...]
    notes: tuple[Note, ...]
    states: tuple[State, ...]  #: that it went through
    lateness_s: tuple[float, ...] = ()

    @property
    def false_faults(self) -> int:
        """Declared while nothing was the matter with it."""
        return sum(truth in (Truth.WELL, Truth.INNOCENT) for truth in self.alarms)

    @property
    def false_restarts(self) -> int:
        return sum(truth is not Truth.FAULT for _, _, truth in self.restarts)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStory:
    """Defib itself in one episode."""

    episode: int
    notices: tuple[AlertKind, ...]  #: alerts about itself, as they reached people
    unwatched_s: float  #: wall-clock time that counts for nobody: unknown, neither up nor down


def tell(
    role: str, episode: int, target: Target, transitions: Sequence[Transition], notes: Iterable[tuple[float, Alert]],
    until: float, lateness_s: tuple[float, ...] = (),
) -> Story:  # fmt: skip
    """Put a target's life beside what the engine declared and told about it.

    :param until: the end of the simulation in virtual seconds.
    """
    declared = [item for item in transitions if item.to_state is State.FAULT]
    return Story(
        role=role,
        episode=episode,
        watched_s=until,
        faults=tuple(_faults(target, transitions, until)),
        alarms=tuple(_truth_behind(target, item) for item in declared),
        restarts=tuple(target.restarts),
        notes=tuple(
            Note(event=alert.facts.event, decided=seconds_at(alert.at), told=at) for at, alert in notes
        ),
        states=tuple(item.to_state for item in transitions),
        lateness_s=lateness_s,
    )


def _faults(target: Target, transitions: Sequence[Transition], until: float) -> Iterable[Fault]:
    for began, ended in _spans(target, until):
        end = until if ended is None else ended
        yield Fault(
            began=began,
            ended=ended,
            found=_found(transitions, began, end),
            restarts=sum(began <= at < end for at, _, _ in target.restarts),
        )


def _spans(target: Target, until: float) -> Iterable[tuple[float, float | None]]:
    """From the first instant of a fault to the first one at which the target is well again."""
    began: float | None = None
    for at, mode in target.life:
        if at >= until:
            break
        is_broken = mode.truth is Truth.FAULT
        if is_broken and began is None:
            if mode is not BOOTING:  # an unneeded restart is counted as such
                began = at
        elif not is_broken and began is not None:
            yield began, at
            began = None
    if began is not None:
        yield began, None


def _found(transitions: Sequence[Transition], began: float, end: float) -> float | None:
    """When FAULT was in force first within the fault."""
    decided = [seconds_at(item.decided_at) for item in transitions]
    before = bisect_right(decided, began) - 1
    if before >= 0 and transitions[before].to_state is State.FAULT:
        return began
    for at, item in zip(decided[before + 1 :], transitions[before + 1 :], strict=True):
        if at > end:
            return None
        if item.to_state is State.FAULT:
            return at
    return None


def _truth_behind(target: Target, alarm: Transition) -> Truth:
    """The gravest truth between the last good look before the alarm and the alarm."""
    since, until = seconds_at(alarm.t_lo), seconds_at(alarm.decided_at)
    instants = [since, *(at for at, _ in target.life if since < at <= until), until]
    truths = {target.truth_at(at) for at in instants}
    grave = (Truth.FAULT, Truth.BLIP, Truth.INTENT, Truth.INNOCENT)
    return next((truth for truth in grave if truth in truths), Truth.WELL)
