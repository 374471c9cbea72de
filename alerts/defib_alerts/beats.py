"""What heartbeat and agent monitors say of beats that stay away, by the readers' clock and in their language. Pure.

Their evidence is one English sentence by the job's clock; the instants in it are also facts.
"""

from collections.abc import Mapping
from datetime import datetime

from defib.plugin import N_, AlertFacts, Fact, parse_duration
from defib_alerts.spoken import pattern_of
from defib_alerts.wording import Voice

SAID: tuple[str, ...] = (
    N_("the beat expected at {expected_at} is more than {late} late; {due}, the last came at {last_beat_at}"),
    N_("the beat expected at {expected_at} is more than {late} late; {due}, none ever came"),
    N_("no beat by {expected_by}; they come {due}, the last came at {last_beat_at}"),
    N_("no beat by {expected_by}; they come {due}, none ever came"),
    N_("no beat for {silent}; the last came at {last_beat_at}, they come {due}"),
    N_("the run that began at {started_at} has not ended within {limit}"),
    N_("it answers at {asked} ({answer}), but it does not beat; {due}, the last came at {last_beat_at}"),
    N_(
        "it is silent, and {asked} does not answer well either: {answer}; {due}, the last came at {last_beat_at}"
    ),
    N_("{asked} answers ({answer}), but the agent does not beat; the last beat came at {last_beat_at}"),
    N_(
        "the agent is silent, and {asked} does not answer well: {answer}; the last beat came at {last_beat_at}"
    ),
)
_DUE = (N_("every {every}, {n} in a row"), N_("every {every}"), N_("in a rhythm of its own"))
_INSTANTS = frozenset({"expected_at", "expected_by", "started_at", "last_beat_at"})
_SPANS = frozenset({"late", "silent", "limit", "every"})


def retold(text: str, facts: AlertFacts, voice: Voice) -> str:
    """``text``, the summary of ``facts``, said anew; as it is where it is of something else."""
    return _said(SAID, text, facts.facts, voice)


def instant_of(value: Fact) -> datetime | None:
    """The instant that a fact is, if it is one: ``2026-11-20T14:02:11+00:00``."""
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo else None


def _said(messages: tuple[str, ...], text: str, facts: Mapping[str, Fact], voice: Voice) -> str:
    for message in messages:
        if found := pattern_of(message).fullmatch(text):
            try:
                parts = {name: _part(name, part, facts, voice) for name, part in found.groupdict().items()}
            except ValueError:  # an instant that is no fact, or a span that is none
                return text
            return voice.say(message, **parts)
    return text


def _part(name: str, part: str, facts: Mapping[str, Fact], voice: Voice) -> str:
    if name in _INSTANTS:
        instant = instant_of(facts.get(name))
        if instant is None:
            raise ValueError(name)
        return voice.clock(instant)
    if name in _SPANS:
        return voice.words.duration(parse_duration(part).total_seconds())
    return _said(_DUE, part, facts, voice) if name == "due" else part
