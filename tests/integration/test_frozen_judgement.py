"""What is decided while Defib itself is sick or cut off: the real engine on virtual time, as a daemon and as a pass."""

import asyncio
from collections.abc import Callable, Coroutine
from importlib.metadata import EntryPoint
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from defib import registry
from defib.engine.engine import Engine
from defib.engine.observer.guard import GIVE_UP_FREEZE_S
from defib.engine.one_pass import run_pass
from defib.engine.roster import Roster
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.route import Route
from defib.model.settings import ChannelSpec, Settings
from defib.plugin import Signal
from defib_sim.memory_store import MemoryStore
from defib_sim.modes import DOWN, WELL
from defib_sim.observer import Body, Ordeal, Trial
from defib_sim.plugin import REAL_PARTS, Notebook, NotebookOptions, SimulatedOptions
from defib_sim.targets import Remedy, Target
from defib_sim.virtual_loop import VirtualClock, run

JOB, AGENT = MonitorId("job"), MonitorId("agent")
DEAD_FROM_S = 100.0
LAG_S = 0.4  #: in each second: enough to freeze judgement, too little for a gap


class World:
    """One engine with a job that beats each 30 s and an agent that dies at second 100."""

    def __init__(self, clock: VirtualClock, *trials: Trial, host: str = "") -> None:
        self.clock, self.store, self.notebook = clock, MemoryStore(), Notebook()
        self.body = Body(clock, trials, 0.0, Random(1))
        parts = {**REAL_PARTS, "simulation": "defib_sim.plugin", "heartbeat": "defib_plugins.heartbeat"}
        plugins = registry.load(
            [EntryPoint(name, module, registry.PROJECT) for name, module in parts.items()]
        )
        beats = plugins.monitors["heartbeat"].options.model_validate({"every": "30s", "grace": "10s"})
        agent = self.agent = Target(clock, Random(2), [(0.0, WELL), (DEAD_FROM_S, DOWN)], remedy=Remedy())
        agent.on_the_way = self.body.meets
        settings = Settings(
            base=Path("/"), files=(), strategy="normal", strategies=dict(plugins.strategies.items),
            monitors=(
                MonitorSpec(id=JOB, name="Job", kind="heartbeat", family=Family.JOB, options=beats),
                MonitorSpec(
                    id=AGENT, name="Agent", kind="simulated", family=Family.AGENT,
                    options=SimulatedOptions(target=agent, host=host),
                ),
            ),
            channels=(ChannelSpec(name="notebook", kind="notebook", options=NotebookOptions(notebook=self.notebook)),),
            routes=(Route(channels=("notebook",)),),
        )  # fmt: skip
        store = cast(Any, self.store)
        self.engine = Engine(clock, Roster(plugins, settings, {}), store, store, self.body, self.body)

    async def live(self, tell: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        """Run the engine's chores while the story is told."""
        engine = self.engine
        engine.scheduler.add(AGENT, engine.roster.strategy(AGENT).interval, "")
        engine.guard.start()
        engine.silences.start()
        engine.courier.start()
        chores = (
            engine.scheduler.run, engine.silences.run, engine.guard.watch_vitals, engine.guard.watch_clocks,
            engine.alarm.watch,
        )  # fmt: skip
        tasks = [asyncio.create_task(chore()) for chore in chores]
        try:
            await tell(self)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await engine.wind_down()

    def go_on_from(self, before: "World") -> "World":
        """With the store of an earlier pass."""
        self.store = before.store
        store = cast(Any, self.store)
        self.engine = Engine(self.clock, self.engine.roster, store, store, self.body, self.body)
        return self

    async def until(self, at: float) -> None:
        await self.clock.sleep(at - self.clock.monotonic())

    async def be_late_until(self, at: float) -> None:
        """Run late all the time."""
        while self.clock.monotonic() < at:
            self.body.hold_up(LAG_S)
            await self.clock.sleep(1.0 - LAG_S)

    async def beat(self, signal: Signal = Signal.ALIVE, **fields: Any) -> None:
        await self.engine.beats.accept(JOB, signal, protocol="ping", **fields)

    def state(self, monitor: MonitorId) -> State:
        return self.engine.table[monitor].state

    def reason(self, monitor: MonitorId) -> str:
        return self.engine.table[monitor].reason

    def faults(self, monitor: MonitorId) -> list[str]:
        """Why each fault was declared."""
        return [
            item.reason
            for item in self.store.all_transitions
            if item.monitor == monitor and item.to_state is State.FAULT
        ]


def tell(story: Callable[[World], Coroutine[Any, Any, None]]) -> World:
    """Live through a story, in virtual time."""

    async def play(clock: VirtualClock) -> World:
        world = World(clock)
        await world.live(story)
        return world

    return run(play)


def test_a_beat_s_silence_while_judgement_is_frozen_is_no_fault() -> None:
    async def story(world: World) -> None:
        await world.beat()
        await world.until(20.0)
        await world.be_late_until(90.0)  # the deadline, second 40 to 70, passes meanwhile
        assert world.engine.guard.trouble() is not None
        assert world.faults(JOB) == []
        await world.beat()
        await world.until(110.0)
        assert world.state(JOB) is State.UP

    assert tell(story).faults(JOB) == []


def test_a_silence_that_outlasts_the_freeze_is_a_fault_after_it() -> None:
    async def story(world: World) -> None:
        await world.beat()
        await world.until(20.0)
        await world.be_late_until(150.0)
        assert world.faults(JOB) == []
        await world.until(240.0)

    world = tell(story)

    assert len(world.faults(JOB)) == 1
    assert "no fault was declared at first" in world.faults(JOB)[0]


def test_a_failure_that_a_job_reports_is_believed_while_judgement_is_frozen() -> None:
    async def story(world: World) -> None:
        await world.beat()
        await world.until(20.0)
        await world.be_late_until(30.0)
        assert world.engine.guard.trouble() is not None
        await world.beat(Signal.FAIL, exit_status=3)
        assert world.state(JOB) is State.FAULT

    assert len(tell(story).faults(JOB)) == 1


def test_a_fault_that_is_seen_while_frozen_is_declared_after_it_with_the_reason_of_its_delay() -> None:
    async def story(world: World) -> None:
        await world.until(DEAD_FROM_S - 10)
        await world.be_late_until(DEAD_FROM_S + 100)
        assert world.faults(AGENT) == []
        await world.until(DEAD_FROM_S + 115)

    world = tell(story)

    [reason] = world.faults(AGENT)
    assert reason.endswith(
        "; no fault was declared at first: the observer is sick (score 5), judgement is frozen: "
        "event loop held up for 400 ms"
    )


def test_a_freeze_that_lasts_holds_no_fault_back_for_ever() -> None:
    async def story(world: World) -> None:
        await world.until(DEAD_FROM_S - 10)
        await world.be_late_until(DEAD_FROM_S + GIVE_UP_FREEZE_S + 60)

    assert len(tell(story).faults(AGENT)) == 1


def test_what_waits_in_the_outbox_waits_no_longer_when_the_clock_is_set_back() -> None:
    async def story(world: World) -> None:
        world.notebook.outage = (DEAD_FROM_S, DEAD_FROM_S + 100)
        await world.until(DEAD_FROM_S + 80)
        assert world.engine.courier.pending == 1
        world.clock.set_wall(-3600.0)
        await world.until(DEAD_FROM_S + 140)

    [(told_at, alert)] = tell(story).notebook.notes

    assert alert.kind == "agent_down"
    assert DEAD_FROM_S + 100 <= told_at <= DEAD_FROM_S + 131  # the outage's end, and one pause of the outbox


@pytest.mark.parametrize(("seconds", "kinds"), [(25, []), (60, ["observer_sick", "observer_well"])])
def test_people_are_told_of_a_freeze_that_lasts_and_of_its_end(seconds: float, kinds: list[str]) -> None:
    async def story(world: World) -> None:
        await world.until(10.0)
        await world.be_late_until(10.0 + seconds)
        await world.until(95.0)
        await world.until(99.0 + seconds)

    told = [alert.facts.event for _, alert in tell(story).notebook.notes if alert.monitor is None]

    assert told == kinds


# --- one pass ------------------------------------------------------------------------------------------


def passes(*trials: Trial, at: tuple[float, ...]) -> World:
    """Run a pass of a minute at most at each of these seconds, over one store: the agent alone, on another host."""

    async def play(clock: VirtualClock) -> World:
        worlds = []
        for second in at:
            await clock.sleep(second - clock.monotonic())
            world = World(clock, *trials, host="198.51.100.7")
            if worlds:
                world = world.go_on_from(worlds[-1])
            worlds.append(world)
            await run_pass(world.engine, only=[AGENT])
        return worlds[-1]

    return run(play)


def test_a_pass_that_finds_its_own_network_down_declares_nothing() -> None:
    world = passes(Trial(ordeal=Ordeal.CUT_OFF, at_s=50.0, lasts_s=45.0), at=(0.0, 60.0))

    assert world.faults(AGENT) == []
    assert world.state(AGENT) is State.SUSPECT
    last = world.engine.table[AGENT].last
    assert last is not None
    assert last.evidence.cause == "observer-network-down"


def test_a_pass_whose_network_is_up_declares_the_only_target_down() -> None:
    assert len(passes(at=(0.0, DEAD_FROM_S + 1)).faults(AGENT)) == 1
