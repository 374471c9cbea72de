"""Beats on virtual time: the production engine, and what arrives at it from senders behind lines that lose and delay.

Scenario 23 of the detection design's section 7.2, with the traces of its section 1.6.
"""

import asyncio
import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

from defib.engine.engine import Engine
from defib.engine.observer.senses import Lookout
from defib.engine.roster import Roster
from defib.model.alert import Alert
from defib.model.health import State, Transition
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.route import Route
from defib.model.settings import ChannelSpec, Settings
from defib.plugin import Signal
from defib.registry import Registry
from defib.rules.correlation import Readings
from defib_plugins.heartbeat import HeartbeatOptions
from defib_sim.memory_store import MemoryStore
from defib_sim.observer import Body
from defib_sim.plugin import BeatenOptions, Notebook, NotebookOptions, load_plugins
from defib_sim.targets import Target
from defib_sim.virtual_loop import VirtualClock, run, seconds_at

DAY_S = 86400.0
DRAIN_S = 60.0  #: how often what the engine noted is forgotten: there is no store to keep it


# --- senders ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One beat, as it arrives."""

    at: float  #: virtual seconds
    monitor: MonitorId
    signal: Signal = Signal.ALIVE
    seq: int | None = None
    epoch: str | None = None
    age_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A sender and the way from it to us: section 1.6's trace."""

    eta_s: float
    loss: float = 0.01
    tries_s: tuple[float, ...] = (
        0.0,
    )  #: when a beat is tried, after it is due: an agent repeats what got lost
    is_numbered: bool = False  #: it counts its beats and names its epochs, as an agent does
    jitter_s: float = 0.05
    delay_s: float = 0.04
    slow_share: float = 0.002  #: of the beats take 0.5 to 3 s more
    pauses_a_day: float = 24.0  #: of the sender, 4 s on average
    outages_a_day: float = 1.0  #: of the network, 8 s on average

    def arrivals(self, monitor: MonitorId, random: Random, begins: float, ends: float) -> Iterator[Sent]:
        """What arrives of the beats due between two instants, in the order of arrival."""
        pauses = list(_spells(random, self.pauses_a_day, 4.0, begins, ends))
        outages = list(_spells(random, self.outages_a_day, 8.0, begins, ends))
        found = []
        number = 0
        while (due := begins + number * self.eta_s) < ends:
            sent = _out_of(pauses, due + random.uniform(0.0, self.jitter_s))
            for wait in self.tries_s:
                is_lost = random.random() < self.loss or _out_of(outages, sent + wait) > sent + wait
                if not is_lost:
                    slow = random.uniform(0.5, 3.0) if random.random() < self.slow_share else 0.0
                    found.append(self._sent(monitor, sent + wait + self.delay_s + slow, number))
                    break
            number += 1
        return iter(sorted(found, key=lambda beat: beat.at))

    def _sent(self, monitor: MonitorId, at: float, number: int) -> Sent:
        if not self.is_numbered:
            return Sent(at=at, monitor=monitor)
        return Sent(at=at, monitor=monitor, seq=number, epoch="1")


def plain(eta_s: float, **more: Any) -> Line:
    """One line of curl in a loop."""
    return Line(eta_s=eta_s, **more)


def agent(eta_s: float, **more: Any) -> Line:
    """It counts its beats, and repeats what got lost."""
    return Line(eta_s=eta_s, tries_s=(0.0, 2.0, 5.0), is_numbered=True, **more)


Spell = tuple[float, float]


def _spells(random: Random, a_day: float, mean_s: float, begins: float, ends: float) -> Iterator[Spell]:
    at = begins
    while a_day and (at := at + random.expovariate(a_day / DAY_S)) < ends:
        lasts = random.expovariate(1 / mean_s)
        yield at, at + lasts
        at += lasts


def _out_of(spells: list[Spell], at: float) -> float:
    """``at``, or the end of the spell that it falls into."""
    index = bisect.bisect_right(spells, (at, float("inf"))) - 1
    return max(at, spells[index][1]) if index >= 0 else at


# --- the observer's own network --------------------------------------------------------------------


FAIR = Readings(own=True, gateway=True, resolver=True, carrier=True)
CUT_OFF = Readings(own=True, gateway=False, resolver=False, carrier=False)


@dataclass(slots=True)
class Weather:
    """Canaries that show what they are told to."""

    readings: Readings = FAIR
    looks: int = 0
    anchors: Sequence[tuple[str, int]] = ()

    async def look(self) -> Readings:
        self.looks += 1
        return self.readings


# --- the world -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One heartbeat monitor."""

    monitor: MonitorId
    options: Mapping[str, Any]
    target: Target | None = None  #: what is asked when it is silent
    requires: tuple[MonitorId, ...] = ()


class BeatWorld:
    """One engine with heartbeats, listening from its making to its end."""

    def __init__(self, clock: VirtualClock, watches: Iterable[Watch], lookout: Lookout | None = None) -> None:
        self.clock = clock
        self.store = MemoryStore()
        self.notebook = Notebook()
        self.taken = 0
        settings = _settings(load_plugins(), tuple(watches), self.notebook)
        store = cast(Any, self.store)
        self.engine = Engine(
            clock,
            Roster(load_plugins(), settings, {}),
            store,
            store,
            lookout,
            Body(clock, (), 0.0, Random(0)),
        )

    @asynccontextmanager
    async def listening(self) -> Any:
        engine = self.engine
        engine.guard.start()
        engine.silences.start()
        engine.courier.start()
        chores = [engine.silences.run(), engine.guard.watch_vitals(), engine.scheduler.run()]
        running = [asyncio.create_task(chore) for chore in chores]
        try:
            yield self
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await engine.wind_down()

    async def take(self, beats: Iterable[Sent], until: float) -> None:
        """Let beats arrive, in their order, and wait until ``until``."""
        drained = 0.0
        for beat in beats:
            if beat.at >= until:
                break
            await self.until(beat.at)
            await self.send(beat)
            if beat.at - drained > DRAIN_S:
                drained = beat.at
                self.engine.table.drain()
        await self.until(until)

    async def send(self, beat: Sent) -> None:
        self.taken += 1
        await self.engine.beats.accept(
            beat.monitor, beat.signal, protocol="simulated", seq=beat.seq, epoch=beat.epoch,
            age=timedelta(seconds=beat.age_s),
        )  # fmt: skip

    async def until(self, at: float) -> None:
        await self.clock.sleep(at - self.clock.monotonic())

    def state(self, monitor: MonitorId) -> State:
        return self.engine.table[monitor].state


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of it."""

    transitions: Mapping[MonitorId, tuple[Transition, ...]]
    notes: tuple[tuple[float, Alert], ...]
    beats: int
    ends: float

    def entries(self, state: State, monitor: MonitorId | None = None, after: float = 0.0) -> list[float]:
        """When ``state`` was entered, of one monitor or of all, in seconds."""
        return sorted(
            seconds_at(item.decided_at)
            for name, items in self.transitions.items()
            if monitor in (None, name)
            for item in items
            if item.to_state is state and seconds_at(item.decided_at) >= after
        )


def listen(watches: Iterable[Watch], beats: Iterable[Sent], until: float) -> Told:
    """Play what arrives to the engine."""
    watches = tuple(watches)

    async def main(clock: VirtualClock) -> Told:
        world = BeatWorld(clock, watches)
        async with world.listening():
            await world.take(beats, until)
        return tell(world)

    return run(main)


def tell(world: BeatWorld) -> Told:
    transitions: dict[MonitorId, list[Transition]] = {}
    for item in world.store.all_transitions:
        transitions.setdefault(item.monitor, []).append(item)
    return Told(
        transitions={monitor: tuple(items) for monitor, items in transitions.items()},
        notes=tuple(world.notebook.notes),
        beats=world.taken,
        ends=world.clock.monotonic(),
    )


def _settings(plugins: Registry, watches: tuple[Watch, ...], notebook: Notebook) -> Settings:
    strategies = {item.name: item for item in plugins.strategies.items.values()}
    return Settings(
        base=Path("/"), files=(), strategy="normal", strategies=strategies,
        monitors=tuple(
            MonitorSpec(
                id=watch.monitor, name=watch.monitor, kind="beaten", family=Family.JOB, requires=watch.requires,
                options=BeatenOptions(beats=HeartbeatOptions.model_validate(watch.options), target=watch.target),
            )
            for watch in watches
        ),
        channels=(ChannelSpec(
                name="notebook", kind="notebook", options=NotebookOptions(notebook=notebook), rate=1200
            ),),
        routes=(Route(channels=("notebook",)),),
    )  # fmt: skip
