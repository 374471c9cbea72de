"""The subject and the three sentences at the top. Each is computed, and true or not written."""

from dataclasses import dataclass

from defib_reports.daily.concerns import Concern, Urgency
from defib_reports.daily.figures import Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.outages import Ending, Outage
from defib_reports.daily.wording import (
    NBSP,
    clean,
    duration,
    listed,
    number,
    percent,
    percents,
    plain,
    plural,
)

_NOUNS = {"daily": "day", "weekly": "week", "monthly": "month"}
_BRIEF_GAP = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The report in a few words."""

    subject: str  #: of the mail: ``[Defib] Daily report 2026-11-20 · 99.93 % · 2 incidents healed, 0 open``
    title: str  #: ``Daily report``
    noun: str  #: what the period is called: ``day``
    sentences: tuple[str, str, str]  #: availability; what failed and was healed; what needs a person


def headline(figures: Digest, concerns: tuple[Concern, ...], local: LocalTime) -> Headline:
    """Put the most important into words."""
    name = clean(figures.period.name, 40)
    title = f"{name.replace('-', ' ').capitalize()} report"
    noun = _NOUNS.get(name, "period")
    return Headline(
        subject=plain(_subject(title, figures, local)),
        title=title,
        noun=noun,
        sentences=(_on_availability(figures, noun), _on_incidents(figures, noun), _on_people(concerns)),
    )


def _subject(title: str, figures: Digest, local: LocalTime) -> str:
    overall = figures.overall
    dates = local.dates if figures.is_complete else f"{local.dates} so far"
    available = percent(overall.availability.value) if overall.availability else "nothing observed"
    return f"[Defib] {title} {dates} · {available} · {_endings(figures)}"


def _endings(figures: Digest) -> str:
    """``2 incidents healed, 1 over by itself, 0 open``."""
    if not figures.outages:
        return "no incidents"
    ended = figures.overall.endings
    parts = []
    if ended[Ending.DEFIB]:
        parts.append(f"{plural(ended[Ending.DEFIB], 'incident')} healed")
    if ended[Ending.ITSELF]:
        themselves = "itself" if ended[Ending.ITSELF] == 1 else "themselves"
        parts.append(f"{number(ended[Ending.ITSELF])} over by {themselves}")
    if ended[Ending.OTHERWISE]:
        parts.append(f"{number(ended[Ending.OTHERWISE])} closed")
    parts.append(f"{number(ended[Ending.OPEN])} open")
    if not ended[Ending.DEFIB]:
        parts.insert(0, plural(len(figures.outages), "incident") + ":")
        return f"{parts[0]} {', '.join(parts[1:])}"
    return ", ".join(parts)


def _on_availability(figures: Digest, noun: str) -> str:
    overall = figures.overall
    if not overall.components:
        return "No component is being watched: there are no monitors."
    if overall.availability is None:
        return (
            f"No observed time counts towards availability, over {plural(overall.components, 'component')}."
        )
    over = plural(overall.observed_components, "component")
    if unobserved := overall.components - overall.observed_components:
        over = f"{number(overall.observed_components)} of {plural(overall.components, 'component')}"
        over += f" ({number(unobserved)} without observed time)"
    value, lo, hi = percents(*overall.availability.shares)
    sentence = f"Over {over}, availability was {value}"
    if lo != hi:
        sentence += f" (at least {lo}, at most {hi})"
    if overall.down_hi and overall.flawless_components:
        sentence += f", and {number(overall.flawless_components)} of them had no downtime"
    share = figures.watched_share
    if share is not None and share < _BRIEF_GAP:
        sentence += f", as far as Defib was watching ({percent(share)} of the {noun})"
    return sentence + "."


def _on_incidents(figures: Digest, noun: str) -> str:
    outages = figures.outages
    if not outages:
        return _without_incidents(figures, noun)

    def ended(ending: Ending, one: str, many: str) -> str:
        group = [outage for outage in outages if outage.ending is ending]
        amount = "it" if len(outages) == 1 else number(len(group))
        return f"{amount} {one if len(group) == 1 else many} ({_named(group)})" if group else ""

    healed = [outage for outage in outages if outage.ending is Ending.DEFIB]
    by_defib = "it" if len(outages) == 1 else number(len(healed))
    parts = (
        f"Defib healed {by_defib} ({listed([_healed(outage) for outage in healed])})" if healed else "",
        ended(Ending.ITSELF, "ended by itself", "ended by themselves"),
        ended(Ending.OTHERWISE, "was closed otherwise", "were closed otherwise"),
        ended(Ending.OPEN, "is still open", "are still open"),
    )
    were = "was" if len(outages) == 1 else "were"
    return f"There {were} {plural(len(outages), 'incident')}: {'; '.join(filter(None, parts))}."


def _without_incidents(figures: Digest, noun: str) -> str:
    overall = figures.overall
    share = figures.watched_share
    if overall.availability is None or overall.down_hi or share is None or share < _BRIEF_GAP:
        return "No incident was recorded."
    if overall.attempts:
        return f"Nothing failed, although {plural(overall.attempts.total(), 'recovery attempt')} ran."
    failures = sum(component.failures for component in figures.components)
    if failures:
        return f"A quiet {noun}: {plural(failures, 'heartbeat')} failed, but no incident came of it."
    return f"A quiet {noun}: nothing failed, so there was nothing to heal."


def _on_people(concerns: tuple[Concern, ...]) -> str:
    act = [concern for concern in concerns if concern.urgency is Urgency.ACT]
    look = [concern for concern in concerns if concern.urgency is Urgency.LOOK]
    sentence = "Nothing needs a person"
    if act:
        subjects = _subjects(act)
        sentence = f"{listed(subjects)} {'needs' if len(subjects) == 1 else 'need'} a person"
    if look:
        sentence += f"; worth a look: {listed(_subjects(look))}"
    return sentence + "."


def _subjects(concerns: list[Concern]) -> list[str]:
    return list(dict.fromkeys(concern.subject for concern in concerns))


def _named(outages: list[Outage]) -> str:
    return listed(list(dict.fromkeys(clean(outage.name, 60) for outage in outages)))


def _healed(outage: Outage) -> str:
    name = clean(outage.name, 60)
    return name if outage.heal is None else f"{name} in{NBSP}{duration(outage.heal)}"
