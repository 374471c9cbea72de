"""What an alert is made of: everything that was known when it was decided."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from defib.engine.alerting.composing import NO_MONITOR
from defib.engine.roster import Roster, Watched
from defib.model.alert import AlertFacts, AlertKind
from defib.model.evidence import Fact, Grade, Observation
from defib.model.health import FaultLabel, Health, Incident
from defib.model.monitor import RecoveryMode
from defib.model.settings import Settings
from defib.rules.delivering.local_time import stamped
from defib.rules.observer import Trouble


def facts_about(
    roster: Roster, event: AlertKind, watched: Watched, health: Health, now: datetime, recent: Sequence[Observation],
    *, since: datetime, recovery: str = "", healed_by: str | None = None, duration: timedelta | None = None,
    attempts: int = 0, cause: str = "", label: str = "", falls: int = 0,
) -> AlertFacts:  # fmt: skip
    """Of a monitor.

    :param recent: its newest observations, oldest first: the evidence that people are shown.
    :param since: the likely beginning of what it is about.
    :param cause: "" is that of the newest evidence.
    """
    spec, settings = watched.spec, roster.settings
    evidence = health.last.evidence if health.last else None
    facts: Mapping[str, Fact] = evidence.facts if evidence else {}
    base = settings.server.public_url
    zone = ZoneInfo(settings.timezone)
    seen = tuple(
        stamped(f"{item.ended_at.astimezone(zone):%H:%M:%S}", item.evidence.summary) for item in recent
    )
    return AlertFacts(
        event=event,
        monitor=spec.id,
        monitor_name=spec.name,
        monitor_kind=spec.kind,
        family=spec.family,
        target=watched.plugin.target,
        at=now,
        since=since,
        cause=cause or (evidence.cause if evidence else "unknown"),
        summary=evidence.summary if evidence else "",
        evidence=seen or ((evidence.summary,) if evidence else ()),
        facts=facts,
        recovery=recovery,
        healed_by=healed_by,
        duration_s=None if duration is None else duration.total_seconds(),
        attempts=attempts,
        tags=tuple(sorted(spec.tags)),
        timezone=settings.timezone,
        url=f"{base}/monitors/{spec.id}" if base else "",
        label=str(label),
        state=str(health.state),
        falls=falls,
    )


def facts_about_observer(
    settings: Settings, event: AlertKind, trouble: Trouble, now: datetime, *, recovery: str,
    duration_s: float | None = None,
) -> AlertFacts:  # fmt: skip
    """Of Defib itself."""
    return AlertFacts(
        event=event, monitor=NO_MONITOR, monitor_name="Defib", monitor_kind="observer", family="observer",
        target="", at=now, since=min(trouble.since, now), cause=f"observer-{trouble.ailment}",
        summary=trouble.reason, recovery=recovery, duration_s=duration_s,
        timezone=settings.timezone, url=settings.server.public_url,
    )  # fmt: skip


def plan(roster: Roster, watched: Watched, health: Health, incident: Incident) -> str:
    """What Defib is going to do about a fault, in words."""
    if reason := _obstacle(roster, watched, health, incident):
        return f"Defib will not act{reason}"
    first = watched.actions[0].description
    if roster.recovery_mode(watched.spec) is RecoveryMode.DRY_RUN:
        return f"Defib would run: {first} (recovery is in dry-run mode)"
    return f"Defib will run: {first}"


def will_act(roster: Roster, watched: Watched, health: Health | None, incident: Incident | None) -> bool:
    """Whether Defib is going to repair a fault without being asked."""
    if health is None or incident is None or _obstacle(roster, watched, health, incident):
        return False
    return roster.recovery_mode(watched.spec) is RecoveryMode.AUTO


def _obstacle(roster: Roster, watched: Watched, health: Health, incident: Incident) -> str:
    """Why nothing is done, as it follows "will not act"; "" where something may be."""
    if incident.label is FaultLabel.UNVERIFIED:
        return " before it has seen it afresh: it was not well itself when it decided this"
    if incident.grade == Grade.INTENT:
        return ": it was stopped on purpose"
    if not health.was_up:
        return ": it has never been seen well"
    if not watched.actions or roster.recovery_mode(watched.spec) is RecoveryMode.OFF:
        return ": no recovery is configured"
    return ""
