"""How a heartbeat is expected: by rhythm, declared or learned, or by schedule. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from defib.plugin import Beat, Deadline, Lapse, Moment, rhythm
from defib_plugins.beat_memory import Remembered
from defib_plugins.phrases import phrase
from defib_plugins.schedules import Expectation, Schedule

_LATE, _MISSED = "late", "missed"
_CATCH_UP_S = 5.0  #: within it the next of several beats that waited at their sender follows
_ON_TIME = timedelta(minutes=1)  #: clocks differ: a run that begins so much too soon is on time
_BARE_BELOW_S = 15.0  #: a plain ping that often loses a beat now and then, for nobody repeats it


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What a beat means for the expectations."""

    remembered: Remembered
    odd: str = ""  #: ``ran-twice``, ``ran-early``
    words: str = ""  #: the same for people
    late_by: timedelta = timedelta(0)


class Timing(Protocol):
    """When beats are expected."""

    text: str
    zone: tzinfo

    def arrive(self, known: Remembered, at: float, beat: Beat) -> Arrival:
        """Take the first sign of a run, or a plain beat.

        :param at: when it was sent, by our clock.
        """

    def next(self, known: Remembered) -> Deadline | None:
        """The next deadline, whatever runs now."""

    def describe(self, known: Remembered) -> str:
        """As ``text``, for this sender."""

    def expected_at(self, known: Remembered) -> datetime | None:
        """When the next beat is due, without any margin."""

    def run_limit_s(self, known: Remembered) -> float | None:
        """How long a run may take as long as nothing is learned of runs."""


# --- by rhythm -----------------------------------------------------------------------------------------------------


class ByRhythm:
    """Beats that come again and again after the same time, whose phase is learned; and the time, if nobody tells it."""

    zone: tzinfo = UTC

    def __init__(self, every: timedelta | None, misses: int | None, grace: timedelta | None) -> None:
        """:param misses: None for 3 in a row of a plain ping each 15 s or more often, else 2."""
        self._every_s = None if every is None else every.total_seconds()
        self._misses = misses
        self._grace_s = None if grace is None else grace.total_seconds()
        self.text = self._words(None if every is None else rhythm.Rhythm(eta_s=every.total_seconds()))

    def arrive(self, known: Remembered, at: float, beat: Beat) -> Arrival:
        """See :class:`Timing`."""
        pulse, intervals = known.pulse, known.intervals
        declared = self._every_s or (beat.eta.total_seconds() if beat.eta else None)
        if known.is_stopped:
            pulse = None
        elif declared is None and known.anchor is not None and known.told != _MISSED and at > known.anchor:
            intervals = (*intervals, round(at - known.anchor, 3))[-rhythm.REMEMBER :]
        if declared is not None:
            if pulse is None or pulse.eta_s != declared:
                pulse = rhythm.Rhythm(eta_s=declared)
        elif (habit := rhythm.find_habit(intervals)) is not None:
            pulse = rhythm.settle(pulse, habit) if habit.is_regular else None
        if pulse is not None and known.told == _MISSED and beat.seq is None:
            # It came back: who knows in what phase.
            pulse = rhythm.Rhythm(eta_s=pulse.eta_s)
        if pulse is not None:
            pulse = rhythm.take(pulse, at, beat.seq, beat.epoch)
        return Arrival(
            remembered=known.model_copy(update={"pulse": pulse, "intervals": intervals, "anchor": at})
        )

    def next(self, known: Remembered) -> Deadline | None:
        """See :class:`Timing`."""
        if known.told == _MISSED:
            return None
        pulse = self._pulse(known)
        if pulse is None:
            return self._irregular(known)
        due = rhythm.due(pulse, self._misses_of(pulse), self._grace_s)
        earliest = float("-inf")
        if known.replayed is not None:
            earliest = known.replayed + min(pulse.eta_s, _CATCH_UP_S) + due.margin_s
        suspect, fault = max(due.suspect, earliest), max(due.fault, earliest)
        is_last = known.told == _LATE or suspect == fault
        # An agent catches up on what we did not hear. A plain ping is lost, and the next one a whole interval away.
        lost_s = max(0.0, pulse.eta_s - _CATCH_UP_S) if pulse.epoch is None else 0.0
        return Deadline(
            at=instant(fault if is_last else suspect), kind=_MISSED if is_last else _LATE, fault_at=instant(fault),
            every=timedelta(seconds=pulse.eta_s), margin=timedelta(seconds=due.margin_s + lost_s), is_rhythmic=True,
        )  # fmt: skip

    def describe(self, known: Remembered) -> str:
        """See :class:`Timing`."""
        return self._words(self._pulse(known))

    def _words(self, pulse: rhythm.Rhythm | None) -> str:
        if pulse is None:
            return phrase("in a rhythm of its own")
        misses = self._misses_of(pulse)
        every = Lapse(round(pulse.eta_s, 1))
        if misses > 1:
            return phrase("every {every}, {n} in a row", every=every, n=misses)
        return phrase("every {every}", every=every)

    def expected_at(self, known: Remembered) -> datetime | None:
        """See :class:`Timing`."""
        pulse = self._pulse(known)
        return None if pulse is None else instant(rhythm.due(pulse, 1).expected)

    def run_limit_s(self, known: Remembered) -> float | None:
        """See :class:`Timing`."""
        pulse = self._pulse(known)
        if pulse is None:
            return self._grace_s
        return rhythm.due(pulse, 1, self._grace_s).margin_s

    def _pulse(self, known: Remembered) -> rhythm.Rhythm | None:
        """What is learned; afresh from the newest beat when the options have changed since."""
        pulse = known.pulse
        if self._every_s is not None and known.anchor is not None and (
            pulse is None or pulse.eta_s != self._every_s
        ):  # fmt: skip
            return rhythm.take(rhythm.Rhythm(eta_s=self._every_s), known.anchor)
        return None if pulse is None or pulse.number is None else pulse

    def _irregular(self, known: Remembered) -> Deadline | None:
        habit = rhythm.find_habit(known.intervals)
        if habit is None or known.anchor is None:
            return None
        at = instant(known.anchor + habit.patience_s + (self._grace_s or 0.0))
        return Deadline(
            at=at, kind=_MISSED, fault_at=at, every=timedelta(seconds=habit.interval_s),
            margin=timedelta(seconds=habit.interval_s),
        )  # fmt: skip

    def _misses_of(self, pulse: rhythm.Rhythm) -> int:
        if self._misses is not None:
            return self._misses
        is_bare = pulse.epoch is None  # an agent, which names its epochs, repeats what got lost
        return 3 if is_bare and pulse.eta_s <= _BARE_BELOW_S else 2


# --- by schedule ---------------------------------------------------------------------------------------------------


class BySchedule:
    """Runs that are due at certain times; one that is missed is missed."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.text: str = phrase("due {schedule}", schedule=schedule.text)
        self.zone = schedule.zone

    def arrive(self, known: Remembered, at: float, beat: Beat) -> Arrival:
        """See :class:`Timing`.

        A run that comes a little too soon is the one that is due. What comes much sooner, after a run that
        went well, is one too many, and the one that is due must still come.
        """
        due, began = self._due(known), instant(at)
        nearest = self._schedule.after(began)
        if nearest is not None and nearest.expected_at - began <= min(_ON_TIME, nearest.period / 10):
            anchor = nearest.expected_at.timestamp()
            if known.anchor is None or known.anchor < anchor:
                return Arrival(remembered=_kept(known, anchor))
        if due is None or began >= due.expected_at:
            late_by = timedelta(0) if due is None else began - due.expected_at
            return Arrival(remembered=_kept(known, at), late_by=late_by)
        soon = due.expected_at - began
        if soon <= min(due.grace, due.period / 4):
            words = phrase(
                "it ran {soon} before it was due at {expected_at}", soon=Lapse(round(soon.total_seconds())),
                expected_at=self._moment(due.expected_at),
            )  # fmt: skip
            return Arrival(remembered=_kept(known, due.expected_at.timestamp()), odd="ran-early", words=words)
        if known.has_failed or any(run.is_long for run in known.runs.values()):
            return Arrival(remembered=known)
        words = phrase(
            "it ran once more at {began_at}; the next run is due at {expected_at}", began_at=self._moment(began),
            expected_at=self._moment(due.expected_at),
        )  # fmt: skip
        return Arrival(remembered=known, odd="ran-twice", words=words)

    def next(self, known: Remembered) -> Deadline | None:
        """See :class:`Timing`."""
        due = None if known.told == _MISSED else self._due(known)
        if due is None:
            return None
        return Deadline(
            at=due.deadline, kind=_MISSED, fault_at=due.deadline, every=due.period,
            margin=min(due.grace, _ON_TIME), is_by_clock=True,
        )  # fmt: skip

    def describe(self, known: Remembered) -> str:
        """See :class:`Timing`."""
        return self.text

    def expected_at(self, known: Remembered) -> datetime | None:
        """See :class:`Timing`."""
        due = self._due(known)
        return None if due is None else due.expected_at

    def run_limit_s(self, known: Remembered) -> float | None:
        """See :class:`Timing`."""
        due = self._due(known)
        return None if due is None else due.grace.total_seconds()

    def _due(self, known: Remembered) -> Expectation | None:
        return None if known.anchor is None else self._schedule.after(instant(known.anchor))

    def _moment(self, instant: datetime) -> Moment:
        return Moment(instant, str(self.zone))


def _kept(known: Remembered, anchor: float) -> Remembered:
    return known.model_copy(update={"anchor": anchor})


def instant(seconds: float) -> datetime:
    """Of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
