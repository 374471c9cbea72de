"""The detector that keeps a score: it finds what fails now and then, and learns how much failing is noise."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

from defib.plugin import (
    Detector,
    DetectorType,
    Fact,
    FaultLabel,
    Grade,
    Health,
    Judgement,
    Observation,
    State,
    Strategy,
    hookimpl,
)
from defib_strategies.climb import Climb
from defib_strategies.confirmation import confirming_waits
from defib_strategies.noise import Noise, figure
from defib_strategies.run_lengths import RULES
from defib_strategies.spell import NO_FAULT, RELAPSE, Spell
from defib_strategies.weak import weighed

_DECLARED = (State.FAULT, State.UNREACHABLE)
"""A fault was judged already; UNREACHABLE is one that the engine puts down to something required."""
_WELL = (State.UP, State.DEGRADED)
"""It is well, and has been since ``Health.since``."""
_LEFT_SLOWLY = (*_DECLARED, State.STOPPED)
"""States that only ``recovery_threshold`` good looks in a row end."""

_SLOW_OF, _SLOW = 5, 3
"""So many degraded answers of the last five are DEGRADED."""
_STOPS = 2
"""Looks in a row that must find it stopped on purpose: between the two halves of a restart it looks so too."""
_WATCH_SHARE, _WATCH_LEAST = 6, timedelta(seconds=2.5)
"""While it is watched, the next look is after a sixth of the interval, but no sooner than after 2.5 s.

The score takes as many looks to come down as ever, so that closer ones cost none more.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recall:
    """The detector's memory. A state that lasts leaves it as it is; of a target that is well, it is empty
    but for what was learned of its noise."""

    climb: Climb
    noise: Noise
    oks: int = 0  #: good looks in a row while recovering, below ``recovery_threshold``
    stops: int = 0  #: looks in a row that found it stopped on purpose, at most two
    slow: str = ""  #: the last five good looks, ``s`` degraded and ``-`` plain; leading plain ones left out
    pattern: str = ""  #: of the fault: ``hard`` or ``intermittent``
    spell: Spell = NO_FAULT  #: how much it fails, from the climb to the end of the fault …
    well_at_s: float = 0.0  #: … which was then, in Unix time; 0: it lasts, or there was none

    @classmethod
    def of(cls, health: Health, strategy: Strategy, observation: Observation) -> "_Recall":
        """What is remembered; whatever cannot be this detector's counts for nothing."""
        memory = health.memory
        noise = Noise.of(memory)
        fixed, evidence = strategy.fail_threshold, observation.evidence
        if fixed is not None:
            climb = Climb.strict(memory, fixed)
        elif (remembered := Climb.remembered_leaky(memory)) is not None:
            climb = remembered
        else:  # what begins no climb needs no rule
            rule = RULES[0] if evidence.is_ok else noise.rule_at(observation.started_at, strategy.interval)
            climb = Climb.leaky(rule)
        oks, stops, slow, pattern = (memory.get(name) for name in ("oks", "stops", "slow", "pattern"))
        failed, looks = memory.get("spell_failed"), memory.get("spell_looks")
        is_spell = fixed is None and type(failed) is int and type(looks) is int and 0 < failed <= looks
        return cls(
            climb=climb,
            noise=noise,
            oks=oks if type(oks) is int and oks > 0 else 0,
            stops=stops if type(stops) is int and 0 < stops <= _STOPS else 0,
            slow=slow[-_SLOW_OF:].lstrip("-") if isinstance(slow, str) and set(slow) <= set("s-") else "",
            pattern=pattern if pattern in ("hard", "intermittent") else "",
            spell=Spell(failed=cast(int, failed), looks=cast(int, looks)) if is_spell else NO_FAULT,
            well_at_s=figure(memory.get("well_at")),
        )

    def judge(self, state: State, reason: str, look_again_in: timedelta | None = None) -> Judgement:
        small: dict[str, Fact] = {
            "oks": self.oks, "stops": self.stops, "slow": self.slow, "pattern": self.pattern,
            "spell_failed": self.spell.failed, "spell_looks": self.spell.looks, "well_at": self.well_at_s,
        }  # fmt: skip
        memory = self.climb.remembered() | {name: value for name, value in small.items() if value}
        return Judgement(
            state=state,
            reason=reason,
            memory=memory | self.noise.remembered(),
            look_again_in=look_again_in,
            label=FaultLabel.INTERMITTENT if self.pattern == "intermittent" else FaultLabel.NONE,
        )


class Cusum:
    """Keeps a score.

    1. A failure raises the score: FAULT from its limit on, SUSPECT before, with the next look after
       ``confirm`` (the last wait doubled, once they are used up). A declared fault stays one, however its
       failures are spaced. It is *intermittent* if the failures that made it were not in a row.
    2. A good look lowers the score: WATCH until it is 0, with the next look soon, then UP.
    3. Out of FAULT, UNREACHABLE and STOPPED it is UP after ``recovery_threshold`` good looks in a row, with
       the next look after ``recover_confirm``. A fault that lets good looks through needs more of them, the
       more it lets through (:mod:`.spell`); those come as soon as the looks of WATCH.
    4. A degraded look is a good one, and a weak failure that does not last is a degraded look (:mod:`.weak`).
       Three of the last five good looks are DEGRADED, which ends when they are fewer and the last
       ``recovery_threshold`` were plain.
    5. Two looks in a row that find it stopped on purpose are STOPPED, unless it was at fault before.

    How many failures in a row make a fault is learned from the target's noise (:mod:`.noise`) when the
    strategy leaves ``fail_threshold`` open, and the score is the leaky one (:mod:`.climb`). A number set by
    the user is obeyed to the letter: so many failures in a row, and nothing else.
    """

    def fold(self, health: Health, observation: Observation, strategy: Strategy) -> Judgement:
        """See the class. Pure."""
        observation = weighed(health, observation)
        look = _Look(
            health=health,
            observation=observation,
            strategy=strategy,
            before=_Recall.of(health, strategy, observation),
        )
        if not observation.evidence.is_ok:
            return look.stopped() if observation.evidence.grade is Grade.INTENT else look.failed()
        return look.recovering() if health.state in _LEFT_SLOWLY else look.passed()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look, and everything that it is judged by."""

    health: Health
    observation: Observation
    strategy: Strategy
    before: _Recall

    @property
    def summary(self) -> str:
        return self.observation.evidence.summary

    def failed(self) -> Judgement:
        before, state = self.before, self.health.state
        if state in _DECLARED:
            return self._still_failing()
        climb, noise = before.climb.failed(), before.noise
        if climb.is_leaky and state in _WELL:
            noise = noise.since(self.health.since)
        after = replace(before, climb=climb, noise=noise, oks=0, stops=0)
        reason = f"{climb.words()}: {self.summary}{self._why_raised(climb)}"
        if climb.is_over:
            label = "intermittent, " if climb.pattern == "intermittent" else ""
            declared = replace(after, slow="", pattern=climb.pattern, spell=self._spell(climb), well_at_s=0.0)
            return declared.judge(State.FAULT, label + reason)
        return after.judge(State.SUSPECT, reason, self._confirm_after(climb.failures_in_a_row))

    def _spell(self, climb: Climb) -> Spell:
        """Of the fault that a climb ends in."""
        before, began = self.before, self.health.first_fail_at or self.observation.started_at
        looks = (began.timestamp() - before.well_at_s) / self.strategy.interval.total_seconds()
        is_relapse = before.well_at_s > 0 and looks <= RELAPSE
        ended = before.spell.then(0, max(0, int(looks))) if is_relapse else NO_FAULT
        return ended.then(*climb.share)

    def _still_failing(self) -> Judgement:
        before = self.before
        what = "failed again before it had recovered" if before.oks else "still failing"
        after = replace(before, oks=0, stops=0)
        if before.spell.looks and (before.oks or before.spell.is_mixed):
            after = replace(after, spell=before.spell.then(1, before.oks + 1))
        return after.judge(State.FAULT, f"{self._label}{what}: {self.summary}")

    def stopped(self) -> Judgement:
        before, state = self.before, self.health.state
        if state is State.FAULT:
            return replace(before, oks=0).judge(state, f"stopped on purpose while at fault: {self.summary}")
        stops = min(before.stops + 1, _STOPS)
        if stops == _STOPS or state is State.STOPPED:
            gone = _Recall(climb=replace(before.climb, score=0, looks=""), noise=before.noise, stops=_STOPS)
            return gone.judge(State.STOPPED, f"stopped on purpose: {self.summary}")
        after = replace(before, oks=0, stops=stops)
        return after.judge(
            state if state is State.UNREACHABLE else State.SUSPECT,
            f"seems to be stopped on purpose, looking once more: {self.summary}",
            self._confirm_after(1),
        )

    def recovering(self) -> Judgement:
        before, state, least = self.before, self.health.state, self.strategy.recovery_threshold
        needed = before.spell.good_looks_needed(least)
        oks = before.oks + 1
        slow = self._slow()
        good = f"{min(oks, needed)} of {needed} good answer{'' if needed == 1 else 's'} in a row"
        if needed > least:
            good += f", as it failed {before.spell.failed} of {before.spell.looks} looks"
        if oks < needed:
            after = replace(before, oks=oks, stops=0, slow=slow)
            again = self.strategy.recover_confirm if oks < least else self._watch_after()
            return after.judge(state, self._label + good, again)
        lasted = self.observation.ended_at - self.health.since
        after = _Recall(
            climb=replace(before.climb, score=0, looks=""), noise=before.noise.without(lasted), slow=slow
        )
        if before.spell.looks:
            ended = before.spell.then(0, oks)
            after = replace(after, spell=ended, well_at_s=self.observation.ended_at.timestamp())
        return after.judge(_answering(slow), f"{good}: {self.summary}")

    def passed(self) -> Judgement:
        before, state = self.before, self.health.state
        slow = self._slow()
        climb = before.climb.passed()
        noise = self._learned()
        after = replace(before, climb=climb, noise=noise, oks=0, stops=0, slow=slow, pattern="")
        if climb.score:
            reason = f"answers again, still watched, {climb.words()}: {self.summary}"
            return after.judge(State.WATCH, reason, self._watch_after())
        to = _answering(slow)
        if state is State.DEGRADED and "s" in slow[-self.strategy.recovery_threshold :]:
            to = State.DEGRADED
        how = f"{slow.count('s')} of the last {_SLOW_OF} answers degraded" if slow else "well"
        return after.judge(to, f"{how}: {self.summary}")

    @property
    def _label(self) -> str:
        return "intermittent, " if self.before.pattern == "intermittent" else ""

    def _slow(self) -> str:
        mark = "s" if self.observation.evidence.is_degraded else "-"
        return (self.before.slow + mark)[-_SLOW_OF:].lstrip("-")

    def _learned(self) -> Noise:
        """What this good look teaches: it shows that the failures before it were noise."""
        health, climb, noise = self.health, self.before.climb, self.before.noise
        began, failures = health.first_fail_at, climb.failures_in_a_row
        is_burst = health.state is State.SUSPECT and health.was_up and climb.is_leaky and not climb.is_over
        if not is_burst or not failures or began is None:
            return noise
        gap = self.strategy.interval
        if health.last_ok_at is not None:
            gap = min(max(began - health.last_ok_at, timedelta(0)), gap)
        return noise.after_burst(failures, gap=gap, ended=self.observation.ended_at)

    def _confirm_after(self, failures: int) -> timedelta | None:
        """The wait before the look after so many failures in a row."""
        waits = confirming_waits(self.strategy, self.observation.evidence)
        if not waits:
            return None
        wait = waits[failures - 1] if failures <= len(waits) else 2 * waits[-1]
        return min(wait, self.strategy.interval)

    def _watch_after(self) -> timedelta:
        interval = self.strategy.interval
        return min(max(interval / _WATCH_SHARE, _WATCH_LEAST), interval)

    def _why_raised(self, climb: Climb) -> str:
        """What the noise has to do with the threshold, if anything."""
        if not climb.is_leaky or climb.k == RULES[0].failures:
            return ""
        noise, when = self.before.noise, self.observation.started_at
        return (
            f" (threshold raised to {climb.k}: {_percent(noise.rate_at(when))} of its looks fail without a "
            f"fault, and {_percent(noise.echoes_at(when)[0])} of the looks right after such a failure)"
        )


def _answering(slow: str) -> State:
    return State.DEGRADED if slow.count("s") >= _SLOW else State.UP


def _percent(share: float) -> str:
    return f"{100 * min(share, 0.99):.2g} %"


@hookimpl
def defib_detectors() -> Iterable[DetectorType]:
    """The detector."""
    return (
        DetectorType(
            kind="cusum",
            summary="a score that failures raise and good answers lower: finds intermittent faults, learns noise",
            create=_create,
        ),
    )


def _create() -> Detector:
    return Cusum()
