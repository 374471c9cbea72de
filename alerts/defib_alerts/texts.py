"""The standard alert texts: what happened, since when, what Defib does about it, and what to do.

The parts: :mod:`~defib_alerts.kinds` says what an alert is called, :mod:`~defib_alerts.events` its title and sentences,
:mod:`~defib_alerts.causes` what a cause means and what helps, :mod:`~defib_alerts.together` and
:mod:`~defib_alerts.digest` what several are told as. All words go through the catalogue of the language.
"""

from collections.abc import Iterable

from defib.plugin import ENGLISH, AlertFacts, AlertKind, AlertText, TextsType, hookimpl
from defib_alerts.advice import (
    EXPLAIN,
    NEEDS_HUMAN,
    TAKE_IT_ON,
    WHEN_ANY,
    WHEN_CHANNEL_BROKEN,
    WHEN_CUT_OFF,
    WHEN_DEGRADED,
    WHEN_DOWN,
    WHEN_FLAPPING,
    WHEN_RECOVERED,
    WHEN_SICK,
    WHEN_STOPPED,
    Line,
    said,
)
from defib_alerts.causes import CauseAdvice, advice_for
from defib_alerts.digest import compose_digest
from defib_alerts.events import description_of, title_of
from defib_alerts.kinds import ABOUT_A_FAULT, BAD_STATES, classify
from defib_alerts.names import known_names
from defib_alerts.together import compose_together
from defib_alerts.wording import Voice, one_line

MOST_RECOMMENDATIONS = 5
MOST_EVIDENCE_LINES = 12


class StandardTexts:
    """Puts the facts of an alert into words."""

    def compose(self, facts: AlertFacts, language: str = ENGLISH) -> AlertText:
        """Title, description, evidence and recommendations. Pure; never fails on odd facts."""
        kind, severity = classify(facts)
        voice = Voice.of(facts, language)
        if facts.event is AlertKind.DIGEST and facts.together:
            return compose_digest(voice, facts, kind, severity)
        if facts.together:
            return compose_together(voice, facts, kind, severity)
        advice = advice_for(facts.cause, facts.family) if facts.event in ABOUT_A_FAULT else None
        return AlertText(
            kind=kind,
            severity=severity,
            title=one_line(title_of(voice, facts, advice), limit=160),
            description=one_line(description_of(voice, facts, advice), limit=1500),
            evidence=_evidence(voice, facts),
            recommendations=_recommendations(voice, facts, advice),
        )


def _evidence(voice: Voice, facts: AlertFacts) -> tuple[str, ...]:
    lines = [one_line(voice.told(line)) for line in facts.evidence]
    lines = [line for line in lines if line]
    if not lines and facts.event in ABOUT_A_FAULT:
        lines = [one_line(voice.told(facts.summary))]
    return (*lines[-MOST_EVIDENCE_LINES:], *map(one_line, facts.snapshot))


def _recommendations(voice: Voice, facts: AlertFacts, advice: CauseAdvice | None) -> tuple[str, ...]:
    names = known_names(facts)
    texts = (said(line, names, voice.words) for line in _wanted(facts, advice))
    return tuple(dict.fromkeys(text for text in texts if text))[:MOST_RECOMMENDATIONS]


def _wanted(facts: AlertFacts, advice: CauseAdvice | None) -> tuple[Line, ...]:
    """The cause's lines first, then the family's unless the cause's say it all."""
    by_cause = advice.lines if advice else ()
    by_family = WHEN_DEGRADED if facts.event is AlertKind.DEGRADED else WHEN_DOWN
    repairs = (
        by_cause if advice and advice.is_complete else (*by_cause, *by_family.get(facts.family, WHEN_ANY))
    )
    match facts.event:
        case AlertKind.DOWN | AlertKind.DEGRADED:
            return repairs
        case AlertKind.RELAPSED | AlertKind.CRASH_LOOPING:
            return (*repairs, EXPLAIN)
        case AlertKind.REMINDER | AlertKind.ESCALATED | AlertKind.UNACKNOWLEDGED:
            return (TAKE_IT_ON, *repairs)
        case AlertKind.RECOVERY_LATE | AlertKind.RECOVERY_BLOCKED | AlertKind.RECOVERY_FAILED:
            return (*repairs[: MOST_RECOMMENDATIONS - len(NEEDS_HUMAN)], *NEEDS_HUMAN)
        case AlertKind.FLAPPING | AlertKind.STILL_FLAPPING:
            return (*WHEN_FLAPPING, *repairs)
        case AlertKind.SETTLED:
            return (*WHEN_FLAPPING, *repairs) if facts.state in BAD_STATES else ()
        case AlertKind.STOPPED:
            return WHEN_STOPPED
        case AlertKind.RECOVERED:
            return WHEN_RECOVERED
        case AlertKind.OBSERVER_SICK:
            return WHEN_CUT_OFF if facts.cause == "observer-cut-off" else WHEN_SICK
        case AlertKind.CHANNEL_BROKEN:
            return WHEN_CHANNEL_BROKEN
        case _:
            return ()


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
