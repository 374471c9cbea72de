"""Tells what was held back, once nothing holds it any more and a fresh look has shown that it is still so.

Nothing is remembered but what is stored: what is owed follows from the verdicts of a matter's alerts and from who
was told. After a restart the look is taken afresh.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from defib.engine.alerting.telling import Telling
from defib.engine.roster import Watched
from defib.model.alert import Alert, AlertKind, Ruling
from defib.model.changes import Changes
from defib.model.evidence import Outcome
from defib.model.health import Health, Incident, State
from defib.model.ids import MonitorId
from defib.rules.alerting import owed, was_told

RECHECK = timedelta(seconds=30)
"""How often a hold is looked at that has no end of its own, in case nobody says that it is over."""
LOOK_AGAIN = timedelta(seconds=1)
LOOK_PATIENCE = timedelta(seconds=15)  #: with a look that does not come, or shows nothing
WELL_PATIENCE = timedelta(minutes=1)  #: with one that shows it well, until its state says so too, or not

_FLAPPING = (AlertKind.FLAPPING, AlertKind.STILL_FLAPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a review found."""

    told: Changes = field(default_factory=Changes)
    due_at: datetime | None = None  #: when to review it again, if nothing happens before
    wants_look: bool = False
    is_open_ended: bool = False  #: what holds it may end at any time
    follow: MonitorId | None = None  #: whose turn it is


class Owing:
    """Keeps what is owed."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._asked: dict[MonitorId, datetime] = {}  # looks from then on are fresh

    async def review(self, watched: Watched, health: Health, now: datetime) -> Step:
        """What may be told now of what was held back about a monitor; the caller holds its lock and commits."""
        monitor, telling = health.monitor, self._telling
        incident = telling.incident(health.incident) if health.incident is not None else None
        alerts = await asyncio.to_thread(self._matter, health, incident)
        due = owed(alerts, telling.scenes.told_of(alerts)) if _has_holds(alerts) else None
        if due is None:
            self._asked.pop(monitor, None)
            return Step()
        told = telling.again(watched, health, incident, due, now)
        [alert] = told.alerts
        if not was_told(alert):
            self._asked.pop(monitor, None)
            return self._waiting(alert, now)
        if due.needs_a_look and watched.polled is not None:
            asked = self._asked.get(monitor)
            if asked is None:
                self._asked[monitor] = now
                return Step(due_at=now + LOOK_AGAIN, wants_look=True)
            if not is_fresh(health, asked, now):
                return Step(due_at=now + LOOK_AGAIN)
        self._asked.pop(monitor, None)
        return Step(told=told, due_at=now)  # others may be owed more

    def _waiting(self, alert: Alert, now: datetime) -> Step:
        ends = [verdict.until for verdict in alert.verdicts if verdict.ruling is Ruling.HELD]
        if not ends or None in ends:  # dropped: it may come to pass when the configuration is another one
            return Step(due_at=now + RECHECK, is_open_ended=True)
        return Step(due_at=max(now + LOOK_AGAIN, min(end for end in ends if end is not None)))

    def _matter(self, health: Health, incident: Incident | None) -> list[Alert]:
        """The alerts of what is open about a monitor, oldest first."""
        reader, monitor = self._telling.reader, health.monitor
        if health.flaps.since is not None:
            return _of(reader.alerts(monitor=monitor, since=health.flaps.since), *_FLAPPING)
        if incident is not None:
            return reader.alerts(incident=incident.id) if health.state is State.FAULT else []
        if health.state is State.DEGRADED:
            return _of(reader.alerts(monitor=monitor, since=health.since), AlertKind.DEGRADED)
        if health.state is State.STOPPED and health.stop_told:
            return _of(reader.alerts(monitor=monitor, since=health.since), AlertKind.STOPPED)
        return []


def is_fresh(health: Health, asked: datetime, now: datetime) -> bool:
    """Whether a look that began after ``asked`` has shown that it is still so, or none will."""
    last, waited = health.last, now - asked
    if last is None or last.started_at < asked or last.evidence.outcome is Outcome.INCONCLUSIVE:
        return waited >= LOOK_PATIENCE
    is_still_so = last.evidence.outcome is Outcome.FAIL or health.state is not State.FAULT
    return is_still_so or waited >= WELL_PATIENCE


def _of(alerts: list[Alert], *events: AlertKind) -> list[Alert]:
    return [alert for alert in alerts if alert.facts.event in events]


def _has_holds(alerts: list[Alert]) -> bool:
    return any(verdict.ruling is Ruling.HELD for alert in alerts for verdict in alert.verdicts)
