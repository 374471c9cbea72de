"""What a person should do or look at. Everything Defib could settle by itself is left out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from defib.plugin import Alert, AlertKind, AttemptOutcome, MonitorId, State
from defib_reports.daily.figures import Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.outages import Outage
from defib_reports.daily.wording import clean, duration, percent, plural

_ABOUT_FLAPPING = (AlertKind.FLAPPING, AlertKind.STILL_FLAPPING, AlertKind.SETTLED)
_WATCHED_ENOUGH = 0.99
_RECOVERY_TAKES = timedelta(minutes=5)  #: from the decision; hold, attempts and verification may be under way


class Urgency(StrEnum):
    ACT = "act"  #: needs a person
    LOOK = "look"  #: worth a look


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """One thing for a person, in words."""

    urgency: Urgency
    topic: str  #: stable code: ``open-incident``, ``refused-recovery``, ``undelivered``, …
    subject: str  #: name of the component or channel, ``Defib`` for itself
    text: str  #: a sentence
    monitor: MonitorId | None = None


def find_concerns(figures: Digest, local: LocalTime) -> tuple[Concern, ...]:
    """All of them: what needs acting on first, each kind in the order of the report."""
    return (
        *_open_incidents(figures, local),
        *_refused_recoveries(figures),
        *_flapping(figures),
        *_degraded(figures),
        *_unobserved(figures),
        *_undelivered(figures),
        *_own_gaps(figures),
    )


def _open_incidents(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    gave_up = {alert.incident for alert in figures.alerts if alert.facts.event is AlertKind.RECOVERY_FAILED}
    for outage in figures.outages:
        if outage.is_open:
            incident = outage.incident
            is_settling = incident.id not in gave_up and _is_at_work(outage, figures.period.generated_at)
            yield Concern(
                urgency=Urgency.LOOK if is_settling else Urgency.ACT,
                topic="open-incident",
                subject=clean(outage.name),
                text=(
                    f"{clean(incident.summary or incident.cause)}; open since {local.time(outage.began)}, "
                    f"for {duration(outage.duration)}. {_efforts(outage, gave_up=incident.id in gave_up)}"
                ),
                monitor=incident.monitor,
            )


def _is_at_work(outage: Outage, now: datetime) -> bool:
    """Defib may still settle it without anybody."""
    is_acting = any(attempt.outcome is AttemptOutcome.RUNNING for attempt in outage.attempts)
    return is_acting or now - outage.incident.opened_at < _RECOVERY_TAKES


def _efforts(outage: Outage, *, gave_up: bool) -> str:
    outcomes = Counter(attempt.outcome for attempt in outage.attempts)
    executed = len(outage.attempts) - outcomes[AttemptOutcome.REFUSED] - outcomes[AttemptOutcome.DRY_RUN]
    if gave_up:
        return f"Defib gave up after {plural(executed, 'attempt')} in this period."
    if outcomes[AttemptOutcome.RUNNING]:
        return "Defib is at work on it."
    if executed:
        return f"{plural(executed, 'attempt')} in this period brought no lasting success."
    if outcomes[AttemptOutcome.DRY_RUN]:
        return "Recovery is on dry-run: nothing was executed."
    if outcomes[AttemptOutcome.REFUSED]:
        return "Recovery was refused: nothing was executed."
    return "No recovery was tried in this period."


def _refused_recoveries(figures: Digest) -> Iterator[Concern]:
    refused = {a.monitor: a for a in figures.attempts if a.outcome is AttemptOutcome.REFUSED}
    for monitor, attempt in refused.items():
        reason = clean(attempt.detail).rstrip(".")
        yield Concern(
            urgency=Urgency.ACT,
            topic="refused-recovery",
            subject=clean(figures.name_of(monitor)),
            text=f"recovery was refused: {clean(attempt.description)}{f' ({reason})' if reason else ''}.",
            monitor=monitor,
        )


def _flapping(figures: Digest) -> Iterator[Concern]:
    """Those that went up and down, the noisiest first, and whether they have settled."""
    last: dict[MonitorId, Alert] = {}
    for alert in figures.alerts:
        if alert.monitor is not None and alert.facts.event in _ABOUT_FLAPPING:
            last[alert.monitor] = alert
    falls = Counter(incident.monitor for incident in figures.period.incidents)
    for monitor, alert in sorted(last.items(), key=lambda item: -falls[item[0]]):
        has_settled = alert.facts.event is AlertKind.SETTLED
        end = "it has settled since" if has_settled else "it still does"
        yield Concern(
            urgency=Urgency.LOOK,
            topic="flapping",
            subject=clean(figures.name_of(monitor)),
            text=f"went up and down: {plural(falls[monitor], 'incident')}; {end}.",
            monitor=monitor,
        )


def _degraded(figures: Digest) -> Iterator[Concern]:
    told: dict[MonitorId | None, Alert] = {}
    for alert in figures.alerts:
        if alert.facts.event is AlertKind.DEGRADED:
            told[alert.monitor] = alert
    for component in figures.components:
        if component.of.state == State.DEGRADED:
            alert_of = told.get(component.of.monitor)
            why = clean(alert_of.facts.summary or alert_of.title).rstrip(".") if alert_of else ""
            yield Concern(
                urgency=Urgency.LOOK,
                topic="degraded",
                subject=clean(component.of.name),
                text=f"degraded at the end{f': {why}' if why else ''}.",
                monitor=component.of.monitor,
            )


def _unobserved(figures: Digest) -> Iterator[Concern]:
    for component in figures.components:
        if component.is_unobserved:
            yield Concern(
                urgency=Urgency.LOOK,
                topic="unobserved",
                subject=clean(component.of.name),
                text="never observed.",
                monitor=component.of.monitor,
            )


def _undelivered(figures: Digest) -> Iterator[Concern]:
    for channel, states in sorted(figures.period.deliveries.items()):
        if dead := states.get("dead", 0):
            yield Concern(
                urgency=Urgency.LOOK,
                topic="undelivered",
                subject=clean(channel),
                text=f"{plural(dead, 'notice')} could not be delivered.",
            )


def _own_gaps(figures: Digest) -> Iterator[Concern]:
    share = figures.watched_share
    if share is not None and share < _WATCHED_ENOUGH:
        yield Concern(
            urgency=Urgency.LOOK,
            topic="not-watching",
            subject="Defib",
            text=f"not watching for {duration(figures.unwatched)}; it watched {percent(share)} of the time.",
        )
