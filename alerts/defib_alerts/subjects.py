"""The line that a tired person reads on a lock screen. Pure."""

from defib.plugin import ENGLISH, N_, Alert, AlertKind
from defib_alerts.causes import advice_for
from defib_alerts.events import brief_of
from defib_alerts.kinds import CALLS_SOMEBODY
from defib_alerts.tones import tone_of
from defib_alerts.wording import Voice, one_line

MOST_CHARACTERS = 150


def subject_of(alert: Alert, language: str = ENGLISH) -> str:
    """``[SEVERE] db is down: connection refused (since 02:10)``.

    How pressing, who, what, since when: as much as the kind of alert has to say of each.
    """
    facts = alert.facts
    voice = Voice.of(facts, language)
    said = alert.title
    if facts.event in CALLS_SOMEBODY and not facts.together:
        brief = brief_of(voice, facts, advice_for(facts.cause, facts.family))
        if brief:
            said = voice.say(N_("{title}: {brief}"), title=said, brief=brief)
    if when := _when(voice, alert):
        said = voice.say(N_("{title} ({when})"), title=said, when=when)
    return one_line(f"[{tone_of(alert, language).word}] {said}", MOST_CHARACTERS)


def _when(voice: Voice, alert: Alert) -> str:
    facts = alert.facts
    if facts.event is AlertKind.RECOVERED and facts.duration_s and not facts.together:
        return voice.say(N_("after {duration}"), duration=voice.words.duration(facts.duration_s))
    is_about_now = facts.event in CALLS_SOMEBODY or facts.event in (
        AlertKind.OBSERVER_SICK, AlertKind.CHANNEL_BROKEN, AlertKind.STOPPED,
    )  # fmt: skip
    return (
        voice.say(N_("since {since}"), since=voice.clock(facts.since, has_seconds=False))
        if is_about_now
        else ""
    )
