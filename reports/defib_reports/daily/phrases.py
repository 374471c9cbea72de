"""Each thing the report lists, in words: shared by the page and the text part, so that they always agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from defib.plugin import Alert, Attempt, ProbeStatus
from defib_reports.daily.figures import Component, Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.outages import Ending, Outage
from defib_reports.daily.states import ending_sign, outcome_sign, severity_sign, state_sign
from defib_reports.daily.wording import (
    NBSP,
    NONE,
    change,
    clean,
    duration,
    milliseconds,
    number,
    percents,
    plural,
)  # fmt: skip

_CERTAIN = timedelta(seconds=1)
_NAME = 60
_LINE = 110
_MUCH_SLOWER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentPhrases:
    name: str
    sign: str
    tone: str
    state: str
    about: str  #: kind, family, number of incidents
    available: str
    bounds: str  #: empty where they do not differ
    down: str  #: empty without downtime
    bar: tuple[
        float, float, float
    ]  #: well, down, not counted: percent of the period, each visible if not zero
    counts: tuple[str, ...]
    response: tuple[str, ...]  #: percentiles; empty without healthy answers
    is_slower: bool  #: by enough to be pointed out


@dataclass(frozen=True, slots=True, kw_only=True)
class OutagePhrases:
    name: str
    sign: str
    tone: str
    began: str
    span: str  #: from, until, how long
    cause: str
    ending: str
    found: str  #: how long it took to notice


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


def describe_component(component: Component, figures: Digest) -> ComponentPhrases:
    row, available = component.of, component.availability
    sign, tone = state_sign(row.state)
    about = [clean(row.kind, _NAME), clean(row.family, _NAME)]
    if row.incidents:
        about.append(plural(row.incidents, "incident"))
    value, lo, hi = percents(*available.shares) if available else ("not observed", "", "")
    return ComponentPhrases(
        name=clean(row.name or row.monitor, _NAME),
        sign=sign,
        tone=tone,
        state=clean(row.state, _NAME),
        about=" · ".join(dict.fromkeys(about)),
        available=value,
        bounds=f"{lo} – {hi}" if lo != hi else "",
        down=f"down{NBSP}{duration(row.down)}" if row.down else "",
        bar=_bar(row.up, row.down, figures.due),
        counts=_counts(component),
        response=_response(component),
        is_slower=(component.p95_change or 0.0) >= _MUCH_SLOWER,
    )


def _bar(up: timedelta, down: timedelta, due: timedelta) -> tuple[float, float, float]:
    whole = max(due, up + down)
    if not whole:
        return (0.0, 0.0, 100.0)
    least = 2.0
    shares = [0.0 if not part else max(least, part / whole * 100) for part in (up, down, whole - up - down)]
    total = sum(shares)
    well, unwell, rest = (round(share * 100 / total, 1) for share in shares)
    return well, unwell, rest


def _counts(component: Component) -> tuple[str, ...]:
    """By status; those that did not occur are left out."""
    if not component.heartbeats:
        return ("no heartbeats",)
    return tuple(
        f"{number(count)}{NBSP}{status.value}"
        for status in ProbeStatus
        if (count := component.count(status)) or status is ProbeStatus.HEALTHY
    )


def _response(component: Component) -> tuple[str, ...]:
    """``p50 12 ms``, ``p95 40 ms, 12 % slower``, ``p99 81 ms``."""
    if component.of.latencies_ms is None:
        return ()
    p50, p95, p99 = map(milliseconds, component.of.latencies_ms)
    ratio = component.p95_change
    trend = f", {change(ratio)}" if ratio is not None else ""
    return f"p50{NBSP}{p50}", f"p95{NBSP}{p95}{trend}", f"p99{NBSP}{p99}"


def describe_outage(outage: Outage, local: LocalTime) -> OutagePhrases:
    incident = outage.incident
    sign, tone = ending_sign(outage.ending)
    began = local.time(outage.began)
    doubt = f" (±{NBSP}{duration(outage.uncertainty)})" if outage.uncertainty >= _CERTAIN else ""
    lasted = duration(outage.duration)
    summary, cause = clean(incident.summary, _LINE), clean(incident.cause, _NAME)
    return OutagePhrases(
        name=clean(outage.name, _NAME),
        sign=sign,
        tone=tone,
        began=began,
        span=(
            f"{began}{doubt} – {local.time(incident.closed_at)}, {lasted}"
            if incident.closed_at
            else f"since {began}{doubt}, {lasted} so far"
        ),
        cause=f"{summary} ({cause})" if summary and cause else summary or cause or NONE,
        ending=_ending(outage),
        found=f"noticed after {duration(outage.detect)}",
    )


def _ending(outage: Outage) -> str:
    match outage.ending:
        case Ending.DEFIB:
            return "healed by Defib" + (f" in {duration(outage.heal)}" if outage.heal is not None else "")
        case Ending.ITSELF:
            return "ended by itself"
        case Ending.OPEN:
            return "still open"
        case Ending.OTHERWISE:
            reason = clean(outage.incident.resolution, _LINE) or clean(outage.incident.healed_by or "", _NAME)
            return "closed" + (f": {reason}" if reason else "")


def describe_attempt(attempt: Attempt, figures: Digest, local: LocalTime) -> AttemptPhrases:
    sign, tone, outcome = outcome_sign(attempt.outcome)
    began = attempt.started_at or attempt.intent_at
    notes = [f"attempt {attempt.number}"]
    if attempt.actor != "auto":
        notes.append(f"by {clean(attempt.actor, _NAME)}")
    if attempt.started_at and attempt.ended_at:
        notes.append(f"ran {duration(max(timedelta(0), attempt.ended_at - attempt.started_at))}")
    if attempt.verified_at:
        notes.append(f"well after {duration(max(timedelta(0), attempt.verified_at - began))}")
    if attempt.exit_status:
        notes.append(f"exit status {attempt.exit_status}")
    if detail := clean(attempt.detail, _LINE):
        notes.append(detail)
    return AttemptPhrases(
        name=clean(figures.name_of(attempt.monitor), _NAME),
        sign=sign,
        tone=tone,
        at=local.time(began),
        what=clean(attempt.description, _LINE) or clean(attempt.kind, _NAME),
        outcome=outcome,
        note=" · ".join(notes),
    )


def describe_alert(alert: Alert, figures: Digest, local: LocalTime) -> AlertPhrases:
    sign, tone = severity_sign(alert.severity)
    about = [clean(alert.kind, _NAME), clean(alert.id, _NAME)]
    if alert.monitor is not None:
        about.insert(0, clean(figures.name_of(alert.monitor), _NAME))
    return AlertPhrases(
        sign=sign,
        tone=tone,
        severity=alert.severity.value,
        at=local.time(alert.at),
        title=clean(alert.title, _LINE),
        about=" · ".join(about),
    )


_DELIVERY_STATES = {"delivered": "delivered", "pending": "under way", "dead": "given up"}


def describe_channel(states: Mapping[str, int]) -> str:
    """``41 delivered · 1 under way``."""
    known = [f"{number(states[state])}{NBSP}{word.replace(' ', NBSP)}"
             for state, word in _DELIVERY_STATES.items() if states.get(state)]  # fmt: skip
    others = [
        f"{number(count)}{NBSP}{clean(state, _NAME)}"
        for state, count in sorted(states.items())
        if count and state not in _DELIVERY_STATES
    ]
    return " · ".join(known + others) or "nothing sent"


def describe_rest(troubled: int, well: int, heartbeats: int) -> str:
    """The components that are not shown one by one; empty when there are none."""
    parts = []
    if troubled:
        parts.append(f"{plural(troubled, 'more component')} with trouble (in the CSV and JSON)")
    if well:
        parts.append(f"{plural(well, 'more component')} without any trouble")
    return f"{' and '.join(parts)}, {plural(heartbeats, 'heartbeat')} together." if parts else ""
