"""Defib itself, and how the report is to be read, in words."""

from defib_reports.daily.figures import Digest
from defib_reports.daily.local_time import LocalTime
from defib_reports.daily.speech import Speech
from defib_reports.daily.wording import clean

_GAPS = 3  #: told one by one


def describe_observer(figures: Digest, local: LocalTime) -> tuple[str, ...]:
    """How well Defib watched: sentences."""
    words, observer = local.words, figures.period.observer
    share = figures.watched_share
    if share is None:
        return (words.gettext("The period has not begun."),)
    told = []
    if not figures.unwatched:
        told.append(words.gettext("Defib itself was watching all the time."))
    else:
        told.append(
            words.gettext(
                "Defib itself was watching {percent} of the time; it was not for {duration}.",
                percent=words.percent(share),
                duration=words.duration(figures.unwatched),
            )
        )
    if gaps := sorted(observer.gaps, key=lambda gap: gap.since - gap.until)[:_GAPS]:
        spans = [
            words.gettext(
                "{began} – {ended}, {duration}",
                began=local.time(gap.since),
                ended=local.time(gap.until),
                duration=words.duration(gap.until - gap.since),
            )
            for gap in sorted(gaps, key=lambda gap: gap.since)
        ]
        told.append(
            words.ngettext("Gap: {gaps}.", "Gaps: {gaps}.", len(spans), gaps=words.gettext("; ").join(spans))
        )
    for spell in observer.sick[:_GAPS]:
        told.append(
            words.gettext(
                "From {began} to {ended} it could not judge: {reason}.",
                began=local.time(spell.since),
                ended=local.time(spell.until),
                reason=clean(local.told(spell.reason)).rstrip("."),
            )
            if spell.until is not None
            else words.gettext(
                "Since {began} it has not been able to judge: {reason}.",
                began=local.time(spell.since),
                reason=clean(local.told(spell.reason)).rstrip("."),
            )
        )
    if observer.lateness_p99_ms is not None:
        value = words.milliseconds(observer.lateness_p99_ms)
        told.append(
            words.gettext("Of the newest looks 99 % began within {value} of their time.", value=value)
        )
    if observer.store_bytes is not None:
        told.append(words.gettext("Its store takes {size}.", size=words.size(observer.store_bytes)))
    return tuple(told)


def notes(words: Speech) -> tuple[str, ...]:
    """What the figures mean."""
    return (
        words.gettext(
            "Availability is the share of observed time; its bounds come from when an outage can have begun and ended "
            "at the earliest and the latest."
        ),
        words.gettext(
            "Bars: first well (green), then down (red), then not observed or not counted (grey: paused, in "
            "maintenance)."
        ),
        words.gettext(
            "Times to detect (MTTD) and to restore (MTTR) are means over the incidents that were opened in the period, "
            "from their likely beginning; healing counts from Defib’s decision that it is a fault."
        ),
    )
