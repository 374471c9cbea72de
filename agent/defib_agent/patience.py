"""How long to wait before the next try. Pure; ``jitter`` is uniform in [0, 1), drawn by the caller."""

_RECONNECT_FIRST_S, _RECONNECT_CAP_S = 1.0, 30.0
_SPREAD = 0.3


def next_try_s(failures: int, interval_s: float, jitter: float) -> float:
    """Seconds from a failed delivery to the next: tries at 0, 2 and 5 s, then ever more seldom.

    :param failures: in a row, from 1.
    :param interval_s: between two beats; with 5 s or less, tries come at 0, 1 and 2.5 s.
    :return: at most a minute, and not much more than an interval: a server that is back hears of us in time.
    """
    unit = 0.5 if interval_s <= 5 else 1.0
    if failures <= 2:
        return unit * (2.0, 3.0)[failures - 1]
    cap = min(60.0, max(interval_s, 5.0))
    return float(min(cap, unit * 5.0 * 2.0 ** min(failures - 3, 10))) * (1 - _SPREAD * jitter)


def reconnect_s(failures: int, jitter: float) -> float:
    """Seconds before a stream is opened again: 1, 2, 4 … 30, up to 30 % less so that agents do not come all at once.

    :param failures: in a row, from 1.

    Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    return float(min(_RECONNECT_CAP_S, _RECONNECT_FIRST_S * 2.0 ** min(failures - 1, 10))) * (
        1 - _SPREAD * jitter
    )
