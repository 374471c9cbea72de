"""The text part of the mail: 72 columns, readable in any client and by a screen reader."""

from collections.abc import Iterable, Iterator
from functools import partial

from defib_reports.daily.columns import WIDTH, spread, wrap
from defib_reports.daily.concerns import Concern
from defib_reports.daily.phrases import ComponentPhrases, NoisePhrases
from defib_reports.daily.prospects import BudgetPhrases, ProspectPhrases
from defib_reports.daily.speech import Speech
from defib_reports.daily.stories import AlertPhrases, AttemptPhrases, OutagePhrases
from defib_reports.daily.view import View
from defib_reports.daily.wording import plain


def write_text(view: View) -> str:
    """Lines of at most 72 columns; ends with a newline."""
    return plain("\n".join(_lines(view))) + "\n"


def _lines(view: View) -> Iterator[str]:
    _ = view.words.gettext
    section = partial(_section, view.words)
    yield from wrap(f"Defib · {view.head.title} · {view.heading}")
    yield from wrap(view.subheading)
    yield "=" * WIDTH
    yield ""
    for sentence in view.head.sentences:
        yield from wrap(sentence)
    yield from section(_("Needs a person"), _concerns(view.act))
    yield from section(_("Worth a look"), _concerns(view.look), more=view.more_concerns)
    yield from section(_("Overall"), _overall(view))
    yield from section(_("Ahead"), _prospects(view.prospects.items), more=view.prospects.more)
    yield from section(_("Error budgets"), _budgets(view.budgets.items), more=view.budgets.more)
    yield from section(_("Components"), _components(view.components, view.rest), note=view.order)
    yield from section(_("Incidents"), _outages(view.outages.items), more=view.outages.more)
    yield from section(_("Recovery attempts"), _attempts(view.attempts.items), more=view.attempts.more)
    yield from section(_("Noisiest"), _noisiest(view.noisiest))
    yield from section(_("Alerts"), _alerts(view.alerts.items), note=view.held, more=view.alerts.more)
    yield from section(_("Deliveries"), _channels(view.channels.items), more=view.channels.more)
    if view.absent:
        yield ""
        yield from wrap(view.absent)
    yield from section(
        _("Defib itself"), (line for sentence in view.observer for line in wrap(sentence, indent="  "))
    )
    yield ""
    yield "-" * WIDTH
    yield from wrap(view.footer)
    if view.archive:
        yield view.archive  # never cut: it must stay clickable


def _section(
    words: Speech, title: str, lines: Iterable[str], *, note: str = "", more: str = ""
) -> Iterator[str]:
    """The lines under their title; nothing at all when there are none."""
    body = list(lines)
    if not body:
        return
    yield ""
    yield from wrap(words.upper(title) + (f" ({note.rstrip('.')})" if note else ""))
    yield from body
    if more:
        yield from wrap(f"… {more}", indent="  ")


def _concerns(concerns: Iterable[Concern]) -> Iterator[str]:
    for concern in concerns:
        yield from wrap(f"{concern.subject}: {concern.text}", first="  * ", indent="    ")


def _overall(view: View) -> Iterator[str]:
    if not view.tiles:
        return
    told = ", ".join(filter(None, (view.bounds, *view.trends)))
    label = view.words.gettext("Availability")
    yield from spread(f"{label} ({told})" if told else label, view.available, indent="  ")
    for tile in view.tiles:
        yield from spread(f"{tile.label} ({tile.note})", tile.value, indent="  ")


def _prospects(prospects: Iterable[ProspectPhrases]) -> Iterator[str]:
    for prospect in prospects:
        yield from wrap(f"{prospect.sign} {prospect.name}: {prospect.text}", first="  ", indent="    ")


def _budgets(budgets: Iterable[BudgetPhrases]) -> Iterator[str]:
    for budget in budgets:
        yield from spread(f"{budget.sign} {budget.name}", budget.share, indent="  ")
        told = " · ".join(filter(None, (budget.objective, budget.spent, budget.burn)))
        yield from wrap(told, indent="    ")


def _components(components: Iterable[ComponentPhrases], rest: str) -> Iterator[str]:
    is_first = True
    for component in components:
        if not is_first:
            yield ""
        is_first = False
        yield from spread(f"{component.sign} {component.name}", component.available, indent="  ")
        yield from wrap(f"{component.state} · {component.about}", indent="    ")
        if component.bounds or component.down:
            yield from wrap(" · ".join(filter(None, (component.down, component.bounds))), indent="    ")
        yield from wrap(" · ".join(component.counts), indent="    ")
        yield from wrap(" · ".join(component.response), indent="    ")
    if rest:
        yield ""
        yield from wrap(rest, indent="  ")


def _outages(outages: Iterable[OutagePhrases]) -> Iterator[str]:
    for outage in outages:
        yield from wrap(f"{outage.sign} {outage.name}: {outage.ending}", first="  ", indent="    ")
        yield from wrap(f"{outage.span} · {outage.found}", indent="    ")
        yield from wrap(outage.cause, indent="    ")
        for at, what in outage.steps:
            yield from wrap(f"{at}  {what}", first="      ", indent="        ")


def _attempts(attempts: Iterable[AttemptPhrases]) -> Iterator[str]:
    for attempt in attempts:
        yield from wrap(f"{attempt.sign} {attempt.at}  {attempt.what}", first="  ", indent="    ")
        yield from wrap(f"{attempt.name} · {attempt.outcome} · {attempt.note}", indent="    ")


def _noisiest(noisiest: Iterable[NoisePhrases]) -> Iterator[str]:
    for noise in noisiest:
        yield from spread(noise.name, noise.text, indent="  ")


def _alerts(alerts: Iterable[AlertPhrases]) -> Iterator[str]:
    for alert in alerts:
        yield from wrap(
            f"{alert.sign} {alert.at}  {alert.severity}: {alert.title}", first="  ", indent="    "
        )
        yield from wrap(alert.about, indent="    ")
        if alert.held:
            yield from wrap(alert.held, indent="    ")


def _channels(channels: Iterable[tuple[str, str]]) -> Iterator[str]:
    for channel, states in channels:
        yield from spread(channel, states, indent="  ")
