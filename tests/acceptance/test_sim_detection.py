"""The production engine on virtual time, over targets whose own life is the truth: a short run of every scenario."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest

from defib.model.health import State
from defib.model.strategy import Strategy
from defib_sim.beat_scenarios import BEAT_SCENARIOS, HEARTBEATS, BeatScenario, live, mistakes
from defib_sim.beating import agent, plain
from defib_sim.counting import Share, percentile
from defib_sim.modes import HUNG, PAUSED, WELL, Loss, Truth
from defib_sim.playing import PLAIN, play
from defib_sim.plugin import load_plugins
from defib_sim.results import Result
from defib_sim.scenarios import HARD, HOUR, PLANNED, SCENARIOS, Scenario, named
from defib_sim.targets import Remedy, Target
from defib_sim.virtual_loop import BEGINNING, VirtualClock, run, seconds_at

SEED = 20260105
PRESETS = dict(load_plugins().strategies.items)
EPISODES = {"host down, 10 services": 8, "whole group of 5 down": 8, "30 of 200 hang": 1,
            "hang while others want the CPU": 12}  # fmt: skip
"""Of a short run; 3 of those about Defib itself, 12 of the others."""

# T_D by design: at most an interval, the confirmation (1 s and 2 s, or the timeout and 2 s), and a look's time.
WITHIN_S = {
    ("normal", "crash"): 33.1, ("normal", "hang"): 37.0, ("normal", "500s"): 33.2,
    ("aggressive", "crash"): 18.1, ("aggressive", "hang"): 20.0, ("aggressive", "500s"): 18.2,
}  # fmt: skip
ONE_MORE_LOOK_S = 4.0 + 5.0  #: after the third, and what it takes where the target hangs


def _short(scenario: Scenario) -> Scenario:
    """An hour is enough to see that nothing is the matter; how seldom it is takes the benchmark's months."""
    return replace(scenario, lasts_s=min(scenario.lasts_s, HOUR))


def _play(scenario: Scenario, strategy: Strategy, episodes: int | None = None) -> Result:
    count = episodes or EPISODES.get(scenario.name, 3 if scenario.watches_itself else 12)
    return play(_short(scenario), strategy, episodes=count, seed=SEED)


# --- what is owed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["normal", "aggressive"])
@pytest.mark.parametrize("scenario", HARD, ids=lambda scenario: scenario.name)
def test_every_hard_fault_is_found_in_time_and_healed_once(scenario: Scenario, strategy: str) -> None:
    """A probe that was lost in its first minutes costs a new monitor one more look; one in sixty has that."""
    by_design = WITHIN_S[strategy, scenario.name]
    within = replace(scenario.expect, within_s=by_design + ONE_MORE_LOOK_S)

    result = _play(replace(scenario, expect=within), PRESETS[strategy], episodes=60)

    assert result.complaints() == []
    assert result.found_within(by_design).count >= 59
    assert result.found == Share(count=60, of=60)
    assert result.justified == Share(count=60, of=60)


@pytest.mark.parametrize(
    "scenario", [item for item in SCENARIOS if item not in HARD], ids=lambda scenario: scenario.name
)
def test_the_engine_does_what_a_scenario_asks_for(scenario: Scenario) -> None:
    assert _play(scenario, PRESETS["normal"]).complaints() == []


def test_a_crash_is_found_in_a_third_of_the_time_of_three_plain_looks_in_a_row() -> None:
    [crash] = named(["crash"])
    ours = _play(crash, PRESETS["normal"], episodes=60)
    plain = _play(crash, PLAIN, episodes=60)

    assert plain.found == Share(count=60, of=60)
    assert 60.0 <= plain.detection_s(0.5) <= 90.0  # two intervals and what is left of the first
    assert ours.detection_s(0.5) < plain.detection_s(0.5) / 3


def test_what_is_slow_but_answers_is_degraded_and_no_more() -> None:
    [slow] = named(["slow but valid"])

    result = _play(slow, PRESETS["normal"])

    assert result.share_in(State.DEGRADED) == Share(count=12, of=12)
    assert result.share_in(State.FAULT).count == 0


def test_services_of_a_host_that_is_down_are_unreachable() -> None:
    [database] = named(["database of an application down"])

    result = _play(database, PRESETS["normal"])

    assert [story.alarms for story in result.stories if story.role == "app"] == [()] * 12


def test_one_seed_gives_one_result() -> None:
    [crash] = named(["crash"])

    first, second = (_play(crash, PRESETS["aggressive"], episodes=5) for _ in range(2))

    assert first.stories == second.stories
    assert first.stories != play(crash, PRESETS["aggressive"], episodes=5, seed=SEED + 1).stories


def test_every_scenario_of_the_design_is_played_or_planned() -> None:
    played = {scenario.number for scenario in SCENARIOS} | {HEARTBEATS}
    planned = {scenario.number for scenario in PLANNED}

    assert played | planned == set(range(1, 26))
    assert not played & planned


# --- heartbeats ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", BEAT_SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_happens_to_beats_is_no_fault_and_each_death_is_found(scenario: BeatScenario) -> None:
    result = live(scenario, lives=20, seed=SEED)

    assert result.complaints() == []
    assert result.found.of == (0 if scenario.within_s is None else 20)


def test_one_lost_beat_of_a_hundred_is_a_suspicion_and_hardly_ever_a_fault() -> None:
    bare = mistakes(plain(30.0), misses=2, senders=10, days=0.3, seed=SEED)
    repeated = mistakes(agent(30.0), misses=2, senders=10, days=0.3, seed=SEED)

    assert bare.beats == pytest.approx(8640 * 0.99, rel=0.01)
    assert 70 <= bare.suspected <= 125  # 31 a day by the design's table: 94 of three sender-days
    assert bare.faults <= bare.silences + 1 <= 5  # 0.26 a day: 0.8 of three sender-days
    assert repeated.suspected < bare.suspected / 4  # an agent repeats what got lost


# --- the instrument ------------------------------------------------------------------------------------


def test_a_year_passes_in_a_moment() -> None:
    async def wait(clock: VirtualClock) -> float:
        for _ in range(366):
            await clock.sleep(86400.1)
        return clock.monotonic()

    began = time.perf_counter()

    assert run(wait) == pytest.approx(31_622_436.6)
    assert time.perf_counter() - began < 5.0


def test_time_stands_still_while_somebody_works() -> None:
    async def work(clock: VirtualClock) -> tuple[float, float]:
        before = clock.monotonic()
        for _ in range(1000):
            await asyncio.sleep(0)
        await asyncio.to_thread(sum, [1, 2])
        return before, clock.monotonic()

    assert run(work) == (0.0, 0.0)


def test_waiters_wake_in_the_order_of_their_times() -> None:
    async def wait(clock: VirtualClock) -> list[float]:
        woken: list[float] = []

        async def sleeper(seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(seconds_at(clock.now()))

        await asyncio.gather(*(sleeper(seconds) for seconds in (3.5, 0.25, 7200.0, 1.0)))
        return woken

    assert run(wait) == [0.25, 1.0, 3.5, 7200.0]
    assert BEGINNING.weekday() == 0


def test_no_timer_goes_off_before_its_time() -> None:
    async def wait(clock: VirtualClock) -> float:
        await clock.sleep(1e7 + 1 / 3)
        ends = clock.monotonic() + 1e-8
        for _ in range(10):
            if clock.monotonic() >= ends:
                return clock.monotonic() - ends
            await clock.sleep(ends - clock.monotonic())
        raise AssertionError("time stands still")

    assert run(wait) == 0.0


def test_waiting_for_what_nobody_will_do_is_an_error_and_no_hang() -> None:
    async def wait(clock: VirtualClock) -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="never happen"):
        run(wait)


def test_an_error_in_a_thread_comes_back() -> None:
    async def fail(clock: VirtualClock) -> None:
        await asyncio.to_thread(int, "three")

    with pytest.raises(ValueError, match="three"):
        run(fail)


def test_a_paused_target_answers_when_it_goes_on_and_a_restart_cuts_its_callers_off() -> None:
    async def meet(clock: VirtualClock) -> list[tuple[str, float]]:
        script = [(0.0, WELL), (10.0, PAUSED), (12.0, WELL), (100.0, HUNG)]
        target = Target(clock, Random(1), script, remedy=Remedy(boot_s=4.0))
        seen = []
        for at in (0.0, 11.0, 101.0):
            await clock.sleep(at - clock.monotonic())
            evidence = await target.meet(timedelta(seconds=5))
            seen.append((evidence.cause, round(clock.monotonic() - at, 1)))
        hanging = asyncio.create_task(target.meet(timedelta(seconds=60)))
        await clock.sleep(1.0)
        await target.restart(0.5)
        seen.append(((await hanging).cause, clock.monotonic()))
        seen.append(((await target.meet(timedelta(seconds=5))).cause, target.restarts[0][0]))
        await clock.sleep(4.0)
        seen.append(((await target.meet(timedelta(seconds=5))).cause, 0.0))
        assert [target.truth_at(at) for at in (11.0, 13.0, 105.0, 108.0, 111.1)] == [
            Truth.BLIP, Truth.WELL, Truth.FAULT, Truth.FAULT, Truth.WELL,
        ]  # fmt: skip
        return seen

    assert run(meet) == [
        ("ok", 0.0), ("slow", 1.0), ("timeout", 5.0), ("reset", 107.5), ("refused", 107.0), ("ok", 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(("again", "expected"), [(None, 0.01), (0.2, 0.2), (0.5, 0.5)])
def test_bursts_lose_as_much_as_they_say(again: float | None, expected: float) -> None:
    random, loss, lost = Random(SEED), Loss(share=0.01, again=again), False
    flags = []
    for _ in range(200_000):
        lost = random.random() < loss.chance(lost, 1.0)
        flags.append(lost)

    after_lost = [flag for before, flag in pairwise(flags) if before]

    assert sum(flags) / len(flags) == pytest.approx(0.01, rel=0.15)
    assert sum(after_lost) / len(after_lost) == pytest.approx(expected, rel=0.25)
    assert loss.chance(True, 30.0) == pytest.approx(0.01, abs=1e-6)  # 30 s later, all is forgotten


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(3000, 3000, 0.998721, 1.0), (200, 200, 0.981155, 1.0), (5, 10, 0.236593, 0.763407), (0, 0, 0.0, 1.0)],
)
def test_intervals_are_wilsons(count: int, of: int, low: float, high: float) -> None:
    assert Share(count=count, of=of).interval == pytest.approx((low, high), abs=1e-6)


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 101)]

    assert [percentile(values, q) for q in (0.5, 0.95, 0.99, 1.0)] == [50.0, 95.0, 99.0, 100.0]
