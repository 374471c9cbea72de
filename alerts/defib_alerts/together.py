"""Words for several monitors that one message tells of: they failed together, or are back. Pure."""

import math
from collections.abc import Mapping, Sequence

from defib.plugin import N_, AlertFacts, AlertKind, AlertText, Severity, Together
from defib_alerts.advice import WHEN_TOGETHER, said
from defib_alerts.entries import MOST_MEMBERS, lines_of
from defib_alerts.events import plan_of
from defib_alerts.wording import Voice, one_line

MOST_NAMES = 4  #: in a title

SORTS: Mapping[str, str] = {
    "agent": N_("{n} agents"), "database": N_("{n} databases"), "docker": N_("{n} containers"),
    "service": N_("{n} services"), "process": N_("{n} processes"), "host": N_("{n} hosts"),
    "network": N_("{n} endpoints"), "job": N_("{n} jobs"), "check": N_("{n} checks"),
}  # fmt: skip
"""By sort of component, of which there are always several; several sorts, and any other, are monitors."""
_ANY_SORT = N_("{n} monitors")


def compose_together(voice: Voice, facts: AlertFacts, kind: str, severity: Severity) -> AlertText:
    """The alert of all in ``facts.together``.

    :param kind: and ``severity``: of the first of them.
    """
    members = facts.together
    is_down = facts.event is AlertKind.DOWN
    title = N_("{count} failed together: {names}") if is_down else N_("{count} have recovered: {names}")
    names = {"monitor": facts.monitor}
    return AlertText(
        kind=kind if is_same_sort(members) or not is_down else "several_down",
        severity=severity,
        title=one_line(
            voice.say(title, count=count(voice, members), names=listed(voice, members, MOST_NAMES)), 160
        ),
        description=one_line(_fell(voice, facts) if is_down else _returned(voice, facts), 1500),
        evidence=lines_of(facts, voice.words.language),
        recommendations=tuple(said(line, names, voice.words) for line in WHEN_TOGETHER) if is_down else (),
    )


def is_same_sort(members: Sequence[Together]) -> bool:
    return len({member.family for member in members}) == 1


def count(voice: Voice, members: Sequence[Together]) -> str:
    """``5 services``; ``5 monitors`` of several sorts."""
    sort = SORTS.get(members[0].family, _ANY_SORT) if is_same_sort(members) else _ANY_SORT
    return voice.say(sort, n=len(members))


def listed(voice: Voice, members: Sequence[Together], most: int) -> str:
    """``Gateway, Shop, Web``, and how many more there are."""
    shown = members if len(members) <= most + 1 else members[:most]
    named = voice.words.listed(member.name for member in shown)
    if shown is members:
        return named
    return voice.say(N_("{names} and {n} more"), names=named, n=len(members) - most)


def _fell(voice: Voice, facts: AlertFacts) -> str:
    members = facts.together
    spread = max(member.since for member in members) - min(member.since for member in members)
    seconds = max(1, math.ceil(spread.total_seconds()))
    return voice.words.sentences(
        voice.say(
            N_("{names} have been failing since {since} ({timezone}), and fell within {duration} of each other."),
            names=listed(voice, members, MOST_MEMBERS), since=voice.clock(facts.since), timezone=voice.zone,
            duration=voice.words.duration(max(seconds, 10)) if seconds >= 10 else _short(voice, seconds),
        ),
        voice.say(N_("What fails together mostly has one cause.")),
        _plan(voice, members),
    )  # fmt: skip


def _short(voice: Voice, seconds: int) -> str:
    return voice.say(N_("{n} s"), n=seconds)


def _plan(voice: Voice, members: Sequence[Together]) -> str:
    plans = {member.recovery for member in members}
    if len(plans) == 1:
        return plan_of(voice, members[0].recovery)
    return voice.say(N_("Defib does for each of them what is configured, one after the other."))


def _returned(voice: Voice, facts: AlertFacts) -> str:
    longest = max((member.duration_s or 0.0) for member in facts.together)
    return voice.words.sentences(
        voice.say(N_("{names} are well again."), names=listed(voice, facts.together, MOST_MEMBERS)),
        voice.say(
            N_("The longest of them was at fault for {duration}."), duration=voice.words.duration(longest)
        ),
    )
