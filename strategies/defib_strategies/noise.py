"""How much of a target's failing is noise: learned per monitor, to raise the fault threshold where it must be.

Two sorts of figures are learned from bursts, which are failures in a row that ended in a good answer before
they made a fault:

1. *rate*, the share of looks that fail although nothing is wrong: a moving average over time with a
   half-life of 24 h, to which a burst adds the weight of the look that began it. While less than that has
   been watched, it is an average over what has: a new monitor on a bad line must not need a day to find out;
2. *echoes*, how often the look right after the first, the second and a later failure of a burst fails too.
   Looks a second apart err together more often than looks that are further apart, and the confirming looks
   of a burst are not equally far apart, so that each place in a burst has an echo of its own.

A good look would only let these averages decay, which they do by themselves: they are kept as of the end of
the latest burst and decayed when they are read. So nothing has to be written for a good look.

Source: the detection design, sections 2.2 and 2.3; where this differs, decision 0008 has the measurements.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from defib.plugin import Fact
from defib_strategies.run_lengths import RULES, Rule, quickest

FALSE_ALARMS_PER_YEAR = 0.5
"""What the rule aims at, for one monitor: half of what is promised, as the figures it is chosen by are estimates."""

PLACES = 3  #: of a burst that are told apart: after the first failure, after the second, after a later one

_RATE_HALF_LIFE = timedelta(hours=24)
_ECHO_HALF_LIFE = timedelta(days=7)  # bursts are rare: a day of them tells too little
_FLOOR = 1e-4  # no target is taken for quieter than one failure in 10 000 looks …
_FLOOR_WORTH = timedelta(hours=1)
"""For a new monitor that counts like so much time without a failure, and the less the more bursts were seen: one
may be chance on a good line, a second one within hours is hardly.
"""
_ECHO_PRIOR, _ECHO_WORTH = 0.01, 20.0  # of the first echo: 1 %, worth twenty looks
_NEXT_ECHO = 0.5  # prior of each further echo: half of the one before it
_ALMOST_ALL = 0.99
_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Looks right after a failure, fading: how many of them failed and passed."""

    failed: float = 0.0
    passed: float = 0.0

    def share(self, fade: float, prior: float) -> float:
        """Share that failed, with the counts faded and the prior added."""
        failed, passed = self.failed * fade, self.passed * fade
        return (failed + prior * _ECHO_WORTH) / (failed + passed + _ECHO_WORTH)

    def after(self, failed: int, passed: int, fade: float) -> "Echo":
        """With so many more, and what was counted before faded."""
        return Echo(failed=self.failed * fade + failed, passed=self.passed * fade + passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What was learned, as of one instant; reading it takes the instant that it is wanted for."""

    rate: float = 0.0
    echoes: tuple[Echo, ...] = (Echo(),) * PLACES
    at_s: float = 0.0  #: Unix time in seconds
    from_s: float = 0.0  #: since when there was something to learn; 0: for longer than matters

    @classmethod
    def of(cls, memory: Mapping[str, Fact]) -> "Noise":
        """What is remembered; a figure that is missing or impossible is taken for nothing learned."""
        echoes = (
            Echo(
                failed=figure(memory.get(f"echo_{place}_failed")),
                passed=figure(memory.get(f"echo_{place}_passed")),
            )
            for place in range(1, PLACES + 1)
        )
        return cls(
            rate=min(figure(memory.get("noise")), 1.0),
            echoes=tuple(echoes),
            at_s=figure(memory.get("noise_at")),
            from_s=figure(memory.get("noise_from")),
        )

    def remembered(self) -> dict[str, Fact]:
        """As it is kept; nothing at all until the first failure."""
        figures = {"noise": self.rate, "noise_at": self.at_s, "noise_from": self.from_s}
        for place, echo in enumerate(self.echoes, 1):
            figures |= {f"echo_{place}_failed": echo.failed, f"echo_{place}_passed": echo.passed}
        return {name: round(figure, 9) for name, figure in figures.items() if figure}

    def rate_at(self, when: datetime) -> float:
        """Share of looks that fail without a fault; at least 0.01 %."""
        watched = 1 - _faded(when.timestamp() - self.from_s, _RATE_HALF_LIFE)
        bursts = max(1.0, self.echoes[0].failed + self.echoes[0].passed)
        assumed = (1 - watched) * (1 - _faded(_FLOOR_WORTH.total_seconds(), _RATE_HALF_LIFE)) / bursts
        seen = self.rate * self._fade(when, _RATE_HALF_LIFE)
        return min(max((seen + _FLOOR * assumed) / (watched + assumed), _FLOOR), _ALMOST_ALL)

    def echoes_at(self, when: datetime) -> tuple[float, ...]:
        """Share of the looks that fail too, right after the first such failure, the second, and a later one."""
        fade = self._fade(when, _ECHO_HALF_LIFE)
        shares: list[float] = []
        for echo in self.echoes:
            prior = _NEXT_ECHO * shares[-1] if shares else _ECHO_PRIOR
            shares.append(min(echo.share(fade, prior), _ALMOST_ALL))
        return tuple(shares)

    def rule_at(self, when: datetime, interval: timedelta) -> Rule:
        """How many failures make a fault, and how much a good look counts."""
        if not self.at_s:
            return RULES[0]
        return quickest(self.rate_at(when), self.echoes_at(when), _YEAR / interval, FALSE_ALARMS_PER_YEAR)

    def since(self, began: datetime) -> "Noise":
        """With the instant since when the target has been well, unless it is known already."""
        return self if self.from_s or self.at_s else replace(self, from_s=began.timestamp())

    def after_burst(self, failures: int, *, gap: timedelta, ended: datetime) -> "Noise":
        """With one more burst.

        :param failures: in a row, from 1, before the good answer at ``ended``.
        :param gap: from the look before to the one that began the burst. Each look weighs as much as the
            time it stands for, so that the closer looks of a monitor under suspicion do not count more.
        """
        fade = self._fade(ended, _ECHO_HALF_LIFE)
        echoes = []
        for place, echo in enumerate(self.echoes, 1):
            is_last = place == PLACES
            failed = max(failures - place, 0) if is_last else int(failures > place)
            passed = int(failures >= place if is_last else failures == place)
            echoes.append(echo.after(failed, passed, fade))
        weight = 1 - _faded(gap.total_seconds(), _RATE_HALF_LIFE)
        rate = self.rate * self._fade(ended, _RATE_HALF_LIFE) + weight
        return replace(
            self, rate=min(rate, 1.0), echoes=tuple(echoes), at_s=max(ended.timestamp(), self.at_s)
        )

    def without(self, span: timedelta) -> "Noise":
        """Unfaded by a span that taught nothing, such as a fault that is over now."""
        shift_s = max(span.total_seconds(), 0.0)
        return replace(
            self,
            at_s=self.at_s + shift_s if self.at_s else 0.0,
            from_s=self.from_s + shift_s if self.from_s else 0.0,
        )

    def _fade(self, when: datetime, half_life: timedelta) -> float:
        return _faded(when.timestamp() - self.at_s, half_life)


def _faded(elapsed_s: float, half_life: timedelta) -> float:
    """What is left of 1; a clock that was set back fades nothing."""
    return math.exp2(-max(elapsed_s, 0.0) / half_life.total_seconds())


def figure(value: Fact) -> float:
    """A remembered number above 0; 0 when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 < value < math.inf else 0.0
