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
from defib_reports.daily.prospects import describe_expiry, describe_forecast
from defib_reports.daily.wording import clean

_ABOUT_FLAPPING = (AlertKind.FLAPPING, AlertKind.STILL_FLAPPING, AlertKind.SETTLED)
_WATCHED_ENOUGH = 0.99
_RECOVERY_TAKES = timedelta(minutes=5)  #: from the decision; hold, attempts and verification may be under way
_SOON = timedelta(days=7)  #: that is full or ends within it is a concern of today
_NAME = 60


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
    """All of them: what needs acting on first, each kind in the order of the report.

    Before Defib watched there was nothing that anybody could act on.
    """
    if figures.has_nothing_to_tell:
        return ()
    found = (
        *_open_incidents(figures, local),
        *_refused_recoveries(figures, local),
        *_expiring(figures, local),
        *_filling_up(figures, local),
        *_overspent(figures, local),
        *_flapping(figures, local),
        *_degraded(figures, local),
        *_unobserved(figures, local),
        *_undelivered(figures, local),
        *_own_gaps(figures, local),
    )
    return tuple(sorted(found, key=lambda concern: concern.urgency is not Urgency.ACT))


def _open_incidents(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    gave_up = {alert.incident for alert in figures.alerts if alert.facts.event is AlertKind.RECOVERY_FAILED}
    recovered = {row.monitor for row in figures.period.monitors if row.recovers}
    for outage in figures.outages:
        if outage.is_open:
            incident = outage.incident
            is_settling = (
                incident.id not in gave_up
                and incident.monitor in recovered
                and _is_at_work(outage, figures.period.generated_at)
            )
            text = local.words.gettext(
                "{cause}; open since {since}, for {duration}.",
                cause=clean(local.told(incident.summary) or incident.cause),
                since=local.time(outage.began),
                duration=local.words.duration(outage.duration),
            )
            yield Concern(
                urgency=Urgency.LOOK if is_settling else Urgency.ACT,
                topic="open-incident",
                subject=clean(outage.name, _NAME),
                text=local.words.joined(
                    text, _efforts(outage, local, gave_up=incident.id in gave_up), _taken_on(outage, local)
                ),
                monitor=incident.monitor,
            )


def _is_at_work(outage: Outage, now: datetime) -> bool:
    """Defib may still settle it without anybody."""
    is_acting = any(attempt.outcome is AttemptOutcome.RUNNING for attempt in outage.attempts)
    return is_acting or now - outage.incident.opened_at < _RECOVERY_TAKES


def _efforts(outage: Outage, local: LocalTime, *, gave_up: bool) -> str:
    outcomes = Counter(attempt.outcome for attempt in outage.attempts)
    executed = len(outage.attempts) - outcomes[AttemptOutcome.REFUSED] - outcomes[AttemptOutcome.DRY_RUN]
    words = local.words
    if gave_up:
        return words.ngettext(
            "Defib gave up after {n} attempt in this period.",
            "Defib gave up after {n} attempts in this period.",
            executed,
        )
    if outcomes[AttemptOutcome.RUNNING]:
        return words.gettext("Defib is at work on it.")
    if executed:
        return words.ngettext(
            "{n} attempt in this period brought no lasting success.",
            "{n} attempts in this period brought no lasting success.",
            executed,
        )
    if outcomes[AttemptOutcome.DRY_RUN]:
        return words.gettext("Recovery is on dry-run: nothing was executed.")
    if outcomes[AttemptOutcome.REFUSED]:
        return words.gettext("Recovery was refused: nothing was executed.")
    return words.gettext("No recovery was tried in this period.")


def _taken_on(outage: Outage, local: LocalTime) -> str:
    if outage.acked_at is None:
        return ""
    return local.words.gettext(
        "{who} took it on at {time}.",
        who=clean(outage.incident.acked_by, _NAME),
        time=local.time(outage.acked_at),
    )


def _refused_recoveries(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    refused = {a.monitor: a for a in figures.attempts if a.outcome is AttemptOutcome.REFUSED}
    for monitor, attempt in refused.items():
        what, reason = clean(attempt.description), clean(local.told(attempt.detail)).rstrip(".")
        yield Concern(
            urgency=Urgency.ACT,
            topic="refused-recovery",
            subject=clean(figures.name_of(monitor), _NAME),
            text=local.words.gettext("recovery was refused: {what} ({reason}).", what=what, reason=reason)
            if reason
            else local.words.gettext("recovery was refused: {what}.", what=what),
            monitor=monitor,
        )


def _expiring(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    """Certificates that end within a week."""
    for expiry in figures.period.expiries:
        if expiry.ends_at - figures.period.generated_at <= _SOON:
            yield Concern(
                urgency=Urgency.ACT,
                topic="certificate",
                subject=clean(figures.name_of(expiry.monitor), _NAME),
                text=describe_expiry(expiry, figures, local),
                monitor=expiry.monitor,
            )


def _filling_up(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    """What will probably be full within a week."""
    for forecast in figures.period.forecasts:
        if forecast.full_at - figures.period.generated_at <= _SOON:
            yield Concern(
                urgency=Urgency.ACT,
                topic="filling-up",
                subject=clean(figures.name_of(forecast.monitor), _NAME),
                text=describe_forecast(forecast, figures, local),
                monitor=forecast.monitor,
            )


def _overspent(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    """Error budgets that are gone."""
    for component in figures.components:
        budget = component.of.budget
        if budget is not None and (budget.spent_share or 0.0) >= 1:
            yield Concern(
                urgency=Urgency.LOOK,
                topic="budget-spent",
                subject=clean(component.of.name, _NAME),
                text=local.words.gettext(
                    "its error budget is spent: {spent} of {allowed} downtime in {days} days.",
                    spent=local.words.duration(budget.spent),
                    allowed=local.words.duration(budget.allowed),
                    days=budget.window.days,
                ),
                monitor=component.of.monitor,
            )


def _flapping(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    """Those that went up and down, the noisiest first, and whether they have settled."""
    last: dict[MonitorId, Alert] = {}
    for alert in figures.alerts:
        if alert.monitor is not None and alert.facts.event in _ABOUT_FLAPPING:
            last[alert.monitor] = alert
    falls = Counter(incident.monitor for incident in figures.period.incidents)
    for monitor, alert in sorted(last.items(), key=lambda item: -falls[item[0]]):
        if alert.facts.event is AlertKind.SETTLED:
            text = local.words.ngettext(
                "went up and down: {n} incident; it has settled since.",
                "went up and down: {n} incidents; it has settled since.",
                falls[monitor],
            )
        else:
            text = local.words.ngettext(
                "went up and down: {n} incident; it still does.",
                "went up and down: {n} incidents; it still does.",
                falls[monitor],
            )
        yield Concern(
            urgency=Urgency.LOOK,
            topic="flapping",
            subject=clean(figures.name_of(monitor), _NAME),
            text=text,
            monitor=monitor,
        )


def _degraded(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    told: dict[MonitorId | None, Alert] = {}
    for alert in figures.alerts:
        if alert.facts.event is AlertKind.DEGRADED:
            told[alert.monitor] = alert
    for component in figures.components:
        if component.of.state == State.DEGRADED:
            alert_of = told.get(component.of.monitor)
            why = clean(local.told(alert_of.facts.summary) or alert_of.title).rstrip(".") if alert_of else ""
            yield Concern(
                urgency=Urgency.LOOK,
                topic="degraded",
                subject=clean(component.of.name, _NAME),
                text=local.words.gettext("degraded at the end: {why}.", why=why)
                if why
                else local.words.gettext("degraded at the end."),
                monitor=component.of.monitor,
            )


def _unobserved(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    for component in figures.components:
        if component.is_unobserved:
            yield Concern(
                urgency=Urgency.LOOK,
                topic="unobserved",
                subject=clean(component.of.name, _NAME),
                text=local.words.gettext("never observed."),
                monitor=component.of.monitor,
            )


def _undelivered(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    for channel, states in sorted(figures.period.deliveries.items()):
        if dead := states.get("dead", 0):
            yield Concern(
                urgency=Urgency.LOOK,
                topic="undelivered",
                subject=clean(channel, _NAME),
                text=local.words.ngettext(
                    "{n} notice could not be delivered.", "{n} notices could not be delivered.", dead
                ),
            )


def _own_gaps(figures: Digest, local: LocalTime) -> Iterator[Concern]:
    share = figures.watched_share
    if share is not None and share < _WATCHED_ENOUGH:
        yield Concern(
            urgency=Urgency.LOOK,
            topic="not-watching",
            subject="Defib",
            text=local.words.gettext(
                "not watching for {duration}; it watched {percent} of the time.",
                duration=local.words.duration(figures.unwatched),
                percent=local.words.percent(share),
            ),
        )
