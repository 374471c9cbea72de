"""How much of a target's failing is noise: learned per monitor, to raise the fault threshold where it must be.

Two figures are learned from bursts, which are failures in a row that ended in a good answer before they made
a fault:

1. *rate*, the share of looks that fail although nothing is wrong: a moving average over time with a
   half-life of 24 h, to which a burst adds the weight of the look that began it;
2. *echo*, how often the look right after such a failure fails too. Looks a second apart err together more
   often than looks half a minute apart, so each spacing of the confirming looks has an echo of its own.

A good look would only let these averages decay, which they do by themselves: they are kept as of the end of
the latest burst and decayed when they are read. So nothing has to be written for a good look.

Source of the formulas: the detection design, sections 2.2 and 2.3.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.plugin import Fact

LEAST, MOST = 3, 6
"""Failures that make a fault: never fewer, however quiet the target is, and never more, however noisy."""

FALSE_ALARMS_PER_YEAR = 1.0
"""What the threshold aims at, for one monitor."""

_RATE_HALF_LIFE = timedelta(hours=24)
_ECHO_HALF_LIFE = timedelta(days=7)  # bursts are rare: a day of them tells too little
_FLOOR = 1e-4  # no target is taken for quieter than one failure in 10 000 looks
_PRIOR_FAILED, _PRIOR_PASSED = 0.5, 49.5  # Beta prior of an echo: 1 %, worth fifty looks
_TOO_MUCH_ECHO = 0.2
_ALMOST_ALL = 0.99
_YEAR = timedelta(days=365)

STRETCHES = (1, 2, 5)
"""Factors of the waits between confirming looks: ``(1, 2)``, ``(2, 4)`` and ``(5, 10)`` seconds."""


def threshold(rate: float, echo: float, interval: timedelta, *, least: int = LEAST, most: int = MOST) -> int:
    """Failures ``k`` that make a fault: ``1 + ceil(ln(N rate / FA) / ln(1 / max(rate, echo)))``, clamped.

    :param rate: share of looks that fail without a fault, above 0.
    :param echo: share of the looks right after such a failure that fail too, above 0.
    :param interval: between looks; ``N`` is how many of them a year has, ``FA`` is 1 false alarm a year.
    """
    alarms = rate * (_YEAR / interval) / FALSE_ALARMS_PER_YEAR
    again = min(max(rate, echo), _ALMOST_ALL)
    return min(max(1 + math.ceil(math.log(alarms) / -math.log(again)), least), most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Looks right after a failure, fading: how many of them failed and passed."""

    failed: float = 0.0
    passed: float = 0.0

    def share(self, fade: float) -> float:
        """Share that failed, with the counts faded and the prior added."""
        failed, passed = self.failed * fade + _PRIOR_FAILED, self.passed * fade + _PRIOR_PASSED
        return failed / (failed + passed)

    def after_burst(self, failures: int, fade: float) -> "Echo":
        """With a burst's looks: all but its first failure were looks after a failure, and so was its end."""
        return Echo(failed=self.failed * fade + failures - 1, passed=self.passed * fade + 1)


_SILENT = (Echo(),) * len(STRETCHES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What was learned, as of one instant; reading it takes the instant that it is wanted for."""

    rate: float = 0.0
    echoes: tuple[Echo, ...] = _SILENT  #: one for each of :data:`STRETCHES`
    at_s: float = 0.0  #: Unix time in seconds

    @classmethod
    def of(cls, memory: Mapping[str, Fact]) -> "Noise":
        """What is remembered; a figure that is missing or impossible is taken for nothing learned."""
        echoes = (
            Echo(
                failed=_figure(memory.get(f"echo_{stretch}_failed")),
                passed=_figure(memory.get(f"echo_{stretch}_passed")),
            )
            for stretch in STRETCHES
        )
        return cls(
            rate=min(_figure(memory.get("noise")), 1.0),
            echoes=tuple(echoes),
            at_s=_figure(memory.get("noise_at")),
        )

    def remembered(self) -> dict[str, Fact]:
        """As it is kept; nothing at all until the first burst."""
        figures = {"noise": self.rate, "noise_at": self.at_s}
        for stretch, echo in zip(STRETCHES, self.echoes, strict=True):
            figures |= {f"echo_{stretch}_failed": echo.failed, f"echo_{stretch}_passed": echo.passed}
        return {name: round(figure, 9) for name, figure in figures.items() if figure}

    def rate_at(self, when: datetime) -> float:
        """Share of looks that fail without a fault; at least 0.01 %."""
        return max(self.rate * self._fade(when, _RATE_HALF_LIFE), _FLOOR)

    def echo_at(self, when: datetime) -> float:
        """Share of looks right after such a failure that fail too, at the spacing that is in use."""
        return self._echo(when, self.stretch_at(when))

    def stretch_at(self, when: datetime) -> int:
        """The spacing in use: the smallest of :data:`STRETCHES` without too much echo, else the widest.

        What is known of a spacing that is not in use fades to the prior, so that it is tried again
        after days or weeks.
        """
        tolerable = (stretch for stretch in STRETCHES if self._echo(when, stretch) <= _TOO_MUCH_ECHO)
        return next(tolerable, STRETCHES[-1])

    def threshold_at(self, when: datetime, interval: timedelta) -> int:
        """Failures that make a fault."""
        return threshold(self.rate_at(when), self.echo_at(when), interval)

    def after_burst(self, failures: int, *, gap: timedelta, began: datetime, ended: datetime) -> "Noise":
        """With one more burst.

        :param failures: in a row, from 1, before the good answer at ``ended``.
        :param gap: from the look before to the one that began the burst. Each look weighs as much as the
            time it stands for, so that the closer looks of a monitor under suspicion do not count more.
        :param began: when the burst did; what was known then chose the spacing of its looks.
        """
        used = self.stretch_at(began)
        fade = self._fade(ended, _ECHO_HALF_LIFE)
        echoes = (
            echo.after_burst(failures, fade)
            if stretch == used
            else Echo(failed=echo.failed * fade, passed=echo.passed * fade)
            for stretch, echo in zip(STRETCHES, self.echoes, strict=True)
        )
        weight = 1 - _faded(gap.total_seconds(), _RATE_HALF_LIFE)
        rate = self.rate * self._fade(ended, _RATE_HALF_LIFE) + weight
        return Noise(rate=min(rate, 1.0), echoes=tuple(echoes), at_s=max(ended.timestamp(), self.at_s))

    def without(self, span: timedelta) -> "Noise":
        """Unfaded by a span that taught nothing, such as a fault that is over now."""
        if not self.at_s:
            return self
        shift_s = max(span.total_seconds(), 0.0)
        return Noise(rate=self.rate, echoes=self.echoes, at_s=self.at_s + shift_s)

    def _echo(self, when: datetime, stretch: int) -> float:
        return self.echoes[STRETCHES.index(stretch)].share(self._fade(when, _ECHO_HALF_LIFE))

    def _fade(self, when: datetime, half_life: timedelta) -> float:
        return _faded(when.timestamp() - self.at_s, half_life)


def _faded(elapsed_s: float, half_life: timedelta) -> float:
    """What is left of 1; a clock that was set back fades nothing."""
    return math.exp2(-max(elapsed_s, 0.0) / half_life.total_seconds())


def _figure(value: Fact) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 < value < math.inf else 0.0
