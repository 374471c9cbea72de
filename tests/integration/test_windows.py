"""Maintenance, pauses and silences as time passes: the real engine on virtual time."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from defib.engine.engine import Engine
from defib.engine.roster import Roster
from defib.errors import UsageError
from defib.model.beat import Signal
from defib.model.health import State
from defib.model.ids import MonitorId, WindowId
from defib.model.monitor import Family, MonitorSpec, RecoveryMode, RecoveryPolicy, Rung
from defib.model.recovery import CaseState
from defib.model.route import Route
from defib.model.settings import ChannelSpec, Settings
from defib.model.strategy import Strategy
from defib.model.window import Matcher, PlannedMaintenance, WindowKind
from defib.rules.availability import uptime
from defib_plugins.heartbeat import HeartbeatOptions
from defib_sim.memory_store import MemoryStore
from defib_sim.modes import DOWN, WELL, Mode
from defib_sim.plugin import (
    BeatenOptions,
    Notebook,
    NotebookOptions,
    RestartOptions,
    SimulatedOptions,
    load_plugins,
)
from defib_sim.targets import Remedy, Target
from defib_sim.virtual_loop import BEGINNING, VirtualClock, run, seconds_at

PLAIN = Strategy(
    name="plain", interval=timedelta(seconds=10), timeout=timedelta(seconds=2), confirm=(timedelta(seconds=1),) * 2,
    recover_confirm=timedelta(seconds=1), fail_threshold=3, recovery_threshold=2, detector="consecutive",
)  # fmt: skip
SHOP, WORKER = MonitorId("shop"), MonitorId("worker")
MINUTE = 60.0
FIRST_TEN_MINUTES = PlannedMaintenance(
    name="move", matcher=Matcher(tags=frozenset({"web"})), reason="the move",
    starts_at=BEGINNING + timedelta(minutes=10), ends_at=BEGINNING + timedelta(minutes=20),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is watched, and what is planned."""

    script: tuple[tuple[float, Mode], ...] = ()  #: of the shop
    tags: tuple[str, ...] = ("web",)
    has_ladder: bool = False
    planned: tuple[PlannedMaintenance, ...] = ()
    heartbeat: HeartbeatOptions | None = None  #: of the worker, if there is one


class World:
    """One engine; it may end and come back over the same store."""

    def __init__(self, clock: VirtualClock, setting: Setting) -> None:
        self.clock, self.store, self.notebook = clock, MemoryStore(), Notebook()
        self.plugins = load_plugins()
        self.target = Target(clock, Random(1), [(0.0, WELL), *setting.script], remedy=Remedy())
        self.setting = setting
        self._serving: asyncio.Task[None] | None = None

    def roster(self) -> Roster:
        setting, target = self.setting, self.target
        ladder = (Rung(kind="simulated-restart", options=RestartOptions(target=target)),)
        monitors = [
            MonitorSpec(
                id=SHOP, name="Shop", kind="simulated", family=Family.SERVICE,
                options=SimulatedOptions(target=target), tags=frozenset(setting.tags),
                recovery=RecoveryPolicy(
                    mode=RecoveryMode.AUTO, ladder=ladder if setting.has_ladder else (), hold=timedelta(seconds=30)
                ),
            )
        ]  # fmt: skip
        if setting.heartbeat is not None:
            monitors.append(
                MonitorSpec(
                    id=WORKER, name="Worker", kind="beaten", family=Family.JOB, tags=frozenset({"web"}),
                    options=BeatenOptions(beats=setting.heartbeat),
                )
            )  # fmt: skip
        notebook = ChannelSpec(
            name="notebook", kind="notebook", options=NotebookOptions(notebook=self.notebook)
        )
        settings = Settings(
            base=Path("/"), files=(), strategy="plain", strategies={"plain": PLAIN}, monitors=tuple(monitors),
            channels=(notebook,), routes=(Route(channels=("notebook",)),), maintenance=setting.planned,
        )  # fmt: skip
        return Roster(self.plugins, settings, {})

    async def come(self) -> None:
        store = cast(Any, self.store)
        self.engine = Engine(self.clock, self.roster(), store, store)
        engine = self.engine
        await engine.duty.review()
        engine.attention.schedule_all()
        engine.silences.start()
        engine.courier.start()
        engine.recovery.resume()
        chores = (engine.scheduler.run, engine.silences.run, engine.duty.run, engine.standing.run)
        self._running = [asyncio.create_task(chore()) for chore in chores]

    async def go(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        engine = self.engine
        await engine.recovery.drain()
        await engine.courier.close()
        await engine.prober.close()

    async def until(self, at: float) -> None:
        await self.clock.sleep(at - self.clock.monotonic())

    async def beat(self) -> None:
        await self.engine.beats.accept(WORKER, Signal.ALIVE, protocol="simulated")

    def state(self, monitor: MonitorId = SHOP) -> State:
        return self.engine.table[monitor].state

    def changes(self, monitor: MonitorId = SHOP) -> list[tuple[float, State]]:
        return [
            (round(seconds_at(item.decided_at), 3), item.to_state)
            for item in self.store.all_transitions
            if item.monitor == monitor
        ]

    @property
    def told(self) -> list[tuple[int, str]]:
        """What people were told, at which second."""
        return [(int(at), alert.facts.event) for at, alert in self.notebook.notes]

    def entered(self, state: State, monitor: MonitorId = SHOP) -> list[float]:
        return [at for at, entered in self.changes(monitor) if entered is state]


Tale = Callable[[World], Coroutine[Any, Any, None]]


def play(tale: Tale, setting: Setting) -> World:
    async def main(clock: VirtualClock) -> World:
        world = World(clock, setting)
        await world.come()
        try:
            await tale(world)
        finally:
            await world.go()
        return world

    return run(main)


def waits_until(*minutes: float) -> Tale:
    async def tale(world: World) -> None:
        for minute in minutes:
            await world.until(minute * MINUTE)

    return tale


def test_a_planned_maintenance_begins_and_ends_at_its_second_and_hides_an_outage_within_it() -> None:
    setting = Setting(script=((11 * MINUTE, DOWN), (18 * MINUTE, WELL)), planned=(FIRST_TEN_MINUTES,))
    world = play(waits_until(25), setting)
    assert world.entered(State.MAINTENANCE) == [600.0]
    assert world.entered(State.NEW) == [1200.0]
    back = world.entered(State.UP)[-1]
    assert 1200.0 <= back < 1201.0
    assert world.entered(State.FAULT) == []
    assert world.notebook.notes == []
    arrivals = [at for at in world.target.arrivals if 600 < at < 1200]
    assert len(arrivals) >= 59, "it is looked at as ever"


def test_what_fails_when_the_maintenance_ends_is_a_fault_after_fresh_looks_only() -> None:
    setting = Setting(script=((11 * MINUTE, DOWN),), planned=(FIRST_TEN_MINUTES,))
    world = play(waits_until(21), setting)
    [fault] = world.entered(State.FAULT)
    assert 1200.0 < fault < 1205.0
    [incident] = world.store.incidents()
    assert seconds_at(incident.fault_hi) >= 1200.0
    assert world.told == [(1203, "down")]


def test_an_incident_open_before_goes_on_without_a_second_one() -> None:
    setting = Setting(script=((5 * MINUTE, DOWN),), planned=(FIRST_TEN_MINUTES,))
    world = play(waits_until(25), setting)
    [incident] = world.store.incidents()
    assert incident.closed_at is None
    assert len(world.entered(State.FAULT)) == 2
    assert world.engine.table[SHOP].incident == incident.id
    assert world.told == [(306, "down"), (600, "set_aside")], "people know already"


def test_an_incident_open_before_is_closed_by_the_first_good_look_after_it() -> None:
    setting = Setting(script=((5 * MINUTE, DOWN), (15 * MINUTE, WELL)), planned=(FIRST_TEN_MINUTES,))
    world = play(waits_until(21), setting)
    [incident] = world.store.incidents()
    assert incident.closed_at is not None
    assert 1200.0 <= seconds_at(incident.closed_at) < 1201.0
    assert incident.resolution == "well when it was looked at again"
    assert world.engine.table[SHOP].incident is None
    assert world.told == [(306, "down"), (600, "set_aside"), (1200, "recovered")]


def test_nothing_is_repaired_in_a_maintenance_and_a_case_at_work_is_given_up() -> None:
    just_before = (10 * MINUTE - 20, DOWN)
    setting = Setting(script=(just_before,), has_ladder=True, planned=(FIRST_TEN_MINUTES,))

    async def tale(world: World) -> None:
        await world.until(10 * MINUTE - 1)
        case = world.engine.recovery.case(SHOP)
        assert case is not None
        assert case.state is CaseState.PENDING
        await world.until(19.9 * MINUTE)
        assert world.engine.recovery.case(SHOP) is None
        assert world.target.restarts == []
        await world.until(22 * MINUTE)

    world = play(tale, setting)
    assert len(world.target.restarts) == 1
    assert world.target.restarts[0][0] >= 1200.0
    assert world.state() is State.UP


def test_a_maintenance_counts_for_neither_up_nor_down() -> None:
    setting = Setting(script=((11 * MINUTE, DOWN), (18 * MINUTE, WELL)), planned=(FIRST_TEN_MINUTES,))
    world = play(waits_until(30), setting)
    transitions = [item for item in world.store.all_transitions if item.monitor == SHOP]
    total = uptime(State.UP, transitions, BEGINNING, BEGINNING + timedelta(minutes=30))
    assert total.down == timedelta(0)
    assert total.availability == 1.0
    assert timedelta(minutes=19, seconds=58) < total.up <= timedelta(minutes=20)


def test_a_restart_in_the_middle_keeps_a_maintenance() -> None:
    setting = Setting(script=((11 * MINUTE, DOWN),), planned=(FIRST_TEN_MINUTES,))

    async def tale(world: World) -> None:
        await world.until(15 * MINUTE)
        await world.go()
        await world.until(16 * MINUTE)
        await world.come()
        assert world.state() is State.MAINTENANCE
        await world.until(19.99 * MINUTE)
        assert world.state() is State.MAINTENANCE
        await world.until(21 * MINUTE)

    world = play(tale, setting)
    assert world.entered(State.MAINTENANCE) == [600.0]
    assert world.state() is State.FAULT


def test_a_window_that_ended_while_nothing_ran_is_over_at_the_start() -> None:
    setting = Setting(planned=(FIRST_TEN_MINUTES,))

    async def tale(world: World) -> None:
        await world.until(15 * MINUTE)
        await world.go()
        await world.until(24 * MINUTE)
        await world.come()
        assert world.state() is State.NEW
        await world.until(24 * MINUTE + 15)
        assert world.state() is State.UP

    play(tale, setting)


def test_a_window_begun_by_hand_holds_over_a_restart_and_ends_by_itself_at_its_second() -> None:
    async def tale(world: World) -> None:
        await world.until(60)
        windows = world.engine.windows
        until = world.clock.now() + timedelta(minutes=2, seconds=0.25)
        matcher = Matcher(monitors=frozenset({SHOP}))
        window = windows.new(
            WindowKind.MAINTENANCE, matcher, until=until, reason="kernel update", actor="kim"
        )
        await windows.begin(window, "kim")
        await world.until(61)
        assert world.state() is State.MAINTENANCE
        assert world.engine.table[SHOP].reason == "maintenance until 00:03: kernel update"
        await world.go()
        await world.come()
        await world.until(200)

    world = play(tale, Setting())
    assert world.entered(State.MAINTENANCE) == [60.0]
    assert world.entered(State.NEW) == [180.25]


def test_a_pause_stops_looking_until_somebody_resumes() -> None:
    async def tale(world: World) -> None:
        windows = world.engine.windows
        await world.until(60)
        await windows.pause(SHOP, "kim", reason="it is being rebuilt")
        await world.until(3600)
        assert world.state() is State.PAUSED
        assert [at for at in world.target.arrivals if 62 < at < 3600] == []
        await windows.resume(SHOP, "lee")
        await world.until(3602)

    world = play(tale, Setting(script=((120, DOWN), (3000, WELL))))
    assert world.state() is State.UP
    assert world.entered(State.FAULT) == []
    assert [entry.actor for entry in world.store.audited] == ["kim", "lee"]


@pytest.mark.parametrize(("back", "told"), [(None, [(600, "down")]), (480.0, [])])
def test_what_a_silence_held_back_is_told_at_its_end_if_it_is_still_so(
    back: float | None, told: list[tuple[int, str]]
) -> None:
    async def tale(world: World) -> None:
        windows = world.engine.windows
        await world.until(60)
        until = world.clock.now() + timedelta(minutes=9)
        matcher = Matcher(tags=frozenset({"web"}))
        await windows.begin(
            windows.new(WindowKind.SILENCE, matcher, until=until, reason="deploy", actor="kim"), "kim"
        )
        await world.until(900)

    script = ((300.0, DOWN),) if back is None else ((300.0, DOWN), (back, WELL))
    world = play(tale, Setting(script=script))
    assert len(world.store.incidents()) == 1, "it is found and kept as ever"
    assert world.told == told


def test_a_pause_is_stronger_than_a_maintenance_and_leaves_it_in_force() -> None:
    async def tale(world: World) -> None:
        await world.until(11 * MINUTE)
        await world.engine.windows.pause(SHOP, "kim", until=world.clock.now() + timedelta(minutes=1))
        await world.until(11.5 * MINUTE)
        assert world.state() is State.PAUSED
        await world.until(13 * MINUTE)
        assert world.state() is State.MAINTENANCE

    world = play(tale, Setting(planned=(FIRST_TEN_MINUTES,)))
    assert [at for at in world.target.arrivals if 662 < at < 719] == []
    assert [at for at in world.target.arrivals if 720 <= at < 780]


def test_a_planned_maintenance_that_is_ended_early_stays_ended() -> None:
    async def tale(world: World) -> None:
        await world.until(12 * MINUTE)
        await world.engine.windows.end(WindowId("move@2026-01-05T00:10Z"), "kim")
        await world.until(12 * MINUTE + 5)
        assert world.state() is State.UP
        await world.go()
        await world.come()
        await world.until(14 * MINUTE)
        assert world.state() is State.UP
        with pytest.raises(UsageError, match="in force or to come"):
            await world.engine.windows.end(WindowId("move@2026-01-05T00:10Z"), "kim")

    play(tale, Setting(planned=(FIRST_TEN_MINUTES,)))


def test_the_name_of_a_planned_maintenance_ends_the_one_in_force() -> None:
    async def tale(world: World) -> None:
        await world.until(5 * MINUTE)
        with pytest.raises(UsageError, match="in force or to come"):
            await world.engine.windows.end(WindowId("move"), "kim")
        await world.until(12 * MINUTE)
        ended = await world.engine.windows.end(WindowId("move"), "kim")
        assert ended.id == "move@2026-01-05T00:10Z"
        await world.until(12 * MINUTE + 5)
        assert world.state() is State.UP

    play(tale, Setting(planned=(FIRST_TEN_MINUTES,)))


def test_a_monitor_that_gets_the_tag_by_a_reload_joins_the_maintenance() -> None:
    async def tale(world: World) -> None:
        await world.until(12 * MINUTE)
        assert world.state() is State.UP
        world.setting = replace(world.setting, tags=("web",))
        await world.engine.reload(world.roster())
        assert world.state() is State.MAINTENANCE
        await world.until(20 * MINUTE + 5)
        assert world.state() is State.UP

    play(tale, Setting(tags=(), planned=(FIRST_TEN_MINUTES,)))


def test_a_reload_that_takes_a_planned_maintenance_away_ends_it() -> None:
    async def tale(world: World) -> None:
        await world.until(12 * MINUTE)
        assert world.state() is State.MAINTENANCE
        world.setting = replace(world.setting, planned=())
        await world.engine.reload(world.roster())
        await world.until(12 * MINUTE + 5)
        assert world.state() is State.UP

    play(tale, Setting(planned=(FIRST_TEN_MINUTES,)))


# --- heartbeats ----------------------------------------------------------------------------------------

EVERY_MINUTE = HeartbeatOptions(every=timedelta(minutes=1), misses=2)


async def beating(world: World, seconds: Iterable[float]) -> None:
    for at in seconds:
        await world.until(at)
        await world.beat()


def test_a_beat_missed_in_a_maintenance_is_no_fault_and_one_that_stays_away_after_it_is() -> None:
    async def tale(world: World) -> None:
        await beating(world, range(0, 540, 60))
        await world.until(20 * MINUTE - 1)
        assert world.state(WORKER) is State.MAINTENANCE
        await world.until(20 * MINUTE + 30)
        assert world.state(WORKER) is State.NEW
        await world.until(24 * MINUTE)

    world = play(tale, Setting(planned=(FIRST_TEN_MINUTES,), heartbeat=EVERY_MINUTE))
    [fault] = world.entered(State.FAULT, WORKER)
    assert 20 * MINUTE + 60 <= fault <= 20 * MINUTE + 180


def test_a_sender_that_beats_again_after_a_maintenance_was_never_at_fault() -> None:
    async def tale(world: World) -> None:
        await beating(world, range(0, 540, 60))
        await beating(world, range(20 * 60 + 45, 40 * 60, 60))

    world = play(tale, Setting(planned=(FIRST_TEN_MINUTES,), heartbeat=EVERY_MINUTE))
    assert world.entered(State.FAULT, WORKER) == []
    assert world.state(WORKER) is State.UP


def test_a_job_that_reported_well_before_is_up_at_once_when_it_is_resumed() -> None:
    nightly = HeartbeatOptions(cron="30 2 * * *", grace=timedelta(minutes=20))

    async def tale(world: World) -> None:
        await world.beat()
        await world.until(30)
        await world.engine.windows.pause(WORKER, "kim")
        await world.until(40)
        assert world.state(WORKER) is State.PAUSED
        await world.engine.windows.resume(WORKER, "kim")
        await world.until(41)
        assert world.state(WORKER) is State.UP

    play(tale, Setting(heartbeat=nightly))


def test_a_job_that_had_failed_before_a_pause_is_at_fault_again_after_it() -> None:
    nightly = HeartbeatOptions(cron="30 2 * * *", grace=timedelta(minutes=20))

    async def tale(world: World) -> None:
        await world.engine.beats.accept(WORKER, Signal.FAIL, protocol="simulated")
        await world.engine.windows.pause(WORKER, "kim")
        await world.until(40)
        assert world.state(WORKER) is State.PAUSED
        await world.engine.windows.resume(WORKER, "kim")
        await world.until(41)
        assert world.state(WORKER) is State.FAULT

    world = play(tale, Setting(heartbeat=nightly))
    assert len(world.store.incidents()) == 1


def test_a_sender_that_was_silent_before_gets_its_time_to_be_heard_again() -> None:
    async def tale(world: World) -> None:
        await world.beat()
        await world.until(5 * MINUTE)
        assert world.state(WORKER) is State.FAULT
        await world.engine.windows.pause(WORKER, "kim")
        await world.until(10 * MINUTE)
        await world.engine.windows.resume(WORKER, "kim")
        await world.until(10 * MINUTE + 30)
        assert world.state(WORKER) is State.NEW
        await world.until(13 * MINUTE)
        assert world.state(WORKER) is State.FAULT

    world = play(tale, Setting(heartbeat=EVERY_MINUTE))
    assert len(world.store.incidents()) == 1
