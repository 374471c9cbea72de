"""From what a sender said, or did not say, to its monitor's state; what cannot be judged yet is judged again."""

from datetime import datetime, timedelta

from defib.engine.detection.judge import Judge
from defib.engine.heartbeats.timers import Timers
from defib.errors import StoreError
from defib.model.evidence import Evidence, Observation, Source
from defib.model.ids import MonitorId
from defib.ports import Clock

STORE_RETRY = timedelta(seconds=1)


class Verdicts:
    """Has evidence about senders judged."""

    def __init__(self, clock: Clock, judge: Judge, timers: Timers) -> None:
        self._clock = clock
        self._judge = judge
        self._timers = timers

    async def give(self, monitor: MonitorId, evidence: Evidence, source: Source, at: datetime) -> None:
        """Judge evidence.

        :param at: since when it holds.
        :raises StoreError: nothing was decided; see :meth:`take`.
        """
        ended_at = max(at, self._clock.now())
        await self.take(
            Observation(monitor=monitor, source=source, evidence=evidence, started_at=at, ended_at=ended_at)
        )

    async def take(self, observation: Observation) -> None:
        """Judge an observation.

        :raises StoreError: nothing was decided; a beat, which nobody repeats, is judged again soon.
        """
        monitor = observation.monitor
        try:
            again = await self._judge.take(observation)
        except StoreError:
            if observation.source is Source.BEAT:
                self._timers.set_in(monitor, STORE_RETRY.total_seconds(), observation)
            raise
        if again is not None:  # the verdict waits: for what it requires, or until we trust ourselves
            self._timers.set_in(monitor, again.total_seconds(), observation)
