"""The text part of the mail: 72 columns, readable in any client and by a screen reader."""

from collections.abc import Iterable, Iterator

from defib_reports.daily.columns import WIDTH, spread, wrap
from defib_reports.daily.concerns import Concern
from defib_reports.daily.phrases import AlertPhrases, AttemptPhrases, ComponentPhrases, OutagePhrases
from defib_reports.daily.view import View
from defib_reports.daily.wording import number, plain


def write_text(view: View) -> str:
    """Lines of at most 72 columns; ends with a newline."""
    return plain("\n".join(_lines(view))) + "\n"


def _lines(view: View) -> Iterator[str]:
    yield from wrap(f"Defib · {view.head.title} · {view.heading}")
    yield from wrap(view.subheading)
    yield "=" * WIDTH
    yield ""
    for sentence in view.head.sentences:
        yield from wrap(sentence)
    yield from _section("Needs a person", _concerns(view.act))
    yield from _section("Worth a look", _concerns(view.look), more=view.more_concerns)
    yield from _section("Overall", _overall(view))
    yield from _section("Components", _components(view.components, view.rest), note=view.order)
    yield from _section("Incidents", _outages(view.outages), more=view.more_outages)
    yield from _section("Recovery attempts", _attempts(view.attempts), more=view.more_attempts)
    yield from _section("Alerts", _alerts(view.alerts), more=view.more_alerts)
    yield from _section("Deliveries", _channels(view.channels), more=view.more_channels)
    if view.absent:
        yield ""
        yield from wrap(view.absent)
    yield from _section("Defib itself", wrap(view.observer, indent="  "))
    yield ""
    yield "-" * WIDTH
    yield from wrap(view.footer)
    if view.link:
        yield view.link  # never cut: it must stay clickable


def _section(title: str, lines: Iterable[str], *, note: str = "", more: int = 0) -> Iterator[str]:
    """The lines under their title; nothing at all when there are none."""
    body = list(lines)
    if not body:
        return
    yield ""
    yield title.upper() + (f" ({note})" if note else "")
    yield from body
    if more:
        yield f"  … and {number(more)} more, all of them in the JSON"


def _concerns(concerns: Iterable[Concern]) -> Iterator[str]:
    for concern in concerns:
        yield from wrap(f"{concern.subject}: {concern.text}", first="  * ", indent="    ")


def _overall(view: View) -> Iterator[str]:
    yield from spread(
        "Availability" + (f" ({view.bounds})" if view.bounds else ""), view.available, indent="  "
    )
    for tile in view.tiles:
        yield from spread(f"{tile.label} ({tile.note})", tile.value, indent="  ")


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


def _attempts(attempts: Iterable[AttemptPhrases]) -> Iterator[str]:
    for attempt in attempts:
        yield from wrap(f"{attempt.sign} {attempt.at}  {attempt.what}", first="  ", indent="    ")
        yield from wrap(f"{attempt.name} · {attempt.outcome} · {attempt.note}", indent="    ")


def _alerts(alerts: Iterable[AlertPhrases]) -> Iterator[str]:
    for alert in alerts:
        yield from wrap(
            f"{alert.sign} {alert.at}  {alert.severity}: {alert.title}", first="  ", indent="    "
        )
        yield from wrap(alert.about, indent="    ")


def _channels(channels: Iterable[tuple[str, str]]) -> Iterator[str]:
    for channel, states in channels:
        yield from spread(channel, states, indent="  ")
