"""Which windows are in force when, and for whom; and when those of the configuration come back.

A window is in force from its first instant up to, and not at, its last one.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from defib.model.alert import Severity
from defib.model.ids import IncidentId, MonitorId, WindowId
from defib.model.window import PlannedMaintenance, Window, WindowKind

_LOOK_BACK = timedelta(hours=3)
"""More than clocks are ever set back: an expression is read backwards from this far ahead, so that a local time
that comes twice hides none of its occurrences."""


def is_active(window: Window, now: datetime) -> bool:
    """Whether it is in force."""
    return window.starts_at <= now and not is_over(window, now)


def is_over(window: Window, now: datetime) -> bool:
    """Whether it has ended, by itself or before its time."""
    return window.until is not None and window.until <= now


def active(windows: Iterable[Window], now: datetime) -> tuple[Window, ...]:
    """Those in force, those that began first leading."""
    return tuple(sorted((w for w in windows if is_active(w, now)), key=lambda w: (w.starts_at, w.id)))


def next_change(windows: Iterable[Window], now: datetime) -> datetime | None:
    """When the next of them begins or ends; None when none ever will."""
    instants = (at for window in windows for at in (window.starts_at, window.until) if at is not None)
    return min((at for at in instants if at > now), default=None)


def covers(
    window: Window,
    monitor: MonitorId,
    tags: Collection[str],
    severity: Severity | None = None,
    incident: IncidentId | None = None,
) -> bool:
    """Whether ``window`` is about something of a monitor.

    :param severity: of an alert; None where there is none to judge by, which fits any.
    :param incident: None fits no window for single incidents.
    """
    matcher = window.matcher
    return (
        (not matcher.monitors or monitor in matcher.monitors)
        and (not matcher.tags or not matcher.tags.isdisjoint(tags))
        and (not matcher.incidents or incident in matcher.incidents)
        and (not matcher.severity or severity is None or severity in matcher.severity)
    )


def chief(windows: Iterable[Window]) -> Window | None:
    """Of several windows in force the one that says what becomes of a monitor: a pause before a maintenance.

    Of the same kind it is the one that lasts longest. Silences say nothing about this.
    """
    standing = [window for window in windows if window.kind is not WindowKind.SILENCE]
    return max(standing, key=_standing, default=None)


def _standing(window: Window) -> tuple[bool, bool, datetime, str]:
    until = window.until
    return window.kind is WindowKind.PAUSE, until is None, until or window.starts_at, window.id


# --- of the configuration ----------------------------------------------------------------------------


def scheduled(plan: PlannedMaintenance, now: datetime) -> list[Window]:
    """The occurrence of ``plan`` that is in force, if any, and the next one, if any.

    Where occurrences overlap, the newest is in force: it is the one that lasts longest.
    """
    if not plan.cron:
        assert plan.starts_at is not None
        assert plan.ends_at is not None
        return [_occurrence(plan, plan.starts_at, plan.ends_at)] if plan.ends_at > now else []
    starts = (_newest(plan, now), _next(plan, now))
    found = [_occurrence(plan, start, start + plan.duration) for start in starts if start is not None]
    return [window for window in found if not is_over(window, now)]


def _newest(plan: PlannedMaintenance, now: datetime) -> datetime | None:
    ahead = (now + _LOOK_BACK).astimezone(ZoneInfo(plan.timezone))
    oldest = now - plan.duration
    for start in CronSim(plan.cron, ahead, reverse=True):
        if start.astimezone(UTC) <= now:
            return start.astimezone(UTC) if start.astimezone(UTC) > oldest else None
    return None


def _next(plan: PlannedMaintenance, now: datetime) -> datetime | None:
    local = now.astimezone(ZoneInfo(plan.timezone))
    return next((at for start in CronSim(plan.cron, local) if (at := start.astimezone(UTC)) > now), None)


def _occurrence(plan: PlannedMaintenance, starts_at: datetime, ends_at: datetime) -> Window:
    return Window(
        id=WindowId(f"{plan.name}@{starts_at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"), kind=WindowKind.MAINTENANCE,
        matcher=plan.matcher, starts_at=starts_at, ends_at=ends_at, reason=plan.reason or plan.name,
        made_by="configuration", made_at=starts_at,
    )  # fmt: skip
