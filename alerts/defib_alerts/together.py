"""Words for several monitors that one message tells of: they failed together, or are back. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from defib.plugin import N_, AlertFacts, AlertKind, AlertText, Severity, Together
from defib_alerts.advice import TAKE_IT_ON, WHEN_TOGETHER, Line, said
from defib_alerts.entries import MOST_MEMBERS, lines_of
from defib_alerts.events import (
    given_up,
    let_go,
    nobody,
    plan_of,
    put_aside,
    still_open,
    taken_on,
    title_of,
    why_now,
)
from defib_alerts.kinds import GOOD_NEWS
from defib_alerts.wording import Voice, one_line

MOST_NAMES = 4  #: in a title

SORTS: Mapping[str, str] = {
    "agent": N_("{n} agents"), "database": N_("{n} databases"), "docker": N_("{n} containers"),
    "service": N_("{n} services"), "process": N_("{n} processes"), "host": N_("{n} hosts"),
    "network": N_("{n} endpoints"), "job": N_("{n} jobs"), "check": N_("{n} checks"),
}  # fmt: skip
"""By sort of component, of which there are always several; several sorts, and any other, are monitors."""
_ANY_SORT = N_("{n} monitors")
_FELL = N_("{count} failed together: {names}")


def compose_together(voice: Voice, facts: AlertFacts, kind: str, severity: Severity) -> AlertText:
    """The alert of all in ``facts.together``.

    :param kind: and ``severity``: of the first of them.
    """
    members = facts.together
    return AlertText(
        kind="several_down" if facts.event is AlertKind.DOWN and not is_same_sort(members) else kind,
        severity=severity,
        title=one_line(_title(voice, facts), 160),
        description=one_line(voice.words.sentences(*_sentences(voice, facts), *why_now(voice, facts)), 1500),
        evidence=lines_of(facts, voice.words.language),
        recommendations=tuple(said(line, {"monitor": facts.monitor}, voice.words) for line in _wanted(facts)),
    )


def _title(voice: Voice, facts: AlertFacts) -> str:
    members = facts.together
    counted = {"count": count(voice, members), "names": listed(voice, members, MOST_NAMES)}
    if facts.event is AlertKind.DOWN and facts.silent:
        return voice.say(
            N_("Nothing on {host} answers: {count} failed together"), **counted, host=facts.silent_host
        )
    match facts.event:
        case AlertKind.REMINDER | AlertKind.ESCALATED:
            return still_open(voice, facts, voice.say(_FELL, **counted))
        case AlertKind.SET_ASIDE if facts.state == "paused":
            return voice.say(N_("{count} are paused now: {names}"), **counted)
        case AlertKind.SET_ASIDE:
            return voice.say(N_("{count} are in maintenance now: {names}"), **counted)
        case AlertKind.UNWATCHED:
            return voice.say(N_("{count} are no longer watched: {names}"), **counted)
        case AlertKind.ACKNOWLEDGED | AlertKind.UNACKNOWLEDGED:
            return title_of(voice, replace(facts, monitor_name=str(counted["names"])), None)
        case event:
            return voice.say(
                N_("{count} have recovered: {names}") if event in GOOD_NEWS else _FELL, **counted
            )


def _sentences(voice: Voice, facts: AlertFacts) -> Iterator[str]:
    match facts.event:
        case AlertKind.ACKNOWLEDGED:
            yield from taken_on(voice, facts, since=_since(voice, facts))
        case AlertKind.UNACKNOWLEDGED:
            yield from let_go(voice, facts, since=_since(voice, facts))
        case AlertKind.SET_ASIDE:
            yield from put_aside(voice, facts, since=_since(voice, facts))
        case AlertKind.UNWATCHED:
            yield from (_since(voice, facts), *given_up(voice, facts))
        case AlertKind.REMINDER | AlertKind.ESCALATED:
            yield from (*_fell(voice, facts), *nobody(voice, facts))
        case event:
            yield from _returned(voice, facts) if event in GOOD_NEWS else _fell(voice, facts)


def _wanted(facts: AlertFacts) -> tuple[Line, ...]:
    match facts.event:
        case AlertKind.REMINDER | AlertKind.ESCALATED | AlertKind.UNACKNOWLEDGED:
            return (TAKE_IT_ON, *WHEN_TOGETHER)
        case AlertKind.ACKNOWLEDGED | AlertKind.SET_ASIDE | AlertKind.UNWATCHED:
            return ()
        case event:
            return () if event in GOOD_NEWS else WHEN_TOGETHER


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


def _since(voice: Voice, facts: AlertFacts) -> str:
    members = facts.together
    spread = max(member.since for member in members) - min(member.since for member in members)
    seconds = max(1, math.ceil(spread.total_seconds()))
    within = voice.say(N_("{n} s"), n=seconds) if seconds < 60 else voice.words.duration(seconds)
    return voice.say(
        N_("{names} have been failing since {since} ({timezone}), and fell within {duration} of each other."),
        names=listed(voice, members, MOST_MEMBERS), since=voice.clock(facts.since), timezone=voice.zone,
        duration=within,
    )  # fmt: skip


def _fell(voice: Voice, facts: AlertFacts) -> Iterator[str]:
    yield _since(voice, facts)
    if facts.silent:
        yield voice.say(
            N_("Not answered since, and not told one by one either: {n} more on {host}."), n=facts.silent,
            host=facts.silent_host,
        )  # fmt: skip
    yield voice.say(N_("What fails together mostly has one cause."))
    yield _plan(voice, facts.together)


def _plan(voice: Voice, members: Sequence[Together]) -> str:
    plans = {member.recovery for member in members}
    if len(plans) == 1:
        return plan_of(voice, members[0].recovery)
    return voice.say(N_("Defib does for each of them what is configured, one after the other."))


def _returned(voice: Voice, facts: AlertFacts) -> Iterator[str]:
    longest = max((member.duration_s or 0.0) for member in facts.together)
    yield voice.say(N_("{names} are well again."), names=listed(voice, facts.together, MOST_MEMBERS))
    yield voice.say(
        N_("The longest of them was at fault for {duration}."), duration=voice.words.duration(longest)
    )
