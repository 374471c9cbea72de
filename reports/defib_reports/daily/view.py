"""The whole report in words, before any layout."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from defib.plugin import N_, Span
from defib_reports.daily import excerpt as take
from defib_reports.daily import own, phrases, stories
from defib_reports.daily.concerns import Concern, Urgency
from defib_reports.daily.figures import Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.outages import find_bouts
from defib_reports.daily.pictures import Pictures
from defib_reports.daily.prospects import (
    BudgetPhrases,
    ProspectPhrases,
    describe_budget,
    describe_prospects,
)
from defib_reports.daily.speech import Speech
from defib_reports.daily.summary import Headline
from defib_reports.daily.tiles import Tile, key_figures, trends
from defib_reports.daily.wording import NONE, clean

T = TypeVar("T")

_ORDER = {
    Span.DAY: N_("worst first; p95 against the day before"),
    Span.WEEK: N_("worst first; p95 against the week before"),
    Span.MONTH: N_("worst first; p95 against the month before"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown(Generic[T]):
    """Some of the things there are, and how many more."""

    items: tuple[T, ...]
    more: str  #: in words; empty when these are all


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    words: Speech  #: for titles
    head: Headline
    heading: str  #: the day
    subheading: str  #: zone, and what is unusual
    available: str
    bounds: str
    trends: tuple[str, ...]  #: availability before
    tone: str  #: of the whole: good, fair, bad or mute
    sign: str  #: the same as a shape
    verdict: str  #: and in words
    tiles: tuple[Tile, ...]
    pictures: Pictures
    act: tuple[Concern, ...]
    look: tuple[Concern, ...]
    more_concerns: str
    prospects: Shown[ProspectPhrases]
    budgets: Shown[BudgetPhrases]
    order: str  #: of the components, and what their p95 is compared with
    components: tuple[phrases.ComponentPhrases, ...]
    rest: str
    outages: Shown[stories.OutagePhrases]
    attempts: Shown[stories.AttemptPhrases]
    noisiest: tuple[phrases.NoisePhrases, ...]
    alerts: Shown[stories.AlertPhrases]
    held: str  #: how many of them were held back; empty when none was
    channels: Shown[tuple[str, str]]
    absent: str  #: what there was none of; empty when there was some of everything
    observer: tuple[str, ...]  #: sentences
    footer: str
    notes: tuple[str, ...]  #: how to read it
    link: str  #: the dashboard; empty when it has no public address
    archive: str  #: this report there


def compose(
    figures: Digest,
    concerns: tuple[Concern, ...],
    head: Headline,
    local: LocalTime,
    limits: take.Limits,
    pictures: Pictures,
) -> View:
    """Choose what is shown and put it into words."""
    period, overall, words = figures.period, figures.overall, local.words
    components = take.excerpt_components(figures.components, limits.components)
    told = take.excerpt(concerns, limits.concerns)
    tone, sign, verdict = _verdict(figures, concerns)
    value, lo, hi = words.percents(*overall.availability.shares) if overall.availability else (NONE, "", "")
    is_shown = not figures.has_nothing_to_tell  # rows without a figure in them are no report
    link = period.public_url.rstrip("/") if period.public_url.startswith(("https://", "http://")) else ""

    def shown(found: take.Excerpt[T]) -> Shown[T]:
        return Shown(items=found.shown, more=_more(found.left_out, words))

    return View(
        words=words,
        head=head,
        heading=local.heading,
        subheading=_subheading(figures, local),
        available=value,
        bounds=words.gettext("between {lo} and {hi}", lo=lo, hi=hi) if lo != hi else "",
        trends=trends(figures, words),
        tone=tone,
        sign=sign,
        verdict=words.gettext(verdict),
        tiles=key_figures(figures, words) if is_shown else (),
        pictures=pictures,
        act=tuple(concern for concern in told.shown if concern.urgency is Urgency.ACT),
        look=tuple(concern for concern in told.shown if concern.urgency is Urgency.LOOK),
        more_concerns=_more(told.left_out, words),
        prospects=shown(take.excerpt(describe_prospects(figures, local), limits.prospects)),
        budgets=shown(take.excerpt(_budgets(figures, local), limits.budgets)),
        order=words.gettext(_ORDER[period.span]),
        components=tuple(phrases.describe_component(c, figures, words) for c in components.shown) if is_shown else (),
        rest=phrases.describe_rest(components, words) if is_shown else "",
        outages=shown(
            take.excerpt_bouts(find_bouts(figures.outages), limits.outages).mapped(
                lambda bout: stories.describe_bout(bout, local)
            )
        ),
        attempts=shown(
            take.excerpt_attempts(figures.attempts, limits.attempts).mapped(
                lambda attempt: stories.describe_attempt(attempt, figures, local)
            )
        ),
        noisiest=tuple(
            phrases.describe_noise(noise, figures, words) for noise in figures.noisiest[: limits.noisiest]
        ),
        alerts=shown(
            take.excerpt_alerts(figures.alerts, limits.alerts).mapped(
                lambda alert: stories.describe_alert(alert, figures, local)
            )
        ),
        held=words.ngettext("{n} was held back.", "{n} were held back.", len(figures.held_back))
        if figures.held_back
        else "",
        channels=shown(
            take.excerpt(sorted(period.deliveries.items()), limits.channels).mapped(
                lambda item: (clean(item[0], 60), phrases.describe_channel(item[1], words))
            )
        ),
        absent=_absent(figures, words) if is_shown else "",
        observer=own.describe_observer(figures, local) if is_shown else (),
        footer=words.gettext(
            "{id} · made {time} by Defib {version}",
            id=period.report, time=local.time(period.generated_at), version=clean(period.version, 40),
        ),
        notes=own.notes(words),
        link=link,
        archive=f"{link}/reports/{period.report}" if link else "",
    )  # fmt: skip


def _more(count: int, words: Speech) -> str:
    if not count:
        return ""
    return words.ngettext(
        "and {n} more, all of them in the JSON", "and {n} more, all of them in the JSON", count
    )


def _budgets(figures: Digest, local: LocalTime) -> tuple[BudgetPhrases, ...]:
    """Those with the least left first."""
    having = [(c, c.of.budget) for c in figures.components if c.of.budget is not None]
    having.sort(key=lambda pair: -(pair[1].spent_share or 0.0))
    return tuple(describe_budget(component, budget, local) for component, budget in having)


def _verdict(figures: Digest, concerns: tuple[Concern, ...]) -> tuple[str, str, str]:
    if not figures.overall.observed_components:
        return "mute", "○", N_("nothing observed")
    if any(concern.urgency is Urgency.ACT for concern in concerns):
        return "bad", "■", N_("needs a person")
    if concerns:
        return "fair", "▲", N_("worth a look")
    if figures.outages:
        return "good", "✓", N_("all well again")
    return "good", "✓", N_("all well")


def _subheading(figures: Digest, local: LocalTime) -> str:
    words = local.words
    parts = [figures.period.timezone]
    if figures.period.tags:
        parts.append(words.several([clean(tag, 40) for tag in figures.period.tags]))
    if not figures.is_complete:
        parts.append(words.gettext("so far, until {time}", time=local.time(figures.period.generated_at)))
    if local.oddity:
        parts.append(local.oddity)
    return " · ".join(parts)


def _absent(figures: Digest, words: Speech) -> str:
    lists = (
        (words.gettext("no incidents"), figures.outages),
        (words.gettext("no recovery attempts"), figures.attempts),
        (words.gettext("no alerts"), figures.alerts),
        (words.gettext("no deliveries"), figures.period.deliveries),
    )
    missing = [noun for noun, items in lists if not items]
    return words.gettext("There were {what}.", what=words.listed(missing, len(missing))) if missing else ""
