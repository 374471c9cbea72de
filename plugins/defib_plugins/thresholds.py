"""Limits on numbers that must be exceeded for a while before they count."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from defib.plugin import Evidence, Fact, Grade, Lapse, Several
from defib.plugin import Size as Bytes
from defib_plugins.phrases import phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One number beside its limit."""

    name: str  #: stable short code, the cause when it is exceeded: ``disk``
    value: float
    limit: float | None  #: None: nothing to compare with
    text: str  #: for people, value and unit: ``disk / at 91.2 %``
    limit_text: str = ""  #: ``85 %``
    grade: Grade = Grade.WEAK
    key: str = ""  #: tells apart readings of one name: the partition

    @property
    def is_over(self) -> bool:
        return self.limit is not None and self.value > self.limit


def percent(
    name: str, what: str, value: float, limit: float | None, *, grade: Grade = Grade.WEAK, key: str = ""
) -> Reading:
    """The reading of a share.

    :param what: is so full or so busy, a phrase: ``disk /srv``.
    """
    return Reading(
        name=name, value=value, limit=limit, grade=grade, key=key,
        text=phrase("{what} at {share:.1f} %", what=what, share=value),
        limit_text="" if limit is None else phrase("{share} %", share=limit),
    )  # fmt: skip


class Limits:
    """Remembers since when each limit is exceeded. One per monitor; lives as long as the process.

    :param hold: how long a limit must be exceeded without a break; zero counts at once.
    """

    def __init__(self, hold: timedelta = timedelta(0)) -> None:
        self._hold_s = hold.total_seconds()
        self._since: dict[tuple[str, str], float] = {}

    def exceeded(self, readings: Iterable[Reading], now: float) -> list[Reading]:
        """The readings that have been over their limit for long enough, in the order given.

        :param now: seconds of a clock that never steps.
        """
        over = {(reading.name, reading.key): reading for reading in readings if reading.is_over}
        self._since = {place: self._since.get(place, now) for place in over}
        return [reading for place, reading in over.items() if now - self._since[place] >= self._hold_s]

    def judge(
        self,
        readings: Iterable[Reading],
        now: float,
        *,
        summary: str,
        metrics: dict[str, float],
        facts: dict[str, Fact],
        latency: timedelta | None = None,
    ) -> Evidence:
        """Ok with ``summary``, or degraded by what is exceeded: the weightiest cause first, all of them told."""
        over = self.exceeded(readings, now)
        if not over:
            return Evidence.ok(summary, latency=latency, metrics=metrics, facts=facts)
        # What a restart might cure (load) decides over what it never cures (a full disk).
        first = min(over, key=lambda reading: reading.grade is Grade.SCHEDULED)
        return Evidence.degraded(
            first.name, self._tell(over), grade=first.grade, latency=latency, metrics=metrics, facts=facts
        )

    def _tell(self, over: list[Reading]) -> str:
        told = Several(
            tuple(
                phrase("{reading} (limit {limit})", reading=reading.text, limit=reading.limit_text)
                for reading in over
            ),
            "; ",
        )
        if not self._hold_s:
            return phrase("{readings}", readings=told)
        return phrase("{readings} for at least {hold}", readings=told, hold=Lapse(self._hold_s))


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|[kKMGT]i?B?)?")
_SIZE_UNITS: dict[str, int] = {"": 1, "B": 1} | {
    f"{letter}{infix}{suffix}": (1024 if infix else 1000) ** power
    for power, letters in enumerate(("kK", "M", "G", "T"), start=1)
    for letter in letters
    for infix in ("", "i")
    for suffix in ("", "B")
}


def parse_size(value: object) -> int:
    """Bytes: ``52428800``, ``500MB`` (10⁶) or ``512MiB`` (2²⁰).

    :raises ValueError: with an example to follow.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())) and float(match[1]) > 0:
        return int(float(match[1]) * _SIZE_UNITS[match[2] or ""])
    raise ValueError(f"{value!r} is not a size; write bytes or a number with its unit, such as 500MB or 2GiB")


def format_size(size_bytes: float) -> str:
    """``52.4 MB``: three significant digits, decimal units."""
    return str(Bytes(size_bytes))


_SIZE_SCHEMA = {
    "anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string", "examples": ["500MB", "2GiB"]}]
}

Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
"""An amount of memory as users write it, in bytes."""


def present(**numbers: float | None) -> dict[str, float]:
    """The numbers that are known, as metrics."""
    return {name: value for name, value in numbers.items() if value is not None}
