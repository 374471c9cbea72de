"""Beats through the real engine, on virtual time and, where a crash matters, with a real store."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, cast

import pytest

from defib import registry
from defib.engine.engine import Engine
from defib.engine.one_pass import run_pass
from defib.engine.roster import Roster
from defib.hookspecs import PROJECT
from defib.model.changes import Changes
from defib.model.health import State, Transition
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.route import Route
from defib.model.settings import ChannelSpec, Settings
from defib.plugin import Beat, Deadline, Evidence, PushedVerdict, Signal, StoreError
from defib_sim.memory_store import MemoryStore
from defib_sim.plugin import REAL_PARTS, Notebook, NotebookOptions
from defib_sim.virtual_loop import BEGINNING, VirtualClock, run, seconds_at

JOB = MonitorId("job")
TOLERANCE_S = 0.01


def plugins() -> registry.Registry:
    parts = {**REAL_PARTS, "simulation": "defib_sim.plugin", "heartbeat": "defib_plugins.heartbeat"}
    return registry.load([EntryPoint(name, module, PROJECT) for name, module in parts.items()])


def roster(notebook: Notebook, **options: Any) -> Roster:
    found = plugins()
    kind = found.monitors["heartbeat"]
    strategies = {item.name: item for item in found.strategies.items.values()}
    spec = MonitorSpec(
        id=JOB, name="Job", kind="heartbeat", family=Family.JOB, options=kind.options.model_validate(options)
    )  # fmt: skip
    settings = Settings(
        base=Path("/"), files=(), strategy="normal", strategies=strategies, monitors=(spec,),
        channels=(ChannelSpec(name="notebook", kind="notebook", options=NotebookOptions(notebook=notebook)),),
        routes=(Route(channels=("notebook",)),),
    )  # fmt: skip
    return Roster(found, settings, {})


class World:
    """One engine with one heartbeat; restarted at will over the same store."""

    def __init__(self, clock: VirtualClock, store: MemoryStore, **options: Any) -> None:
        self.clock, self.store, self.options = clock, store, options
        self.notebook = Notebook()
        self.engine = self._engine()
        self._running: list[asyncio.Task[None]] = []

    def _engine(self) -> Engine:
        store = cast(Any, self.store)
        return Engine(self.clock, roster(self.notebook, **self.options), store, store)

    def listen(self) -> None:
        self.engine.silences.start()
        self.engine.courier.start()
        self._running = [asyncio.create_task(self.engine.silences.run())]

    async def die(self) -> None:
        """As by kill -9: nothing is written any more."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.engine.courier.close()
        await self.engine.prober.close()

    def come_back(self) -> None:
        self.engine = self._engine()
        self.listen()

    async def until(self, at: float) -> None:
        await self.clock.sleep(at - self.clock.monotonic())

    async def beat(self, at: float, signal: Signal = Signal.ALIVE, **fields: Any) -> None:
        await self.until(at)
        await self.engine.beats.accept(JOB, signal, protocol="agent", **fields)

    @property
    def state(self) -> State:
        return self.engine.table[JOB].state

    @property
    def history(self) -> list[tuple[State, float]]:
        """Each state and when it was decided, in seconds."""
        return [(item.to_state, seconds_at(item.decided_at)) for item in self.transitions]

    @property
    def transitions(self) -> list[Transition]:
        return self.store.all_transitions

    @property
    def causes(self) -> list[str]:
        return [item.evidence.evidence.cause for item in self.transitions if item.evidence]


Story = Callable[[World], Coroutine[Any, Any, None]]


def play(story: Story, *, store: MemoryStore | None = None, **options: Any) -> World:
    async def main(clock: VirtualClock) -> World:
        world = World(clock, store or MemoryStore(), **options)
        world.listen()
        await story(world)
        await world.die()
        return world

    return run(main)


def assert_history(world: World, *expected: tuple[State, float]) -> None:
    assert [state for state, _ in world.history] == [state for state, _ in expected]
    for (_, found), (state, at) in zip(world.history, expected, strict=True):
        assert found == pytest.approx(at, abs=TOLERANCE_S), state


# --- by interval -----------------------------------------------------------------------------------


def test_a_dead_sender_is_suspected_and_at_fault_at_its_deadlines() -> None:
    async def story(world: World) -> None:
        for n in range(5):
            await world.beat(10.0 * n, seq=n, epoch="a")
        await world.until(200)

    world = play(story, every="10s")

    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 51.0), (State.FAULT, 61.0))
    assert world.causes == ["ok", "late-beat", "missed-beat"]
    assert seconds_at(world.transitions[-1].t_lo) == pytest.approx(40.0)
    assert [alert.kind for _, alert in world.notebook.notes] == ["job_missed"]


def test_one_lost_beat_of_two_allowed_is_a_suspicion_and_no_incident() -> None:
    async def story(world: World) -> None:
        for n in (0, 1, 2, 4, 5):
            await world.beat(10.0 * n, seq=n, epoch="a")

    world = play(story, every="10s")

    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 31.0), (State.UP, 40.0))
    assert world.store.incidents() == []
    assert world.notebook.notes == []


def test_jitter_and_duplicates_are_no_news() -> None:
    async def story(world: World) -> None:
        for n, at in enumerate((0.03, 10.05, 20.02, 30.5, 40.2, 50.04)):
            await world.beat(at, seq=n, epoch="a")
            await world.beat(at + 0.2, seq=n, epoch="a")

    world = play(story, every="10s")

    assert_history(world, (State.UP, 0.03))


def test_a_late_beat_ends_the_suspicion() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0)
        await world.beat(30.0)
        await world.beat(68.0)
        await world.beat(90.0)

    world = play(story, every="30s")

    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 63.0), (State.UP, 68.0))


def test_another_phase_is_learned_at_once() -> None:
    async def story(world: World) -> None:
        for n, at in enumerate((0.0, 10.0, 33.0, 43.0, 53.0)):
            await world.beat(at, seq=n, epoch="a")
        await world.until(100)

    world = play(story, every="10s", misses=3)

    assert_history(
        world, (State.UP, 0.0), (State.SUSPECT, 21.0), (State.UP, 33.0), (State.SUSPECT, 64.0), (State.FAULT, 84.0)
    )  # fmt: skip


def test_an_agent_that_starts_again_is_learned_anew() -> None:
    async def story(world: World) -> None:
        for n in range(8):
            await world.beat(10.0 * n, seq=n, epoch="a")
        for n in range(3):
            await world.beat(74.0 + 10.0 * n, seq=n, epoch="b")
        await world.until(200)

    world = play(story, every="10s")

    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 105.0), (State.FAULT, 115.0))


def test_a_planned_stop_is_no_fault() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0)
        await world.beat(10.0, Signal.STOPPING)
        await world.beat(900.0)

    world = play(story, every="30s")

    assert_history(world, (State.UP, 0.0), (State.STOPPED, 10.0), (State.UP, 900.0))
    assert world.store.incidents() == []
    assert world.notebook.notes == []


def test_beats_that_waited_at_their_sender_end_the_fault_for_good() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0, seq=0, epoch="a")
        for n in range(1, 30):
            age = timedelta(seconds=300 - 10 * n)
            await world.beat(300.0 + 0.1 * n, seq=n, epoch="a", age=age)
        await world.beat(310.0, seq=31, epoch="a")

    world = play(story, every="10s")

    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 11.0), (State.FAULT, 21.0), (State.UP, 300.1))


def test_a_learned_interval_has_deadlines_too() -> None:
    async def story(world: World) -> None:
        for n in range(9):
            await world.beat(60.0 * n)
        await world.until(1000)

    world = play(story)

    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 546.0), (State.FAULT, 606.0))


# --- jobs ------------------------------------------------------------------------------------------

HOUR = 3600.0


def test_a_job_that_reports_a_failure_is_at_fault_at_once() -> None:
    async def story(world: World) -> None:
        await world.beat(5.0, Signal.FAIL, exit_status=3, body="disk full")
        await world.beat(65.0, exit_status=0)

    world = play(story, every="1h")

    assert_history(world, (State.FAULT, 5.0), (State.UP, 65.0))
    assert world.causes == ["job-failed", "ok"]


def test_a_missed_run_of_a_schedule_is_a_fault_at_expectation_and_grace() -> None:
    async def story(world: World) -> None:  # it begins at midnight UTC
        await world.beat(1.0)
        await world.beat(
            2 * HOUR + 600
        )  # the run of one o'clock is missed, that of two late within its grace

    world = play(story, cron="0 * * * *", grace="15m")

    assert_history(world, (State.UP, 1.0), (State.FAULT, HOUR + 900), (State.UP, 2 * HOUR + 600))
    assert world.causes == ["ok", "missed-beat", "ok"]


def test_a_job_that_ran_twice_is_degraded_until_its_next_run() -> None:
    async def story(world: World) -> None:
        await world.beat(1.0)
        await world.beat(300.0)
        await world.beat(HOUR + 1)

    world = play(story, calendar="hourly", grace="15m")

    assert_history(world, (State.UP, 1.0), (State.DEGRADED, 300.0), (State.UP, HOUR + 1))
    assert world.causes == ["ok", "ran-twice", "ok"]


def test_a_run_that_takes_too_long_is_at_fault_until_it_ends() -> None:
    async def story(world: World) -> None:
        await world.beat(10.0, Signal.START, facts={"rid": "r1"})
        await world.beat(900.0, facts={"rid": "r1"})

    world = play(story, cron="0 * * * *", max_runtime="10m")

    assert_history(world, (State.FAULT, 610.0), (State.UP, 900.0))
    assert world.causes == ["ran-too-long", "ok"]


def test_a_long_run_is_not_a_missed_one() -> None:
    async def story(world: World) -> None:
        await world.beat(10.0, Signal.START)
        await world.beat(3 * HOUR, Signal.ALIVE)

    world = play(story, cron="0 * * * *", max_runtime="4h", grace="1m")

    assert_history(world, (State.UP, 3 * HOUR))


# --- our own absence -------------------------------------------------------------------------------


def test_deadlines_survive_a_crash() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0, seq=0, epoch="a")
        await world.beat(60.0, seq=1, epoch="a")
        await world.die()
        await world.until(65.0)
        world.come_back()
        assert world.engine.silences.deadline(JOB) == BEGINNING + timedelta(seconds=186)
        await world.until(300)

    world = play(story, every="60s")

    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 126.0), (State.FAULT, 186.0))


def test_deadlines_that_passed_while_defib_was_away_are_put_off() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0, seq=0, epoch="a")
        await world.die()
        await world.until(500.0)
        world.come_back()
        await world.until(600)

    world = play(story, every="60s")

    # 5 s for the agent to catch up, and the margin of 6 s; the fault comes an interval after the suspicion, as ever.
    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 511.0), (State.FAULT, 571.0))


def test_an_agent_that_beats_on_time_after_our_absence_was_only_late() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0, seq=0, epoch="a")
        await world.die()
        await world.until(485.0)
        world.come_back()
        await world.beat(540.0, seq=9, epoch="a")

    world = play(story, every="60s")

    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 496.0), (State.UP, 540.0))


def test_a_plain_ping_is_given_a_whole_interval_after_our_absence() -> None:
    async def story(world: World) -> None:
        for n in range(3):
            await world.beat(60.0 * n)
        await world.die()
        await world.until(485.0)
        world.come_back()
        await world.beat(540.0)

    world = play(story, every="60s")

    assert_history(world, (State.UP, 0.0))


def test_a_gap_puts_deadlines_off() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0, seq=0, epoch="a")
        await world.until(10.5)
        world.engine.silences.take_gap()
        await world.beat(15.0, seq=1, epoch="a")

    world = play(story, every="10s")

    assert_history(world, (State.UP, 0.0))


def test_a_loop_that_was_held_up_concludes_nothing_from_silence() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0, seq=0, epoch="a")
        loop = cast(Any, asyncio.get_running_loop())
        await world.until(10.0)
        loop._jump.now += 60.0  # as SIGSTOP does
        await world.clock.sleep(1.0)
        await world.beat(72.0, seq=7, epoch="a")

    world = play(story, every="10s")

    assert_history(world, (State.UP, 0.0))


def test_a_wall_clock_that_is_set_makes_no_interval_late(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        await world.beat(0.0)
        wall = world.clock.now
        monkeypatch.setattr(world.clock, "now", lambda: wall() + timedelta(hours=1))
        world.engine.silences.take_step()
        await world.beat(30.0)
        await world.beat(60.0)

    world = play(story, every="30s", misses=1)

    assert [state for state, _ in world.history] == [State.UP]


def test_a_fault_that_had_to_wait_is_declared_when_it_may_be() -> None:
    async def story(world: World) -> None:
        held = ["Defib was away"]
        guard = cast(Any, world.engine.guard)
        guard._hold = lambda monitor: held[0]
        await world.beat(0.0)
        await world.until(50.0)
        assert world.state is State.SUSPECT
        held[0] = ""
        await world.until(60.0)

    world = play(story, every="30s", misses=1)

    assert_history(world, (State.UP, 0.0), (State.SUSPECT, 33.0), (State.FAULT, 50.0))


class CrashingStore(MemoryStore):
    """Its process dies right after a beat was stored: nothing else is written."""

    is_dying = False

    async def commit(self, changes: Changes) -> None:
        if self.is_dying and not changes.beats:
            raise StoreError("the process has died")
        await super().commit(changes)


def test_a_failure_that_a_crash_left_unjudged_is_judged_at_the_next_start() -> None:
    async def story(world: World) -> None:
        store = cast(CrashingStore, world.store)
        await world.beat(0.0)
        await world.engine.housekeeping.flush()
        store.is_dying = True
        await world.beat(100.0, Signal.FAIL, exit_status=1)
        await world.die()
        store.is_dying = False
        world.come_back()
        await world.until(101.0)

    world = play(story, store=CrashingStore(), every="1h")

    assert [state for state, _ in world.history] == [State.UP, State.FAULT]
    assert world.causes[-1] == "job-failed"


def test_a_silence_whose_verdict_could_not_be_stored_is_judged_again() -> None:
    async def story(world: World) -> None:
        store = cast(CrashingStore, world.store)
        await world.beat(0.0)
        store.is_dying = True
        await world.until(35.5)
        store.is_dying = False
        await world.until(40.0)

    world = play(story, store=CrashingStore(), every="30s", misses=1)

    assert_history(world, (State.UP, 0.0), (State.FAULT, 36.0))


def test_a_reload_puts_other_options_in_force() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0)
        world.engine.beats.roster = world.engine.judge.roster = roster(world.notebook, every="10s", misses=1)
        world.engine.silences.start()
        await world.until(60.0)

    world = play(story, every="1h", misses=1)

    assert_history(world, (State.UP, 0.0), (State.FAULT, 11.0))


def test_many_deadlines_fire_within_ten_milliseconds() -> None:
    """The clock of the deadlines themselves, from beats at odd times."""
    faults: list[float] = []

    async def story(world: World) -> None:
        at = 0.0
        for n in range(50):
            await world.beat(at + 0.137 * n)
            at += 100.0
            await world.until(at)
        faults.extend(
            seconds_at(item.decided_at) - seconds_at(_deadline(item))
            for item in world.transitions
            if item.to_state is State.FAULT
        )

    play(story, every="30s", misses=1)

    assert len(faults) == 50
    assert max(faults) < TOLERANCE_S
    assert min(faults) >= 0.0


def _deadline(transition: Transition) -> datetime:
    assert transition.evidence is not None
    return transition.evidence.started_at


def test_one_pass_judges_no_silence_for_nobody_listened() -> None:
    async def story(world: World) -> None:
        await world.beat(0.0)
        await world.die()
        await world.until(500.0)
        world.engine = world._engine()
        await run_pass(world.engine, every=True)
        assert world.state is State.UP
        await world.until(900.0)
        world.come_back()
        await world.until(931.0)
        assert world.state is State.UP  # a plain ping has a whole interval, and its margin of 3 s
        await world.until(940.0)

    world = play(story, every="30s", misses=1)

    assert_history(world, (State.UP, 0.0), (State.FAULT, 933.0))


class Crashing:
    """A pushed monitor whose rule breaks at the first silence."""

    def __init__(self, plugin: Any) -> None:
        self._plugin, self.target, self.keys, self.crashes = plugin, plugin.target, plugin.keys, 1

    def fold(self, memory: Any, beat: Any) -> Any:
        return self._plugin.fold(memory, beat)

    def deadline(self, memory: Any) -> Any:
        return self._plugin.deadline(memory)

    def missed(self, memory: Any, deadline: Any) -> Any:
        if self.crashes:
            self.crashes -= 1
            raise ZeroDivisionError
        return self._plugin.missed(memory, deadline)


def test_a_rule_that_crashes_is_asked_again_and_stops_nobody() -> None:
    async def story(world: World) -> None:
        watched = world.engine.roster.monitors[JOB]
        watched.pushed = Crashing(watched.pushed)
        await world.beat(0.0)
        await world.until(100.0)

    world = play(story, every="30s", misses=1)

    assert_history(
        world, (State.UP, 0.0), (State.FAULT, 93.0)
    )  # at 33 s it crashes; a minute later it does not


async def test_deadlines_fire_within_fifty_milliseconds_of_real_time() -> None:
    class RealClock:
        def now(self) -> datetime:
            return datetime.now(UTC)

        def monotonic(self) -> float:
            return time.monotonic()

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    found = plugins()
    kind = found.monitors["heartbeat"]
    jobs = [MonitorId(f"job-{number:03}") for number in range(200)]
    options = kind.options.model_validate({"every": "500ms", "misses": 1})
    specs = tuple(
        MonitorSpec(id=job, name=job, kind="heartbeat", family=Family.JOB, options=options) for job in jobs
    )
    settings = Settings(
        base=Path("/"), files=(), strategy="normal", strategies=dict(found.strategies.items), monitors=specs
    )
    store = MemoryStore()
    engine = Engine(RealClock(), Roster(found, settings, {}), cast(Any, store), cast(Any, store))
    engine.silences.start()
    running = asyncio.create_task(engine.silences.run())
    for job in jobs:
        await engine.beats.accept(job, Signal.ALIVE, protocol="agent")
        await asyncio.sleep(0.01)
    async with asyncio.timeout(10.0):
        while sum(item.to_state is State.FAULT for item in store.all_transitions) < len(jobs):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await engine.wind_down()

    late = sorted(
        (item.decided_at - _deadline(item)).total_seconds()
        for item in store.all_transitions
        if item.to_state is State.FAULT
    )
    assert late[0] >= 0.0
    assert late[len(late) // 2] <= 0.01
    assert late[int(0.95 * len(late))] <= 0.05


class Strict:
    """A pushed monitor that knows nothing of beats that waited: silence of 30 s is a fault."""

    target: str = "strict"
    keys: tuple[str, ...] = ()

    def fold(self, memory: Any, beat: Beat) -> PushedVerdict:
        return PushedVerdict(memory={"at": beat.sent_at.timestamp()}, evidence=Evidence.ok("beat received"))

    def deadline(self, memory: Any) -> Deadline | None:
        if "at" not in memory:
            return None
        at = datetime.fromtimestamp(memory["at"], UTC) + timedelta(seconds=30)
        every = timedelta(seconds=30)
        return Deadline(at=at, kind="missed", fault_at=at, every=every, margin=timedelta(seconds=1))

    def missed(self, memory: Any, deadline: Deadline) -> PushedVerdict:
        return PushedVerdict(memory={}, evidence=Evidence.fail("missed-beat", "silent"))


def test_after_a_beat_that_waited_the_next_ones_are_given_time_whatever_the_monitor() -> None:
    async def story(world: World) -> None:
        world.engine.roster.monitors[JOB].pushed = Strict()
        for n in range(4):
            await world.beat(300.0 + 0.1 * n, age=timedelta(seconds=280 - 90 * n))
        await world.until(305.0)
        await world.beat(306.0)
        await world.until(340.0)

    # The newest that waited was sent at 290.3 s; within 6 s of it comes the present one.
    assert_history(play(story, every="30s"), (State.UP, 300.0), (State.FAULT, 336.0))
