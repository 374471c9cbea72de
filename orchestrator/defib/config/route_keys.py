"""The keys of ``routes:`` and ``inhibit:``."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from defib.config.values import ClockTime, Days, Positive, Severities, Timezone, Words
from defib.model.alert import AlertKind, Severity
from defib.model.monitor import Family
from defib.model.options import Duration, Options

_BY_FAMILY = ("down", "degraded")
ALERT_KINDS = frozenset(
    {*AlertKind, *(f"{family}_{what}" for family in Family for what in _BY_FAMILY)}
    | {"agent_slow", "job_missed", "check_failed"}
) - {*_BY_FAMILY, "job_down", "check_down"}
"""The kinds of alert that the shipped texts give."""


class MatchKeys(Options):
    """Which alerts are meant: all of these must fit; a key that is not there fits every alert."""

    severity: Severities = Field(default=(), description="Any of info, low, high, severe.")
    kind: Words = Field(default=(), description="Any of these kinds of alert, such as agent_down.")
    tags: Words = Field(default=(), description="Any of these tags of the monitor.")
    monitors: Words = Field(default=(), description="Any of these monitors, by id.")


class HoursKeys(Options):
    """A stretch of time that comes back by the clock on a wall."""

    begins: ClockTime = Field(alias="from", description='When it begins, such as "22:00".')
    ends: ClockTime = Field(
        alias="to", description="When it ends: on the next day, unless that is later than it begins."
    )
    days: Days = Field(default=(), description="On which it begins, of mon, tue, …, sun; unset is every day.")
    timezone: Timezone | None = Field(default=None, description="Of the times; unset is the global one.")


class QuietHoursKeys(HoursKeys):
    """When a route carries only what is pressing; the rest waits until they end."""

    severity_below: Severity = Field(
        default=Severity.SEVERE, description="What waits: everything less pressing than this."
    )


class EscalateKeys(Options):
    """Who is called when nobody has taken a fault on."""

    after: Positive = Field(description="Since people were first told.")
    channels: Words = Field(description="The channels that are called then.")


class RouteKeys(Options):
    """Where alerts go."""

    match: MatchKeys = Field(default=MatchKeys(), description="Which alerts it takes; without it, all.")
    channels: Words = Field(description="The channels that carry them.")
    resume: bool = Field(
        default=False,
        alias="continue",
        description="Look at the following routes too; else the first match wins.",
    )
    active: tuple[HoursKeys, ...] = Field(
        default=(),
        description="It takes alerts in these hours alone; at other times the next route is asked.",
    )
    quiet_hours: QuietHoursKeys | None = Field(
        default=None, description="When what is not pressing waits; what is over by then goes in one digest."
    )
    calm: Duration | None = Field(
        default=None, description="Who is well again by then was never told of; unset is that of `defaults`."
    )
    escalate: tuple[EscalateKeys, ...] = Field(
        default=(), description="Who is called next, and when, while nobody acknowledges."
    )
    repeat: Positive | Literal["never"] | None = Field(
        default=None,
        description="Between reminders of what nobody has acknowledged, or `never`; unset is that of `defaults`.",
    )


class InhibitKeys(Options):
    """While there is an alert that `source` takes, those that `target` takes wait."""

    source: MatchKeys = Field(description="What explains the other.")
    target: MatchKeys = Field(description="What waits.")
    equal: Words = Field(
        default=(),
        description="What both must have in common: monitor, host, group, family, or the first half of tags such as "
        "`rack:7`.",
    )


class TellingKeys(Options):
    """How patient telling is, where a route does not say otherwise."""

    calm: Duration = Field(default=timedelta(0), description="Who is well again by then was never told of.")
    repeat: Positive | Literal["never"] = Field(
        default=timedelta(hours=4),
        description="Between reminders of what nobody has acknowledged, or `never`.",
    )
    ack_timeout: Positive | Literal["never"] = Field(
        default=timedelta(hours=1),
        description="What somebody has acknowledged and still fails is told again from the beginning; or `never`.",
    )
