"""What people know of something that is still open, by its alerts as they are stored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from defib.model.alert import Alert, Held, Hold, Ruling, Verdict
from defib.rules.alerting.notice import AFTERWARDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What was held back, and is to be told when nothing holds it any more."""

    alert: Alert  #: the most pressing one
    verdict: Verdict  #: what held it back last
    only: frozenset[str] | None  #: whom it is owed to; None: everybody

    @property
    def needs_a_look(self) -> bool:
        """Who only had to wait for it to last has been looked at all the time."""
        return self.verdict.by is not Hold.CALM

    def held(self, now: datetime) -> Held | None:
        """What people are told of the hold, which has ended by ``now``."""
        by, until = self.verdict.by, self.verdict.until
        if by is None or by is Hold.CALM:
            return None
        return Held(by=by, name=self.verdict.name, until=now if until is None else min(until, now))


def was_told(alert: Alert) -> bool:
    """Whether it went out to anybody."""
    return bool(alert.verdicts) and alert.verdicts[-1].ruling is Ruling.PASSED


def owed(alerts: Iterable[Alert], told: Iterable[str]) -> Owed | None:
    """What people have still to hear of a matter that is open.

    :param alerts: all of the matter, oldest first; reminders and calls follow their own clock and do not count.
    :param told: channels that people were told through.
    """
    waiting: list[tuple[Alert, Verdict]] = []
    for alert in alerts:
        if alert.facts.event in AFTERWARDS:
            continue
        found = [verdict for verdict in alert.verdicts if verdict.ruling is Ruling.HELD]
        if was_told(alert):  # what was held before went with it, but for those whom it did not reach
            waiting = [item for item in waiting if item[1].channels]
        waiting += [(alert, verdict) for verdict in found]
    known = frozenset(told)
    waiting = [item for item in waiting if not item[1].channels or not known.issuperset(item[1].channels)]
    if not waiting:
        return None
    most = max(range(len(waiting)), key=lambda place: (waiting[place][0].severity.rank, -place))
    whole = any(not verdict.channels for _, verdict in waiting)
    only = None if whole else frozenset(c for _, verdict in waiting for c in verdict.channels) - known
    return Owed(alert=waiting[most][0], verdict=waiting[-1][1], only=only)


def step_of(alerts: Sequence[Alert]) -> int:
    """How far the escalation has come; 1 when only those whom the route names have been told."""
    return max((alert.facts.step for alert in alerts if was_told(alert)), default=0) or 1
