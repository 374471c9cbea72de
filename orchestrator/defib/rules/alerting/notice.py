"""What the stages judge, and what they know while they do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from defib.model.alert import AlertKind, Severity
from defib.model.ids import IncidentId, MonitorId
from defib.model.window import Window

ENDS = frozenset({AlertKind.RECOVERED, AlertKind.STARTED, AlertKind.OBSERVER_WELL, AlertKind.UNWATCHED})
"""Those that only whoever was told of the beginning is told of. SETTLED is one when all is well."""
ABOUT_DEFIB = frozenset({AlertKind.OBSERVER_SICK, AlertKind.OBSERVER_WELL, AlertKind.TEST, AlertKind.DIGEST})
"""Nothing holds these back: they are about the teller, not about what is watched."""
HANDS = frozenset({AlertKind.ACKNOWLEDGED, AlertKind.UNACKNOWLEDGED, AlertKind.SET_ASIDE})
"""Who sees to it: whoever was told of the fault knows that at once, and no step of alerting follows from it."""
AFTERWARDS = frozenset({AlertKind.REMINDER, AlertKind.ESCALATED}) | HANDS
"""They follow from what people were told before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An alert before it is one: what routes, silences and rules can go by."""

    event: AlertKind
    kind: str  #: as texts call it: ``agent_down``
    severity: Severity
    monitor: MonitorId | None = None
    tags: frozenset[str] = frozenset()
    incident: IncidentId | None = None
    story: IncidentId | None = None  #: the incident that those which fell together are told as
    cause: str = ""
    host: str = ""
    group: str = ""
    family: str = ""
    is_well: bool = False  #: the monitor's state at that time

    @property
    def is_end(self) -> bool:
        return self.event in ENDS or (self.event is AlertKind.SETTLED and self.is_well)

    def label(self, name: str) -> frozenset[str]:
        """The values of what ``equal:`` of a rule calls ``name``; empty when there is none."""
        match name:
            case "monitor":
                return frozenset({self.monitor or ""}) - {""}
            case "host":
                return frozenset({self.host}) - {""}
            case "group":
                return frozenset({self.group}) - {""}
            case "family":
                return frozenset({self.family}) - {""}
            case _:
                prefix = f"{name}:"
                return frozenset(tag for tag in self.tags if tag == name or tag.startswith(prefix))


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """An alert that stands at the moment, whether or not people were told of it."""

    notice: Notice
    since: datetime
    until: datetime | None = None  #: it is over, and what it explains may take so long to follow


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything else that the stages know."""

    now: datetime
    windows: tuple[Window, ...] = ()  #: in force, of any kind and for whomever
    firing: tuple[Firing, ...] = ()  #: other alerts, and those of the same monitor
    behind: tuple[MonitorId, ...] = ()  #: required monitors at fault
    settling: Mapping[MonitorId, datetime] = field(default_factory=dict)
    """Required monitors that have just come back, and until when what needs them may take to follow."""
    observer: str = ""  #: why Defib cannot see the monitor clearly now
    told: tuple[str, ...] = ()  #: channels that people were told through of what this is about
    is_flapping: bool = False
    began: datetime | None = None  #: what it is about was found
    is_owed: bool = False  #: it was held back before
    only: frozenset[str] | None = None  #: whom it is owed to, then; None: everybody
