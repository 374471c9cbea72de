"""Waiting longer after each failure."""

from datetime import timedelta


def next_delay(failures: int, *, base: timedelta, cap: timedelta, factor: float = 2.0) -> timedelta:
    """Delay before the next try: ``min(cap, base * factor ** failures)``.

    :param failures: so far, from 0.
    :raises ValueError: if ``failures`` is negative.
    """
    if failures < 0:
        raise ValueError("failures cannot be negative")
    seconds = base.total_seconds() * factor ** min(failures, 64)
    return min(cap, timedelta(seconds=min(seconds, cap.total_seconds())))
