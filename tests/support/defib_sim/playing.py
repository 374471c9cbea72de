"""Plays scenarios: the production engine on virtual time, over targets that live through their scripts."""

import asyncio
import math
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import structlog

from defib.engine.engine import Engine
from defib.engine.roster import Roster
from defib.model.alert import Alert
from defib.model.health import Transition
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec, RecoveryMode, RecoveryPolicy, Rung
from defib.model.settings import ChannelSpec, Route, Settings
from defib.model.strategy import Strategy
from defib.registry import Registry
from defib.rules.phase import phase
from defib_sim.memory_store import MemoryStore
from defib_sim.modes import WELL
from defib_sim.plugin import Notebook, NotebookOptions, RestartOptions, SimulatedOptions, load_plugins
from defib_sim.results import Result
from defib_sim.scenarios import Role, Scenario
from defib_sim.stories import Story, tell
from defib_sim.targets import Target
from defib_sim.virtual_loop import VirtualClock, run

SETTLE_S = 130.0  #: all is well for so long at first
_DRAIN_S = 60.0  #: how often what the engine noted is forgotten: there is no store to keep it
_CHANNEL = "notebook"

PLAIN = Strategy(
    name="plain", summary="three failures in a row, every 30 s: what one would write first",
    interval=timedelta(seconds=30), timeout=timedelta(seconds=5), confirm=(), recover_confirm=None, fail_threshold=3,
    recovery_threshold=2, detector="consecutive",
)  # fmt: skip
"""The yardstick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One target in its world."""

    monitor: MonitorId
    role: Role
    episode: int
    target: Target
    host: str


def play(scenario: Scenario, strategy: Strategy, *, episodes: int, seed: int) -> Result:
    """Play so many episodes; the same seed gives the same result."""
    plugins = load_plugins()
    began = time.process_time()
    stories: list[Story] = []
    probes = 0
    with _listening() as crashes:
        for first in range(0, episodes, scenario.together):
            numbers = range(first, min(first + scenario.together, episodes))
            world = _World(plugins, scenario, strategy, numbers, seed)
            told, count = run(world.play)
            stories += told
            probes += count
    return Result(
        scenario=scenario, strategy=strategy.name, seed=seed, stories=tuple(stories), probes=probes,
        cpu_s=time.process_time() - began, crashes=tuple(crashes),
    )  # fmt: skip


class _World:
    """One engine with the targets of some episodes."""

    def __init__(
        self, plugins: Registry, scenario: Scenario, strategy: Strategy, numbers: range, seed: int
    ) -> None:
        self._plugins = plugins
        self._scenario = scenario
        self._strategy = strategy
        self._numbers = numbers
        self._seed = seed
        spread = scenario.apart_s * len(numbers) + strategy.interval.total_seconds()
        self._spread_s = spread
        self._until = SETTLE_S + spread + scenario.lasts_s

    async def play(self, clock: VirtualClock) -> tuple[list[Story], int]:
        """The stories, and how many probes it took."""
        random = Random(f"{self._seed}/{self._scenario.name}/{self._numbers.start}")
        notebook = Notebook()
        parts: list[_Part] = []
        for number in self._numbers:
            begins = SETTLE_S + random.uniform(0.0, self._spread_s)
            parts += self._cast(clock, number, begins)
            if self._scenario.channel_outage_s:
                notebook.outage = (begins, begins + self._scenario.channel_outage_s)
        store = MemoryStore()
        roster = Roster(self._plugins, self._settings(parts, notebook), {})
        engine = Engine(clock, roster, cast(Any, store), cast(Any, store))
        await self._watch(engine, clock)
        return self._tell(parts, store, notebook), engine.prober.outcomes.total()

    async def _watch(self, engine: Engine, clock: VirtualClock) -> None:
        """The engine's parts as ``Engine.serve`` runs them, without the chores of the store and the reports."""
        for monitor, watched in engine.roster.monitors.items():
            engine.scheduler.add(
                monitor, engine.roster.strategy(monitor).interval, cast(Any, watched.plugin).host
            )
        engine.courier.start()
        engine.recovery.resume()
        schedule = asyncio.create_task(engine.scheduler.run())
        try:
            while (left := self._until - clock.monotonic()) > 0:
                await clock.sleep(min(left, _DRAIN_S))
                engine.table.drain()
        finally:
            schedule.cancel()
            await asyncio.gather(schedule, return_exceptions=True)
            await engine.wind_down()

    def _cast(self, clock: VirtualClock, episode: int, begins: float) -> Iterator[_Part]:
        """The targets of one episode."""
        slug = self._scenario.name.replace(" ", "-")
        by_role: dict[str, list[Target]] = {}
        for role in self._scenario.roles:
            targets = by_role[role.name] = []
            for index in range(role.count):
                monitor = MonitorId(f"{slug}-{episode:05}-{role.name}-{index}")
                script = [(0.0, WELL), *((begins + at, mode) for at, mode in role.script)]
                random = Random(f"{self._seed}/{monitor}")
                target = Target(clock, random, script, remedy=role.remedy, loss=role.loss)
                target.leans_on = tuple(other for name in role.requires for other in by_role[name])
                target.leaning = role.leaning
                targets.append(target)
                host = f"host-{episode}-{index % role.hosts}" if role.hosts else ""
                yield _Part(monitor=monitor, role=role, episode=episode, target=target, host=host)

    def _settings(self, parts: list[_Part], notebook: Notebook) -> Settings:
        by_role: dict[tuple[int, str], list[MonitorId]] = {}
        for part in parts:
            by_role.setdefault((part.episode, part.role.name), []).append(part.monitor)
        return Settings(
            base=Path("/"), files=(), strategy=self._strategy.name, strategies={self._strategy.name: self._strategy},
            recovery_mode=RecoveryMode.AUTO,
            monitors=tuple(
                MonitorSpec(
                    id=part.monitor, name=part.monitor, kind="simulated", family=Family.SERVICE,
                    options=SimulatedOptions(target=part.target, host=part.host),
                    requires=tuple(
                        other for name in part.role.requires for other in by_role[part.episode, name]
                    ),
                    recovery=RecoveryPolicy(
                        mode=RecoveryMode.AUTO,
                        ladder=(Rung(kind="simulated-restart", options=RestartOptions(target=part.target)),),
                    ),
                )
                for part in parts
            ),
            channels=(ChannelSpec(name=_CHANNEL, kind="notebook", options=NotebookOptions(notebook=notebook)),),
            routes=(Route(channels=(_CHANNEL,)),),
        )  # fmt: skip

    def _tell(self, parts: list[_Part], store: MemoryStore, notebook: Notebook) -> list[Story]:
        transitions: dict[MonitorId, list[Transition]] = {}
        for item in store.all_transitions:
            transitions.setdefault(item.monitor, []).append(item)
        notes: dict[MonitorId | None, list[tuple[float, Alert]]] = {}
        for note in notebook.notes:
            notes.setdefault(note[1].monitor, []).append(note)
        return [
            tell(
                part.role.name, part.episode, part.target, transitions.get(part.monitor, ()),
                notes.get(part.monitor, ()), self._until, self._lateness_s(part),
            )
            for part in parts
        ]  # fmt: skip

    def _lateness_s(self, part: _Part) -> tuple[float, ...]:
        """How long after its turn each probe came to a target that is well all the time; not of the first one."""
        if part.role.script or part.role.loss or part.role.requires:
            return ()
        interval = self._strategy.interval.total_seconds()
        turn = phase(part.monitor, interval)
        late = ((at - turn) % interval for at in part.target.arrivals[1:])
        return tuple(0.0 if math.isclose(seconds, interval, abs_tol=1e-3) else seconds for seconds in late)


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect what the engine logs as an error; let nothing else be written."""
    errors: list[str] = []

    def collect(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        errors.append(f"{event.get('event')}: {event.get('error', '')}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[collect], wrapper_class=structlog.make_filtering_bound_logger(40))
    try:
        yield errors
    finally:
        structlog.configure(**before)
