"""After quiet hours: one message about what happened meanwhile and is over.

What is still so is told by itself, after a fresh look (:mod:`defib.engine.alerting.owing`); this waits for those
looks, so that what turns out to be well by then is among the rest. It follows from stored rows,
and is told once: the message has a key of its own for each end of quiet hours.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from defib.engine.alerting.telling import Telling
from defib.model.alert import Alert, AlertKind, Held, Hold, Ruling, Verdict
from defib.model.changes import Changes
from defib.model.health import State
from defib.model.route import QuietHours
from defib.rules.alerting.hours import newest_end, next_end

LOOKS_TAKE = timedelta(seconds=30)
MADE_UP_FOR = timedelta(hours=12)
"""A morning that nobody saw, because Defib was not running, is told of if it was no longer ago."""
LONGEST_NIGHT = timedelta(hours=24)


class Morning:
    """Reviews routes with quiet hours."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._done: set[datetime] = set()

    def due_at(self, now: datetime) -> datetime | None:
        """When there is something to review."""
        ends = [next_end(quiet.hours, now - LOOKS_TAKE) for quiet in self._quiet()]
        missed = [end for end in self._ends(now) if end not in self._done]
        return min((*(end + LOOKS_TAKE for end in ends), *(now for _ in missed)), default=None)

    def review(self, now: datetime) -> Changes:
        """The digests of all quiet hours that have ended, and were not told of yet."""
        told = Changes()
        for end in sorted(self._ends(now) - self._done):
            told += self._after(end, now)
            self._done.add(end)
        return told

    def _quiet(self) -> list[QuietHours]:
        return [route.quiet for route in self._telling.roster.settings.routes if route.quiet is not None]

    def _ends(self, now: datetime) -> set[datetime]:
        found = {newest_end(quiet.hours, now - LOOKS_TAKE) for quiet in self._quiet()}
        return {end for end in found if end is not None and now - end <= MADE_UP_FOR}

    def _after(self, end: datetime, now: datetime) -> Changes:
        reader = self._telling.reader
        made = reader.alerts(since=end)
        if any(alert.facts.event is AlertKind.DIGEST and _ended_at(alert) == end for alert in made):
            return Changes()
        waiting: dict[str, list[Alert]] = {}
        for alert in reader.alerts(since=end - LONGEST_NIGHT, until=end):
            channels = _kept_from(alert.verdicts, end)
            if channels and (over := self._over(alert)) is not None:
                for channel in channels - set(self._told(alert)):
                    waiting.setdefault(channel, []).append(over)
        together: dict[tuple[str, ...], list[str]] = {}
        for channel, alerts in waiting.items():
            together.setdefault(tuple(alert.id for alert in alerts), []).append(channel)
        told = Changes()
        for channels_of_one in together.values():
            held = Held(by=Hold.QUIET_HOURS, until=end)
            told += self._telling.notifier.digest_for(
                tuple(channels_of_one), waiting[channels_of_one[0]], held, now, key=end.isoformat()
            )
        return told

    def _over(self, alert: Alert) -> Alert | None:
        """The alert with how long it lasted, if what it is about has ended."""
        reader = self._telling.reader
        if alert.incident is not None:
            incident = reader.incident(alert.incident)
            if incident is None or incident.closed_at is None:
                return None
            lasted = (incident.closed_at - incident.fault_hi).total_seconds()
            facts = replace(alert.facts, duration_s=lasted, recovery=incident.resolution)
            return replace(alert, facts=facts)
        health = None if alert.monitor is None else self._telling.table.get(alert.monitor)
        if health is None or health.state not in (State.UP, State.WATCH):
            return None
        return replace(
            alert, facts=replace(alert.facts, duration_s=(health.since - alert.facts.since).total_seconds())
        )

    def _told(self, alert: Alert) -> tuple[str, ...]:
        telling = self._telling
        if alert.incident is None:
            return telling.scenes.told_of([alert])
        return telling.scenes.told_of(telling.reader.alerts(incident=alert.incident))


def _kept_from(verdicts: Iterable[Verdict], end: datetime) -> set[str]:
    """Channels that an alert was kept from until ``end`` by their quiet hours."""
    return {
        channel
        for verdict in verdicts
        if verdict.ruling is Ruling.HELD and verdict.by is Hold.QUIET_HOURS and verdict.until == end
        for channel in verdict.channels
    }


def _ended_at(alert: Alert) -> datetime | None:
    return alert.facts.held.until if alert.facts.held else None
