"""Is it me or them? Watches the observer itself, and says what its failures of the moment are worth.

    vitals (each second) ─→ sickness: stretched timeouts, frozen judgement
    three clocks (each 250 ms) ─→ gaps: unobserved time is unknown, never down
    failures together, or looks that we could not make ─→ canaries ─→ verdict: inconclusive, unreachable, or real
    a verdict against us ─→ canaries (each second) ─→ released, and looked at afresh

Decides nothing about a target; :class:`~defib.engine.detection.judge.Judge` and
:class:`~defib.engine.recovery.cases.Recovery` ask it before they do. Until it is started it finds the observer well.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from defib.engine.events import Event, EventBus
from defib.engine.observer.senses import Address, Lookout, Senses
from defib.engine.roster import Roster, Watched
from defib.logs import get_logger
from defib.model.evidence import Evidence, Observation, Outcome, Source
from defib.model.ids import MonitorId
from defib.ports import Clock
from defib.rules import gaps, sickness
from defib.rules.correlation import (
    WINDOW_S,
    Effect,
    Interface,
    Look,
    PathClass,
    Readings,
    Trigger,
    Verdict,
    diagnose,
    effect,
    excuse,
    fate_group,
    find_trigger,
    is_deaf,
    is_named,
    is_network_missing,
    path_class,
)
from defib.rules.gaps import Gap, GapKind, Response, Resume
from defib.rules.observer import Ailment, Trouble
from defib.rules.phase import phase
from defib.rules.sickness import Sickness, Vitals

log = get_logger("defib.guard")

TICK_S = 1.0
IDLE_CANARIES_S = 30.0
GIVE_UP_FREEZE_S = 300.0  #: a freeze this long hides more than it protects: faults are declared again

LOOK_AGAIN = timedelta(seconds=1)  #: at least, until what was seen in our own trouble is looked at afresh

_WHILE_FROZEN = (
    f"Meanwhile no fault is declared for up to {GIVE_UP_FREEZE_S / 60:.0f} minutes, and nothing is repaired"
)
_EFFECTS = {
    Verdict.SICK: "Failures seen meanwhile count for nothing, and nothing is repaired",
    Verdict.NETWORK_DOWN: (
        "What is reached over the network is neither declared down nor repaired; what is on this machine "
        "is watched as usual"
    ),
    Verdict.UPLINK_DOWN: (
        "What lies beyond the uplink counts as unreachable: nobody is told of it one by one, and it is not repaired"
    ),
    Verdict.RESOLVER_DOWN: (
        "What is reached by name counts as unreachable: nobody is told of it one by one, and it is not repaired"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a failure is worth."""

    evidence: Evidence
    behind: tuple[MonitorId, ...] = ()  #: what of ours it is unreachable behind: ``uplink`` or ``dns``
    hold: str = ""  #: why no fault may be declared now; "" when it may


class Guard:
    """The observer's own health, and its use."""

    def __init__(
        self, clock: Clock, roster: Roster, bus: EventBus, senses: Senses, canaries: Lookout | None
    ) -> None:
        """:param canaries: None where the network is not to be looked at."""
        self._clock = clock
        self.roster = roster
        self._bus = bus
        self._senses = senses
        self._canaries = canaries
        self._interfaces: tuple[Interface, ...] = ()
        self._looks: dict[MonitorId, Look] = {}
        self._failing_since: dict[MonitorId, float] = {}
        self._last_ok: dict[PathClass, float] = {}
        self._last_ok_way: dict[tuple[PathClass, bool], float] = {}
        self._reached: dict[tuple[PathClass, bool], float] = {}  # the first success since we are accused
        self._started_at = clock.monotonic()
        self._last_gap_at = self._mass_at = float("-inf")
        self._resume: Resume | None = None
        self._sickness = Sickness()
        self._frozen_at = self._accused_at = clock.now()
        self._acquitted = Verdict.CLEAR  # the newest verdict against us that is over …
        self._acquitted_at = float("-inf")  # … and since when
        self.verdict = Verdict.CLEAR
        self.worst_lateness: Callable[[], float] = lambda: 0.0  #: of probes since the last call, in seconds
        self.on_release: Callable[[], None] = lambda: None  #: judgement is free again, or the network is back
        self.on_gap: Callable[[Gap], None] = lambda gap: None
        self.correlated_silence: Callable[[], str] = lambda: ""
        """Why the silence of one sender proves nothing now."""

    # --- running -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to measure the running loop."""
        self._started_at = self._clock.monotonic()
        self._interfaces = self._senses.interfaces()
        self._senses.start()

    def close(self) -> None:
        self._senses.close()

    def set_anchors(self, anchors: Sequence[Address]) -> None:
        """Another configuration is in force."""
        if self._canaries is not None:
            self._canaries.anchors = anchors

    async def watch_vitals(self) -> None:
        """Keep the health score and an accusing verdict up to date, until cancelled."""
        since, canaries_at = self._clock.monotonic(), float("-inf")
        while True:
            await self._clock.sleep(TICK_S)
            now = self._clock.monotonic()
            is_dead = False
            is_asked = self._sickness.score > 0 or self.verdict.accuses_us
            if self._canaries is not None and (is_asked or now - canaries_at >= IDLE_CANARIES_S):
                readings = await self._canaries.look()
                is_dead = readings.own is False
                canaries_at = now
                if self.verdict.accuses_us:
                    self._give_verdict(readings, None)
            pressure = await self._senses.pressure()
            vitals = Vitals(
                max_lag_s=self._senses.max_lag(since),
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
            self._frozen_at = self._clock.now()
            log.warning("judgement is frozen", reason=after.reason)
            self._bus.publish(Event(type="observer"))
        elif before.is_frozen and not after.is_frozen:
            log.warning("judgement is free again")
            self._bus.publish(Event(type="observer"))
            self.on_release()

    async def watch_clocks(self) -> None:
        """Find gaps in observing and steps of the wall clock, until cancelled."""
        before = self._senses.clocks()
        while True:
            await self._clock.sleep(gaps.TICK_S)
            now = self._senses.clocks()
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
        self._failing_since.clear()
        self._last_ok.clear()
        with suppress(OSError):  # without file descriptors we keep those that we know
            self._interfaces = self._senses.interfaces()  # a machine that slept may have woken up elsewhere
        self._started_at = now - gap.seconds  # nothing has been seen well for so long
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

    @property
    def is_mass_failure(self) -> bool:
        """Many targets fail together, and it is not our fault."""
        return self._clock.monotonic() - self._mass_at <= WINDOW_S

    @property
    def is_frozen(self) -> bool:
        """We are too sick to judge; what is declared all the same, after :data:`GIVE_UP_FREEZE_S`, is not verified."""
        return self._sickness.is_frozen

    def weigh(self, observation: Observation, timeout: timedelta) -> Observation:
        """The observation, or an inconclusive one when it was made while we were held up."""
        took = (observation.ended_at - observation.started_at).total_seconds()
        since = self._clock.monotonic() - took
        evidence = sickness.weigh(
            observation.evidence, self._senses.max_lag(since), timeout, has_gap=self._last_gap_at >= since
        )
        return observation if evidence is observation.evidence else replace(observation, evidence=evidence)

    async def consider(self, watched: Watched, observation: Observation) -> Opinion:
        """What an observation is worth, after a look at the canaries where there is reason for one."""
        evidence = observation.evidence
        is_missing = is_network_missing(evidence)
        if evidence.outcome is Outcome.INCONCLUSIVE and not is_missing:
            if is_deaf(evidence):
                await self._doubt(Trigger(path=PathClass.LOCAL, is_together=False, reason=evidence.summary))
            return Opinion(evidence=evidence)
        if watched.asked is None or observation.source is not Source.PROBE:
            is_silence = (
                observation.source is Source.DEADLINE
            )  # what a job itself says needs no healthy observer
            return Opinion(
                evidence=evidence, hold=await self._hold_silence(watched.spec.id) if is_silence else ""
            )
        host = watched.asked.host
        path, named = path_class(host, self._interfaces), is_named(host)
        monitor, now = watched.spec.id, self._clock.monotonic()
        self._looks[monitor] = Look(
            monitor=monitor, group=fate_group(monitor, host, path), path=path, at=now, is_ok=evidence.is_ok
        )
        if evidence.is_ok:
            self._last_ok[path] = self._last_ok_way[path, named] = now
            if self.verdict.accuses_us:
                self._reached.setdefault((path, named), now)
            self._failing_since.pop(monitor, None)
            self._see(monitor)
            return Opinion(evidence=evidence)
        failing_since = self._failing_since.get(monitor)
        self._failing_since.setdefault(monitor, now)
        if is_missing:
            await self._doubt(self._trigger(path, failing_since))
            return Opinion(evidence=evidence)
        began = now - (observation.ended_at - observation.started_at).total_seconds()
        worth = await self._worth(path, named, began, failing_since)
        if worth is Effect.INCONCLUSIVE:
            verdict = self.verdict if self.verdict.accuses_us else self._acquitted
            return Opinion(evidence=excuse(evidence, verdict))
        behind = (MonitorId(worth),) if worth in (Effect.BEHIND_UPLINK, Effect.BEHIND_RESOLVER) else ()
        opinion = Opinion(evidence=evidence, behind=behind, hold=self._hold(monitor))
        self._see(monitor)
        return opinion

    def _trigger(self, path: PathClass, failing_since: float | None) -> Trigger | None:
        last_ok = self._last_ok.get(path, self._started_at)
        return find_trigger(self._looks.values(), path, last_ok, self._clock.monotonic(), failing_since)

    async def _doubt(self, trigger: Trigger | None) -> None:
        """We could not look at targets, none of which has failed: nothing follows unless the canaries accuse us."""
        if trigger is None or self._canaries is None or self.verdict.accuses_us:
            return  # in the last case they are asked each second
        readings = await self._canaries.look()
        if diagnose(readings).accuses_us:
            self._give_verdict(readings, trigger)

    async def _worth(self, path: PathClass, named: bool, began: float, failing_since: float | None) -> Effect:
        """What a failure is worth.

        :param began: when its probe did. One that began before our own trouble was over ends after it.
        """
        if self._canaries is None:
            return Effect.REAL
        asked_at = self._clock.monotonic()
        was_accused = self.verdict.accuses_us
        if began < self._acquitted_at and not was_accused:
            return effect(self._acquitted, path, is_named=named)
        trigger = None if was_accused else self._trigger(path, failing_since)
        is_asked = was_accused or trigger is not None
        if is_asked:
            self._give_verdict(await self._canaries.look(), trigger)
        if began < self._acquitted_at:
            return effect(self._acquitted, path, is_named=named)
        if not is_asked:
            return Effect.REAL
        if self.verdict is Verdict.MASS_FAILURE:
            self._mass_at = asked_at
        if was_accused:  # a success is no contradiction of what began before it: the trouble may just be over
            contradicted = self._reached.get((path, named), float("inf")) < began
        else:
            contradicted = self._last_ok_way.get((path, named), float("-inf")) > asked_at
        return effect(self.verdict, path, is_named=named, is_contradicted=contradicted)

    def _give_verdict(self, readings: Readings, trigger: Trigger | None) -> None:
        """Say whose fault it is; what was put down to us is looked at afresh when it is ours no more.

        :param trigger: None when it is only asked whether it still is.
        """
        before, after = (
            self.verdict, diagnose(readings, is_together=trigger is not None and trigger.is_together)
        )  # fmt: skip
        if after is before:
            return
        self.verdict = after
        log.warning("verdict of the canaries", verdict=after, words=after.words,
                    reason=trigger.reason if trigger else "asked again")  # fmt: skip
        if after.accuses_us and not before.accuses_us:
            self._accused_at = self._clock.now()
            self._reached.clear()
        self._bus.publish(Event(type="observer"))
        if before.accuses_us and not after.accuses_us:
            self._acquitted, self._acquitted_at = before, self._clock.monotonic()
            self._looks = {monitor: look for monitor, look in self._looks.items() if look.is_ok}
            self.on_release()

    async def _hold_silence(self, monitor: MonitorId) -> str:
        """Why no silence may be called a fault now: what keeps others silent too may be ours.

        Nobody knows which way the beats of a sender come; therefore any trouble of our network excuses it.
        """
        hold = self._hold(monitor)
        if hold or self._canaries is None:
            return hold
        together = self.correlated_silence()
        if (
            not self.verdict.accuses_us
        ):  # else until the next tick asks again: then everybody has time to be heard
            if not together:
                return ""
            trigger = Trigger(path=PathClass.WAN, is_together=True, reason=together)
            self._give_verdict(await self._canaries.look(), trigger)
            if not self.verdict.accuses_us:
                return ""
        return (
            f"{self.verdict.words}, and most senders are silent together" if together else self.verdict.words
        )

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
        return self.path_trouble(monitor)

    def path_trouble(self, monitor: MonitorId) -> str:
        """Why nothing that is seen of ``monitor`` now can be trusted: our own way there; "" when it can."""
        watched = self.roster.monitors.get(monitor)
        if watched is None or watched.asked is None:
            return ""
        host = watched.asked.host
        worth = effect(self.verdict, path_class(host, self._interfaces), is_named=is_named(host))
        return "" if worth is Effect.REAL else self.verdict.words

    # --- for people --------------------------------------------------------------------------------

    def trouble(self) -> Trouble | None:
        """What is wrong with the observer; None when it is well."""
        if self._sickness.is_frozen:
            return Trouble(
                ailment=Ailment.SICK,
                reason=self._sickness.reason,
                effect=_WHILE_FROZEN,
                since=self._frozen_at,
            )
        if not self.verdict.accuses_us:
            return None
        return Trouble(
            ailment=Ailment.SICK if self.verdict is Verdict.SICK else Ailment.CUT_OFF,
            reason=self.verdict.words,
            effect=_EFFECTS[self.verdict],
            since=self._accused_at,
        )

    def look_again_in(self, monitor: MonitorId) -> timedelta | None:
        """When to look afresh at what was seen in our own trouble; None: when that is over, or in its turn."""
        if self.trouble() is not None:
            return None
        interval = self.roster.strategy(monitor).interval
        return LOOK_AGAIN + timedelta(seconds=phase(monitor, gaps.spread(interval)))

    def blocked_for(self) -> float:
        """Seconds that the event loop has been held up now; from any thread."""
        return self._senses.blocked_for()
