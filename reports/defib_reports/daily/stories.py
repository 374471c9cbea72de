"""What happened, in words: incidents with their timelines, recovery attempts, alerts."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from defib.plugin import ENGLISH, Alert, Attempt, AttemptOutcome, Ruling
from defib_reports.daily.figures import Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.outages import Bout, Ending, Outage
from defib_reports.daily.states import EVENTS, HOLDS, ending_sign, outcome_sign, severity_sign
from defib_reports.daily.wording import NONE, clean

_CERTAIN = timedelta(seconds=1)
_NAME = 60
_LINE = 110
_STEPS = 6  #: of one incident's timeline; what is left out is among the recovery attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class OutagePhrases:
    name: str
    sign: str
    tone: str
    span: str  #: from, until, how long
    cause: str
    ending: str
    found: str  #: how long it took to notice
    steps: tuple[tuple[str, str], ...]  #: its timeline: when and what


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptPhrases:
    name: str
    sign: str
    tone: str
    at: str
    what: str
    outcome: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPhrases:
    sign: str
    tone: str
    severity: str
    at: str
    title: str
    about: str  #: component, type and id
    held: str  #: why people did not hear of it at once; empty when they did


def describe_bout(bout: Bout, local: LocalTime) -> OutagePhrases:
    """One outage, or several of the same kind in one."""
    told = describe_outage(bout.first, local)
    if len(bout.outages) == 1:
        return told
    words, last = local.words, bout.outages[-1].incident
    return replace(
        told,
        ending=words.ngettext(
            "{n} time: {ending}", "{n} times: {ending}", len(bout.outages), ending=_several_endings(bout, local)
        ),
        span=words.gettext(
            "{began} – {ended}, {duration} in all",
            began=local.time(bout.first.began),
            ended=local.time(last.closed_at or bout.first.began),
            duration=words.duration(bout.duration),
        ),
        found=words.gettext(
            "noticed after {duration} on average",
            duration=words.duration(
                sum((outage.detect for outage in bout.outages), timedelta(0)) / len(bout.outages)
            ),
        ),
        steps=(),
    )  # fmt: skip


def _several_endings(bout: Bout, local: LocalTime) -> str:
    match bout.first.ending:
        case Ending.DEFIB:
            return local.words.gettext("healed by Defib")
        case Ending.ITSELF:
            return local.words.gettext("ended by themselves")
        case _:
            return local.words.gettext("closed")


def describe_outage(outage: Outage, local: LocalTime) -> OutagePhrases:
    incident, words = outage.incident, local.words
    sign, tone = ending_sign(outage.ending)
    began = local.time(outage.began)
    doubt = f" (±\u00a0{words.duration(outage.uncertainty)})" if outage.uncertainty >= _CERTAIN else ""
    lasted = words.duration(outage.duration)
    summary, cause = clean(local.told(incident.summary), _LINE), clean(incident.cause, _NAME)
    return OutagePhrases(
        name=clean(outage.name, _NAME),
        sign=sign,
        tone=tone,
        span=words.gettext(
            "{began} – {ended}, {duration}",
            began=began + doubt,
            ended=local.time(incident.closed_at),
            duration=lasted,
        )
        if incident.closed_at
        else words.gettext("since {began}, {duration} so far", began=began + doubt, duration=lasted),
        cause=f"{summary} ({cause})" if summary and cause else summary or cause or NONE,
        ending=_ending(outage, local),
        found=words.gettext("noticed after {duration}", duration=words.duration(outage.detect)),
        steps=_steps(outage, local) if outage.attempts or outage.acked_at else (),
    )


def _ending(outage: Outage, local: LocalTime) -> str:
    words = local.words
    match outage.ending:
        case Ending.DEFIB if outage.heal is not None:
            return words.gettext("healed by Defib in {duration}", duration=words.duration(outage.heal))
        case Ending.DEFIB:
            return words.gettext("healed by Defib")
        case Ending.ITSELF:
            return words.gettext("ended by itself")
        case Ending.OPEN:
            return words.gettext("still open")
        case Ending.OTHERWISE:
            how = clean(local.told(outage.incident.resolution), _LINE)
            reason = how or clean(outage.incident.healed_by or "", _NAME)
            return words.gettext("closed: {reason}", reason=reason) if reason else words.gettext("closed")


def _steps(outage: Outage, local: LocalTime) -> tuple[tuple[str, str], ...]:
    """What was done about it, oldest first."""
    incident, words = outage.incident, local.words
    steps: list[tuple[datetime, str]] = [
        (incident.opened_at, words.gettext("decided that it is a fault")),
        *(
            (
                attempt.started_at or attempt.intent_at,
                f"{clean(attempt.description, _LINE) or clean(attempt.kind, _NAME)}: "
                f"{words.gettext(outcome_sign(attempt.outcome)[2])}",
            )
            for attempt in outage.attempts
        ),
    ]
    if outage.acked_at is not None:
        who = clean(incident.acked_by, _NAME)
        steps.append((outage.acked_at, words.gettext("acknowledged by {who}", who=who)))
    if incident.closed_at is not None:
        steps.append((incident.closed_at, words.gettext("seen well again")))
    steps.sort(key=lambda step: step[0])
    if len(steps) > _STEPS:
        steps = [*steps[: _STEPS - 1], steps[-1]]
    return tuple((local.time(at), what) for at, what in steps)


def describe_attempt(attempt: Attempt, figures: Digest, local: LocalTime) -> AttemptPhrases:
    words = local.words
    sign, tone, outcome = outcome_sign(attempt.outcome)
    began = attempt.started_at or attempt.intent_at
    notes = [words.gettext("attempt {n}", n=words.number(attempt.number))]
    if attempt.actor != "auto":
        notes.append(words.gettext("by {who}", who=clean(attempt.actor, _NAME)))
    if attempt.started_at and attempt.ended_at:
        ran = max(timedelta(0), attempt.ended_at - attempt.started_at)
        notes.append(words.gettext("ran {duration}", duration=words.duration(ran)))
    if attempt.verified_at:
        well = max(timedelta(0), attempt.verified_at - began)
        notes.append(words.gettext("well after {duration}", duration=words.duration(well)))
    if attempt.exit_status and attempt.outcome is not AttemptOutcome.DRY_RUN:
        notes.append(words.gettext("exit status {n}", n=attempt.exit_status))
    if detail := clean(local.told(attempt.detail), _LINE):
        notes.append(detail)
    return AttemptPhrases(
        name=clean(figures.name_of(attempt.monitor), _NAME),
        sign=sign,
        tone=tone,
        at=local.time(began),
        what=clean(attempt.description, _LINE) or clean(attempt.kind, _NAME),
        outcome=words.gettext(outcome),
        note=" · ".join(notes),
    )


def describe_alert(alert: Alert, figures: Digest, local: LocalTime) -> AlertPhrases:
    words = local.words
    sign, tone, severity = severity_sign(alert.severity)
    about = [clean(alert.kind, _NAME), clean(alert.id, _NAME)]
    name = clean(figures.name_of(alert.monitor), _NAME) if alert.monitor is not None else ""
    if name:
        about.insert(0, name)
    title = clean(alert.title, _LINE)
    if words.language != ENGLISH:  # titles are stored as they were said first, in English
        subject = name or clean(alert.facts.monitor_name, _NAME)
        title = f"{subject}: {words.gettext(EVENTS[alert.facts.event])}"
    return AlertPhrases(
        sign=sign,
        tone=tone,
        severity=words.gettext(severity),
        at=local.time(alert.at),
        title=title,
        about=" · ".join(about),
        held=_held(alert, local),
    )


def _held(alert: Alert, local: LocalTime) -> str:
    words = local.words
    for verdict in alert.verdicts:
        if verdict.ruling is Ruling.PASSED:
            continue
        why = (
            words.gettext(HOLDS[verdict.by])
            if verdict.by is not None
            else clean(local.told(verdict.reason), _LINE)
        )
        if verdict.by is not None and verdict.name:
            why += f" “{clean(verdict.name, _NAME)}”"
        if verdict.until is not None:
            return words.gettext("{why} until {time}", why=why, time=local.time(verdict.until))
        return why
    return ""
