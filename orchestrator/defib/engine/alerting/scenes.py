"""Gathers what the stages of alerting go by: windows, what is required, what else is at fault, what people know."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from defib.engine.observer.guard import Guard
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.model.alert import Alert, AlertKind, DeliveryState
from defib.model.health import Health, Incident, State
from defib.model.ids import IncidentId, MonitorId
from defib.model.window import Window
from defib.rules.alerting import Firing, Notice, Scene
from defib.rules.alerting.notice import AFTERWARDS
from defib.rules.dependencies import SETTLE, parents_of
from defib.store import Reader

_WELL = (State.UP, State.WATCH, State.DEGRADED)
_FOLLOW = AFTERWARDS | {AlertKind.DOWN}
_MOST_STORIES = 1000  #: of which it is kept who was called
_LOOK_BACK = 50  #: alerts of a monitor among which its newest stop is


@dataclass(slots=True)
class Scenes:
    """Looks around for an alert that is about to be made."""

    table: StateTable
    reader: Reader
    guard: Guard
    incidents: Mapping[IncidentId, Incident]  #: the open ones
    windows: Callable[[], tuple[Window, ...]] = lambda: ()  #: in force
    _called: dict[IncidentId, tuple[str, ...]] = field(default_factory=dict)  # by story, as far as known
    _firing: dict[MonitorId, Firing] = field(default_factory=dict)
    _is_loaded: bool = False

    def of(
        self, notice: Notice, roster: Roster, health: Health | None, incident: Incident | None, now: datetime, *,
        since: datetime | None = None,
    ) -> Scene:  # fmt: skip
        """What is known around ``notice``.

        :param health: as it is about to be; None for what is about no monitor.
        :param since: when that began which SETTLED is the end of.
        """
        watched = None if notice.monitor is None else roster.monitors.get(notice.monitor)
        if watched is None or health is None:
            return Scene(now=now, windows=self.windows())
        behind, settling = self._above(watched, now)
        return Scene(
            now=now, windows=self.windows(), behind=behind, settling=settling,
            observer=self.guard.path_trouble(watched.spec.id),
            firing=self.firing(roster, now) if self._may_be_explained(notice, roster) else (),
            told=tuple(name for name in self._told(notice, incident, since, now) if name in roster.channels),
            is_flapping=health.is_flapping,
            began=incident.opened_at if incident else health.since,
        )  # fmt: skip

    def _may_be_explained(self, notice: Notice, roster: Roster) -> bool:
        """By what else is at fault, beyond what it requires: else nobody needs to look."""
        is_tls = notice.cause.startswith("tls-")
        return bool(roster.settings.inhibit) or is_tls or notice.event is AlertKind.DEGRADED

    def _above(
        self, watched: Watched, now: datetime
    ) -> tuple[tuple[MonitorId, ...], Mapping[MonitorId, datetime]]:
        spec = watched.spec
        behind = parents_of(spec, self.table.get, now).bad
        settling = {
            name: parent.since + SETTLE
            for name in spec.requires
            if (parent := self.table.get(name)) is not None
            and parent.state in _WELL
            and self._has_returned(name)
            and now < parent.since + SETTLE
        }
        return behind, settling

    def _has_returned(self, monitor: MonitorId) -> bool:
        """Whether it was at fault before it was well, and not only unknown."""
        swings = self.table[monitor].flaps.swings
        return bool(swings) and swings[-1] >= self.table[monitor].since

    def _told(
        self, notice: Notice, incident: Incident | None, since: datetime | None, now: datetime
    ) -> tuple[str, ...]:
        """Channels that people were told through of what ``notice`` follows from or repeats."""
        monitor, event = notice.monitor, notice.event
        if event is AlertKind.STARTED:
            newest = self.reader.alerts(monitor=monitor, newest=_LOOK_BACK)
            stops = [alert for alert in newest if alert.facts.event is AlertKind.STOPPED]
            return self.told_of(stops[:1])
        if event is AlertKind.SETTLED:
            return self.told_of(self.reader.alerts(monitor=monitor, since=since))
        is_news = event is AlertKind.DOWN and incident is not None and incident.opened_at >= now
        if incident is None or is_news or not (notice.is_end or event in _FOLLOW):
            return ()
        if event in AFTERWARDS:
            called = self._called_for(incident.story)
            return tuple(dict.fromkeys((*self.told_of(self.reader.story_alerts(incident.story)), *called)))
        return self.told_of_incident(incident)

    def told_of_incident(self, incident: Incident) -> tuple[str, ...]:
        """Channels that people were told of it through, those of a call for its whole story among them."""
        called = self._called_for(incident.story)
        return tuple(dict.fromkeys((*self.reader.told_channels(incident.id), *called)))

    def begin(self, story: IncidentId) -> None:
        """A story begins: nobody has been called for it yet, and nobody need ask the store."""
        self._know_called(story, ())

    def _know_called(self, story: IncidentId, channels: tuple[str, ...]) -> None:
        if len(self._called) >= _MOST_STORIES:
            self._called.clear()
        self._called[story] = channels

    def _called_for(self, story: IncidentId) -> tuple[str, ...]:
        """Channels through which somebody was called or reminded of a story: of one of its incidents for them all."""
        if story not in self._called:
            alerts = self.reader.story_alerts(story)
            called = self.told_of([item for item in alerts if item.facts.event in AFTERWARDS])
            self._know_called(story, called)
        return self._called[story]

    def told_of(self, alerts: Sequence[Alert]) -> tuple[str, ...]:
        """Channels that took or will take any of ``alerts``, the first one leading."""
        if not alerts:
            return ()
        rows = self.reader.deliveries(notices=[alert.id for alert in alerts])
        rows = sorted(rows, key=lambda row: (row.created_at, row.id))
        took = (row.channel for row in rows if row.state is not DeliveryState.DEAD)
        return tuple(dict.fromkeys(took))

    # --- what else is at fault -----------------------------------------------------------------------

    def note(self, notice: Notice, since: datetime) -> None:
        """An alert was made: it may explain others while it stands."""
        if notice.event in AFTERWARDS and notice.story is not None:
            self._called.pop(notice.story, None)
        if notice.monitor is not None and not notice.is_end and notice.event not in AFTERWARDS:
            self._firing[notice.monitor] = Firing(notice=notice, since=since)

    def firing(self, roster: Roster, now: datetime) -> tuple[Firing, ...]:
        """The alerts that stand, told or not, and those that are over since a moment ago."""
        if not self._is_loaded:
            self._is_loaded = True
            for incident in self.incidents.values():
                if incident.monitor not in self._firing and incident.monitor in roster.monitors:
                    for alert in self.reader.alerts(incident=incident.id, newest=1):
                        self.note(
                            notice_of(alert, roster.monitors[incident.monitor], incident), incident.opened_at
                        )
        found = {name: self._at_the_moment(name, item) for name, item in self._firing.items()}
        self._firing = {
            name: item
            for name, item in found.items()
            if item is not None and (item.until is None or now < item.until)
        }
        return tuple(self._firing.values())

    def _at_the_moment(self, monitor: MonitorId, firing: Firing) -> Firing | None:
        """As it stands; None once it has been over for a while."""
        health = self.table.get(monitor)
        if health is None:
            return None
        notice = firing.notice
        if notice.incident is not None and notice.incident in self.incidents:
            return firing
        if notice.incident is None and (health.state is State.DEGRADED or health.is_flapping):
            return firing
        return replace(firing, until=health.since + SETTLE)


def notice_of(alert: Alert, watched: Watched | None, incident: Incident | None) -> Notice:
    """An alert as the stages see it."""
    facts = alert.facts
    return Notice(
        event=facts.event, kind=alert.kind, severity=alert.severity, monitor=alert.monitor, tags=frozenset(facts.tags),
        incident=alert.incident, story=incident.story if incident else None, cause=facts.cause,
        host=watched.host if watched else "", group=watched.spec.group if watched else "", family=facts.family,
        is_well=facts.state not in ("fault", "unreachable"),
    )  # fmt: skip
