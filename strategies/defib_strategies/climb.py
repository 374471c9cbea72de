"""How far a monitor is on its way to a fault: a score that failures raise and good answers lower.

Two rules:

*   *leaky*, a cumulative sum test (Bernoulli CUSUM) in whole numbers: a failure adds a weight, 3 on a quiet
    line, a good answer takes 1 away, and ``k`` times the weight is a fault. A hard fault takes ``k`` failures
    as ever, but one that fails every other look is found too. Moustakides, Polunchenko and Tartakovsky,
    arXiv 0908.4119; :mod:`.run_lengths` has the rates of false alarms.
*   *strict*: ``k`` failures in a row are a fault, and one good answer takes all of them back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from defib.plugin import Fact
from defib_strategies.run_lengths import RULES, Rule

_SHOWN = 20  # looks that are remembered; a row of failures is never longer before it is a fault

Pattern = Literal["hard", "intermittent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """One way up; replaced as a whole."""

    k: int  #: failures in a row that make a fault, from 1
    weight: int  #: of a failure, in good answers; 0: the strict rule
    score: int = 0  #: below ``limit + weight``
    looks: str = ""  #: since the leaky score left 0, at most the last 20: ``F`` failed, ``o`` was good

    @classmethod
    def leaky(cls, rule: Rule) -> "Climb":
        """At 0, under the leaky rule."""
        return cls(k=rule.failures, weight=rule.weight)

    @classmethod
    def remembered_leaky(cls, memory: Mapping[str, Fact]) -> "Climb | None":
        """What is remembered of a climb under the leaky rule, which keeps its numbers to its end, if there is one."""
        kept, weight, score = (_whole(memory.get(name)) for name in ("k", "weight", "score"))
        looks = memory.get("looks")
        is_rule = Rule(failures=kept, weight=weight) in RULES
        if not is_rule or not 0 < score < kept * weight + weight:
            return None
        if not isinstance(looks, str) or not set(looks) <= set("Fo"):
            return None
        return cls(k=kept, weight=weight, score=score, looks=looks[-_SHOWN:])

    @classmethod
    def strict(cls, memory: Mapping[str, Fact], k: int) -> "Climb":
        """What is remembered of a climb under the strict rule; else at 0. The threshold is always ``k``."""
        return cls(k=k, weight=0, score=min(_whole(memory.get("row")), k))

    def remembered(self) -> dict[str, Fact]:
        """As it is kept; nothing at all at 0."""
        if not self.score:
            return {}
        if not self.is_leaky:
            return {"row": self.score}
        return {"score": self.score, "k": self.k, "weight": self.weight, "looks": self.looks}

    @property
    def is_leaky(self) -> bool:
        return self.weight > 0

    @property
    def limit(self) -> int:
        """The score that is a fault."""
        return self.k * self.weight if self.is_leaky else self.k

    @property
    def is_over(self) -> bool:
        """It is a fault."""
        return self.score >= self.limit

    @property
    def failures_in_a_row(self) -> int:
        """Up to now."""
        return len(self.looks) - len(self.looks.rstrip("F")) if self.is_leaky else self.score

    @property
    def pattern(self) -> Pattern:
        """``hard`` when the last ``k`` looks all failed."""
        return "hard" if self.failures_in_a_row >= self.k else "intermittent"

    @property
    def share(self) -> tuple[int, int]:
        """How many looks failed, of how many; none of a strict climb, which is only of failures in a row."""
        return self.looks.count("F"), len(self.looks)

    def failed(self) -> "Climb":
        """After a failure. A climb that is over stays as it is."""
        if self.is_over:
            return self
        if not self.is_leaky:
            return replace(self, score=self.score + 1)
        return replace(self, score=self.score + self.weight, looks=(self.looks + "F")[-_SHOWN:])

    def passed(self) -> "Climb":
        """After a good answer."""
        score = min(self.score, self.limit) - 1 if self.is_leaky else 0
        if score <= 0:
            return replace(self, score=0, looks="")
        return replace(self, score=score, looks=(self.looks + "o")[-_SHOWN:])

    def words(self) -> str:
        """How it came here, for people: ``score 8 of 9: 3 of the last 4 looks failed``."""
        row = self.failures_in_a_row
        if not self.is_leaky:
            return f"{row} of {self.k} failure{'' if self.k == 1 else 's'} in a row"
        failed, of = self.looks.count("F"), len(self.looks)
        if failed == of:
            how = "1 failure" if row == 1 else f"{row} failures in a row"
        else:
            how = f"{failed} of the last {of} looks failed"
        return f"score {self.score} of {self.limit}: {how}"


def _whole(value: Fact) -> int:
    return value if type(value) is int and value > 0 else 0
