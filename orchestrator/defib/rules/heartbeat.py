"""When the next beat is due, learned from the beats so far. Pure; instants are seconds on the server's clock.

NFD-E with medians. A sender beats each η seconds; beat number q arrives at A. Each arrival teaches the phase
A - η·q; the next beat is expected at EA = median(phases) + η·(q+1), one beat is missed at EA + margin, and m are
at EA + (m-1)·η + margin. The margin follows the jitter. Losses are told apart from delays by the numbers of the
beats, given or inferred; therefore a lossy line does not make the detector slower.

Source: W. Chen, S. Toueg, M. K. Aguilera, "On the Quality of Service of Failure Detectors", IEEE Transactions on
Computers 51(5), 2002. A median stands in place of their mean: one beat that was 3 s late moves a mean over seven by
0.41 s and the median by 5 ms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

WINDOW = 32  #: phases remembered
GAMMA = 0.1  #: weight of the newest deviation
MARGIN_MIN_S = 1.0
MARGIN_SHARE = 0.1  #: of η
DEVIATIONS = 4.0  #: mean deviations that the margin spans
NEAR = 0.25  #: of η: a beat so close to when one was expected is that one, however soon it follows another


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """What was learned of one sender."""

    eta_s: float  #: between beats
    phases: tuple[float, ...] = ()  #: A - η·q of the newest beats, oldest first; from one epoch
    deviation_s: float = 0.0  #: how far arrivals stray from their expectation, smoothed
    number: int | None = None  #: of the newest beat
    last: float | None = None  #: when it arrived
    epoch: str | None = None  #: of the sender: it numbers afresh with each start


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is expected after the newest beat."""

    expected: float
    margin_s: float
    suspect: float  #: one beat is missed
    fault: float  #: as many as allowed are missed


def take(rhythm: Rhythm, at: float, number: int | None = None, epoch: str | None = None) -> Rhythm:
    """Learn from one beat.

    1. A sender that started again, and one whose numbers begin afresh, is learned anew.
    2. A beat that was heard of before, or that a newer one has overtaken, is a sign of life and no lesson.
    3. One that strays by η or more has another phase (a restart, a suspended machine, a stepped clock): it is
       learned anew, from this beat on.

    :param at: when it arrived, less its age.
    :param number: as the sender counts; None to infer it from the time since the beat before.
    :param epoch: the sender's own name for its present run; None when it has none.
    """
    if rhythm.last is None or rhythm.number is None or epoch != rhythm.epoch:
        return _begin(rhythm, at, number or 0, epoch)
    if number is None:
        if at <= rhythm.last - rhythm.eta_s:  # the clock was set back
            return _begin(rhythm, at, 0, epoch)
        number = rhythm.number + _steps(rhythm, at)
    elif number <= rhythm.number and at >= rhythm.last + rhythm.eta_s:
        return _begin(rhythm, at, number, epoch)
    if number <= rhythm.number:
        return replace(rhythm, last=max(rhythm.last, at))
    phase = at - rhythm.eta_s * number
    stray = abs(phase - median(rhythm.phases))
    if stray >= rhythm.eta_s:
        return _begin(rhythm, at, number, epoch)
    return replace(
        rhythm,
        phases=(*rhythm.phases, phase)[-WINDOW:],
        deviation_s=rhythm.deviation_s + GAMMA * (stray - rhythm.deviation_s),
        number=number,
        last=at,
    )


def due(rhythm: Rhythm, misses: int, grace_s: float | None = None) -> Due:
    """What is expected next.

    :param misses: beats in a row that make a fault.
    :param grace_s: least margin; None for a tenth of the interval and at least a second.
    :raises ValueError: there was no beat yet.
    """
    if rhythm.number is None:
        raise ValueError("nothing is due before the first beat")
    eta = rhythm.eta_s
    jitter = DEVIATIONS * rhythm.deviation_s
    if grace_s is None:
        margin = min(max(MARGIN_MIN_S, MARGIN_SHARE * eta, jitter), eta)
    else:
        margin = max(grace_s, min(jitter, eta))
    expected = median(rhythm.phases) + eta * (rhythm.number + 1)
    return Due(
        expected=expected, margin_s=margin, suspect=expected + margin, fault=expected + (misses - 1) * eta + margin
    )  # fmt: skip


def suspicion(expected: float, fault: float, now: float) -> float:
    """How far silence has gone from an expected beat (0) to a fault (1): what the detector really does."""
    if fault <= expected:
        return float(now >= fault)
    return min(max((now - expected) / (fault - expected), 0.0), 1.0)


def _begin(rhythm: Rhythm, at: float, number: int, epoch: str | None) -> Rhythm:
    phase = at - rhythm.eta_s * number
    return Rhythm(eta_s=rhythm.eta_s, phases=(phase,), number=number, last=at, epoch=epoch)


def _steps(rhythm: Rhythm, at: float) -> int:
    """How many beats further than the newest one this is; 0 for one that came twice."""
    assert rhythm.last is not None
    assert rhythm.number is not None
    steps = round((at - rhythm.last) / rhythm.eta_s)
    if steps >= 1:
        return steps
    expected = median(rhythm.phases) + rhythm.eta_s * (rhythm.number + 1)
    return 1 if abs(at - expected) <= NEAR * rhythm.eta_s else 0


# --- undeclared intervals ------------------------------------------------------------------------------------------

LEARN_FROM = 8  #: intervals before anything is concluded
LEARN_NEWEST = 16
REMEMBER = 100  #: intervals
REGULAR_BELOW = 0.25  #: median absolute deviation over median
RELEARN_BEYOND = 0.1  #: share by which a rhythm must have changed to be learned anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How somebody beats who has not said how often."""

    interval_s: float  #: median
    is_regular: bool
    patience_s: float  #: silence after which an irregular sender is missed


def find_habit(intervals_s: Sequence[float]) -> Habit | None:
    """What the times between beats tell, oldest first; None while they are too few."""
    if len(intervals_s) < LEARN_FROM:
        return None
    newest = intervals_s[-LEARN_NEWEST:]
    middle = median(newest)
    if middle <= 0:
        return None
    spread = median(abs(interval - middle) for interval in newest)
    return Habit(
        interval_s=middle,
        is_regular=spread / middle < REGULAR_BELOW,
        patience_s=max(3 * middle, 1.5 * max(intervals_s[-REMEMBER:])),
    )


def settle(rhythm: Rhythm | None, habit: Habit) -> Rhythm:
    """The rhythm of a habit; the one that is known where it has not changed much."""
    if rhythm is not None and abs(habit.interval_s - rhythm.eta_s) <= RELEARN_BEYOND * rhythm.eta_s:
        return rhythm
    return Rhythm(eta_s=habit.interval_s)


# --- run time ------------------------------------------------------------------------------------------------------

RUNS_TO_LEARN = 10
RUN_LIMIT_MIN_S = 60.0


def learn_run_limit(durations_s: Sequence[float]) -> float | None:
    """Three times the 95th percentile of how long runs took, at least a minute; None while they are too few."""
    if len(durations_s) < RUNS_TO_LEARN:
        return None
    ascending = sorted(durations_s)
    return max(RUN_LIMIT_MIN_S, 3 * ascending[math.ceil(0.95 * len(ascending)) - 1])
