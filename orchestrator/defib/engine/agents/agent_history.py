"""The last hour of every agent in small: CPU and memory minute by minute, in memory.

A restart begins it anew, and pages say since when it is. What is kept on disk of an agent are the looks that were
judged, packed together with those of every other monitor: to pick an hour of it out would cost a start more than an
hour's line is worth, and the days before are on the page of its monitor.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.model.agent import Live
from defib.model.ids import AgentId

MINUTES = 60
KEPT = ("cpu_percent", "memory_percent")
_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class _Minute:
    """What was reported within one minute: sums and counts, in the order of :data:`KEPT`."""

    number: int  #: since the epoch
    sums: list[float]
    counts: list[int]


class AgentHistory:
    """Means of each minute; minutes without a report are gaps."""

    def __init__(self, began_at: datetime) -> None:
        self._began_at = began_at
        self._minutes: dict[AgentId, deque[_Minute]] = {}

    def put(self, live: Live) -> None:
        """One more report."""
        number = _number(live.at)
        minutes = self._minutes.setdefault(live.agent, deque(maxlen=MINUTES))
        if not minutes or minutes[-1].number < number:
            minutes.append(_Minute(number, [0.0] * len(KEPT), [0] * len(KEPT)))
        for i, name in enumerate(KEPT):
            if (value := live.report.metrics.get(name)) is not None:
                minutes[-1].sums[i] += value
                minutes[-1].counts[i] += 1

    def since(self, now: datetime) -> datetime | None:
        """When it began, if the whole of the last hour is not known yet."""
        return self._began_at if now - self._began_at < MINUTES * _MINUTE else None

    def means(self, agent: AgentId, metric: str, now: datetime) -> list[float | None]:
        """Of the last :data:`MINUTES` minutes, the present one last; empty when nothing was reported in them."""
        i, last = KEPT.index(metric), _number(now)
        found: list[float | None] = [None] * MINUTES
        for minute in self._minutes.get(agent, ()):
            age = last - minute.number
            if 0 <= age < MINUTES and minute.counts[i]:
                found[MINUTES - 1 - age] = round(minute.sums[i] / minute.counts[i], 1)
        return [] if all(mean is None for mean in found) else found

    def forget(self, agent: AgentId) -> None:
        """An agent that was removed."""
        self._minutes.pop(agent, None)


def _number(at: datetime) -> int:
    return int(at.timestamp() // _MINUTE.total_seconds())
