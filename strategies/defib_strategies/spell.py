"""When a target that failed now and then may be called well again.

Two good answers in a row end a hard fault. Of a target that fails every second look they say nothing: a
quarter of all pairs is good. So the good answers that are asked for grow with the share of them that the fault
has let through; and a fault soon after another one goes on where that one ended.
"""

import math
from dataclasses import dataclass

LUCK = 1e-3
"""How likely the good answers that end such a fault may be while it goes on."""

_MOST = 30  # good answers that are asked for, however seldom it fails
_WINDOW = 40  # looks that are remembered
RELAPSE = 10
"""Looks after a fault within which another one goes on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """How much a target failed lately. Without a good look among its looks, it is a hard fault."""

    failed: int = 0
    looks: int = 0

    def then(self, failed: int, looks: int) -> "Spell":
        """After so many more looks, of which so many failed."""
        failed, looks = self.failed + failed, self.looks + looks
        if looks > _WINDOW:
            failed, looks = max(1, round(failed * _WINDOW / looks)), _WINDOW
        return Spell(failed=failed, looks=looks)

    @property
    def is_mixed(self) -> bool:
        return self.failed < self.looks

    @property
    def share(self) -> float:
        """That failed, with one good look more than were seen: nobody chose the moment of the good ones."""
        return self.failed / (self.looks + 1)

    def good_looks_needed(self, least: int) -> int:
        """Good looks ``n`` in a row that end the fault: ``(1 - share)^n ≤ LUCK``, from ``least`` to 30."""
        if not self.is_mixed:
            return least
        return max(least, min(math.ceil(math.log(LUCK) / math.log1p(-self.share)), _MOST))


NO_FAULT = Spell()
