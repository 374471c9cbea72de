"""How pressing an alert looks. Pure. Colours never stand alone: the word is always beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from defib.plugin import ENGLISH, N_, Alert, AlertKind, Severity
from defib_alerts.kinds import BAD_STATES, GOOD_NEWS
from defib_alerts.wording import words_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """The look of one severity, or of good news."""

    word: str  #: in capitals
    mark: str  #: one emoji, for chats
    colour: str  #: of bars and badges; white text on it has a contrast of at least 4.5:1
    tint: str  #: a light background
    ink: str  #: text on ``tint``; contrast at least 4.5:1
    dark_tint: str
    dark_ink: str


_TONES: Mapping[Severity, Tone] = {
    Severity.SEVERE: Tone(
        word=N_("SEVERE"), mark="🔴", colour="#b42318", tint="#fef3f2", ink="#912018",
        dark_tint="#451a16", dark_ink="#fda29b",
    ),
    Severity.HIGH: Tone(
        word=N_("HIGH"), mark="🟠", colour="#b93815", tint="#fff4ed", ink="#932f19",
        dark_tint="#431f12", dark_ink="#feb273",
    ),
    Severity.LOW: Tone(
        word=N_("LOW"), mark="🟡", colour="#8f5a06", tint="#fffaeb", ink="#7a4a04",
        dark_tint="#3b2a0b", dark_ink="#fec84b",
    ),
    Severity.INFO: Tone(
        word=N_("INFO"), mark="🔵", colour="#175cd3", tint="#eff8ff", ink="#1849a9",
        dark_tint="#13294b", dark_ink="#84caff",
    ),
}  # fmt: skip
WELL = Tone(
    word=N_("RECOVERED"), mark="🟢", colour="#067647", tint="#ecfdf3", ink="#085d3a",
    dark_tint="#0b3321", dark_ink="#75e0a7",
)  # fmt: skip


def tone_of(alert: Alert, language: str = ENGLISH) -> Tone:
    """Its severity's, but good news looks like good news."""
    tone = WELL if is_good_news(alert) else tone_of_severity(alert.severity)
    return replace(tone, word=words_in(language).gettext(tone.word))


def tone_of_severity(severity: Severity) -> Tone:
    return _TONES[severity]


def is_good_news(alert: Alert) -> bool:
    """What it tells of is over."""
    facts = alert.facts
    if facts.event is AlertKind.DIGEST:
        return bool(facts.together) and all(
            member.is_over or member.event in GOOD_NEWS for member in facts.together
        )
    if facts.event is AlertKind.SETTLED:
        return facts.state not in BAD_STATES
    return facts.event in GOOD_NEWS
