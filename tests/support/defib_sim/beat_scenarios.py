"""Scenario 23 as data: what senders do, what must not be made of it, and how soon their death is found."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from defib.model.health import State
from defib.model.ids import MonitorId
from defib.plugin import Signal
from defib_sim.beating import DAY_S, BeatWorld, Line, Sent, Told, Watch, listen, tell
from defib_sim.counting import Share, percentile, share
from defib_sim.modes import DOWN, HUNG, WELL, Mode
from defib_sim.targets import Remedy, Target
from defib_sim.virtual_loop import VirtualClock, run

HEARTBEATS = 23  #: the row of the table
_BEATS = 30  #: before what happens, and after it
_APART_S = 7.3  #: between the beginnings of two senders


# --- false alarms ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes:
    """What was made of senders that live."""

    suspected: int
    faults: int
    silences: int  #: that lasted as long as a fault takes: with what arrived, nobody could have known better
    sender_days: float
    beats: int

    @property
    def suspected_a_day(self) -> float:
        return self.suspected / self.sender_days

    @property
    def faults_a_day(self) -> float:
        return self.faults / self.sender_days


def mistakes(line: Line, misses: int, *, senders: int, days: float, seed: int) -> Mistakes:
    """Senders that live all the time, behind a line that loses and delays."""
    names = [MonitorId(f"sender-{number:03}") for number in range(senders)]
    ends = days * DAY_S
    rows = [
        list(line.arrivals(name, Random(f"{seed}/{name}"), number * line.eta_s / senders, ends))
        for number, name in enumerate(names)
    ]
    beats = heapq.merge(*rows, key=lambda beat: beat.at)
    told = listen([_watch(name, line, misses) for name in names], beats, ends)
    limit_s = misses * line.eta_s + max(1.0, line.eta_s / 10) - 2 * line.jitter_s
    return Mistakes(
        suspected=len(told.entries(State.SUSPECT)), faults=len(told.entries(State.FAULT)),
        silences=sum(after.at - before.at > limit_s for row in rows for before, after in pairwise(row)),
        sender_days=senders * days, beats=told.beats,
    )  # fmt: skip


# --- lives -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One sender's beats."""

    beats: tuple[Sent, ...]
    died: float | None  #: None: it said that it stops


Script = Callable[[MonitorId, Random, float, float], Life]
"""A life from its monitor, chance, its beginning and its interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatScenario:
    """What may happen to a sender before it dies."""

    name: str
    script: Script
    eta_s: float = 10.0
    misses: int | None = None  #: as by default
    suspicions: int | None = 0  #: most, in a life; None: as many as there are
    within_s: float | None = None  #: its death is found so soon; None: it does not die
    after_death: Mode | None = None  #: of what is asked when it is silent; None: nobody can be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """What came of the lives of one scenario."""

    scenario: BeatScenario
    lives: tuple[Life, ...]
    told: Told

    @property
    def detection_s(self) -> list[float]:
        """From each death to FAULT."""
        found = []
        for name, life in self._named():
            entries = [] if life.died is None else self.told.entries(State.FAULT, name, life.died)
            found += [at - life.died for at in entries[:1] if life.died is not None]
        return found

    @property
    def found(self) -> Share:
        count = sum(life.died is not None for life in self.lives)
        return Share(count=len(self.detection_s), of=count)

    @property
    def false_faults(self) -> int:
        """Of senders that lived, or had said that they stop."""
        return sum(
            at < (life.died if life.died is not None else self.told.ends)
            for name, life in self._named()
            for at in self.told.entries(State.FAULT, name)
        )

    @property
    def suspicions(self) -> int:
        """Most in a life, before its end."""
        return max(
            sum(
                at < (life.died if life.died is not None else self.told.ends)
                for at in self.told.entries(State.SUSPECT, name)
            )
            for name, life in self._named()
        )

    @property
    def stopped(self) -> Share:
        """Of those who said so."""
        return share(
            bool(self.told.entries(State.STOPPED, name)) for name, life in self._named() if life.died is None
        )

    def complaints(self) -> list[str]:
        """What is owed and missing; empty when all is well."""
        owed, problems = self.scenario, []
        if self.false_faults:
            problems.append(f"{self.false_faults} false faults")
        if owed.suspicions is not None and self.suspicions > owed.suspicions:
            problems.append(f"up to {self.suspicions} suspicions in a life")
        if self.found.count != self.found.of:
            problems.append(f"found only {self.found}")
        worst = max(self.detection_s, default=0.0)
        if owed.within_s is not None and worst > owed.within_s:
            problems.append(f"one was found after {worst:.2f} s, at most {owed.within_s:g} s are owed")
        if self.stopped.count != self.stopped.of:
            problems.append(f"stopped only {self.stopped}")
        calls, deaths = len(self.told.notes), self.found.of
        if calls != deaths:
            problems.append(f"{calls} calls for {deaths} deaths")
        return [f"{owed.name}: {problem}" for problem in problems]

    def _named(self) -> Iterator[tuple[MonitorId, Life]]:
        return ((_name(number), life) for number, life in enumerate(self.lives))


def live(scenario: BeatScenario, *, lives: int, seed: int) -> Lives:
    """So many senders live through a scenario, side by side."""
    made = tuple(
        scenario.script(
            _name(number), Random(f"{seed}/{scenario.name}/{number}"), _APART_S * number, scenario.eta_s
        )
        for number in range(lives)
    )
    beats = heapq.merge(*(life.beats for life in made), key=lambda beat: beat.at)
    ends = max(life.died or life.beats[-1].at for life in made) + 12 * scenario.eta_s

    async def main(clock: VirtualClock) -> Told:
        watches = []
        for number, life in enumerate(made):
            options = {"every": f"{scenario.eta_s:g}s"}
            if scenario.misses is not None:
                options["misses"] = str(scenario.misses)
            watches.append(
                Watch(monitor=_name(number), options=options, target=_target(clock, scenario, life))
            )
        world = BeatWorld(clock, watches)
        async with world.listening():
            await world.take(beats, ends)
        return tell(world)

    return Lives(scenario=scenario, lives=made, told=run(main))


def _target(clock: VirtualClock, scenario: BeatScenario, life: Life) -> Target | None:
    if scenario.after_death is None or life.died is None:
        return None
    script = [(0.0, WELL), (life.died, scenario.after_death)]
    return Target(clock, Random(str(life.died)), script, remedy=Remedy(helps=False))


def _watch(name: MonitorId, line: Line, misses: int) -> Watch:
    return Watch(monitor=name, options={"every": f"{line.eta_s:g}s", "misses": misses})


def _name(number: int) -> MonitorId:
    return MonitorId(f"life-{number:04}")


# --- what happens ----------------------------------------------------------------------------------


def _row(
    name: MonitorId, random: Random, begins: float, eta: float, *, epoch: str = "1", first: int = 0
) -> list[Sent]:
    """Numbered beats, a little early or late each."""
    return [
        Sent(
            at=begins + (number - first) * eta + random.uniform(0.0, 0.1),
            monitor=name,
            seq=number,
            epoch=epoch,
        )
        for number in range(first, first + _BEATS)
    ]


def _dies(beats: list[Sent], random: Random, eta: float) -> Life:
    """It dies some time between its last beat and the next one."""
    return Life(beats=tuple(beats), died=beats[-1].at + random.uniform(0.0, eta))


def _steady(name: MonitorId, random: Random, begins: float, eta: float) -> Life:
    return _dies(_row(name, random, begins, eta), random, eta)


def _lost(name: MonitorId, random: Random, begins: float, eta: float) -> Life:
    """One of five beats is lost, never two in a row, never the last."""
    beats = _row(name, random, begins, eta)
    kept = [beat for number, beat in enumerate(beats) if number % 5 != 3 or number + 1 == len(beats)]
    return _dies(kept, random, eta)


def _plain_lost(name: MonitorId, random: Random, begins: float, eta: float) -> Life:
    """As by curl: nobody counts, and two beats in a row are lost."""
    beats = _row(name, random, begins, eta)
    kept = [Sent(at=beat.at, monitor=name) for number, beat in enumerate(beats) if number % 10 not in (4, 5)]
    return _dies(kept, random, eta)


def _late(name: MonitorId, random: Random, begins: float, eta: float) -> Life:
    """Every fourth beat comes later than the margin, but before the one after it."""
    beats = [
        Sent(
            at=beat.at + (random.uniform(0.2, 0.9) * eta if number % 4 == 2 and number < 25 else 0.0),
            monitor=name,
            seq=beat.seq,
            epoch=beat.epoch,
        )
        for number, beat in enumerate(_row(name, random, begins, eta))
    ]
    return _dies(beats, random, eta)


def _twice(name: MonitorId, random: Random, begins: float, eta: float) -> Life:
    """Each beat comes once more: its answer was lost."""
    beats = [
        again
        for beat in _row(name, random, begins, eta)
        for again in (
            beat,
            Sent(at=beat.at + random.uniform(0.5, 5.0), monitor=name, seq=beat.seq, epoch=beat.epoch),
        )
    ]
    life = _dies([beats[-2]], random, eta)
    beats = [beat for beat in beats[:-1] if beat.at <= beats[-2].at]
    return Life(beats=tuple(sorted(beats, key=lambda beat: beat.at)), died=life.died)


def _phase(name: MonitorId, random: Random, begins: float, eta: float) -> Life:
    """It goes on in another phase: it was suspended for a moment."""
    before = _row(name, random, begins, eta)
    shifted = before[-1].at + eta + random.uniform(0.05, 0.95) * eta
    return _dies([*before, *_row(name, random, shifted, eta, first=_BEATS)], random, eta)


def _restart(name: MonitorId, random: Random, begins: float, eta: float) -> Life:
    """It starts again, counts afresh and beats in another phase."""
    before = _row(name, random, begins, eta)
    back = before[-1].at + random.uniform(0.1, 1.5) * eta
    return _dies([*before, *_row(name, random, back, eta, epoch="2")], random, eta)


def _stops(name: MonitorId, random: Random, begins: float, eta: float) -> Life:
    """It says that it stops."""
    beats = _row(name, random, begins, eta)
    bye = Sent(at=beats[-1].at + random.uniform(0.1, 0.9) * eta, monitor=name, signal=Signal.STOPPING)
    return Life(beats=(*beats, bye), died=None)


def _replays(name: MonitorId, random: Random, begins: float, eta: float) -> Life:
    """Its line was down for a while shorter than two beats; what waited comes at once, with its age."""
    beats = _row(name, random, begins, eta)
    back = beats[20].at + random.uniform(0.3, 0.8) * eta
    held = [
        Sent(at=back + 0.05 * number, monitor=name, seq=beat.seq, epoch=beat.epoch, age_s=back - beat.at)
        for number, beat in enumerate(beats[20:21])
    ]
    return _dies([*beats[:20], *held, *beats[21:]], random, eta)


SLACK_S = 0.5  #: of the jitter, and of looks
BEAT_SCENARIOS = (
    BeatScenario(name="steady", script=_steady, within_s=21.0 + SLACK_S),
    BeatScenario(name="steady, 30 s", script=_steady, eta_s=30.0, within_s=63.0 + SLACK_S),
    BeatScenario(name="beats lost", script=_lost, suspicions=6, within_s=21.0 + SLACK_S),
    BeatScenario(name="plain beats lost", script=_plain_lost, suspicions=3, within_s=31.0 + SLACK_S),
    BeatScenario(name="beats late", script=_late, suspicions=6, within_s=30.0),
    BeatScenario(name="beats twice", script=_twice, within_s=21.0 + SLACK_S),
    # until the new phase is learned, the margin grows to an interval
    BeatScenario(name="another phase", script=_phase, suspicions=3, within_s=30.0),
    BeatScenario(name="agent restarts", script=_restart, suspicions=1, within_s=21.0 + SLACK_S),
    BeatScenario(name="beats replayed", script=_replays, suspicions=1, within_s=21.0 + SLACK_S),
    BeatScenario(name="planned stop", script=_stops),
    BeatScenario(name="death, asked: refused", script=_steady, after_death=DOWN, within_s=14.0 + SLACK_S),
    BeatScenario(name="death, asked: hangs", script=_steady, after_death=HUNG, within_s=21.0 + SLACK_S),
    BeatScenario(name="beats end, it answers", script=_steady, after_death=WELL, within_s=21.0 + SLACK_S),
)


def seconds(values: list[float]) -> str:
    """Percentiles, for notes."""
    return "/".join(f"{percentile(values, q):.1f}" for q in (0.5, 0.95, 0.99, 1.0))
