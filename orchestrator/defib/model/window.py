"""Stretches of time in which less is said or done about some monitors: silences, maintenance, pauses."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from defib.model.alert import Severity
from defib.model.ids import IncidentId, MonitorId, WindowId


class WindowKind(StrEnum):
    SILENCE = "silence"  #: everything goes on but the telling
    MAINTENANCE = "maintenance"  #: probes go on, and nothing is judged, told or repaired
    PAUSE = "pause"  #: nothing is done at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """What a window is about: all of its fields must fit, and one that is empty fits everything."""

    monitors: frozenset[MonitorId] = frozenset()
    tags: frozenset[str] = frozenset()  #: any of them
    incidents: frozenset[IncidentId] = frozenset()
    severity: frozenset[Severity] = frozenset()  #: of alerts; the other fields are of monitors

    @property
    def is_everything(self) -> bool:
        """No field is set: whoever makes such a window has to say that they mean it."""
        return not (self.monitors or self.tags or self.incidents or self.severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One silence, maintenance or pause: in force in ``[starts_at, ends_at)``, or until it was ended."""

    id: WindowId
    kind: WindowKind
    matcher: Matcher
    starts_at: datetime
    ends_at: datetime | None  #: None: until somebody ends it
    reason: str
    made_by: str
    made_at: datetime
    ends_with_beat: bool = False  #: a monitor that is told ends its pause by being heard
    ended_at: datetime | None = None  #: before its time
    ended_by: str = ""

    @property
    def until(self) -> datetime | None:
        """When it is over, or was; None while nobody knows."""
        return self.ended_at or self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMaintenance:
    """A maintenance window of the configuration: one that comes back by ``cron``, or one that comes once."""

    name: str
    matcher: Matcher
    reason: str = ""
    cron: str = ""  #: when it begins, in ``timezone``; "" for one that comes once
    duration: timedelta = timedelta(0)
    """As a clock on the wall does not change it: an hour is an hour on any day."""
    timezone: str = "UTC"
    starts_at: datetime | None = None  #: of one that comes once …
    ends_at: datetime | None = None  #: … and its end
