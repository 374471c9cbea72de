"""Gathers what the stages of alerting go by: windows, what is required, what else is at fault, what people know."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from defib.engine.guard import Guard
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
_LOOK_BACK = 50  #: alerts of a monitor among which its newest stop is


@dataclass(slots=True)
class Scenes:
    """Looks around for an alert that is about to be made."""

    table: StateTable
    reader: Reader
    guard: Guard
    incidents: Mapping[IncidentId, Incident]  #: the open ones
    windows: Callable[[], tuple[Window, ...]] = lambda: ()  #: in force
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
            firing=self.firing(roster) if roster.settings.inhibit or notice.cause.startswith("tls-") else (),
            told=self._told(notice, incident, since, now), is_flapping=health.is_flapping,
            began=incident.opened_at if incident else health.since,
        )  # fmt: skip

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
        is_news = event is AlertKind.DOWN and incident is not None and incident.opened_at == now
        if incident is None or is_news or not (notice.is_end or event in _FOLLOW):
            return ()
        story = self.reader.story_alerts(incident.story)
        if event in AFTERWARDS:
            return self.told_of(story)
        return self.told_of(
            [item for item in story if item.incident == incident.id or item.facts.event in AFTERWARDS]
        )

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
        if notice.monitor is not None and not notice.is_end and notice.event not in AFTERWARDS:
            self._firing[notice.monitor] = Firing(notice=notice, since=since)

    def firing(self, roster: Roster) -> tuple[Firing, ...]:
        """The alerts that stand, told or not."""
        if not self._is_loaded:
            self._is_loaded = True
            for incident in self.incidents.values():
                if incident.monitor not in self._firing and incident.monitor in roster.monitors:
                    for alert in self.reader.alerts(incident=incident.id, newest=1):
                        self.note(
                            notice_of(alert, roster.monitors[incident.monitor], incident), incident.opened_at
                        )
        standing = {name: item for name, item in self._firing.items() if self._stands(name, item)}
        self._firing = standing
        return tuple(standing.values())

    def _stands(self, monitor: MonitorId, firing: Firing) -> bool:
        health = self.table.get(monitor)
        if health is None:
            return False
        if firing.notice.incident is not None:
            return firing.notice.incident in self.incidents
        return health.state is State.DEGRADED or health.is_flapping


def notice_of(alert: Alert, watched: Watched | None, incident: Incident | None) -> Notice:
    """An alert as the stages see it."""
    facts, asked = alert.facts, watched.asked if watched else None
    return Notice(
        event=facts.event, kind=alert.kind, severity=alert.severity, monitor=alert.monitor, tags=frozenset(facts.tags),
        incident=alert.incident, story=incident.story if incident else None, cause=facts.cause,
        host=asked.host if asked else "", group=watched.spec.group if watched else "", family=facts.family,
        is_well=facts.state not in ("fault", "unreachable"),
    )  # fmt: skip
