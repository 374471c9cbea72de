"""What befalls Defib itself in the simulation: its body and its network, as the production guard perceives them."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from random import Random

from defib.engine.observer.senses import Pressure
from defib.rules.correlation import Interface, Readings
from defib.rules.gaps import Clocks
from defib_sim.modes import Reply
from defib_sim.virtual_loop import VirtualClock

LOST_AFTER_S = 1.0  #: that a canary waits for an answer


class Ordeal(StrEnum):
    """One thing that can befall Defib."""

    CUT_OFF = "its network is down"
    SWITCHED_OFF = "its own link is switched off"
    UPLINK_DOWN = "nothing beyond its gateway answers"
    HELD_UP = "its loop, or its whole process, stands still"
    BUSY = "the machine has no time for it"
    CROWDED = "the machine has no time for others, but for it"
    WITHOUT_DESCRIPTORS = "it can open no socket"
    ASLEEP = "the machine is suspended"
    CLOCK_SET = "the wall clock is set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An ordeal in an episode."""

    ordeal: Ordeal
    lasts_s: float  #: of CLOCK_SET: by how much, negative for back
    at_s: float = 0.0  #: from the beginning of the episode


class Body:
    """Defib's own body: ``Senses`` and ``Lookout`` of :mod:`defib.engine.observer.senses` in one."""

    anchors = (("192.0.2.1", 443),)

    def __init__(self, clock: VirtualClock, trials: tuple[Trial, ...], begins: float, random: Random) -> None:
        self._clock = clock
        self._trials = sorted(trials, key=lambda trial: trial.at_s)
        self._begins = begins
        self._random = random
        self._lags: list[tuple[float, float]] = []  # from, until

    async def suffer(self) -> None:
        """Let everything befall it that is not merely a state of the network."""
        for trial in self._trials:
            at = self._begins + trial.at_s
            await self._clock.sleep(at - self._clock.monotonic())
            match trial.ordeal:
                case Ordeal.HELD_UP:
                    self.hold_up(trial.lasts_s)
                case Ordeal.BUSY:
                    while self._clock.monotonic() < at + trial.lasts_s:
                        self.hold_up(self._random.uniform(0.05, 1.2))
                        await self._clock.sleep(self._random.uniform(0.0, 0.5))
                case Ordeal.ASLEEP:
                    self._clock.sleep_through(trial.lasts_s)
                case Ordeal.CLOCK_SET:
                    self._clock.set_wall(trial.lasts_s)
                case _:
                    pass  # asked for when it matters

    def hold_up(self, seconds: float) -> None:
        """Let its loop stand still, now."""
        began = self._clock.monotonic()
        self._clock.hold_up(seconds)
        self._lags.append((began, began + seconds))

    def _is(self, *ordeals: Ordeal, at: float) -> bool:
        return any(
            trial.ordeal in ordeals and trial.at_s <= at - self._begins < trial.at_s + trial.lasts_s
            for trial in self._trials
        )

    def meets(self, at: float) -> Reply | None:
        """What a probe over the network meets before it comes to its target; None when it comes there."""
        if self._is(Ordeal.CUT_OFF, Ordeal.UPLINK_DOWN, at=at):
            return Reply.SILENT
        if self._is(Ordeal.SWITCHED_OFF, at=at):
            return Reply.UNROUTED
        return Reply.UNASKED if self._is(Ordeal.WITHOUT_DESCRIPTORS, at=at) else None

    # --- senses ------------------------------------------------------------------------------------

    def start(self) -> None: ...

    def close(self) -> None: ...

    def max_lag(self, since: float) -> float:
        return max((until - max(began, since) for began, until in self._lags if until > since), default=0.0)

    def blocked_for(self) -> float:
        """Whoever asks runs."""
        return 0.0

    def clocks(self) -> Clocks:
        now = self._clock.monotonic()
        wall = (self._clock.now() - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
        return Clocks(mono=now, boot=now + self._clock.slept_s, wall=wall)

    async def pressure(self) -> Pressure:
        is_busy = self._is(Ordeal.BUSY, Ordeal.CROWDED, at=self._clock.monotonic())
        return Pressure(cpu_some_avg10=90.0 if is_busy else 0.0)

    def interfaces(self) -> tuple[Interface, ...]:
        return ()

    # --- canaries ----------------------------------------------------------------------------------

    async def look(self) -> Readings:
        now = self._clock.monotonic()
        if self._is(Ordeal.WITHOUT_DESCRIPTORS, at=now):
            return Readings(own=False)
        is_switched_off = self._is(Ordeal.SWITCHED_OFF, at=now)
        is_cut_off = is_switched_off or self._is(Ordeal.CUT_OFF, at=now)
        is_beyond_reach = is_cut_off or self._is(Ordeal.UPLINK_DOWN, at=now)
        if is_beyond_reach and not is_switched_off:
            await asyncio.sleep(LOST_AFTER_S)
        return Readings(
            own=True,
            gateway=not is_cut_off,
            resolver=not is_beyond_reach,
            anchors=not is_beyond_reach,
            carrier=not is_switched_off,
        )
