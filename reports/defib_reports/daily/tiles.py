"""The key figures and how they compare with what was before."""

from dataclasses import dataclass

from defib.plugin import N_, Span
from defib_reports.daily.figures import Digest
from defib_reports.daily.outages import Ending
from defib_reports.daily.speech import Speech
from defib_reports.daily.wording import NBSP, NONE

_ENDINGS = {
    Ending.DEFIB: N_("{n} healed"),
    Ending.ITSELF: N_("{n} by itself"),
    Ending.OTHERWISE: N_("{n} closed"),
    Ending.OPEN: N_("{n} open"),
}
_BEFORE = {
    Span.DAY: N_("the day before {percent}"),
    Span.WEEK: N_("the week before {percent}"),
    Span.MONTH: N_("the month before {percent}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One key figure."""

    label: str
    value: str
    note: str


def key_figures(figures: Digest, words: Speech) -> tuple[Tile, ...]:
    overall = figures.overall
    share, mean = overall.healthy_share, overall.response_mean_ms
    unwell = overall.heartbeats - overall.healthy
    return (
        Tile(
            label=words.gettext("Heartbeats"),
            value=words.number(overall.heartbeats),
            note=words.ngettext("of {n} component", "of {n} components", overall.components),
        ),
        Tile(
            label=words.gettext("Healthy"),
            value=NONE if share is None else words.percent(share),
            note=words.ngettext("{n} was not", "{n} were not", unwell)
            if overall.heartbeats
            else words.gettext("no heartbeats"),
        ),
        Tile(
            label=words.gettext("Average response"),
            value=NONE if mean is None else words.milliseconds(mean),
            note=words.gettext("when healthy"),
        ),
        Tile(
            label=words.gettext("Incidents"),
            value=words.number(len(figures.outages)),
            note=_incidents_note(figures, words),
        ),
        Tile(
            label=words.gettext("Time to detect"),
            value=NONE if overall.mttd is None else words.duration(overall.mttd),
            note="MTTD",
        ),
        Tile(
            label=words.gettext("Time to restore"),
            value=NONE if overall.mttr is None else words.duration(overall.mttr),
            note="MTTR"
            if overall.mean_heal is None
            else words.gettext("MTTR, healing {duration}", duration=words.duration(overall.mean_heal)),
        ),
    )


def trends(figures: Digest, words: Speech) -> tuple[str, ...]:
    """``the day before 99.98 %``, ``a week before 100 %``: availability then, as far as it is known."""
    period = figures.period
    told = []
    if period.before.availability is not None:
        told.append(words.gettext(_BEFORE[period.span], percent=words.percent(period.before.availability)))
    if period.week_before.availability is not None:
        told.append(
            words.gettext("a week before {percent}", percent=words.percent(period.week_before.availability))
        )
    return tuple(told)


def _incidents_note(figures: Digest, words: Speech) -> str:
    if not figures.outages:
        return words.gettext("none")
    endings = figures.overall.endings
    return words.several(
        [
            words.gettext(message, n=words.number(endings[ending])).replace(" ", NBSP)
            for ending, message in _ENDINGS.items()
            if endings[ending] or ending is Ending.OPEN
        ]
    )
