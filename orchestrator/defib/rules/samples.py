"""The looks of one monitor and hour in about two bytes each.

After a version byte comes, deflated, one column after another: times as their deviation from a steady interval, in
tenths of a second; what was seen as runs of equal codes, of which 0 is "all is well"; latencies on a logarithmic
scale of 16 bits, the low bytes before the high ones, since those hardly differ::

    interval, n, [zigzag(tick - tick before - interval)] * n
    number of codes, [status, length of cause + 1 or 0 for none, cause] …
    [code, length of run] …
    [low byte] * n, [high byte] * n

All numbers are varints; the first tick counts from the beginning of the hour. A time is exact to 50 ms (100 ms at the
end of the hour) and a latency to 0.017 %, from 1 µs to 71 minutes; everything else is kept as it was.
"""

import zlib
from collections.abc import Sequence
from itertools import groupby, pairwise
from math import exp2, log2
from operator import attrgetter

from defib.model.evidence import ProbeStatus
from defib.model.history import Sample
from defib.rules.varint import put, take, unzigzag, zigzag

HOUR_US = 3_600_000_000
TICK_US = 100_000  #: to which times are rounded
STEPS = 2048  #: of a latency while it doubles

_VERSION = 1
_STATUSES = tuple(map(str, ProbeStatus))  # a new one may only be added at the end
_NO_LATENCY = 0
_MOST = 0xFFFF
_WELL = (str(ProbeStatus.HEALTHY), None)


def encode(samples: Sequence[Sample], hour: int) -> bytes:
    """The looks of one hour, in any order.

    :param hour: hours since 1970.
    """
    ordered = sorted(samples, key=attrgetter("at_us"))
    start = hour * HOUR_US
    last = HOUR_US // TICK_US - 1  # what is rounded stays in its hour
    ticks = [min((sample.at_us - start + TICK_US // 2) // TICK_US, last) for sample in ordered]
    steps = [after - before for before, after in pairwise(ticks)]
    interval = max(0, sorted(steps)[len(steps) // 2]) if steps else 0
    body = bytearray()
    put(body, interval)
    put(body, len(ordered))
    for step in (*ticks[:1], *(step - interval for step in steps)):
        put(body, zigzag(step))
    codes: dict[tuple[str, str | None], int] = {_WELL: 0}
    seen = [codes.setdefault((sample.status, sample.cause), len(codes)) for sample in ordered]
    put(body, len(codes) - 1)
    for status, cause in list(codes)[1:]:
        text = (cause or "").encode()
        put(body, _STATUSES.index(status))
        put(body, 0 if cause is None else len(text) + 1)
        body += text
    for code, run in groupby(seen):
        put(body, code)
        put(body, sum(1 for _ in run))
    scaled = [_scaled(sample.latency_us) for sample in ordered]
    body += bytes(value & 0xFF for value in scaled)
    body += bytes(value >> 8 for value in scaled)
    return bytes((_VERSION,)) + zlib.compress(body, 9, -15)


def decode(blob: bytes, hour: int) -> list[Sample]:
    """What :func:`encode` was given, oldest first.

    :raises ValueError: it is no such blob, or of a later version.
    """
    if blob[:1] != bytes((_VERSION,)):
        raise ValueError(f"looks of an hour are in version {_VERSION}, not in {blob[:1].hex() or 'none'}")
    try:
        body = zlib.decompress(blob[1:], -15)
    except zlib.error as error:
        raise ValueError(f"the looks of an hour are damaged: {error}") from error
    interval, place = take(body, 0)
    n, place = take(body, place)
    times = []
    at = hour * HOUR_US
    for number in range(n):
        step, place = take(body, place)
        at += (unzigzag(step) + (interval if number else 0)) * TICK_US
        times.append(at)
    codes: list[tuple[str, str | None]] = [_WELL]
    more, place = take(body, place)
    for _ in range(more):
        status, place = take(body, place)
        length, place = take(body, place)
        cause = None if not length else body[place : place + length - 1].decode()
        place += max(0, length - 1)
        codes.append((_STATUSES[status], cause))
    seen: list[tuple[str, str | None]] = []
    while len(seen) < n:
        code, place = take(body, place)
        length, place = take(body, place)
        seen += [codes[code]] * length
    low, high = body[place : place + n], body[place + n : place + 2 * n]
    return [
        Sample(at_us, status, cause, _unscaled(below | above << 8))
        for at_us, (status, cause), below, above in zip(times, seen, low, high, strict=True)
    ]


def _scaled(latency_us: int | None) -> int:
    if latency_us is None:
        return _NO_LATENCY
    return min(round(log2(max(latency_us, 1)) * STEPS) + 1, _MOST)


def _unscaled(scaled: int) -> int | None:
    return None if scaled == _NO_LATENCY else round(exp2((scaled - 1) / STEPS))
