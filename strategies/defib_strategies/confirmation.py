"""How soon a failure is looked at again."""

from datetime import timedelta
from itertools import zip_longest

from defib.plugin import Evidence, Grade, Strategy

_AUTHORITATIVE = (timedelta(seconds=0.2), timedelta(seconds=0.4))
"""A process that is gone needs no time to think it over: with a tripwire, a crash is a fault after 0.65 s.

The detection design, section 2.5.
"""


def confirming_waits(strategy: Strategy, evidence: Evidence) -> tuple[timedelta, ...]:
    """The waits before the 2nd, 3rd, … look after the failure ``evidence``; none without ``strategy.confirm``.

    Authoritative evidence shortens them; what the user has set shorter still, stays.
    """
    if not strategy.confirm or evidence.grade is not Grade.AUTHORITATIVE:
        return strategy.confirm
    pairs = zip_longest(_AUTHORITATIVE, strategy.confirm[: len(_AUTHORITATIVE)], fillvalue=timedelta.max)
    return tuple(min(pair) for pair in pairs)
