"""Which of the judge's decisions people are told, when, and together with what.

A decision and its alert are committed together; here is decided whether there is an alert at all. What only the
passing of time brings to light is :mod:`defib.engine.alerting.standing`'s.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from defib.engine.alerting.notifier import Notifier
from defib.engine.alerting.scenes import Scenes
from defib.engine.housekeeping import SPAN_GAP
from defib.engine.observer.guard import Guard
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.model.alert import Together
from defib.model.changes import Changes
from defib.model.evidence import Grade
from defib.model.health import Health, Incident, State, Transition
from defib.model.ids import IncidentId, MonitorId
from defib.model.window import Window
from defib.rules.alerting.matter import Owed, was_told
from defib.rules.flapping import Flapping, Span, gaps_between
from defib.rules.grouping import (
    GROUP_WAIT,
    Fallen,
    find_root,
    first_due,
    joining_due,
    silent_beside,
)
from defib.rules.snapshots import digest
from defib.store import Reader

FLAPPING = Flapping()
RETURN_WAIT = timedelta(seconds=30)
"""Who is back early waits so long for the others, to be told of together."""
_BACK = (State.UP, State.WATCH, State.DEGRADED)


@dataclass(slots=True)
class Telling:
    """Knows the open incidents, and what is told of them."""

    roster: Roster
    table: StateTable
    reader: Reader
    guard: Guard
    incidents: dict[IncidentId, Incident] = field(default_factory=dict)
    """The open ones; one that is about to be committed is among them, so that another may join it."""
    called: dict[MonitorId, datetime] = field(default_factory=dict)
    scenes: Scenes = field(init=False)
    on_closed: Callable[[Incident], None] = lambda incident: None

    def __post_init__(self) -> None:
        self.scenes = Scenes(self.table, self.reader, self.guard, self.incidents)
        self.incidents.update((item.id, item) for item in self.reader.incidents(only_open=True))

    @property
    def notifier(self) -> Notifier:
        return Notifier(self.roster, self.table.recent, self.called, self.scenes, self._digest)

    def _digest(self, incident: IncidentId) -> tuple[str, ...]:
        snapshot = self.reader.snapshot(incident)
        return () if snapshot is None else digest(snapshot)

    def incident(self, incident: IncidentId) -> Incident:
        """An open incident."""
        found = self.incidents.get(incident) or self.reader.incident(incident)
        assert found is not None, f"incident {incident} of an open fault is missing in the store"
        return found

    def forget(self, incident: IncidentId) -> None:
        """It is over, or could not be written."""
        if (known := self.incidents.pop(incident, None)) is not None:
            self.on_closed(known)

    def open_story(self, incident: Incident) -> list[Incident]:
        """Those of the incidents that began with this one which are still open, itself included; oldest first."""
        return [item for item in self.incidents.values() if item.story == incident.story]

    def members(self, incident: Incident) -> tuple[Together, ...]:
        """All that is open of a story, as one message tells of it; () when that is one incident."""
        story = sorted(self.open_story(incident), key=lambda item: item.opened_at)
        monitors = self.roster.monitors
        found = [
            Together(
                monitor=item.monitor, name=monitors[item.monitor].spec.name,
                family=monitors[item.monitor].spec.family, summary=item.summary, since=item.fault_hi,
            )
            for item in story
            if item.monitor in monitors
        ]  # fmt: skip
        return tuple(found) if len(found) > 1 else ()

    def again(
        self, watched: Watched, health: Health, incident: Incident | None, due: Owed, now: datetime
    ) -> Changes:
        """What was held back, told now; together with what is owed of the same story."""
        has_company = incident is not None and len(self.open_story(incident)) > 1
        return self.notifier.again(
            watched, health, incident, due, now, due_at=now + GROUP_WAIT if has_company else now
        )

    def hands(self, watched: Watched, incident: Incident, who: str, now: datetime) -> Changes:
        """``who`` has taken ``incident`` on, and its whole story; or has taken that back, as it says itself."""
        health = self.table[watched.spec.id]
        return self.notifier.hands(watched, health, incident, self.members(incident), who, now)

    def aside(
        self, watched: Watched, before: Health, health: Health, window: Window, now: datetime
    ) -> Changes:
        """Nothing is judged about a monitor from now on: whoever knows that it is at fault hears that."""
        if before.incident is None or before.state.is_aside or not health.state.is_aside:
            return Changes()
        incident = self.incident(before.incident)
        due_at = now + GROUP_WAIT if len(self.open_story(incident)) > 1 else now
        return self.notifier.aside(watched, health, incident, window, now, due_at=due_at)

    def unwatched(self, closed: Incident, why: str, now: datetime) -> Changes:
        """A monitor is watched no more: whoever knows that it is at fault hears that this is the last of it."""
        alerts = [alert for alert in self.reader.alerts(incident=closed.id) if was_told(alert)]
        if not alerts:
            return Changes()
        due_at = now + GROUP_WAIT if len(self.open_story(closed)) > 1 else now
        told = self.scenes.told_of_incident(closed)
        return self.notifier.unwatched(alerts[-1], closed, why, told, now, due_at=due_at)

    # --- what belongs together ---------------------------------------------------------------------

    def placed(self, incident: Incident) -> Incident:
        """A new incident with the one that it belongs to, from now on known to others that may join."""
        others = [
            self._fallen(other) for other in self.incidents.values() if other.monitor in self.roster.monitors
        ]
        root = find_root(self._fallen(incident), others, is_mass=self.guard.is_mass_failure)
        incident = replace(incident, root=root)
        self.incidents[incident.id] = incident
        if root is None:
            self.scenes.begin(incident.id)
        return incident

    def _fallen(self, incident: Incident) -> Fallen:
        watched = self.roster.monitors[incident.monitor]
        return Fallen(incident=incident, host=watched.host, tags=watched.labels)

    def _silent(self, incident: Incident) -> tuple[str, int]:
        """The host that this one's story has brought down, and how many others there do not answer: ("", 0) if none."""
        host = self.roster.monitors[incident.monitor].host
        if not host:
            return "", 0
        story = self.open_story(incident)
        there = self.roster.ties.on_host(host)
        fallen = {item.monitor for item in story} & there
        others = (self.table[name] for name in there - fallen)
        count = silent_beside(len(fallen), others, min(item.fault_hi for item in story))
        return (host, count) if count else ("", 0)

    def siblings_to_look_at(self, monitor: MonitorId) -> list[MonitorId]:
        """Those that may have fallen with a monitor that failed twice, and were not looked at since."""
        health = self.table[monitor]
        first = health.first_fail_at
        if first is None or health.last is None or health.last.started_at <= first:
            return []
        return [
            name
            for name in self.roster.ties.siblings(monitor)
            if (known := self.table[name]).state in _BACK
            and (known.last is None or known.last.started_at < first)
        ]

    # --- flapping ----------------------------------------------------------------------------------

    async def swung(self, before: Health, transition: Transition) -> Health:
        """``before`` with its flaps after one more transition."""
        flaps, now = before.flaps, transition.decided_at
        is_close = FLAPPING.needs_gaps((*flaps.swings, now), now)
        gaps = await self.gaps(flaps.swings[0], now) if is_close and flaps.swings else []
        return replace(before, flaps=FLAPPING.after(flaps, transition, gaps))

    async def gaps(self, since: datetime, now: datetime) -> list[Span]:
        """When nobody watched."""
        spans = await asyncio.to_thread(self.reader.watch_spans, since, now)
        return gaps_between([(span.started_at, span.seen_at) for span in spans], now, SPAN_GAP)

    # --- what is told ------------------------------------------------------------------------------

    def of(
        self, watched: Watched, before: Health, health: Health, incident: Incident | None, now: datetime, *,
        attempts: int = 0, is_relapse: bool = False,
    ) -> tuple[Health, Changes]:  # fmt: skip
        """The alerts of a transition from ``before`` to ``health``, which takes note of what people know then.

        :param incident: opened or closed by it; reopened by a relapse.
        """
        changes = Changes()
        if before.stop_told and (health.state in _BACK or health.state is State.FAULT):
            health = replace(health, stop_told=False)
            if health.state is not State.FAULT:
                changes += self.notifier.started(watched, health, now)
        if health.is_flapping:
            if not before.is_flapping:
                changes += self.notifier.flapping(watched, health, incident, now)
            elif incident is not None and incident.closed_at is None:
                changes += self.notifier.down(watched, health, incident, now, due_at=now)
        elif incident is not None and is_relapse:
            changes += self.notifier.relapsed(watched, health, incident, now, attempts=attempts)
        elif incident is not None and incident.closed_at is None:
            changes += self.notifier.down(
                watched, health, incident, now, due_at=self._down_due(incident), silent=self._silent(incident)
            )
        elif incident is not None:
            changes += self.notifier.recovered(
                watched, health, incident, now, attempts=attempts, due_at=self._return_due(incident, now)
            )
        elif health.state is State.DEGRADED:
            changes += self.notifier.degraded(watched, health, now)
        return health, changes

    def _down_due(self, incident: Incident) -> datetime:
        if incident.root is None:
            suspects = any(
                self.table[name].state is State.SUSPECT
                for name in self.roster.ties.siblings(incident.monitor)
            )
            return first_due(
                incident.opened_at, is_sure=incident.grade == Grade.AUTHORITATIVE, has_suspects=suspects
            )
        began = min(item.opened_at for item in self.open_story(incident))
        return joining_due(began, incident.opened_at)

    def _return_due(self, incident: Incident, now: datetime) -> datetime:
        """Of those that fell together, and were told of, the last one back tells at once, and of the others, too."""
        others = (item for item in self.open_story(incident) if item.id != incident.id)
        is_told = any(self.reader.told_channels(item.id) for item in others)
        return now + RETURN_WAIT if is_told else now
