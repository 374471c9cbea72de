"""When each monitor's turn comes."""

import hashlib
import math

#: Second 0 to 2 of a minute belong to everybody's cron jobs; longer intervals keep out of them.
_BUSY_SECONDS = 2.0
_KEEP_OUT_FROM = 15.0


def phase(monitor: str, interval: float) -> float:
    """Offset of a monitor's probes within its interval, in [0, interval): stable over restarts.

    :param interval: seconds, positive.

    The hash spreads monitors evenly, as Prometheus does for its scrape targets.
    """
    digest = hashlib.blake2b(monitor.encode(), digest_size=8).digest()
    offset = int.from_bytes(digest, "big") / 2**64 * interval
    if interval >= _KEEP_OUT_FROM and offset % 60 < _BUSY_SECONDS:
        offset += _BUSY_SECONDS
    return offset


def next_turn(now: float, offset: float, interval: float) -> float:
    """The first instant after ``now`` at ``offset`` plus a whole number of intervals.

    Missed turns are not made up for: they coalesce into the next one.
    """
    return offset + interval * (math.floor((now - offset) / interval) + 1)
