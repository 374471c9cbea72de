"""Who is told of what, and when: routes, quiet hours, escalation and inhibition, as the configuration says it."""

from dataclasses import dataclass
from datetime import time, timedelta

from defib.model.alert import Severity
from defib.model.ids import MonitorId


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMatch:
    """Which alerts a route takes; an empty field takes all."""

    severity: frozenset[Severity] = frozenset()
    kind: frozenset[str] = frozenset()  #: kinds of alert: ``agent_down``
    tags: frozenset[str] = frozenset()  #: any of them
    monitors: frozenset[MonitorId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A stretch of time that comes back by the clock on a wall: from ``begins`` up to, and not at, ``ends``."""

    begins: time
    ends: time  #: of the next day, unless it is later than ``begins``
    days: frozenset[int] = frozenset()  #: on which it begins, 0 is Monday; empty: every day
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """When a route only carries what is pressing; everything else waits for the end."""

    hours: Hours
    severity_below: Severity = Severity.SEVERE  #: what is as pressing as this is told at once


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationStep:
    """Who is called when nobody has taken a fault on."""

    after: timedelta  #: since people were first told
    channels: tuple[str, ...]


REPEAT = timedelta(hours=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """First match wins unless it says to continue."""

    match: RouteMatch = RouteMatch()
    channels: tuple[str, ...] = ()
    resume: bool = False  #: ``continue: true``
    active: tuple[Hours, ...] = ()  #: only in any of these it takes anything; empty: always
    calm: timedelta = timedelta(0)  #: who is well again by then was never told of
    quiet: QuietHours | None = None
    escalate: tuple[EscalationStep, ...] = ()  #: in the order of their time
    repeat: timedelta | None = REPEAT  #: between reminders of what nobody has taken on; None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class InhibitRule:
    """While there is an alert that ``source`` takes, those that ``target`` takes are held back."""

    source: RouteMatch
    target: RouteMatch
    equal: tuple[str, ...] = ()
    """What both must have in common: ``monitor``, ``host``, ``group``, ``family``, or the name of tags as in
    ``rack:7``. What neither has is in common, too."""
