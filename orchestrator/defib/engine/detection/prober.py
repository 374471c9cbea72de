"""One look at a target, guarded: whatever a plugin does, the engine gets an observation in time."""

import asyncio
from collections import Counter
from datetime import timedelta

from defib.logs import get_logger
from defib.model.evidence import Evidence, Observation, Outcome, Source
from defib.model.ids import MonitorId
from defib.model.phrase import phrase
from defib.ports import Clock, Monitor, ProbeContext

GRACE = timedelta(milliseconds=500)  #: for a monitor to report its own timeout before it is given up

log = get_logger("defib.prober")


class Prober:
    """Probes monitors.

    :ivar outcomes: of all looks so far.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.outcomes: Counter[Outcome] = Counter()
        self._abandoned: set[asyncio.Task[Evidence]] = set()  # given up, still ending

    async def look(self, monitor: MonitorId, plugin: Monitor, timeout: timedelta) -> Observation:
        """Probe once. Never raises for anything the plugin does; a crash of its is inconclusive."""
        started_at, started = self._clock.now(), self._clock.monotonic()
        context = ProbeContext(timeout=timeout, clock=self._clock)
        probe = asyncio.ensure_future(plugin.probe(context))
        try:
            await asyncio.wait({probe}, timeout=(timeout + GRACE).total_seconds())
        except asyncio.CancelledError:
            probe.cancel()
            raise
        if not probe.done():
            probe.cancel()
            self._abandoned.add(probe)
            probe.add_done_callback(self._forget)
            words = phrase("no answer within {seconds:g} s", seconds=timeout.total_seconds())
            evidence = Evidence.fail("timeout", words)
        else:
            evidence = self._outcome(monitor, probe)
        self.outcomes[evidence.outcome] += 1
        # an end that the wall clock's steps cannot move before the start
        ended_at = started_at + timedelta(seconds=self._clock.monotonic() - started)
        return Observation(
            monitor=monitor, source=Source.PROBE, evidence=evidence, started_at=started_at, ended_at=ended_at
        )

    def _outcome(self, monitor: MonitorId, probe: "asyncio.Task[Evidence]") -> Evidence:
        if probe.cancelled():
            return Evidence.inconclusive("cancelled", phrase("the probe cancelled itself"))
        if (error := probe.exception()) is not None:
            log.error("monitor plugin crashed", monitor=monitor, error=repr(error), exc_info=error)
            return Evidence.inconclusive(
                "plugin-crashed",
                phrase("the monitor's plugin crashed: {error}; see the log", error=type(error).__name__),
            )
        evidence: object = probe.result()  # a plugin may break its word
        if not isinstance(evidence, Evidence):
            log.error(
                "monitor plugin returned no evidence", monitor=monitor, returned=type(evidence).__name__
            )
            return Evidence.inconclusive(
                "plugin-crashed", phrase("the monitor's plugin returned no evidence")
            )
        return evidence

    def _forget(self, probe: "asyncio.Task[Evidence]") -> None:
        self._abandoned.discard(probe)
        if not probe.cancelled() and (error := probe.exception()) is not None:
            log.debug("abandoned probe ended with an error", error=repr(error))

    async def close(self) -> None:
        """Wait a moment for probes that were given up."""
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=1.0)
