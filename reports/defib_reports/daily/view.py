"""The whole report in words, before any layout."""

from dataclasses import dataclass

from defib_reports.daily import excerpt as take
from defib_reports.daily import phrases
from defib_reports.daily.concerns import Concern, Urgency
from defib_reports.daily.figures import Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.outages import Ending
from defib_reports.daily.summary import Headline
from defib_reports.daily.wording import (
    NBSP,
    NONE,
    clean,
    duration,
    listed,
    milliseconds,
    number,
    percent,
    percents,
    plural,
)

_LABELLED_SLOTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One key figure."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """An hour (or a day) of the period."""

    label: str
    incidents: int  #: open at any time of it


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    head: Headline
    heading: str  #: the day
    subheading: str  #: zone, and what is unusual
    available: str
    bounds: str
    tone: str  #: of the whole: good, fair, bad or mute
    sign: str  #: the same as a shape
    verdict: str  #: and in words
    tiles: tuple[Tile, ...]
    slots: tuple[Slot, ...]  #: empty without incidents
    slot_noun: str  #: ``hour`` or ``day``
    slot_group: int  #: every how many slots a label is shown
    act: tuple[Concern, ...]
    look: tuple[Concern, ...]
    more_concerns: int
    order: str  #: of the components, and what their p95 is compared with
    components: tuple[phrases.ComponentPhrases, ...]
    rest: str
    outages: tuple[phrases.OutagePhrases, ...]
    more_outages: int
    attempts: tuple[phrases.AttemptPhrases, ...]
    more_attempts: int
    alerts: tuple[phrases.AlertPhrases, ...]
    more_alerts: int
    channels: tuple[tuple[str, str], ...]
    more_channels: int
    absent: str  #: what there was none of; empty when there was some of everything
    observer: str
    footer: str
    link: str  #: the dashboard; empty when it has no public address


def compose(
    figures: Digest, concerns: tuple[Concern, ...], head: Headline, local: LocalTime, limits: take.Limits
) -> View:
    """Choose what is shown and put it into words."""
    period, overall = figures.period, figures.overall
    components = take.excerpt_components(figures.components, limits.components)
    outages = take.excerpt_outages(figures.outages, limits.outages)
    attempts = take.excerpt_attempts(figures.attempts, limits.attempts)
    alerts = take.excerpt_alerts(figures.alerts, limits.alerts)
    told = take.excerpt(concerns, limits.concerns)
    channels = take.excerpt(sorted(period.deliveries.items()), limits.channels)
    slots = _slots(figures, local)
    tone, sign, verdict = _verdict(figures, concerns)
    value, lo, hi = percents(*overall.availability.shares) if overall.availability else (NONE, "", "")
    return View(
        head=head,
        heading=local.heading,
        subheading=_subheading(figures, local),
        available=value,
        bounds=f"between {lo} and {hi}" if lo != hi else "",
        tone=tone,
        sign=sign,
        verdict=verdict,
        tiles=_tiles(figures),
        slots=slots,
        slot_noun="hour" if local.is_in_hours else "day",
        slot_group=6 if local.is_in_hours else 7 if len(slots) > _LABELLED_SLOTS else 1,
        act=tuple(concern for concern in told.shown if concern.urgency is Urgency.ACT),
        look=tuple(concern for concern in told.shown if concern.urgency is Urgency.LOOK),
        more_concerns=told.left_out,
        order=f"worst first; p95 against the {head.noun} before",
        components=tuple(phrases.describe_component(component, figures) for component in components.shown),
        rest=phrases.describe_rest(components.troubled, components.well, components.heartbeats),
        outages=tuple(phrases.describe_outage(outage, local) for outage in outages.shown),
        more_outages=outages.left_out,
        attempts=tuple(phrases.describe_attempt(attempt, figures, local) for attempt in attempts.shown),
        more_attempts=attempts.left_out,
        alerts=tuple(phrases.describe_alert(alert, figures, local) for alert in alerts.shown),
        more_alerts=alerts.left_out,
        channels=tuple(
            (clean(channel, 60), phrases.describe_channel(states)) for channel, states in channels.shown
        ),
        more_channels=channels.left_out,
        absent=_absent(figures),
        observer=_observer(figures),
        footer=f"{period.report} · made {local.time(period.generated_at)} by Defib {clean(period.version, 40)}",
        link=period.public_url if period.public_url.startswith(("https://", "http://")) else "",
    )


def _verdict(figures: Digest, concerns: tuple[Concern, ...]) -> tuple[str, str, str]:
    if not figures.overall.observed_components:
        return "mute", "○", "nothing observed"
    if any(concern.urgency is Urgency.ACT for concern in concerns):
        return "bad", "■", "needs a person"
    if concerns:
        return "fair", "▲", "worth a look"
    if figures.outages:
        return "good", "✓", "all well again"
    return "good", "✓", "all well"


def _subheading(figures: Digest, local: LocalTime) -> str:
    parts = [figures.period.timezone]
    if not figures.is_complete:
        parts.append(f"so far, until {local.time(figures.period.generated_at)}")
    if local.oddity:
        parts.append(local.oddity)
    return " · ".join(parts)


def _tiles(figures: Digest) -> tuple[Tile, ...]:
    overall = figures.overall
    share, mean = overall.healthy_share, overall.response_mean_ms
    unwell = overall.heartbeats - overall.healthy
    return (
        Tile(
            label="Heartbeats",
            value=number(overall.heartbeats),
            note=f"of {plural(overall.components, 'component')}",
        ),
        Tile(
            label="Healthy",
            value=NONE if share is None else percent(share),
            note=f"{number(unwell)} {'was' if unwell == 1 else 'were'} not"
            if overall.heartbeats
            else "no heartbeats",
        ),
        Tile(
            label="Average response",
            value=NONE if mean is None else milliseconds(mean),
            note="when healthy",
        ),
        Tile(label="Incidents", value=number(len(figures.outages)), note=_incidents_note(figures)),
        Tile(
            label="Time to detect",
            value=NONE if overall.mttd is None else duration(overall.mttd),
            note="MTTD",
        ),
        Tile(
            label="Time to restore",
            value=NONE if overall.mttr is None else duration(overall.mttr),
            note="MTTR" if overall.mean_heal is None else f"MTTR, healing {duration(overall.mean_heal)}",
        ),
    )


def _incidents_note(figures: Digest) -> str:
    if not figures.outages:
        return "none"
    words = {
        Ending.DEFIB: "healed",
        Ending.ITSELF: "by itself",
        Ending.OTHERWISE: "closed",
        Ending.OPEN: "open",
    }
    endings = figures.overall.endings
    return ", ".join(f"{number(endings[ending])}{NBSP}{word.replace(' ', NBSP)}" for ending, word in words.items()
                     if endings[ending] or ending is Ending.OPEN)  # fmt: skip


def _slots(figures: Digest, local: LocalTime) -> tuple[Slot, ...]:
    if not figures.outages:
        return ()
    spans = [
        (outage.began, outage.incident.closed_at or figures.period.generated_at) for outage in figures.outages
    ]
    return tuple(
        Slot(label=label, incidents=sum(began < end and closed >= start for began, closed in spans))
        for start, end, label in local.slots()
    )


def _absent(figures: Digest) -> str:
    lists = {
        "incidents": figures.outages,
        "recovery attempts": figures.attempts,
        "alerts": figures.alerts,
        "deliveries": figures.period.deliveries,
    }
    missing = [f"no {noun}" for noun, items in lists.items() if not items]
    return f"There were {listed(missing, len(missing))}." if missing else ""


def _observer(figures: Digest) -> str:
    share = figures.watched_share
    if share is None:
        return "The period has not begun."
    if not figures.unwatched:
        return "Defib itself was watching all the time."
    return f"Defib itself was watching {percent(share)} of the time; it was not for {duration(figures.unwatched)}."
