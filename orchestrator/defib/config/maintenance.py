"""``maintenance:`` – when work is planned."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from defib.config.channels import check_monitors, warn_of_tags
from defib.config.findings import Findings
from defib.config.nodes import ListNode, Spot
from defib.config.schema import MaintenanceKeys
from defib.config.validation import validate
from defib.model.ids import MonitorId
from defib.model.window import Matcher, PlannedMaintenance

_EXAMPLE = "{name: sunday, cron: '0 3 * * sun', duration: 1h, match: {tags: […]}}"


def read_maintenance(
    spot: Spot | None, timezone: str, monitors: Collection[str], tags: Collection[str], findings: Findings
) -> tuple[PlannedMaintenance, ...]:
    """All windows without a mistake.

    :param timezone: of windows that name none.
    :param monitors: the ids in the file, also of those with mistakes.
    :param tags: those of the monitors.
    """
    if spot is None:
        return ()
    if not isinstance(spot.node, ListNode):
        findings.mistake(spot, f"must be a list; write each window as '- {_EXAMPLE}'")
        return ()
    plans: dict[str, PlannedMaintenance] = {}
    for child in spot.children():
        keys = validate(MaintenanceKeys, child, findings)
        if (match := child.get("match")) is not None and match.is_mapping:
            check_monitors(match.get("monitors"), monitors, findings)
            warn_of_tags(match.get("tags"), tags, findings)
        if keys is None:
            continue
        if keys.name in plans:
            findings.mistake(child, f"there is a window {keys.name!r} above; give each a name of its own")
        plan = _plan(keys, keys.timezone or timezone, child, findings)
        if plan is not None:
            plans[keys.name] = plan
    return tuple(plans.values())


def _plan(keys: MaintenanceKeys, timezone: str, spot: Spot, findings: Findings) -> PlannedMaintenance | None:
    if (problem := _problem_of_times(keys)) is not None:
        findings.mistake(spot, problem)
        return None
    if keys.match == "all":
        matcher = Matcher()
    else:
        named = frozenset(map(MonitorId, keys.match.monitors))
        matcher = Matcher(monitors=named, tags=frozenset(keys.match.tags))
        if matcher.is_everything:
            place = spot.get("match") or spot
            findings.mistake(place, "is empty; name 'tags' or 'monitors', or write 'match: all'")
            return None
    plan = PlannedMaintenance(
        name=keys.name, matcher=matcher, reason=keys.reason, cron=keys.cron or "", timezone=timezone,
        duration=keys.duration or timedelta(0), starts_at=_instant(keys.begins, timezone),
        ends_at=_instant(keys.ends, timezone),
    )  # fmt: skip
    if plan.starts_at is not None and plan.ends_at is not None and plan.ends_at <= plan.starts_at:
        findings.mistake(spot.get("to") or spot, "must be later than 'from'")
        return None
    if plan.ends_at is not None and plan.ends_at <= datetime.now(UTC):
        findings.warning(spot.get("to") or spot, "is in the past, so nothing comes of the window; remove it")
    return plan


def _problem_of_times(keys: MaintenanceKeys) -> str | None:
    given = {"cron": keys.cron, "duration": keys.duration, "from": keys.begins, "to": keys.ends}
    found = {name for name, value in given.items() if value is not None}
    if found in ({"cron", "duration"}, {"from", "to"}):
        return None
    if not found:
        return "says not when; write 'cron' and 'duration', or 'from' and 'to'"
    for pair in ({"cron", "duration"}, {"from", "to"}):
        if found < pair:
            return f"lacks {next(iter(pair - found))!r}; add it, so that the window begins and ends"
    return "must have either 'cron' and 'duration' or 'from' and 'to'; remove what is too much"


def _instant(moment: datetime | None, timezone: str) -> datetime | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))).astimezone(UTC)
