"""Facts in words, of one alert or of several in one message."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from defib.logs import get_logger
from defib.model.alert import Alert, AlertFacts, AlertKind, AlertText, Held, Severity, Together
from defib.model.ids import AlertId, MonitorId
from defib.ports import AlertTexts
from defib.rules.alerting.notice import ENDS

log = get_logger("defib.composing")

NO_MONITOR = MonitorId("")


def compose(texts: AlertTexts, facts: AlertFacts) -> AlertText:
    """In words; plain ones where the texts, which are a plugin, fail."""
    try:
        return texts.compose(facts)
    except Exception as error:  # an alert without fine words is still an alert
        log.error(
            "alert text failed; sending the plain one", alert=facts.event, error=repr(error), exc_info=error
        )
        return AlertText(
            kind=f"{facts.family}_{facts.event}",
            severity=Severity.HIGH if facts.event is AlertKind.DOWN else Severity.INFO,
            title=f"{facts.monitor_name}: {facts.event}",
            description=f"{facts.summary}. {facts.recovery}".strip(),
        )


def together(texts: AlertTexts, alerts: Sequence[Alert]) -> Alert:
    """One alert that tells of several of the same kind; the first of them, when it is the only one."""
    first, *more = alerts
    if not more:
        return first
    facts = replace(
        first.facts,
        at=max(alert.facts.at for alert in alerts),
        since=min(alert.facts.since for alert in alerts),
        tags=tuple(sorted({tag for alert in alerts for tag in alert.facts.tags})),
        facts={},
        together=tuple(member(alert) for alert in alerts),
        silent_host=alerts[-1].facts.silent_host,  # as it was when the last one fell
        silent=alerts[-1].facts.silent,
    )
    return _in_words(texts, first, facts, alerts)


def digest(
    texts: AlertTexts, alerts: Sequence[Alert], *, over: Iterable[AlertId] = (), held: Held | None = None
) -> Alert:
    """One alert that tells of several which have nothing to do with one another, the most pressing one first.

    A fault and its end among ``alerts`` are one line, which says that it is over and how long it lasted.

    :param over: those of ``alerts`` whose matter has ended, although its end is not among them.
    :param held: why people hear of them only now.
    :return: with the id of the first of ``alerts``, whose place it takes.
    """
    first = alerts[0]
    members = sorted(
        _members(alerts, frozenset(over)), key=lambda item: (item.is_over, -item.severity.rank, item.since)
    )
    facts = AlertFacts(
        event=AlertKind.DIGEST, monitor=NO_MONITOR, monitor_name="Defib", monitor_kind="digest", family="check",
        target="", at=max(alert.facts.at for alert in alerts), since=min(item.since for item in members),
        cause="digest", summary=f"{len(members)} alerts", held=held, together=tuple(members),
        tags=tuple(sorted({tag for alert in alerts for tag in alert.facts.tags})),
        timezone=first.facts.timezone, url=first.facts.url.partition("/monitors/")[0],
    )  # fmt: skip
    made = _in_words(texts, first, facts, [])
    worst = max(
        (item.severity for item in members if not item.is_over),
        key=lambda item: item.rank,
        default=Severity.INFO,
    )
    return replace(made, severity=worst, monitor=None, incident=None)


def _members(alerts: Sequence[Alert], over: frozenset[AlertId]) -> list[Together]:
    """One for each matter: of its alerts the most pressing one, and whether it is over."""
    matters: dict[str, list[Alert]] = {}
    for alert in alerts:
        matters.setdefault(alert.incident or f"{alert.monitor}|{alert.facts.since}", []).append(alert)
    found = []
    for matter in matters.values():
        worst = max(matter, key=lambda alert: alert.severity.rank)
        ends = [alert for alert in matter if alert.facts.event in ENDS]
        is_over = bool(ends) or not over.isdisjoint(alert.id for alert in matter)
        duration_s = ends[-1].facts.duration_s if ends else worst.facts.duration_s
        found.append(replace(member(worst), is_over=is_over, duration_s=duration_s))
    return found


def member(alert: Alert) -> Together:
    """An alert as one of several that a message tells of."""
    facts = alert.facts
    return Together(
        monitor=facts.monitor, name=facts.monitor_name, family=facts.family, summary=facts.summary,
        since=facts.since, recovery=facts.recovery, duration_s=facts.duration_s, event=facts.event,
        severity=alert.severity, cause=facts.cause,
    )  # fmt: skip


def _in_words(texts: AlertTexts, first: Alert, facts: AlertFacts, alerts: Sequence[Alert]) -> Alert:
    text = compose(texts, facts)
    severity = max((text.severity, *(alert.severity for alert in alerts)), key=lambda item: item.rank)
    return replace(
        first, kind=text.kind, severity=severity, title=text.title, description=text.description,
        evidence=text.evidence, recommendations=text.recommendations, at=facts.at, facts=facts,
    )  # fmt: skip
