"""What breaks, and when. Pure: the same seed tells the same story."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count


class Trouble(StrEnum):
    """The ways in which an agent breaks; also the words that it is told."""

    CRASH = "crash"
    HANG = "hang"
    ERRORS = "errors"
    SLOW = "slow"

    @property
    def sentence(self) -> str:
        """What an agent does, for people."""
        return _SENTENCES[self]


_SENTENCES = {
    Trouble.CRASH: "crash",
    Trouble.HANG: "hang: it takes connections and never answers",
    Trouble.ERRORS: "answer every request with HTTP 500",
    Trouble.SLOW: "be slow for a while: worth a word, not a restart",
}

NOTICE_S = 10.0  #: between the announcement of a breakage and the breakage
LIVELY = 6  #: breakages that follow each other quickly; afterwards it calms down


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """One thing that goes wrong."""

    agent: str
    trouble: Trouble
    pause_s: float  #: since the breakage before, until this one is announced


def story(agents: Sequence[str], opening: str, seed: int) -> Iterator[Breakage]:
    """Breakages without end: the first one is always the crash of ``opening``.

    No agent breaks twice in a row, so that each has time to be healed.
    """
    dice = random.Random(seed)  # noqa: S311 - a story, not a secret
    troubles = list(Trouble)
    yield Breakage(agent=opening, trouble=Trouble.CRASH, pause_s=0.0)
    last = opening
    for number in count(1):
        last = dice.choice([agent for agent in agents if agent != last])
        pause = dice.uniform(8.0, 12.0) if number < LIVELY else dice.uniform(30.0, 90.0)
        yield Breakage(agent=last, trouble=troubles[number % len(troubles)], pause_s=pause)
