"""What people are told of the observer itself: once that it is sick, and once that it is well again.

Short troubles close together are one: people hear of it when they add up, not of each.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

MOST_PER_TICK_S = 3.0  #: what one tick adds at most: a process that was stopped has not been ill meanwhile


class Ailment(StrEnum):
    """What the observer can suffer from."""

    SICK = "sick"  #: held up, or deaf: nothing that it measures can be trusted
    CUT_OFF = "cut-off"  #: it works, but its network does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long until people are told. Seconds."""

    sick_s: float = 30.0  #: of frozen judgement or a blocked loop
    cut_off_s: float = 10.0  #: of a lost network: the message has to wait for it anyway
    well_s: float = 60.0  #: without trouble, that end it
    at_most_every_s: float = 900.0  #: between two alerts that the observer is sick, whatever happens

    def of(self, ailment: Ailment) -> float:
        return self.sick_s if ailment is Ailment.SICK else self.cut_off_s


PATIENCE = Patience()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong with the observer now, for people."""

    ailment: Ailment
    reason: str
    effect: str  #: what Defib does and does not do while it lasts
    since: datetime


class Word(StrEnum):
    """What people are to hear."""

    SICK = "sick"
    WELL = "well"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """An episode of trouble, and what people know of it. Times are monotonic seconds."""

    ill_s: float = 0.0  #: trouble in this episode, added up
    well_s: float | None = None  #: seen without trouble since its newest; None while in trouble
    began: Trouble | None = None  #: the episode's first
    is_told: bool = False  #: people know, and are owed the all-clear
    told_at: float = float("-inf")  #: when they were last told that it is sick
    noted_at: float | None = None


def fold(
    telling: Telling, trouble: Trouble | None, now: float, patience: Patience = PATIENCE
) -> tuple[Telling, Word | None]:
    """Take one tick with or without trouble.

    1. Trouble adds up within an episode, which ``patience.well_s`` without trouble end.
    2. People are told when it comes to ``patience.of(ailment)``, but not sooner than
       ``patience.at_most_every_s`` after they were last told: trouble that still lasts then is told then.
    3. The end of an episode that they were told of is told as well.

    :param now: monotonic seconds; ticks may come from several threads, one at a time.
    """
    passed = 0.0 if telling.noted_at is None else min(max(0.0, now - telling.noted_at), MOST_PER_TICK_S)
    telling = replace(telling, noted_at=now)
    if trouble is None:
        if telling.began is None and not telling.is_told:
            return telling, None
        well_s = 0.0 if telling.well_s is None else telling.well_s + passed
        if well_s < patience.well_s:
            return replace(telling, well_s=well_s), None
        return Telling(told_at=telling.told_at, noted_at=now), Word.WELL if telling.is_told else None
    telling = replace(telling, ill_s=telling.ill_s + passed, well_s=None, began=telling.began or trouble)
    is_owed = telling.ill_s >= patience.of(trouble.ailment)
    is_due = is_owed and now - telling.told_at >= patience.at_most_every_s
    if telling.is_told or not is_due:
        return telling, None
    return replace(telling, is_told=True, told_at=now), Word.SICK
