"""How far a monitor is on its way to a fault: a score that failures raise and good answers lower.

Two rules:

*   *leaky*, a cumulative sum test (Bernoulli CUSUM) in whole numbers: a failure adds ``k``, a good answer
    takes 1 away, and ``k²`` is a fault. A hard fault takes ``k`` failures as ever, but one that fails every
    other look is found too. Moustakides, Polunchenko and Tartakovsky, arXiv 0908.4119; the detection design,
    section 2.3, has the run lengths.
*   *strict*: ``k`` failures in a row are a fault, and one good answer takes all of them back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from defib.plugin import Fact
from defib_strategies.noise import LEAST, MOST

_SHOWN = 20  # looks that are remembered; a row of failures is never longer before it is a fault

Pattern = Literal["hard", "intermittent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """One way up; replaced as a whole."""

    k: int  #: failures in a row that make a fault, from 1
    is_leaky: bool
    score: int = 0  #: below ``limit + k``
    looks: str = ""  #: since the leaky score left 0, at most the last 20: ``F`` failed, ``o`` was good

    @classmethod
    def leaky(cls, memory: Mapping[str, Fact], k: int) -> "Climb":
        """What is remembered of a climb under the leaky rule, which keeps its ``k`` to its end; else at 0."""
        kept, score, looks = _whole(memory.get("k")), _whole(memory.get("score")), memory.get("looks")
        is_climb = LEAST <= kept <= MOST and 0 < score < kept * kept + kept
        if is_climb and isinstance(looks, str) and set(looks) <= set("Fo"):
            return cls(k=kept, is_leaky=True, score=score, looks=looks[-_SHOWN:])
        return cls(k=k, is_leaky=True)

    @classmethod
    def strict(cls, memory: Mapping[str, Fact], k: int) -> "Climb":
        """What is remembered of a climb under the strict rule; else at 0. The threshold is always ``k``."""
        return cls(k=k, is_leaky=False, score=min(_whole(memory.get("row")), k))

    def remembered(self) -> dict[str, Fact]:
        """As it is kept; nothing at all at 0."""
        if not self.score:
            return {}
        if not self.is_leaky:
            return {"row": self.score}
        return {"score": self.score, "k": self.k, "looks": self.looks}

    @property
    def limit(self) -> int:
        """The score that is a fault."""
        return self.k * self.k if self.is_leaky else self.k

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

    def failed(self) -> "Climb":
        """After a failure. A climb that is over stays as it is."""
        if self.is_over:
            return self
        if not self.is_leaky:
            return replace(self, score=self.score + 1)
        return replace(self, score=self.score + self.k, looks=(self.looks + "F")[-_SHOWN:])

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
