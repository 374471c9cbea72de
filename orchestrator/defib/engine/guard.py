"""Is it me or them? Watches the observer itself, and says what its failures of the moment are worth.

    vitals (each second) ─→ sickness: stretched timeouts, frozen judgement
    three clocks (each 250 ms) ─→ gaps: unobserved time is unknown, never down
    failures together ─→ canaries ─→ verdict: inconclusive, unreachable, or real

Decides nothing about a target; :class:`~defib.engine.judge.Judge` and :class:`~defib.engine.recovery.Recovery`
ask it before they do. Until it is started it finds the observer well.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from defib.engine.canaries import Canaries, read_interfaces
from defib.engine.events import Event, EventBus
from defib.engine.roster import Roster, Watched
from defib.engine.vitals import LagSampler, read_clocks, read_pressure
from defib.model.evidence import Evidence, Observation, Source
from defib.model.ids import MonitorId
from defib.ports import Clock
from defib.rules import gaps, sickness
from defib.rules.correlation import (
    Effect,
    Interface,
    Look,
    PathClass,
    Verdict,
    diagnose,
    effect,
    excuse,
    fate_group,
    find_trigger,
    is_named,
    path_class,
)
from defib.rules.gaps import Gap, GapKind, Response, Resume
from defib.rules.sickness import Sickness, Vitals

log = structlog.get_logger("defib.guard")

TICK_S = 1.0
IDLE_CANARIES_S = 30.0
GIVE_UP_FREEZE_S = 300.0  #: a freeze this long hides more than it protects: faults are declared again


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a failure is worth."""

    evidence: Evidence
    behind: tuple[MonitorId, ...] = ()  #: what of ours it is unreachable behind: ``uplink`` or ``dns``
    hold: str = ""  #: why no fault may be declared now; "" when it may


class Guard:
    """The observer's own health, and its use."""

    def __init__(self, clock: Clock, roster: Roster, bus: EventBus, canaries: Canaries | None) -> None:
        """:param canaries: None where the network is not to be looked at (a single pass, a simulation)."""
        self._clock = clock
        self.roster = roster
        self._bus = bus
        self._canaries = canaries
        self._sampler = LagSampler()
        self._interfaces: tuple[Interface, ...] = ()
        self._looks: dict[MonitorId, Look] = {}
        self._last_ok: dict[PathClass, float] = {}
        self._last_ok_way: dict[tuple[PathClass, bool], float] = {}
        self._started_at = clock.monotonic()
        self._last_gap_at = float("-inf")
        self._resume: Resume | None = None
        self._sickness = Sickness()
        self.verdict = Verdict.CLEAR
        self.worst_lateness: Callable[[], float] = lambda: 0.0  #: of probes since the last call, in seconds
        self.on_release: Callable[[], None] = lambda: None  #: judgement is free again
        self.on_gap: Callable[[Gap], None] = lambda gap: None

    # --- running -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to measure the running loop."""
        self._started_at = self._clock.monotonic()
        self._interfaces = read_interfaces()
        self._sampler.start()

    def close(self) -> None:
        self._sampler.close()

    async def watch_vitals(self) -> None:
        """Keep the health score, until cancelled."""
        since, canaries_at = self._clock.monotonic(), self._clock.monotonic()
        while True:
            await self._clock.sleep(TICK_S)
            now = self._clock.monotonic()
            is_dead = False
            if self._canaries is not None and (self._sickness.score or now - canaries_at >= IDLE_CANARIES_S):
                is_dead = (await self._canaries.look()).own is False
                canaries_at = now
            pressure = await asyncio.to_thread(read_pressure)
            vitals = Vitals(
                max_lag_s=self._sampler.max_lag(since),
                probe_late_s=self.worst_lateness(),
                is_canary_dead=is_dead,
                cpu_some_avg10=pressure.cpu_some_avg10,
                memory_full_avg10=pressure.memory_full_avg10,
            )
            since = now
            self._note(sickness.fold(self._sickness, vitals, now))

    def _note(self, after: Sickness) -> None:
        before, self._sickness = self._sickness, after
        if after.is_frozen and not before.is_frozen:
            log.warning("judgement is frozen", reason=after.reason)
            self._bus.publish(Event(type="observer"))
        elif before.is_frozen and not after.is_frozen:
            log.warning("judgement is free again")
            self._bus.publish(Event(type="observer"))
            self.on_release()

    async def watch_clocks(self) -> None:
        """Find gaps in observing and steps of the wall clock, until cancelled."""
        before = read_clocks()
        while True:
            await self._clock.sleep(gaps.TICK_S)
            now = read_clocks()
            for gap in gaps.find_gaps(before, now):
                log.warning("a gap in time", kind=gap.kind, seconds=round(gap.seconds, 1))
                if gap.kind is not GapKind.CLOCK_STEP:
                    self._take_gap(gap)
                self.on_gap(gap)
                self._bus.publish(Event(type="observer"))
            before = now

    def _take_gap(self, gap: Gap) -> None:
        now = self._clock.monotonic()
        self._last_gap_at = now
        self._looks.clear()
        self._last_ok.clear()
        self._started_at = now
        strategies = [self.roster.strategy(monitor) for monitor in self.roster.monitors]
        longest = [
            gaps.resume_phase(strategy.interval, strategy.timeout)
            for strategy in strategies
            if gaps.decide_response(gap.seconds, strategy.interval) is Response.RESET
        ]
        if longest:
            self._resume = Resume(ends_at=now + max(longest))

    # --- what a look is worth ----------------------------------------------------------------------

    @property
    def timeout_factor(self) -> int:
        """What probes' timeouts are multiplied by while the observer is slow."""
        return self._sickness.timeout_factor

    def weigh(self, observation: Observation, timeout: timedelta) -> Observation:
        """The observation, or an inconclusive one when it was made while we were held up."""
        took = (observation.ended_at - observation.started_at).total_seconds()
        since = self._clock.monotonic() - took
        evidence = sickness.weigh(
            observation.evidence, self._sampler.max_lag(since), timeout, has_gap=self._last_gap_at >= since
        )
        return observation if evidence is observation.evidence else replace(observation, evidence=evidence)

    async def consider(self, watched: Watched, observation: Observation) -> Opinion:
        """What a conclusive observation is worth, after a look at the canaries where there is reason for one."""
        evidence = observation.evidence
        if watched.polled is None:  # what a job itself says needs no healthy observer
            is_absence = observation.source is Source.DEADLINE
            return Opinion(evidence=evidence, hold=self._hold(watched.spec.id) if is_absence else "")
        host = watched.polled.host
        path, named = path_class(host, self._interfaces), is_named(host)
        now = self._clock.monotonic()
        self._looks[watched.spec.id] = Look(
            monitor=watched.spec.id, group=fate_group(watched.spec.id, host, path), path=path, at=now,
            is_ok=evidence.is_ok,
        )  # fmt: skip
        if evidence.is_ok:
            self._last_ok[path] = self._last_ok_way[path, named] = now
            self._see(watched.spec.id)
            return Opinion(evidence=evidence)
        worth = await self._worth(path, named)
        if worth is Effect.INCONCLUSIVE:
            return Opinion(evidence=excuse(evidence, self.verdict))
        behind = (MonitorId(worth),) if worth in (Effect.BEHIND_UPLINK, Effect.BEHIND_RESOLVER) else ()
        opinion = Opinion(evidence=evidence, behind=behind, hold=self._hold(watched.spec.id))
        self._see(watched.spec.id)
        return opinion

    async def _worth(self, path: PathClass, named: bool) -> Effect:
        if self._canaries is None:
            return Effect.REAL
        asked_at = self._clock.monotonic()
        last_ok = self._last_ok.get(path, self._started_at)
        trigger = find_trigger(self._looks.values(), path, last_ok, asked_at)
        if trigger is None and self.verdict in (Verdict.CLEAR, Verdict.MASS_FAILURE, Verdict.GATEWAY_MUTE):
            return Effect.REAL
        verdict = diagnose(
            await self._canaries.look(), is_together=trigger is not None and trigger.is_together
        )
        if verdict is not self.verdict:
            log.warning("verdict of the canaries", verdict=verdict, words=verdict.words,
                        reason=trigger.reason if trigger else "asked again")  # fmt: skip
            self.verdict = verdict
            self._bus.publish(Event(type="observer"))
        contradicted = self._last_ok_way.get((path, named), float("-inf")) > asked_at
        return effect(verdict, path, is_named=named, is_contradicted=contradicted)

    def _hold(self, monitor: MonitorId) -> str:
        now = self._clock.monotonic()
        if self._resume is not None and self._resume.holds(monitor, now):
            return "Defib was away and has not seen it afresh yet"
        if self._sickness.is_frozen and self._sickness.frozen_for(now) < GIVE_UP_FREEZE_S:
            return self._sickness.reason
        return ""

    def _see(self, monitor: MonitorId) -> None:
        if self._resume is not None:
            self._resume = self._resume.see(monitor)
            if self._clock.monotonic() >= self._resume.ends_at:
                self._resume = None

    def no_action(self, monitor: MonitorId) -> str:
        """Why no recovery may act on ``monitor`` now; "" when it may."""
        if self._sickness.is_frozen:
            return self._sickness.reason
        if self._resume is not None and self._resume.holds(monitor, self._clock.monotonic()):
            return "Defib was away and has not seen it afresh yet"
        watched = self.roster.monitors.get(monitor)
        if watched is None or watched.polled is None:
            return ""
        host = watched.polled.host
        worth = effect(self.verdict, path_class(host, self._interfaces), is_named=is_named(host))
        return "" if worth is Effect.REAL else self.verdict.words

    # --- for people --------------------------------------------------------------------------------

    def problem(self) -> str:
        """What is wrong with the observer, in words; "" when it is well."""
        if self._sickness.is_frozen:
            return self._sickness.reason
        if self.verdict in (Verdict.CLEAR, Verdict.MASS_FAILURE, Verdict.GATEWAY_MUTE):
            return ""
        return self.verdict.words

    def blocked_for(self) -> float:
        """Seconds that the event loop has been held up now; from any thread."""
        return self._sampler.blocked_for()
