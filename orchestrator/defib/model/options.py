"""Building blocks for the schemas of plugin options: strict, with messages that name the remedy."""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "mo": 2592000.0}
_LONGEST = 100 * 365 * 86400.0
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|mo|s|m|h|d|w)")
_DURATIONS = re.compile(rf"(?:{_DURATION.pattern})+")


def parse_duration(value: object) -> timedelta:
    """``250ms``, ``15s``, ``5m``, ``2h``, ``7d``, also joined (``1h30m``); ``0`` stands for itself.

    :raises ValueError: with an example to follow.
    """
    if isinstance(value, timedelta):
        return value
    if value == 0 and not isinstance(value, bool):
        return timedelta(0)
    if isinstance(value, str) and _DURATIONS.fullmatch(text := value.strip()):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
        if seconds > _LONGEST:
            raise ValueError("must not be longer than 100 years; write for example 7d")
        return timedelta(seconds=seconds)
    raise ValueError(
        f"{value!r} is not a duration; write a number with its unit, such as 250ms, 15s, 5m, 2h or 7d"
    )


@lru_cache
def format_duration(value: timedelta) -> str:
    """The shortest way to write it that :func:`parse_duration` reads back, rounded to milliseconds."""
    milliseconds = round(value.total_seconds() * 1000)
    if milliseconds == 0:
        return "0s"
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    if milliseconds and milliseconds < 1000 and not parts:
        parts.append(f"{milliseconds}ms")
    elif milliseconds:
        parts.append(f"{milliseconds / 1000:g}s")
    return "".join(parts)


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than nothing; write for example 15s")
    return value


def _percent(value: Any) -> Any:
    if isinstance(value, str) and value.strip().endswith("%"):
        return value.strip()[:-1]
    return value


_DURATION_SCHEMA = {
    "type": "string",
    "pattern": f"^{_DURATIONS.pattern}$",
    "examples": ["250ms", "15s", "5m", "2h", "7d"],
}

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""A span of time as users write it."""

Percent = Annotated[float, BeforeValidator(_percent), Field(ge=0, le=100)]
"""0–100; ``90`` and ``90%`` mean the same."""

Secret = SecretStr
"""Never shown: not in logs, errors, pages or exports."""


class Options(BaseModel):
    """Base of every schema of options: unknown keys are mistakes, values do not change.

    A schema is built when it is first asked: most commands need a few of all that plugins bring.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)
