"""What was to be seen of a target, and around it, right before Defib changed it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from defib.model.ids import IncidentId, MonitorId


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The evidence of one incident, taken before the first action: what a restart would wipe out.

    Bounded, without secrets, and never a reason to decide anything.
    """

    incident: IncidentId
    monitor: MonitorId
    taken_at: datetime
    took: timedelta
    parts: Mapping[str, str] = field(default_factory=dict)
    """Text by heading: ``docker logs gateway``, ``disks``; the target's own first."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why a part is not there, by who should have given it."""
