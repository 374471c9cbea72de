"""Components and channels in words: shared by the page and the text part, so that they always agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from defib.plugin import N_, Past, ProbeStatus, Span
from defib_reports.daily.excerpt import ComponentExcerpt
from defib_reports.daily.figures import Component, Digest, Noise
from defib_reports.daily.speech import Speech
from defib_reports.daily.states import STATUSES, state_sign, state_word
from defib_reports.daily.wording import NBSP, clean

_NAME = 60
_MUCH_SLOWER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentPhrases:
    name: str
    sign: str
    tone: str
    state: str
    about: str  #: kind, family, number of incidents
    available: str
    bounds: str  #: empty where they do not differ
    down: str  #: empty without downtime
    bar: tuple[
        float, float, float
    ]  #: well, down, not counted: percent of the period, each visible if not zero
    counts: tuple[str, ...]
    response: tuple[str, ...]  #: percentiles; empty without healthy answers
    is_slower: bool  #: by enough to be pointed out


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisePhrases:
    name: str
    text: str


def describe_component(component: Component, figures: Digest, words: Speech) -> ComponentPhrases:
    row, available = component.of, component.availability
    sign, tone = state_sign(row.state)
    about = [clean(row.kind, _NAME), clean(row.family, _NAME)]
    if row.incidents:
        about.append(words.ngettext("{n} incident", "{n} incidents", row.incidents))
    value, lo, hi = (
        words.percents(*available.shares) if available else (words.gettext("not observed"), "", "")
    )
    message = state_word(row.state)
    return ComponentPhrases(
        name=clean(row.name or row.monitor, _NAME),
        sign=sign,
        tone=tone,
        state=words.gettext(message) if message else clean(row.state, _NAME),
        about=" · ".join(dict.fromkeys(about)),
        available=value,
        bounds=f"{lo} – {hi}" if lo != hi else "",
        down=words.gettext("down {duration}", duration=words.duration(row.down)).replace(" ", NBSP)
        if row.down
        else "",
        bar=_bar(row.up, row.down, figures.due),
        counts=_counts(component, words),
        response=_response(component, figures.period.span, words),
        is_slower=(component.p95_change or 0.0) >= _MUCH_SLOWER,
    )


def _bar(up: timedelta, down: timedelta, due: timedelta) -> tuple[float, float, float]:
    whole = max(due, up + down)
    if not whole:
        return (0.0, 0.0, 100.0)
    least = 2.0
    shares = [0.0 if not part else max(least, part / whole * 100) for part in (up, down, whole - up - down)]
    total = sum(shares)
    well, unwell, rest = (round(share * 100 / total, 1) for share in shares)
    return well, unwell, rest


def _counts(component: Component, words: Speech) -> tuple[str, ...]:
    """By status; those that did not occur are left out."""
    if not component.heartbeats:
        return (words.gettext("no heartbeats"),)
    return tuple(
        words.gettext(STATUSES[status], n=words.number(count)).replace(" ", NBSP)
        for status in ProbeStatus
        if (count := component.count(status)) or status is ProbeStatus.HEALTHY
    )


def _response(component: Component, span: Span, words: Speech) -> tuple[str, ...]:
    """``p50 12 ms``, ``p95 40 ms, 12 % slower``, ``p99 81 ms``; of a day also against a week before."""
    row = component.of
    if row.latencies_ms is None:
        return ()
    p50, p95, p99 = map(words.milliseconds, row.latencies_ms)
    ratio = component.p95_change
    trend = f", {words.change(ratio)}" if ratio is not None else ""
    told = [f"p50{NBSP}{p50}", f"p95{NBSP}{p95}{trend}", f"p99{NBSP}{p99}"]
    if span is Span.DAY and (older := _p95(row.week_before)):
        told.append(words.gettext("a week before: p95 {value}", value=words.milliseconds(older)))
    return tuple(told)


def _p95(past: Past) -> float | None:
    return past.latencies_ms[1] if past.latencies_ms else None


def describe_noise(noise: Noise, figures: Digest, words: Speech) -> NoisePhrases:
    """``7 falls, 9 alerts``."""
    parts = [words.ngettext("{n} fall", "{n} falls", noise.falls)]
    if noise.incidents != noise.falls:
        parts.append(words.ngettext("{n} incident", "{n} incidents", noise.incidents))
    if noise.alerts:
        parts.append(words.ngettext("{n} alert", "{n} alerts", noise.alerts))
    return NoisePhrases(name=clean(figures.name_of(noise.monitor), _NAME), text=words.several(parts))


_DELIVERY_STATES = {
    "delivered": N_("{n} delivered"),
    "pending": N_("{n} under way"),
    "dead": N_("{n} given up"),
}


def describe_channel(states: Mapping[str, int], words: Speech) -> str:
    """``41 delivered · 1 under way``."""
    known = [
        words.gettext(message, n=words.number(states[state])).replace(" ", NBSP)
        for state, message in _DELIVERY_STATES.items()
        if states.get(state)
    ]
    others = [
        f"{words.number(count)}{NBSP}{clean(state, _NAME)}"
        for state, count in sorted(states.items())
        if count and state not in _DELIVERY_STATES
    ]
    return " · ".join(known + others) or words.gettext("nothing sent")


def describe_rest(rest: ComponentExcerpt, words: Speech) -> str:
    """The components that are not shown one by one; empty when there are none."""
    troubled = words.ngettext(
        "{n} more component with trouble (in the CSV and JSON)",
        "{n} more components with trouble (in the CSV and JSON)",
        rest.troubled,
    )
    well = words.ngettext(
        "{n} more component without any trouble", "{n} more components without any trouble", rest.well
    )
    parts = [text for text, count in ((troubled, rest.troubled), (well, rest.well)) if count]
    if not parts:
        return ""
    return words.ngettext(
        "{components}, {n} heartbeat together.", "{components}, {n} heartbeats together.", rest.heartbeats,
        components=words.listed(parts),
    )  # fmt: skip
