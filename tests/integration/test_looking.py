"""Probes that overlap while a target is slow to answer: when they start, and in which order they count."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

from defib.engine.engine import Engine
from defib.engine.roster import Roster
from defib.model.evidence import Evidence, Grade
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.settings import Settings
from defib.model.strategy import Strategy
from defib_sim.memory_store import MemoryStore
from defib_sim.modes import WELL
from defib_sim.plugin import SimulatedOptions, load_plugins
from defib_sim.targets import Remedy, Target
from defib_sim.virtual_loop import VirtualClock, run, seconds_at

MONITOR = MonitorId("api")
PLUGINS = load_plugins()
NORMAL = PLUGINS.strategies.items["normal"]
OK, LOST, RESET = "ok", "lost", "reset"


class Scripted(Target):
    """Answers each probe as its script says: after so many seconds, well, with a reset or not at all."""

    def __init__(self, clock: VirtualClock, script: Iterable[tuple[str, float]]) -> None:
        super().__init__(clock, Random(1), [(0.0, WELL)], remedy=Remedy())
        self._script = list(script)

    async def meet(self, timeout: timedelta) -> Evidence:
        reply, after_s = self._script[len(self.arrivals)]
        self.arrivals.append(self._clock.monotonic())
        if reply == LOST:
            await self._clock.sleep(timeout.total_seconds())
            return Evidence.fail("timeout", "no answer")
        await self._clock.sleep(after_s)
        if reply == RESET:
            return Evidence.fail("reset", "connection reset", grade=Grade.STRONG)
        return Evidence.ok("HTTP 200", latency=timedelta(seconds=after_s))


@dataclass(frozen=True)
class Turn:
    """What came of some turns: when probes started, and which states followed when. Seconds."""

    probes: list[float]
    states: list[tuple[State, float]]
    again: timedelta | None
    memory: dict[str, object]


def turns(*script: tuple[str, float], strategy: Strategy = NORMAL, count: int = 1) -> Turn:
    """A few turns in a row, after a good look at second 0 that makes the target UP."""

    async def play(clock: VirtualClock) -> Turn:
        target = Scripted(clock, [(OK, 0.02), *script])
        spec = MonitorSpec(
            id=MONITOR, name="API", kind="simulated", family=Family.SERVICE, options=SimulatedOptions(target=target)
        )  # fmt: skip
        settings = Settings(
            base=Path("/"), files=(), strategy=strategy.name, strategies={strategy.name: strategy}, monitors=(spec,)
        )  # fmt: skip
        store = MemoryStore()
        engine = Engine(clock, Roster(PLUGINS, settings, {}), cast(Any, store), cast(Any, store))
        await engine.looking.turn(MONITOR)
        began = clock.monotonic()
        for _ in range(count):
            again = await engine.looking.turn(MONITOR)
        states = [
            (item.to_state, round(seconds_at(item.decided_at) - began, 2))
            for item in store.all_transitions[1:]
        ]
        probes = [round(at - began, 2) for at in target.arrivals[1:]]
        await asyncio.sleep(0)
        return Turn(probes, states, again, dict(engine.table[MONITOR].memory))

    return run(play)


def test_an_answer_in_time_is_one_probe() -> None:
    turn = turns((OK, 0.02))

    assert (turn.probes, turn.states, turn.again) == ([0.0], [], None)


def test_a_hang_costs_one_timeout_and_the_time_that_its_probes_cover() -> None:
    turn = turns((LOST, 0), (LOST, 0), (LOST, 0))

    assert turn.probes == [0.0, 1.0, 2.0]
    assert turn.states == [(State.SUSPECT, 5.0), (State.FAULT, 7.0)]


def test_the_last_probe_is_no_closer_when_the_soft_timeout_is_shorter() -> None:
    hurried = replace(NORMAL, timeout=timedelta(seconds=2.5))  # a fifth of it: 0.5 s

    assert turns((LOST, 0), (LOST, 0), (LOST, 0), strategy=hurried).probes == [0.0, 0.5, 2.0]


def test_one_that_was_lost_counts_before_one_that_was_sent_later_and_answered_first() -> None:
    turn = turns((LOST, 0), (OK, 0.02))

    assert turn.probes == [0.0, 1.0]
    assert turn.states == [(State.SUSPECT, 5.0), (State.WATCH, 5.0)]
    assert turn.again == timedelta(seconds=5)
    assert (turn.memory["score"], turn.memory["looks"]) == (2, "Fo")


def test_of_two_that_were_lost_together_it_is_learned_that_they_were() -> None:
    turn = turns((LOST, 0), (LOST, 0), (OK, 0.02))

    assert turn.states == [(State.SUSPECT, 5.0), (State.WATCH, 6.0)]
    assert (turn.memory["score"], turn.memory["looks"]) == (5, "FFo")
    assert (turn.memory["echo_1_failed"], turn.memory["echo_2_passed"]) == (1.0, 1.0)


def test_what_was_sent_after_a_good_answer_is_called_back() -> None:
    turn = turns((OK, 1.5), (LOST, 0))  # it is only slow

    assert turn.probes == [0.0, 1.0]
    assert (turn.states, turn.again) == ([], None)


def test_a_reset_that_comes_late_is_confirmed_by_the_probes_that_join_it() -> None:
    turn = turns((RESET, 1.2), (LOST, 0), (RESET, 0.01))

    assert turn.probes == [0.0, 1.0, 2.0]
    assert turn.states == [(State.SUSPECT, 1.2), (State.FAULT, 6.0)]


def test_a_row_of_failures_overlaps_up_to_its_third_look() -> None:
    patient = replace(NORMAL, fail_threshold=5)

    second = turns((RESET, 0.0), (LOST, 0), (LOST, 0), strategy=patient, count=2)
    third = turns((RESET, 0.0), (RESET, 0.0), (LOST, 0), strategy=patient, count=3)

    assert second.probes == [0.0, 0.0, 1.0]
    assert third.probes == [0.0, 0.0, 0.0]
    assert third.states == [(State.SUSPECT, 0.0)]


def test_without_confirmation_a_late_answer_is_waited_for() -> None:
    turn = turns((LOST, 0), strategy=replace(NORMAL, confirm=()))

    assert (turn.probes, turn.states) == ([0.0], [(State.SUSPECT, 5.0)])


def test_three_failures_set_by_the_user_are_three_in_a_row_and_nothing_else() -> None:
    literal = replace(NORMAL, fail_threshold=3)
    mixed = [(RESET, 0.0), (RESET, 0.0), (OK, 0.0)] * 4

    never = turns(*mixed, strategy=literal, count=12)
    third = turns(*mixed, *[(RESET, 0.0)] * 3, strategy=literal, count=15)

    assert [state for state, _ in never.states] == [State.SUSPECT, State.UP] * 4
    assert [state for state, _ in third.states] == [State.SUSPECT, State.UP] * 4 + [
        State.SUSPECT,
        State.FAULT,
    ]
