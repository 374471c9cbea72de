"""What is ahead, in words: what fills up, what ends, what is missing; and what error budgets have left."""

from dataclasses import dataclass
from datetime import timedelta

from defib.plugin import N_, Budget, Expiry, Forecast, Missed
from defib_reports.daily.figures import Component, Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.states import BAD, FAIR, GOOD, MUTE
from defib_reports.daily.wording import NONE, clean

_NAME = 60
_DAY = timedelta(days=1)
_METRICS = {"disk_percent": N_("the disk"), "inodes_percent": N_("the disk's inodes")}
_FAST_BURN = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProspectPhrases:
    """One thing that is ahead."""

    name: str
    sign: str
    tone: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPhrases:
    """One error budget."""

    name: str
    objective: str  #: ``99.9 % over 30 days``
    spent: str  #: ``8 min of 43 min``
    share: str
    burn: str
    sign: str
    tone: str
    bar: tuple[float, float]  #: spent and left, percent


def describe_prospects(figures: Digest, local: LocalTime) -> tuple[ProspectPhrases, ...]:
    """What needs somebody soon: certificates, what fills up, jobs that did not report."""
    period = figures.period
    soon = timedelta(days=7)

    def tone(left: timedelta) -> tuple[str, str]:
        return ("■", BAD) if left <= soon else ("▲", FAIR)

    found = []
    for expiry in period.expiries:
        sign, colour = tone(expiry.ends_at - period.generated_at)
        found.append(
            _prospect(expiry.monitor, sign, colour, describe_expiry(expiry, figures, local), figures)
        )
    for forecast in period.forecasts:
        sign, colour = tone(forecast.full_at - period.generated_at)
        text = describe_forecast(forecast, figures, local)
        found.append(_prospect(forecast.monitor, sign, colour, text, figures))
    for missed in period.missed:
        sign, colour = ("■", BAD) if missed.is_missing else ("○", MUTE)
        found.append(_prospect(missed.monitor, sign, colour, describe_missed(missed, local), figures))
    return tuple(found)


def _prospect(monitor: str, sign: str, tone: str, text: str, figures: Digest) -> ProspectPhrases:
    return ProspectPhrases(name=clean(figures.name_of(monitor), _NAME), sign=sign, tone=tone, text=text)


def describe_expiry(expiry: Expiry, figures: Digest, local: LocalTime) -> str:
    left = expiry.ends_at - figures.period.generated_at
    day = local.day(expiry.ends_at)
    if left < timedelta(0):
        return local.words.gettext("its certificate ended on {day}.", day=day)
    return local.words.ngettext(
        "its certificate ends in {n} day, on {day}.", "its certificate ends in {n} days, on {day}.",
        left // _DAY, day=day,
    )  # fmt: skip


def describe_forecast(forecast: Forecast, figures: Digest, local: LocalTime) -> str:
    words = local.words
    message = _METRICS.get(forecast.metric)
    what = words.gettext(message) if message else clean(forecast.metric, _NAME)
    now = figures.period.generated_at
    soonest = max(0, (forecast.full_lo - now) // _DAY)
    likely = max(0, (forecast.full_at - now) // _DAY)
    text = words.ngettext(
        "{what} is {value} full and will be full in about {n} day",
        "{what} is {value} full and will be full in about {n} days",
        likely, what=what, value=words.roughly(forecast.value / 100),
    )  # fmt: skip
    latest = max(0, (forecast.full_hi - now) // _DAY)
    span = words.gettext("between {lo} and {hi}", lo=words.number(soonest), hi=words.number(latest))
    pace = words.gettext("+{points} a day", points=words.roughly_fine(forecast.per_day / 100))
    return words.gettext("{forecast} ({span}; {pace}).", forecast=text, span=span, pace=pace)


def describe_missed(missed: Missed, local: LocalTime) -> str:
    words = local.words
    if missed.is_missing:
        return words.ngettext(
            "missed {n} report, and has not reported since.",
            "missed {n} reports, and has not reported since.",
            missed.times,
        )
    if missed.next_due is None:
        return words.ngettext("missed {n} report.", "missed {n} reports.", missed.times)
    return words.ngettext(
        "missed {n} report; it has reported since, and is due again by {time}.",
        "missed {n} reports; it has reported since, and is due again by {time}.",
        missed.times, time=local.time(missed.next_due),
    )  # fmt: skip


def describe_budget(component: Component, budget: Budget, local: LocalTime) -> BudgetPhrases:
    words = local.words
    share = budget.spent_share
    burn = budget.burn
    if share is None:
        sign, tone = "○", MUTE
    elif share >= 1:
        sign, tone = "■", BAD
    elif share >= 0.5 or (burn or 0.0) >= _FAST_BURN:
        sign, tone = "▲", FAIR
    else:
        sign, tone = "✓", GOOD
    spent = min(1.0, share or 0.0) * 100
    return BudgetPhrases(
        name=clean(component.of.name, _NAME),
        objective=words.gettext(
            "{objective} over {days} days",
            objective=words.exactly(budget.objective),
            days=budget.window.days,
        ),
        spent=words.gettext(
            "{spent} of {allowed}",
            spent=words.duration(budget.spent),
            allowed=words.duration(budget.allowed),
        ),
        share=NONE if share is None else words.gettext("{percent} spent", percent=words.roughly(share)),
        burn=""
        if burn is None
        else words.gettext("burn rate {factor}×", factor=words.number(burn, 1)),
        sign=sign,
        tone=tone,
        bar=(round(spent, 1), round(100 - spent, 1)),
    )  # fmt: skip
