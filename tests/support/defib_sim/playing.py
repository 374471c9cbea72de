"""Plays scenarios: the production engine on virtual time, over targets that live through their scripts."""

import asyncio
import logging
import math
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

from defib.engine.chores import FLUSH_EVERY
from defib.engine.engine import Engine
from defib.engine.roster import Roster
from defib.model.alert import Alert
from defib.model.health import State, Transition
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec, RecoveryMode, RecoveryPolicy, Rung
from defib.model.route import Route
from defib.model.settings import ChannelSpec, RecoveryLimits, Settings
from defib.model.strategy import Strategy
from defib.registry import Registry
from defib.rules.phase import phase
from defib_sim.memory_store import MemoryStore
from defib_sim.modes import WELL
from defib_sim.observer import Body
from defib_sim.plugin import Notebook, NotebookOptions, RestartOptions, SimulatedOptions, load_plugins
from defib_sim.results import Result
from defib_sim.scenarios import Role, Scenario
from defib_sim.stories import OwnStory, Story, tell
from defib_sim.targets import Target
from defib_sim.virtual_loop import VirtualClock, run
from defib_testkit.logged import hearing_logs

SETTLE_S = 130.0  #: all is well for so long at first
_FLUSH_S = 60.0  #: how often what the engine noted is written to a store that keeps little of it
_CHANNEL = "notebook"
_LIMITS = RecoveryLimits(share=1.0, burst=100_000, per_host=100)
"""Episodes share an engine, and are not to hold one another up: what bounds all of them together is lifted."""

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
    own: list[OwnStory] = []
    probes = 0
    with listening() as crashes:
        for first in range(0, episodes, scenario.together):
            numbers = range(first, min(first + scenario.together, episodes))
            world = _World(plugins, scenario, strategy, numbers, seed)
            told, of_defib, count = run(world.play)
            stories += told
            own.append(of_defib)
            probes += count
    return Result(
        scenario=scenario, strategy=strategy.name, seed=seed, stories=tuple(stories), own=tuple(own), probes=probes,
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

    async def play(self, clock: VirtualClock) -> tuple[list[Story], OwnStory, int]:
        """The stories of the targets and of Defib itself, and how many probes it took."""
        random = Random(f"{self._seed}/{self._scenario.name}/{self._numbers.start}")
        clock.set_wall(self._scenario.wall_s)
        notebook = Notebook()
        parts: list[_Part] = []
        begins = 0.0
        for number in self._numbers:
            begins = SETTLE_S + random.uniform(0.0, self._spread_s)
            parts += self._cast(clock, number, begins)
            if self._scenario.channel_outage_s:
                notebook.outage = (begins, begins + self._scenario.channel_outage_s)
        store = MemoryStore()
        roster = Roster(self._plugins, self._settings(parts, notebook), {})
        body = Body(clock, self._scenario.trials, begins, random)
        for part in parts:
            part.target.on_the_way = body.meets
        engine = Engine(clock, roster, cast(Any, store), cast(Any, store), body, body)
        since = clock.now()
        if self._scenario.leaves_out_answers:
            [part] = parts
            clock.on_idle(lambda: self._leave_out(engine, clock, part))
        await self._watch(engine, clock, body)
        of_defib = OwnStory(
            episode=self._numbers.start,
            notices=tuple(alert.facts.event for _, alert in notebook.notes if alert.monitor is None),
            unwatched_s=_unwatched_s(store, since, clock.now()),
        )
        return self._tell(parts, store, notebook), of_defib, engine.prober.outcomes.total()

    async def _watch(self, engine: Engine, clock: VirtualClock, body: Body) -> None:
        """The engine's parts as ``Engine.serve`` runs them, without the chores of the store and the reports.

        Where nothing befalls Defib itself it is not asked each second how it is: that would be most of the work.
        """
        for monitor, watched in engine.roster.monitors.items():
            engine.scheduler.add(
                monitor, engine.roster.strategy(monitor).interval, cast(Any, watched.plugin).host
            )
        engine.courier.start()
        engine.recovery.resume()
        runs, flush_s = [engine.scheduler.run, engine.standing.run], _FLUSH_S
        if self._scenario.watches_itself:
            engine.guard.start()
            runs += [engine.guard.watch_vitals, engine.guard.watch_clocks, engine.alarm.watch, body.suffer]
            flush_s = FLUSH_EVERY
        await engine.housekeeping.flush()
        chores = [asyncio.create_task(run()) for run in runs]
        try:
            while (left := self._until - clock.elapsed()) > 0:
                await clock.sleep(min(left, flush_s))
                await engine.housekeeping.flush()
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await engine.wind_down()

    def _leave_out(self, engine: Engine, clock: VirtualClock, part: _Part) -> None:
        """Leave out the looks up to the next one that is lost, if the engine makes nothing of a good one."""
        health, interval = engine.table[part.monitor], self._strategy.interval.total_seconds()
        is_climbing = any(health.memory.get(count) for count in ("score", "row", "fails"))
        if health.state is State.UP and not is_climbing and engine.recovery.is_idle:
            turns = part.target.draw_answers_before_loss(interval)
            clock.leave_out(min(turns * interval, max(0.0, self._until - clock.elapsed())))

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
            base=Path("/"), files=(), timezone="Europe/Berlin",
            strategy=self._strategy.name, strategies={self._strategy.name: self._strategy},
            recovery_mode=RecoveryMode.AUTO, recovery_limits=_LIMITS,
            monitors=tuple(
                MonitorSpec(
                    id=part.monitor, name=part.monitor, kind="simulated", family=Family.SERVICE,
                    options=SimulatedOptions(target=part.target, host=part.host),
                    tags=frozenset({f"{part.role.name}-{part.episode}"} if part.role.is_tagged else ()),
                    requires=tuple(
                        other for name in part.role.requires for other in by_role[part.episode, name]
                    ),
                    group=f"{part.role.name}-{part.episode}" if part.role.is_tagged else "",
                    recovery=RecoveryPolicy(
                        mode=RecoveryMode.AUTO,
                        ladder=(Rung(kind="simulated-restart", options=RestartOptions(target=part.target)),),
                    ),
                )
                for part in parts
            ),
            channels=(ChannelSpec(
                    name=_CHANNEL, kind="notebook", options=NotebookOptions(notebook=notebook), rate=1200
                ),),
            routes=(Route(channels=(_CHANNEL,)),),
        )  # fmt: skip

    def _tell(self, parts: list[_Part], store: MemoryStore, notebook: Notebook) -> list[Story]:
        transitions: dict[MonitorId, list[Transition]] = {}
        for item in store.all_transitions:
            transitions.setdefault(item.monitor, []).append(item)
        episodes = {part.monitor: part.episode for part in parts}
        notes: dict[MonitorId | None, list[tuple[float, Alert]]] = {}
        for note in notebook.notes:
            for monitor in _told_of(note[1], episodes):
                notes.setdefault(monitor, []).append(note)
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
        looks = part.target.arrivals
        first = turn + interval * math.ceil((looks[0] - turn) / interval + 1e-3)
        turns = [first + n * interval for n in range(int((looks[-1] - first) / interval))]
        came = (looks[bisect_left(looks, due - 1e-3)] - due for due in turns)
        return tuple(max(0.0, late) for late in came)


def _unwatched_s(store: MemoryStore, since: datetime, until: datetime) -> float:
    """Wall-clock time between two instants that is in no span of watching."""
    missing, seen_at = 0.0, since
    for span in sorted(store.watched.values(), key=lambda span: span.started_at):
        missing += max(0.0, (span.started_at - seen_at).total_seconds())
        seen_at = max(seen_at, span.seen_at)
    return missing + max(0.0, (until - seen_at).total_seconds())


def _told_of(alert: Alert, episodes: Mapping[MonitorId, int]) -> Iterable[MonitorId | None]:
    """Whom a message counts for: of several monitors of one episode, the first."""
    if not alert.facts.together:
        return [alert.monitor]
    first: dict[int, MonitorId] = {}
    for member in alert.facts.together:
        first.setdefault(episodes[member.monitor], member.monitor)
    return first.values()


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what the engine logs as an error; let nothing else be written."""
    errors: list[str] = []

    def collect(event: Mapping[str, Any]) -> None:
        errors.append(f"{event['event']}: {event.get('error', '')}")

    with hearing_logs(collect, logging.ERROR):
        yield errors
