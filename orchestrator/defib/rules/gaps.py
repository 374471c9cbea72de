"""Time that nobody watched: suspended, stalled, or a wall clock that stepped.

A gap is UNKNOWN time, never DOWN time. Three clocks tell its kinds apart: the monotonic clock stands still
while the machine is suspended, the boot-time clock does not, and the wall clock can be set.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from defib.model.ids import MonitorId

TICK_S = 0.25  #: nominal time between two readings of the clocks
GAP_S = 1.0  #: unobserved time that counts
STEP_S = 0.5  #: of the wall clock; NTP slews by 0.5 ms each second at most and never gets there
RESUME_S = 15.0
SPREAD_S = 10.0
BEAT_GRACE = timedelta(seconds=5)


# --- detection -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Three clocks read at one instant, in seconds."""

    mono: float  #: CLOCK_MONOTONIC: stands still in suspension on Linux
    boot: float  #: CLOCK_BOOTTIME: goes on in suspension; equals ``mono`` where there is none
    wall: float  #: since 1970, UTC


class GapKind(StrEnum):
    """Why time was lost."""

    SUSPENDED = "suspended"  #: the machine slept
    STALLED = "stalled"  #: this process did not run: SIGSTOP, freezer, stolen CPU, a blocked event loop
    CLOCK_STEP = "clock-step"  #: nothing was lost, but wall-clock times before and after cannot be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """An irregularity of time."""

    kind: GapKind
    seconds: float  #: unobserved; of a CLOCK_STEP how far the wall clock went, negative when it was set back


def find_gaps(before: Clocks, now: Clocks, tick_s: float = TICK_S) -> tuple[Gap, ...]:
    """What happened between two readings: at most one gap in observing and one step of the wall clock.

    With lag = Δmono − tick, suspension = Δboot − Δmono and step = Δwall − Δboot. A suspension with a stall
    around it is one SUSPENDED gap of both lengths together.
    """
    lag = now.mono - before.mono - tick_s
    suspension = (now.boot - before.boot) - (now.mono - before.mono)
    step = (now.wall - before.wall) - (now.boot - before.boot)
    gaps = []
    if suspension > GAP_S:
        gaps.append(Gap(kind=GapKind.SUSPENDED, seconds=suspension + (lag if lag > GAP_S else 0.0)))
    elif lag > GAP_S:
        gaps.append(Gap(kind=GapKind.STALLED, seconds=lag))
    if abs(step) > STEP_S:
        gaps.append(Gap(kind=GapKind.CLOCK_STEP, seconds=step))
    return tuple(gaps)


# --- policy ----------------------------------------------------------------------------------------


class Response(StrEnum):
    """What a gap means for one monitor."""

    IGNORE = "ignore"
    SHIFT = "shift"  #: deadlines move by the gap, looks in flight are inconclusive
    RESET = "reset"  #: UNKNOWN meanwhile, the detector's memory is forgotten, a :class:`Resume` begins


def decide_response(gap_s: float, interval: timedelta) -> Response:
    """What unobserved time means for a monitor that is looked at, or beats, each ``interval``."""
    if gap_s < GAP_S:
        return Response.IGNORE
    return Response.SHIFT if gap_s < 2 * interval.total_seconds() else Response.RESET


def spread(interval: timedelta) -> float:
    """Seconds over which the first looks after a reset are spread."""
    return min(interval.total_seconds(), SPREAD_S)


def resume_phase(interval: timedelta, timeout: timedelta) -> float:
    """Seconds of caution after a reset: one whole round of looks with its timeouts, and 15 s at least."""
    return max(RESUME_S, spread(interval) + timeout.total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """The time after a reset in which nothing is concluded from silence."""

    ends_at: float  #: monotonic seconds
    seen: frozenset[MonitorId] = field(default_factory=frozenset)  #: with a fresh conclusive look

    def see(self, monitor: MonitorId) -> "Resume":
        """With a fresh conclusive look at ``monitor``."""
        return Resume(ends_at=self.ends_at, seen=self.seen | {monitor})

    def holds(self, monitor: MonitorId, now: float) -> bool:
        """Whether ``monitor`` may not yet be at fault for its silence, repaired, or told of.

        :param now: monotonic seconds.
        """
        return now < self.ends_at and monitor not in self.seen


def beat_deadline(
    deadline: datetime, *, gap: timedelta, now: datetime, every: timedelta, margin: timedelta
) -> datetime:
    """When a beat must have come, after a gap that ended ``now``.

    A deadline inside the gap becomes ``now + min(every, 5 s) + margin``, and so does one that follows
    sooner: the beat before it may have been lost in the gap. One that had passed before the gap stays.

    :param every: nominal time between beats.
    :param margin: for jitter.
    """
    if deadline < now - gap:
        return deadline
    return max(deadline, now + min(every, BEAT_GRACE) + margin)
