"""The subject and the three sentences at the top. Each is computed, and true or not written."""

from collections import Counter
from dataclasses import dataclass

from defib.plugin import N_, Span
from defib_reports.daily.concerns import Concern, Urgency
from defib_reports.daily.figures import Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.outages import Ending, Outage
from defib_reports.daily.speech import Speech
from defib_reports.daily.wording import NBSP, clean, plain

_TITLES = {Span.DAY: N_("Daily report"), Span.WEEK: N_("Weekly report"), Span.MONTH: N_("Monthly report")}
_QUIET = {
    Span.DAY: N_("A quiet day: nothing failed, so there was nothing to heal."),
    Span.WEEK: N_("A quiet week: nothing failed, so there was nothing to heal."),
    Span.MONTH: N_("A quiet month: nothing failed, so there was nothing to heal."),
}
_WATCHED = {
    Span.DAY: N_(", as far as Defib was watching ({percent} of the day)"),
    Span.WEEK: N_(", as far as Defib was watching ({percent} of the week)"),
    Span.MONTH: N_(", as far as Defib was watching ({percent} of the month)"),
}
_AGAINST = {
    Span.DAY: N_(", against {percent} the day before"),
    Span.WEEK: N_(", against {percent} the week before"),
    Span.MONTH: N_(", against {percent} the month before"),
}
_BEGIN = N_(
    "“defib serve” begins to watch, or “defib run” from cron or a timer; the next report tells what was seen."
)
_BRIEF_GAP = 0.99
_WIDE = 0.001  #: bounds so far apart are worth words; closer ones stand with the figure
_NAME = 60
_KINDS = ("daily", "weekly", "monthly")


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The report in a few words."""

    subject: str  #: of the mail: ``[Defib] Daily report 2026-11-20 · 99.93 % · 2 incidents healed, 0 open``
    title: str  #: ``Daily report``
    sentences: tuple[str, ...]  #: availability; what failed and was healed; what needs a person


def headline(figures: Digest, concerns: tuple[Concern, ...], local: LocalTime) -> Headline:
    """Put the most important into words."""
    words, name = local.words, clean(figures.period.name, 40)
    title = words.gettext(_TITLES[figures.period.span])
    if name not in _KINDS:
        title = f"{title} · {name}"
    return Headline(
        subject=plain(_subject(title, figures, local)),
        title=title,
        sentences=_sentences(figures, concerns, local),
    )


def _sentences(figures: Digest, concerns: tuple[Concern, ...], local: LocalTime) -> tuple[str, ...]:
    words, first = local.words, figures.period.recorded_from
    if figures.is_before_records and first is not None:
        day = local.day(first)
        return (words.gettext("Defib was not watching yet: its records begin on {day}.", day=day),)
    if figures.is_unbegun:
        return (_on_beginning(figures, words), words.gettext(_BEGIN))
    return (
        _on_availability(figures, words),
        _on_incidents(figures, words),
        _on_people(concerns, words),
    )


def _on_beginning(figures: Digest, words: Speech) -> str:
    return words.ngettext(
        "Nothing has been watched so far: {n} monitor is configured, and it has not been looked at yet.",
        "Nothing has been watched so far: {n} monitors are configured, and none of them has been looked at yet.",
        len(figures.components),
    )


def _subject(title: str, figures: Digest, local: LocalTime) -> str:
    overall, words = figures.overall, local.words
    dates = local.dates if figures.is_complete else words.gettext("{dates} so far", dates=local.dates)
    if figures.is_unbegun:
        nothing = words.gettext("nothing watched so far")
        return f"[Defib] {title} {dates} · {nothing}"
    available = (
        words.percent(overall.availability.value)
        if overall.availability
        else words.gettext("nothing observed")
    )
    return f"[Defib] {title} {dates} · {available} · {_endings(figures, words)}"


def _endings(figures: Digest, words: Speech) -> str:
    """``2 incidents healed, 1 over by itself, 0 open``."""
    if not figures.outages:
        return words.gettext("no incidents")
    ended = figures.overall.endings
    healed, itself, otherwise, still = (
        ended[e] for e in (Ending.DEFIB, Ending.ITSELF, Ending.OTHERWISE, Ending.OPEN)
    )
    parts = []
    if healed:
        parts.append(words.ngettext("{n} incident healed", "{n} incidents healed", healed))
    if itself:
        parts.append(words.ngettext("{n} over by itself", "{n} over by themselves", itself))
    if otherwise:
        parts.append(words.ngettext("{n} closed", "{n} closed", otherwise))
    parts.append(words.ngettext("{n} open", "{n} open", still))
    told = words.several(parts)
    if healed:
        return told
    number = words.ngettext("{n} incident", "{n} incidents", len(figures.outages))
    return words.gettext("{incidents}: {endings}", incidents=number, endings=told)


def _on_availability(figures: Digest, words: Speech) -> str:
    overall, span = figures.overall, figures.period.span
    if not overall.components:
        return words.gettext("No component is being watched: there are no monitors.")
    if overall.availability is None:
        return words.ngettext(
            "No observed time counts towards availability, over {n} component.",
            "No observed time counts towards availability, over {n} components.",
            overall.components,
        )
    over = words.ngettext("{n} component", "{n} components", overall.observed_components)
    if unobserved := overall.components - overall.observed_components:
        over = words.gettext(
            "{observed} of {components} ({unobserved} without observed time)",
            observed=words.number(overall.observed_components),
            components=words.ngettext("{n} component", "{n} components", overall.components),
            unobserved=words.number(unobserved),
        )
    value, lo, hi = words.percents(*overall.availability.shares)
    clauses = ""
    if overall.availability.hi - overall.availability.lo >= _WIDE:
        clauses += words.gettext(" (at least {lo}, at most {hi})", lo=lo, hi=hi)
    before = figures.period.before.availability
    if before is not None and words.percent(before) != words.percent(overall.availability.value):
        clauses += words.gettext(_AGAINST[span], percent=words.percent(before))
    if overall.down_hi and overall.flawless_components:
        clauses += words.ngettext(
            ", and {n} of them had no downtime",
            ", and {n} of them had no downtime",
            overall.flawless_components,
        )
    share = figures.watched_share
    if share is not None and share < _BRIEF_GAP:
        clauses += words.gettext(_WATCHED[span], percent=words.percent(share))
    return words.gettext(
        "Over {components}, availability was {value}{clauses}.", components=over, value=value, clauses=clauses
    )


def _on_incidents(figures: Digest, words: Speech) -> str:
    outages = figures.outages
    if not outages:
        return _without_incidents(figures, words)
    if len(outages) == 1:
        return words.gettext("There was 1 incident: {ending}.", ending=_one(outages[0], words))
    groups = {ending: [o for o in outages if o.ending is ending] for ending in Ending}
    parts = []
    if healed := groups[Ending.DEFIB]:
        parts.append(
            words.ngettext(
                "Defib healed {n} ({names})", "Defib healed {n} ({names})", len(healed),
                names=_all_healed(healed, words),
            )
        )  # fmt: skip
    if itself := groups[Ending.ITSELF]:
        parts.append(
            words.ngettext(
                "{n} ended by itself ({names})", "{n} ended by themselves ({names})", len(itself),
                names=_named(itself, words),
            )
        )  # fmt: skip
    if otherwise := groups[Ending.OTHERWISE]:
        parts.append(
            words.ngettext(
                "{n} was closed otherwise ({names})", "{n} were closed otherwise ({names})", len(otherwise),
                names=_named(otherwise, words),
            )
        )  # fmt: skip
    if still := groups[Ending.OPEN]:
        parts.append(
            words.ngettext(
                "{n} is still open ({names})", "{n} are still open ({names})", len(still), names=_named(still, words)
            )
        )  # fmt: skip
    return words.ngettext(
        "There was {n} incident: {endings}.", "There were {n} incidents: {endings}.", len(outages),
        endings=words.gettext("; ").join(parts),
    )  # fmt: skip


def _one(outage: Outage, words: Speech) -> str:
    """How the only incident ended."""
    name = clean(outage.name, _NAME)
    match outage.ending:
        case Ending.DEFIB:
            return words.gettext("Defib healed it ({name})", name=_healed(outage, words))
        case Ending.ITSELF:
            return words.gettext("it ended by itself ({name})", name=name)
        case Ending.OTHERWISE:
            return words.gettext("it was closed otherwise ({name})", name=name)
        case Ending.OPEN:
            return words.gettext("it is still open ({name})", name=name)


def _without_incidents(figures: Digest, words: Speech) -> str:
    overall = figures.overall
    share = figures.watched_share
    if overall.availability is None or overall.down_hi or share is None or share < _BRIEF_GAP:
        return words.gettext("No incident was recorded.")
    if overall.attempts:
        return words.ngettext(
            "Nothing failed, although {n} recovery attempt ran.",
            "Nothing failed, although {n} recovery attempts ran.",
            overall.attempts.total(),
        )
    failures = sum(component.failures for component in figures.components)
    if failures:
        return words.ngettext(
            "All was quiet: {n} heartbeat failed, but no incident came of it.",
            "All was quiet: {n} heartbeats failed, but no incident came of it.",
            failures,
        )
    return words.gettext(_QUIET[figures.period.span])


def _on_people(concerns: tuple[Concern, ...], words: Speech) -> str:
    act = _subjects([concern for concern in concerns if concern.urgency is Urgency.ACT])
    look = [
        subject
        for subject in _subjects([c for c in concerns if c.urgency is Urgency.LOOK])
        if subject not in act
    ]
    if not act and not look:
        return words.gettext("Nothing needs a person.")
    if not act:
        return words.gettext("Nothing needs a person; worth a look: {names}.", names=words.listed(look))
    names = words.listed(act)
    if not look:
        return words.ngettext("{names} needs a person.", "{names} need a person.", len(act), names=names)
    return words.ngettext(
        "{names} needs a person; worth a look: {others}.", "{names} need a person; worth a look: {others}.",
        len(act), names=names, others=words.listed(look),
    )  # fmt: skip


def _subjects(concerns: list[Concern]) -> list[str]:
    return list(dict.fromkeys(concern.subject for concern in concerns))


def _named(outages: list[Outage], words: Speech) -> str:
    counts = Counter(clean(outage.name, _NAME) for outage in outages)
    return words.listed([name if count == 1 else f"{name}{NBSP}×{count}" for name, count in counts.items()])


def _all_healed(outages: list[Outage], words: Speech) -> str:
    """``Main Agent in 6.4 s, Gateway ×3``: how long it took, of those that were healed once."""
    once = {
        name for name, count in Counter(outage.incident.monitor for outage in outages).items() if count == 1
    }
    several = [outage for outage in outages if outage.incident.monitor not in once]
    told = [_healed(outage, words) for outage in outages if outage.incident.monitor in once]
    counts = Counter(clean(outage.name, _NAME) for outage in several)
    return words.listed([*told, *(f"{name}{NBSP}×{count}" for name, count in counts.items())])


def _healed(outage: Outage, words: Speech) -> str:
    name = clean(outage.name, _NAME)
    if outage.heal is None:
        return name
    return words.gettext("{name} in {duration}", name=name, duration=words.duration(outage.heal))
