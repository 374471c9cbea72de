"""What a simulated target does with a probe, and what is then the truth about it."""

import math
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Reply(StrEnum):
    """What a probe meets."""

    OK = "answers"
    REFUSED = "refuses"  #: nobody listens
    SILENT = "hangs"  #: accepts, and never answers
    WRONG = "answers HTTP 500"
    STOPPED = "is stopped, as its supervisor says"
    UNASKED = "is not reached: the observer can open no socket"
    UNROUTED = "is not reached: the observer has no route"


class Truth(StrEnum):
    """What a perfect observer would say."""

    WELL = "well"
    FAULT = "fault"
    BLIP = "blip"  #: really out of order, too short to act on
    INTENT = "intent"  #: stopped on purpose, and started again
    INNOCENT = "innocent"  #: fails because of something that it requires

    @property
    def is_out(self) -> bool:
        return self is not Truth.WELL


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Probes that get lost on the way, whatever the target does.

    With ``again``, losses come in bursts: a Gilbert–Elliott channel in continuous time, whose bad state loses
    everything.
    """

    share: float  #: of all probes
    again: float | None = None  #: of the probes sent 1 s after a lost one; None: as many as of all
    is_reset: bool = False  #: a lost one is reset at once; else its answer never comes

    def chance(self, was_lost: bool, gap_s: float) -> float:
        """That a probe is lost, ``gap_s`` after one that was or was not."""
        if self.again is None:
            return self.share
        memory = ((self.again - self.share) / (1 - self.share)) ** gap_s if gap_s else 1.0
        return self.share + (1 - self.share) * memory if was_lost else self.share * (1 - memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What a target does from some instant on."""

    reply: Reply
    truth: Truth
    share: float = 1.0  #: of the probes that meet ``reply``; the others are answered well
    slowness: float = 0.0  #: share of the probe's timeout that an answer takes


WELL = Mode(reply=Reply.OK, truth=Truth.WELL)
DOWN = Mode(reply=Reply.REFUSED, truth=Truth.FAULT)
HUNG = Mode(reply=Reply.SILENT, truth=Truth.FAULT)
WRONG = Mode(reply=Reply.WRONG, truth=Truth.FAULT)
SLOW = Mode(reply=Reply.OK, truth=Truth.WELL, slowness=0.6)
PAUSED = Mode(reply=Reply.SILENT, truth=Truth.BLIP)
DEPLOYING = Mode(reply=Reply.REFUSED, truth=Truth.INTENT)
STOPPED = Mode(reply=Reply.STOPPED, truth=Truth.INTENT)
BOOTING = Mode(reply=Reply.REFUSED, truth=Truth.FAULT)
LEFT_ALONE = Mode(reply=Reply.WRONG, truth=Truth.INNOCENT)  # its database does not answer
CUT_OFF = Mode(reply=Reply.SILENT, truth=Truth.INNOCENT)  # its host is gone


def failing(share: float) -> Mode:
    """It fails a share of the probes with HTTP 500."""
    return Mode(reply=Reply.WRONG, truth=Truth.FAULT, share=share)


def draw_latency_s(random: Random) -> float:
    """Of an ordinary answer: 20 ms, give or take."""
    return 0.02 * math.exp(random.gauss(0.0, 0.4))
