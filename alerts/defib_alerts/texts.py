"""The standard alert texts: what happened, since when, what Defib does about it, and what to do."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from defib.plugin import AlertFacts, AlertKind, AlertText, Severity, TextsType, hookimpl
from defib_alerts.advice import (
    ANY,
    EXPLAIN,
    NEEDS_HUMAN,
    WHEN_CUT_OFF,
    WHEN_DEGRADED,
    WHEN_DOWN,
    WHEN_FLAPPING,
    WHEN_RECOVERED,
    WHEN_SICK,
    WHEN_STOPPED,
    Line,
)
from defib_alerts.causes import CauseAdvice, advice_for
from defib_alerts.names import known_names
from defib_alerts.together import compose_together
from defib_alerts.wording import clock_time, human_duration, one_line, sentence, zone_name

if TYPE_CHECKING:
    from jinja2 import Environment, Template

MOST_RECOMMENDATIONS = 5
MOST_EVIDENCE_LINES = 12

# --- the catalogue ---------------------------------------------------------------------------------

DOWN_KINDS: Mapping[str, tuple[str, Severity]] = {
    "agent": ("agent_down", Severity.HIGH),
    "database": ("database_down", Severity.SEVERE),
    "docker": ("docker_down", Severity.HIGH),
    "service": ("service_down", Severity.HIGH),
    "process": ("process_down", Severity.HIGH),
    "host": ("host_down", Severity.SEVERE),
    "network": ("network_down", Severity.HIGH),
    "job": ("job_missed", Severity.HIGH),
    "check": ("check_failed", Severity.HIGH),
}
"""By sort of component; any other is ``{family}_down``, high."""

TITLES: Mapping[AlertKind, str] = {
    AlertKind.DOWN: "{{ name }} {{ predicate or 'is down' }}",
    AlertKind.DEGRADED: "{{ name }} {{ predicate or 'is degraded' }}",
    AlertKind.RECOVERED: "{{ name }} has recovered",
    AlertKind.FLAPPING: "{{ name }} goes up and down",
    AlertKind.STILL_FLAPPING: "{{ name }} still goes up and down",
    AlertKind.SETTLED: "{{ name }} goes up and down no more: {{ state }}",
    AlertKind.STOPPED: "{{ name }} was stopped",
    AlertKind.STARTED: "{{ name }} is no longer stopped",
    AlertKind.RELAPSED: "{{ name }} fell again",
    AlertKind.CRASH_LOOPING: "{{ name }} is crash-looping",
    AlertKind.RECOVERY_LATE: "{{ name }} is still failing and needs you",
    AlertKind.RECOVERY_BLOCKED: "{{ name }} needs you: recovery is held back",
    AlertKind.RECOVERY_FAILED: "{{ name }} needs a human",
    AlertKind.OBSERVER_SICK: "Defib itself is not well",
    AlertKind.OBSERVER_WELL: "Defib itself is well again",
    AlertKind.TEST: "Test: this channel works",
}

DESCRIPTIONS: Mapping[AlertKind, str] = {
    AlertKind.DOWN: (
        "{{ name }} {{ trouble }} since {{ since }} ({{ timezone }}): {{ summary|stop }} "
        "{{ label }} {{ meaning }} {{ recovery|by_defib }}"
    ),
    AlertKind.FLAPPING: (
        "{{ name }} has failed and come back {{ falls }} times since {{ since }} ({{ timezone }}), in {{ duration }}. "
        "It is {{ state }} now: {{ summary|stop }} As long as this goes on you hear of it once in a quarter of an "
        "hour, and not of each fall and return; how it ends is told in any case. {{ recovery|by_defib }}"
    ),
    AlertKind.STILL_FLAPPING: (
        "{{ name }} has fallen {{ falls }} times since {{ since }} ({{ timezone }}), in {{ duration }}. "
        "It is {{ state }} now: {{ summary|stop }} {{ recovery|by_defib }}"
    ),
    AlertKind.SETTLED: (
        "{{ name }} has stayed as it is for a quarter of an hour: it is {{ state }}: {{ summary|stop }} "
        "It had fallen {{ falls }} times since {{ since }} ({{ timezone }}). {{ meaning }} {{ recovery|by_defib }}"
    ),
    AlertKind.STOPPED: (
        "{{ name }} was stopped on purpose at {{ since }} ({{ timezone }}) and is still stopped: {{ summary|stop }} "
        "Defib leaves it stopped, and says so when it is back."
    ),
    AlertKind.STARTED: (
        "{{ name }}, which had been stopped on purpose, is back since {{ since }} ({{ timezone }}): {{ summary|stop }}"
    ),
    AlertKind.DEGRADED: (
        "{{ name }} works, but since {{ since }} ({{ timezone }}) not as it should: {{ summary|stop }} "
        "{{ meaning }} {{ recovery|by_defib }}"
    ),
    AlertKind.RECOVERED: (
        "{{ name }} is well again: {{ summary|stop }} "
        "The trouble lasted from {{ since }} to {{ at }} ({{ timezone }}){% if duration %}, {{ duration }}{% endif %}. "
        "{{ healed|sentence }}"
    ),
    AlertKind.RELAPSED: (
        "{{ name }} had recovered, and soon fell again: {{ summary|stop }} It is the same trouble as before, since "
        "{{ since }} ({{ timezone }}). {{ recovery|by_defib }}"
    ),
    AlertKind.CRASH_LOOPING: (
        "{{ name }} comes back when it is restarted, but falls again and again: {{ summary|stop }} {{ meaning }} "
        "{{ recovery|by_defib }}"
    ),
    AlertKind.RECOVERY_LATE: (
        "{{ name }} {{ trouble }} since {{ since }} ({{ timezone }}), and Defib has not brought it back so far: "
        "{{ summary|stop }} {{ meaning }} {{ recovery|by_defib }}"
    ),
    AlertKind.RECOVERY_BLOCKED: (
        "{{ name }} {{ trouble }} since {{ since }} ({{ timezone }}): {{ summary|stop }} {{ meaning }} "
        "{{ recovery|by_defib }}"
    ),
    AlertKind.RECOVERY_FAILED: (
        "Defib could not bring {{ name }} back{% if attempts %} in {{ attempts }} "
        "{{ 'attempt' if attempts == 1 else 'attempts' }}{% endif %} and has stopped trying. "
        "It {{ trouble }} since {{ since }} ({{ timezone }}): {{ summary|stop }} "
        "{{ meaning }} {{ recovery|by_defib }}"
    ),
    AlertKind.OBSERVER_SICK: "Since {{ since }} ({{ timezone }}): {{ summary|stop }} {{ recovery|by_defib }}",
    AlertKind.OBSERVER_WELL: (
        "It was not since {{ since }} ({{ timezone }}){% if duration %}, for {{ duration }}{% endif %}: "
        "{{ summary|stop }} {{ recovery|by_defib }}"
    ),
    AlertKind.TEST: (
        "Defib sent this at {{ at }} ({{ timezone }}) as {{ summary }}. It arrived; nothing is wrong, and there is "
        "nothing to do."
    ),
}


# --- composing -------------------------------------------------------------------------------------


class StandardTexts:
    """Puts the facts of an alert into words."""

    def compose(self, facts: AlertFacts) -> AlertText:
        """Title, description, evidence and recommendations. Pure; never fails on odd facts."""
        kind, severity = classify(facts)
        if facts.together:
            return compose_together(facts, kind, severity)
        advice = advice_for(facts.cause, facts.family) if facts.event in _ABOUT_A_FAULT else None
        words = _words(facts, advice)
        return AlertText(
            kind=kind,
            severity=severity,
            title=one_line(_render(TITLES[facts.event], words), limit=160),
            description=one_line(_render(DESCRIPTIONS[facts.event], words), limit=1500),
            evidence=_evidence(facts),
            recommendations=_recommendations(facts, advice),
        )


def classify(facts: AlertFacts) -> tuple[str, Severity]:
    """The alert's kind and how pressing it is."""
    match facts.event:
        case AlertKind.DOWN:
            return DOWN_KINDS.get(facts.family, (f"{facts.family}_down", Severity.HIGH))
        case AlertKind.DEGRADED:
            is_slow_agent = facts.family == "agent" and facts.cause.startswith("slow")
            return ("agent_slow" if is_slow_agent else f"{facts.family}_degraded"), Severity.LOW
        case AlertKind.RECOVERED:
            return "recovered", Severity.INFO
        case AlertKind.FLAPPING:
            return "flapping", Severity.HIGH
        case AlertKind.STILL_FLAPPING:
            return "still_flapping", Severity.LOW
        case AlertKind.SETTLED:
            _, severity = DOWN_KINDS.get(facts.family, ("", Severity.HIGH))
            return "settled", severity if facts.state in _BAD_STATES else Severity.INFO
        case AlertKind.STOPPED:
            return "stopped", Severity.LOW
        case AlertKind.STARTED:
            return "started", Severity.INFO
        case AlertKind.RELAPSED:
            return "relapsed", Severity.LOW
        case AlertKind.CRASH_LOOPING:
            return "crash_looping", Severity.HIGH
        case AlertKind.RECOVERY_LATE | AlertKind.RECOVERY_BLOCKED | AlertKind.RECOVERY_FAILED:
            return str(facts.event), Severity.SEVERE
        case AlertKind.OBSERVER_SICK:
            return "observer_sick", Severity.HIGH
        case AlertKind.OBSERVER_WELL:
            return "observer_well", Severity.INFO
        case AlertKind.TEST:
            return "test", Severity.INFO


_ABOUT_A_FAULT = frozenset(
    {
        AlertKind.DOWN, AlertKind.DEGRADED, AlertKind.RELAPSED, AlertKind.CRASH_LOOPING, AlertKind.RECOVERY_LATE,
        AlertKind.RECOVERY_BLOCKED, AlertKind.RECOVERY_FAILED, AlertKind.FLAPPING, AlertKind.SETTLED,
    }
)  # fmt: skip
_BAD_STATES = frozenset({"fault", "unreachable"})
_STATES = {"up": "well", "watch": "well, and watched", "fault": "at fault", "suspect": "under suspicion"}
"""Those that a sentence says otherwise than the state's name."""
_PREDICATES = {"intermittent": "fails now and then", "unverified": "is probably down"}
"""What follows the name in the title of a fault of that label."""
_LABELS = {
    "intermittent": "It does not fail at every look, but now and then.",
    "unverified": "Defib itself was not well when it saw this, and cannot be sure.",
}


def _words(facts: AlertFacts, advice: CauseAdvice | None) -> Mapping[str, object]:
    return {
        "name": facts.monitor_name,
        "predicate": _PREDICATES.get(facts.label) or (advice.title if advice else ""),
        "label": _LABELS.get(facts.label, ""),
        "state": _STATES.get(facts.state, facts.state),
        "falls": facts.falls,
        "trouble": advice.trouble if advice else "has been failing",
        "meaning": advice.meaning if advice else "",
        "summary": facts.summary or facts.cause,
        "since": clock_time(facts.since, facts.timezone, seen_from=facts.at),
        "at": clock_time(facts.at, facts.timezone, seen_from=facts.at),
        "timezone": zone_name(facts.timezone),
        "duration": "" if facts.duration_s is None else human_duration(facts.duration_s),
        "attempts": facts.attempts,
        "recovery": facts.recovery,
        "healed": _healed(facts),
    }


def _healed(facts: AlertFacts) -> str:
    by = {"defib": "recovered by Defib", "itself": "recovered by itself"}
    return facts.recovery or by.get(facts.healed_by or "", "")


def _evidence(facts: AlertFacts) -> tuple[str, ...]:
    lines = [line for line in (one_line(raw) for raw in facts.evidence) if line]
    if not lines and facts.event in _ABOUT_A_FAULT:
        lines = [one_line(facts.summary)]
    return (*lines[-MOST_EVIDENCE_LINES:], *map(one_line, facts.snapshot))


def _recommendations(facts: AlertFacts, advice: CauseAdvice | None) -> tuple[str, ...]:
    """The cause's lines first, then the family's unless the cause's say it all, without repetition."""
    by_cause: tuple[Line, ...] = advice.lines if advice else ()
    by_family = WHEN_DEGRADED if facts.event is AlertKind.DEGRADED else WHEN_DOWN
    repairs = by_cause if advice and advice.is_complete else (*by_cause, *by_family.get(facts.family, ANY))
    match facts.event:
        case AlertKind.DOWN | AlertKind.DEGRADED:
            wanted = repairs
        case AlertKind.RELAPSED | AlertKind.CRASH_LOOPING:
            wanted = (*repairs, EXPLAIN)
        case AlertKind.RECOVERY_LATE | AlertKind.RECOVERY_BLOCKED | AlertKind.RECOVERY_FAILED:
            wanted = (*repairs[: MOST_RECOMMENDATIONS - len(NEEDS_HUMAN)], *NEEDS_HUMAN)
        case AlertKind.FLAPPING | AlertKind.STILL_FLAPPING | AlertKind.SETTLED:
            is_well = facts.event is AlertKind.SETTLED and facts.state not in _BAD_STATES
            wanted = () if is_well else (*WHEN_FLAPPING, *repairs)
        case AlertKind.STOPPED:
            wanted = WHEN_STOPPED
        case AlertKind.RECOVERED:
            wanted = WHEN_RECOVERED
        case AlertKind.OBSERVER_SICK:
            wanted = WHEN_CUT_OFF if facts.cause == "observer-cut-off" else WHEN_SICK
        case AlertKind.TEST | AlertKind.OBSERVER_WELL | AlertKind.STARTED:
            wanted = ()
    names = known_names(facts)
    texts = (text for text in (_line(line, names) for line in wanted) if text)
    return tuple(dict.fromkeys(texts))[:MOST_RECOMMENDATIONS]


def _line(line: Line, names: Mapping[str, str]) -> str:
    """The first variant whose names are all known; "" where there is none."""
    for variant in (line,) if isinstance(line, str) else line:
        if placeholders(variant) <= names.keys():
            return _render(variant, names)
    return ""


# --- Jinja, loaded with the first alert ------------------------------------------------------------


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    import shlex

    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - channels escape
    environment.filters["sh"] = shlex.quote
    environment.filters["sentence"] = sentence
    environment.filters["stop"] = _stop
    environment.filters["by_defib"] = _by_defib
    return environment


@lru_cache(maxsize=512)
def placeholders(template: str) -> frozenset[str]:
    """The names that a template needs."""
    from jinja2 import meta

    return frozenset(meta.find_undeclared_variables(_environment().parse(template)))


@lru_cache(maxsize=512)
def _compiled(template: str) -> "Template":
    return _environment().from_string(template)


def _render(template: str, words: Mapping[str, object]) -> str:
    return str(_compiled(template).render(words))


def _stop(text: str) -> str:
    """Close a sentence whose first letter stays as it is."""
    closed = sentence(text)
    return text.strip()[:1] + closed[1:]


def _by_defib(recovery: str) -> str:
    """``will run: …`` as a sentence with its subject."""
    subject = "Defib " if recovery.startswith(("will ", "would ")) else ""
    return sentence(subject + recovery)


@hookimpl
def defib_texts() -> Iterable[TextsType]:
    """The composer used unless configured otherwise."""
    return [
        TextsType(
            kind="standard",
            summary="Plain sentences with recommendations by kind and cause",
            create=StandardTexts,
        )
    ]
