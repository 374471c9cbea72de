"""The lines of a message that tells of several monitors: what fell together, or is back, or a digest holds. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from defib.plugin import ENGLISH, N_, AlertFacts, AlertKind, Together
from defib_alerts.causes import advice_for
from defib_alerts.events import brief_of, plan_of, title_of
from defib_alerts.kinds import CALLS_SOMEBODY, GOOD_NEWS
from defib_alerts.tones import WELL, Tone, tone_of_severity
from defib_alerts.wording import Voice, one_line

MOST_MEMBERS = 12  #: of those that fell together
MOST_IN_DIGEST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line."""

    time: str  #: since when, local
    text: str
    word: str = ""  #: how pressing, in the message's language; "" where all are alike
    tone: Tone | None = None  #: its look
    is_over: bool = False

    @property
    def line(self) -> str:
        return one_line(f"{self.time}  {self.word}  {self.text}")


def entries_of(facts: AlertFacts, language: str = ENGLISH) -> list[Entry]:
    """What ``facts.together`` holds, in the order in which it is read; no more than people read."""
    voice = Voice.of(facts, language)
    if facts.event is AlertKind.DIGEST:
        return [_of_digest(voice, facts, member) for member in in_order(facts.together)[:MOST_IN_DIGEST]]
    return [_of_together(voice, facts, member) for member in facts.together[:MOST_MEMBERS]]


def lines_of(facts: AlertFacts, language: str) -> tuple[str, ...]:
    """The same as lines of evidence, with how many more there are."""
    entries = entries_of(facts, language)
    lines = [entry.line for entry in entries]
    if (more := len(facts.together) - len(entries)) > 0:
        lines.append(Voice.of(facts, language).say(N_("and {n} more"), n=more))
    return tuple(lines)


def in_order(members: Sequence[Together]) -> list[Together]:
    """What is open first, then the worst, then the oldest."""
    return sorted(
        members, key=lambda member: (is_over(member), -member.severity.rank, member.since, member.name)
    )


def is_over(member: Together) -> bool:
    return member.is_over or member.event in GOOD_NEWS


def _of_together(voice: Voice, facts: AlertFacts, member: Together) -> Entry:
    what = _how(voice, member) if facts.event in GOOD_NEWS else voice.told(member.summary)
    return Entry(
        time=voice.clock(member.since), text=voice.say(N_("{title}: {brief}"), title=member.name, brief=what)
    )


def _how(voice: Voice, member: Together) -> str:
    healed = plan_of(voice, member.recovery)
    if member.duration_s is None:
        return healed
    lasted = voice.say(N_("at fault for {duration}."), duration=voice.words.duration(member.duration_s))
    return voice.words.sentences(lasted, healed)


def _of_digest(voice: Voice, facts: AlertFacts, member: Together) -> Entry:
    alone = replace(
        facts, event=member.event, monitor_name=member.name, family=member.family, cause=member.cause,
        summary=member.summary, together=(),
    )  # fmt: skip
    advice = advice_for(member.cause, member.family) if member.cause else None
    text = title_of(voice, alone, advice)
    if member.event in CALLS_SOMEBODY and (brief := brief_of(voice, alone, advice)):
        text = voice.say(N_("{title}: {brief}"), title=text, brief=brief)
    over = is_over(member)
    if over and member.duration_s is not None:
        text = voice.say(
            N_("{what} (for {duration})"), what=text, duration=voice.words.duration(member.duration_s)
        )
    tone = WELL if over else tone_of_severity(member.severity)
    return Entry(
        time=voice.clock(member.since, has_seconds=False), text=text, tone=tone, is_over=over,
        word=voice.say(N_("OVER") if over else tone.word),
    )  # fmt: skip
