"""Correlated silence: when most senders fall silent together, the way to us is the suspect. Pure.

Eureka's self-preservation, for beats of different intervals: where less than 85 % of what is expected of all
senders came, nobody's silence is a proof before the canaries have spoken. As with probes (:mod:`.correlation`),
it decides nothing: it is the reason to look at the canaries.

Source: Netflix, Eureka wiki, "Peer to Peer Communication": renewal threshold 0.85.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

PRESERVE_BELOW = 0.85  #: share of the expected beats
MIN_LATE = 3  #: senders that are late together


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Somebody who beats in a rhythm, and whose silence was not declared a fault yet."""

    every_s: float  #: between two beats
    silent_s: float  #: since the newest one
    is_late: bool  #: a beat of it was missed


def find_correlated_silence(senders: Iterable[Sender]) -> str:
    """The reason why silence proves nothing now, in words; "" when there is none.

    Beats count that were expected within twice the longest interval of those who are late; whoever beats more
    seldom has not had his turn yet and says nothing. A beat that is missing in between was lost: only those count
    as missing that would have followed the newest.
    """
    known = [sender for sender in senders if sender.every_s > 0]
    late = [sender for sender in known if sender.is_late]
    if len(late) < MIN_LATE:
        return ""
    window = 2 * max(sender.every_s for sender in late)
    expected = missing = 0
    for sender in known:
        turns = math.floor(window / sender.every_s)
        expected += turns
        missing += min(turns, max(math.floor(sender.silent_s / sender.every_s), int(sender.is_late)))
    if expected - missing >= PRESERVE_BELOW * expected:
        return ""
    return (
        f"{len(late)} of {len(known)} senders are late together, and {expected - missing} of {expected} beats "
        f"expected within {window:g} s came"
    )
