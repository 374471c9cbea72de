"""Words for a digest: alerts that have nothing to do with one another, in one message. Pure.

What is still open stands first and the worst of it on top; then what is over meanwhile.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from defib.plugin import N_, AlertFacts, AlertText, Severity, Together
from defib_alerts.entries import in_order, is_over, lines_of
from defib_alerts.events import plan_of, why_now
from defib_alerts.together import listed
from defib_alerts.wording import Voice, one_line

MOST_NAMES = 3  #: in the title

_COUNTED: Mapping[Severity, str] = {
    Severity.SEVERE: N_("{n} severe"), Severity.HIGH: N_("{n} high"), Severity.LOW: N_("{n} low"),
    Severity.INFO: N_("{n} for your information"),
}  # fmt: skip


def compose_digest(voice: Voice, facts: AlertFacts, kind: str, severity: Severity) -> AlertText:
    """The digest of all in ``facts.together``."""
    members = in_order(facts.together)
    still = [member for member in members if not is_over(member)]
    over = [member for member in members if is_over(member)]
    return AlertText(
        kind=kind,
        severity=severity,
        title=one_line(_title(voice, members, still, over), 160),
        description=one_line(_description(voice, facts, still, over), 1500),
        evidence=lines_of(facts, voice.words.language),
    )


def _title(
    voice: Voice, members: Sequence[Together], still: Sequence[Together], over: Sequence[Together]
) -> str:
    names = listed(voice, _each_once(still or over), MOST_NAMES)
    if not still:
        return voice.plural("{n} alert, over by now: {names}", "{n} alerts, all over by now: {names}", len(members),
                           names=names)  # fmt: skip
    if not over:
        return voice.plural("{n} alert, still open: {names}", "{n} alerts, all still open: {names}", len(members),
                           names=names)  # fmt: skip
    return voice.say(
        N_("{n} alerts, {open} still open: {names}"), n=len(members), open=len(still), names=names
    )


def _each_once(members: Sequence[Together]) -> list[Together]:
    return list({member.monitor or member.name: member for member in reversed(members)}.values())[::-1]


def _description(voice: Voice, facts: AlertFacts, still: Sequence[Together], over: Sequence[Together]) -> str:
    said = [
        voice.say(
            N_("This is what came together since {since} ({timezone}), in one message instead of {n}."),
            since=voice.clock(facts.since), timezone=voice.zone, n=len(still) + len(over),
        )
    ]  # fmt: skip
    if still:
        by = Counter(member.severity for member in still)
        counts = voice.words.listed(
            voice.say(_COUNTED[severity], n=by[severity]) for severity in _COUNTED if by[severity]
        )
        said.append(voice.say(N_("Still open: {counts}."), counts=counts))
    if over:
        said.append(
            voice.plural("{n} is over and needs nothing.", "{n} are over and need nothing.", len(over))
        )
    if not still:
        said.append(voice.say(N_("Nothing is open any more.")))
    if facts.recovery:
        said.append(plan_of(voice, facts.recovery))
    return voice.words.sentences(*said, *why_now(voice, facts))
