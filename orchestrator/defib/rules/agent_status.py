"""How an agent stands, from the health of its monitor. Pure."""

from datetime import datetime

from defib.model.agent import AgentStatus
from defib.model.evidence import Grade, Observation, Source
from defib.model.health import Health, State


def status(health: Health | None, heard: datetime | None) -> AgentStatus:
    """:param heard: when its newest beat came; None: none ever did."""
    if health is None or heard is None:
        return AgentStatus.UNKNOWN
    match health.state:
        case State.STOPPED:
            return AgentStatus.STOPPED
        case State.FAULT | State.UNREACHABLE:
            return _of_fault(health.last)
        case State.SUSPECT:
            return AgentStatus.WARNING
        case State.DEGRADED:
            return AgentStatus.DEGRADED
    return AgentStatus.ONLINE


def _of_fault(last: Observation | None) -> AgentStatus:
    """What it said itself, and that it said nothing, are two faults."""
    if last is None or last.source not in (Source.BEAT, Source.DEADLINE):
        return AgentStatus.OFFLINE
    if last.source is Source.BEAT:
        return AgentStatus.ERROR
    return AgentStatus.WARNING if last.evidence.grade is Grade.WEAK else AgentStatus.OFFLINE


def status_aside(
    health: Health,
    heard: datetime | None,
    now: datetime,
    *,
    late_at: datetime | None,
    gone_at: datetime | None,
) -> AgentStatus:
    """Of one whose monitor judges nothing now: by the age of its newest beat, and by what it said last.

    :param late_at: when silence would make it late, and at ``gone_at`` offline; None: no beat is expected.
    """
    if heard is None:
        return AgentStatus.UNKNOWN
    if gone_at is not None and now >= gone_at:
        return AgentStatus.OFFLINE
    if late_at is not None and now >= late_at:
        return AgentStatus.WARNING
    last = health.last
    if last is None or last.evidence.is_ok:
        return AgentStatus.DEGRADED if last is not None and last.evidence.is_degraded else AgentStatus.ONLINE
    return AgentStatus.STOPPED if last.evidence.grade is Grade.INTENT else _of_fault(last)


def heard(health: Health | None) -> datetime | None:
    """When the newest beat came: monitors that are beaten remember it under ``heard``."""
    heard = health.beats.get("heard") if health is not None else None
    return (
        datetime.fromtimestamp(heard, tz=health.since.tzinfo)
        if isinstance(heard, int | float) and health
        else None
    )
