"""Words for several monitors that one message tells of: they failed together, or are back."""

import math
from collections.abc import Sequence

from defib.plugin import AlertFacts, AlertKind, AlertText, Severity, Together
from defib_alerts.wording import clock_time, human_duration, one_line, sentence, zone_name

MOST_NAMES = 4  #: in a title
MOST_LINES = 12  #: of evidence

PLURALS = {
    "agent": "agents", "database": "databases", "docker": "containers", "service": "services",
    "process": "processes", "host": "hosts", "network": "endpoints", "job": "jobs", "check": "checks",
}  # fmt: skip
"""By sort of component; several sorts, and any other, are monitors."""

_WHERE_TO_LOOK = (
    "Look first at what they have in common: the host, its network, a database, a certificate, a deployment.",
    "If one of them needs another, say so with `requires:`; then only the cause is told.",
    "See every decision and its reason: `defib explain {monitor}`",
)


def compose_together(facts: AlertFacts, kind: str, severity: Severity) -> AlertText:
    """The alert of all in ``facts.together``.

    :param kind: and ``severity``: of the first of them.
    """
    members = facts.together
    is_down = facts.event is AlertKind.DOWN
    return AlertText(
        kind=kind if is_same_sort(members) or not is_down else "several_down",
        severity=severity,
        title=one_line(f"{count(members)} {'failed together' if is_down else 'have recovered'}: "
                       f"{names(members, MOST_NAMES)}", limit=160),
        description=one_line(_fell(facts) if is_down else _returned(facts), limit=1500),
        evidence=_lines(facts),
        recommendations=tuple(line.format(monitor=facts.monitor) for line in _WHERE_TO_LOOK) if is_down else (),
    )  # fmt: skip


def is_same_sort(members: Sequence[Together]) -> bool:
    return len({member.family for member in members}) == 1


def count(members: Sequence[Together]) -> str:
    """``5 services``; ``5 monitors`` of several sorts."""
    noun = PLURALS.get(members[0].family, "monitors") if is_same_sort(members) else "monitors"
    return f"{len(members)} {noun}"


def names(members: Sequence[Together], most: int) -> str:
    """``Gateway, Shop, Web``, and how many more there are."""
    shown = members if len(members) <= most + 1 else members[:most]
    named = ", ".join(member.name for member in shown)
    return named if shown is members else f"{named} and {len(members) - most} more"


def _fell(facts: AlertFacts) -> str:
    members = facts.together
    spread = max(member.since for member in members) - min(member.since for member in members)
    began = clock_time(facts.since, facts.timezone, seen_from=facts.at)
    seconds = max(1, math.ceil(spread.total_seconds()))
    within = f"{seconds} s" if seconds < 60 else human_duration(seconds)
    return (
        f"{names(members, MOST_LINES)} have been failing since {began} ({zone_name(facts.timezone)}), and fell within "
        f"{within} of each other. What fails together mostly has one cause. {_plan(members)}"
    )


def _plan(members: Sequence[Together]) -> str:
    plans = {member.recovery for member in members}
    if len(plans) == 1:
        return sentence(members[0].recovery)
    return "Defib does for each of them what is configured, one after the other."


def _returned(facts: AlertFacts) -> str:
    longest = max((member.duration_s or 0.0) for member in facts.together)
    return (
        f"{names(facts.together, MOST_LINES)} are well again. The longest of them was at fault for "
        f"{human_duration(longest)}."
    )


def _lines(facts: AlertFacts) -> tuple[str, ...]:
    lines = []
    for member in facts.together[:MOST_LINES]:
        at = clock_time(member.since, facts.timezone, seen_from=facts.at)
        what = member.summary if facts.event is AlertKind.DOWN else _how(member)
        lines.append(one_line(f"{at}  {member.name}: {what}"))
    if (more := len(facts.together) - MOST_LINES) > 0:
        lines.append(f"and {more} more")
    return tuple(lines)


def _how(member: Together) -> str:
    lasted = "" if member.duration_s is None else f" for {human_duration(member.duration_s)}"
    return f"at fault{lasted}; {member.recovery}".rstrip("; ")
