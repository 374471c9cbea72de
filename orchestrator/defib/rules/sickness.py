"""How well the observer itself is: a local health score that stretches timeouts and freezes judgement.

What Defib measures while its own event loop is held up says nothing about the target. The score S in [0, 8)
is the local health multiplier of Lifeguard (A. Dadgar et al., "Lifeguard: Local Health Awareness for More
Accurate Failure Detection", 2018): it grows with each sign that this process runs late, and shrinks when it
runs well.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from defib.model.evidence import Evidence, Grade, Outcome
from defib.model.phrase import phrase

MAX_SCORE = 7
FREEZE_AT = 4  #: score from which no fault is declared and nothing is repaired
CLEAN_TICKS = 3  #: in a row, that end a freeze
LAG_HIGH_S = 0.250
LAG_LOW_S = 0.100
PROBE_LATE_S = 1.0
CPU_PRESSURE = 50.0  #: per cent of the last 10 s in which some task waited for a CPU
MEMORY_PRESSURE = 10.0  #: per cent of the last 10 s in which every task waited for memory
MAX_TIMEOUT_FACTOR = 3
_GAP, _LAG = "observer-gap", "observer-lag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What one tick of a second showed of the observer."""

    max_lag_s: float = 0.0  #: longest the event loop was held up
    probe_late_s: float = 0.0  #: most that a probe started after it was due
    is_canary_dead: bool = False
    """Our own server did not answer over loopback; the network's canaries do not count."""
    cpu_some_avg10: float = 0.0
    """Per cent, the kernel's pressure stall information; explains, proves nothing."""
    memory_full_avg10: float = 0.0  #: per cent, likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Sickness:
    """The observer's health. Not frozen implies a score below :data:`FREEZE_AT`."""

    score: int = 0
    frozen_since: float | None = None  #: monotonic seconds; None while judging as usual
    calm_ticks: int = 0  #: in a row without a symptom
    reasons: tuple[str, ...] = ()  #: of the newest tick that was not clean; empty once the score is 0

    @property
    def is_frozen(self) -> bool:
        """No new fault is declared and no recovery acts; suspects are looked at afresh when it ends."""
        return self.frozen_since is not None

    @property
    def timeout_factor(self) -> int:
        """What a probe's timeout is multiplied by: ``min(1 + score, 3)``."""
        return min(1 + self.score, MAX_TIMEOUT_FACTOR)

    def frozen_for(self, now: float) -> float:
        """Seconds that judgement has been frozen for, 0 when it is not.

        :param now: monotonic seconds.
        """
        return 0.0 if self.frozen_since is None else max(0.0, now - self.frozen_since)

    @property
    def reason(self) -> str:
        """The state in words, for people."""
        if not self.reasons:
            return "the observer is well"
        verdict = "judgement is frozen" if self.is_frozen else "timeouts are stretched"
        return f"the observer is sick (score {self.score}), {verdict}: {', '.join(self.reasons)}"


def fold(sickness: Sickness, vitals: Vitals, now: float) -> Sickness:
    """The observer's health after one more tick.

    1. Symptoms add up: 2 for lag above 250 ms or else 1 above 100 ms, 1 for a dead canary, 1 for a late probe.
       From a score of :data:`FREEZE_AT` on they freeze judgement.
    2. A tick without any takes 1 off.
    3. :data:`CLEAN_TICKS` ticks in a row without symptoms end a freeze, and the score falls below it.

    Pressure on the machine is no symptom, it only helps to explain one: that some task waits says nothing of this
    process, whose own waiting shows as lag. On a machine that is busy but leaves it alone, stretched timeouts would
    only find hangs late.

    :param now: monotonic seconds.
    """
    points, symptoms = _symptoms(vitals)
    score = min(MAX_SCORE, sickness.score + points) if points else max(0, sickness.score - 1)
    calm_ticks = 0 if points else sickness.calm_ticks + 1
    frozen_since = sickness.frozen_since
    if score >= FREEZE_AT and frozen_since is None:
        frozen_since = now
    elif frozen_since is not None and calm_ticks >= CLEAN_TICKS:
        frozen_since = None
    if frozen_since is None:
        score = min(score, FREEZE_AT - 1)
    if points:
        reasons = symptoms + _pressure(vitals)
    else:
        reasons = sickness.reasons if score or frozen_since is not None else ()
    return replace(sickness, score=score, frozen_since=frozen_since, calm_ticks=calm_ticks, reasons=reasons)


def _symptoms(vitals: Vitals) -> tuple[int, tuple[str, ...]]:
    points, reasons = 0, []
    if vitals.max_lag_s > LAG_LOW_S:
        points += 2 if vitals.max_lag_s > LAG_HIGH_S else 1
        reasons.append(f"event loop held up for {_ms(vitals.max_lag_s)}")
    if vitals.is_canary_dead:
        points += 1
        reasons.append("own server does not answer over loopback")
    if vitals.probe_late_s > PROBE_LATE_S:
        points += 1
        reasons.append(f"a probe started {vitals.probe_late_s:.1f} s late")
    return points, tuple(reasons)


def _pressure(vitals: Vitals) -> tuple[str, ...]:
    reasons = []
    if vitals.cpu_some_avg10 > CPU_PRESSURE:
        reasons.append(f"tasks waited for a CPU {vitals.cpu_some_avg10:.0f} % of the time")
    if vitals.memory_full_avg10 > MEMORY_PRESSURE:
        reasons.append(f"all tasks waited for memory {vitals.memory_full_avg10:.0f} % of the time")
    return tuple(reasons)


def is_valid(max_lag_s: float, timeout: timedelta, *, has_gap: bool = False) -> bool:
    """Whether a failure seen by a probe can be believed: its time was the target's, not ours.

    :param max_lag_s: longest that the event loop was held up during the probe.
    :param timeout: of the probe.
    :param has_gap: the process was suspended or stalled meanwhile.
    """
    return not has_gap and max_lag_s <= max(LAG_HIGH_S, timeout.total_seconds() / 10)


def weigh(evidence: Evidence, max_lag_s: float, timeout: timedelta, *, has_gap: bool = False) -> Evidence:
    """The evidence of a probe for what it is worth; parameters as of :func:`is_valid`.

    When it was measured in our own trouble, a failure is inconclusive, and so is what was well but degraded:
    it may have been slow only to us. A plain success is one whose latency is not known.
    """
    if is_valid(max_lag_s, timeout, has_gap=has_gap) or evidence.outcome is Outcome.INCONCLUSIVE:
        return evidence
    if evidence.is_ok and evidence.grade is not Grade.WEAK:
        return replace(evidence, latency=None)
    if has_gap:
        cause, trouble = _GAP, phrase("Defib itself stood still meanwhile")
    else:
        cause, trouble = _LAG, phrase("Defib's event loop was held up for {span}", span=_ms(max_lag_s))
    words = phrase("{trouble}; it looked like: {seen}", trouble=trouble, seen=evidence.summary)
    return Evidence.inconclusive(cause, words, facts=evidence.facts)


def is_void(evidence: Evidence) -> bool:
    """Whether :func:`weigh` took what it said away: the target deserves another look."""
    return evidence.cause in (_GAP, _LAG)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"
