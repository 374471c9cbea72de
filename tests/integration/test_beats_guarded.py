"""Silence that may be our own fault, and senders that can be asked: the real engine on virtual time."""

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from defib.model.health import State
from defib.model.ids import MonitorId
from defib.plugin import Evidence, Signal
from defib_sim.beating import CUT_OFF, FAIR, BeatWorld, Sent, Told, Watch, Weather, tell
from defib_sim.modes import DOWN, HUNG, WELL, Mode
from defib_sim.targets import Remedy, Target
from defib_sim.virtual_loop import VirtualClock, run, seconds_at

AGENTS = tuple(MonitorId(f"agent-{number}") for number in range(5))
ONE = AGENTS[0]
ETA_S = 10.0
TOLERANCE_S = 0.01

Story = Callable[[BeatWorld, Weather], Coroutine[Any, Any, None]]


def play(story: Story, *, watches: tuple[Watch, ...] | None = None, mode: Mode | None = None) -> Told:
    """:param mode: of what is asked, from second 35 on; None: nobody can be asked."""

    async def main(clock: VirtualClock) -> Told:
        target = None
        if mode is not None:
            target = Target(clock, Random(1), [(0.0, WELL), (35.0, mode)], remedy=Remedy(helps=False))
        seen = watches or tuple(
            Watch(monitor=name, options={"every": "10s"}, target=target) for name in AGENTS
        )
        weather = Weather()
        world = BeatWorld(clock, seen, weather)
        async with world.listening():
            await story(world, weather)
        return tell(world)

    return run(main)


def beats(names: tuple[MonitorId, ...], begins: float, ends: float, first: int = 0) -> list[Sent]:
    """Of agents that take turns, each every ten seconds."""
    rows = [
        Sent(at=begins + number * ETA_S + index * 1.5, monitor=name, seq=first + number, epoch="a")
        for number in range(round((ends - begins) / ETA_S))
        for index, name in enumerate(names)
    ]
    return sorted(rows, key=lambda beat: beat.at)


def assert_history(told: Told, monitor: MonitorId, *expected: tuple[State, float]) -> None:
    found = [(item.to_state, seconds_at(item.decided_at)) for item in told.transitions[monitor]]
    assert [state for state, _ in found] == [state for state, _ in expected]
    for (_, at), (state, wanted) in zip(found, expected, strict=True):
        assert at == pytest.approx(wanted, abs=TOLERANCE_S), state


def causes(told: Told, monitor: MonitorId) -> list[str]:
    return [item.evidence.evidence.cause for item in told.transitions[monitor] if item.evidence]


# --- correlated silence ----------------------------------------------------------------------------


def test_while_our_network_is_down_nobodys_silence_is_a_fault() -> None:
    reasons: list[str] = []

    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats(AGENTS, 0.0, 40.0), 40.0)
        weather.readings = CUT_OFF
        await world.until(400.0)
        reasons.extend(world.engine.table[name].reason for name in AGENTS)
        weather.readings = FAIR
        await world.take(beats(AGENTS, 400.0, 430.0, first=40), 427.0)

    told = play(story)

    assert told.entries(State.FAULT) == []
    assert [name for name, items in told.transitions.items() if items[-1].to_state is not State.UP] == []
    assert reasons == [
        "failing, but no fault is declared: Defib lost its network, and most senders are silent together"
    ] * len(AGENTS)
    assert told.notes == ()


def test_why_a_silence_was_no_fault_is_stored_once_for_each_sender() -> None:
    held: list[str] = []

    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats(AGENTS, 0.0, 40.0), 40.0)
        weather.readings = CUT_OFF
        await world.until(400.0)
        missed = [
            record
            for record in world.store.all_decisions
            if record.observation.evidence.cause == "missed-beat"
        ]
        assert {record.hold for record in missed} == {
            "Defib lost its network, and most senders are silent together"
        }
        held.extend(record.monitor for record in missed)

    play(story)

    assert sorted(held) == sorted(AGENTS)


def test_when_the_network_is_back_the_dead_one_is_found_and_the_others_are_well() -> None:
    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats(AGENTS, 0.0, 40.0), 40.0)
        weather.readings = CUT_OFF
        await world.until(400.2)
        weather.readings = FAIR
        await world.take(beats(AGENTS[1:], 405.0, 435.0, first=41), 440.0)

    told = play(story)

    assert told.entries(State.FAULT, AGENTS[1]) == []
    [found] = told.entries(State.FAULT, ONE)
    assert 405.0 <= found <= 415.0  # an interval and its margin after the canaries have cleared us
    assert len(told.notes) == 1


def test_when_our_network_is_well_all_of_them_are_down_and_in_time() -> None:
    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats(AGENTS, 0.0, 40.0), 100.0)

    told = play(story)

    assert_history(told, ONE, (State.UP, 0.0), (State.SUSPECT, 41.0), (State.FAULT, 51.0))
    assert len(told.entries(State.FAULT)) == 5


def test_one_silent_sender_needs_no_canaries() -> None:
    looks: list[int] = []

    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats(AGENTS, 0.0, 40.0), 40.0)
        await world.take(beats(AGENTS[1:], 40.0, 80.0, first=4), 80.0)
        looks.append(weather.looks)

    told = play(story)

    assert_history(told, ONE, (State.UP, 0.0), (State.SUSPECT, 41.0), (State.FAULT, 51.0))
    assert looks == [3]  # of the round each 30 s, from the start on


def test_a_sender_that_has_long_been_down_makes_no_silence_correlated() -> None:
    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats(AGENTS, 0.0, 40.0), 40.0)
        await world.take(beats(AGENTS[3:], 40.0, 200.0, first=4), 200.0)
        weather.readings = CUT_OFF  # and nobody asks
        await world.take(beats(AGENTS[4:], 200.0, 229.0, first=20), 230.0)

    told = play(story)

    [found] = told.entries(State.FAULT, AGENTS[3])
    assert 211.0 <= found <= 213.0  # its last beat was that of 190 s


# --- senders that can be asked ---------------------------------------------------------------------


def asked(mode: Mode, until: float = 100.0, *more: Sent) -> Told:
    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take([*beats((ONE,), 0.0, 40.0), *more], until)

    return play(story, mode=mode)


def test_a_silent_sender_that_refuses_is_at_fault_three_seconds_after_the_suspicion() -> None:
    told = asked(DOWN)

    # The last beat at 30 s, the next one due at 40 s, the margin 1 s; three looks within 3 s.
    assert_history(told, ONE, (State.UP, 0.0), (State.SUSPECT, 41.0), (State.FAULT, 44.0))
    assert causes(told, ONE) == ["ok", "late-beat", "silent-sender"]
    assert told.transitions[ONE][-1].reason == (
        "it is silent, and simulated does not answer well either: connection refused; "
        "every 10s, 2 in a row, the last came at 2026-01-05 00:00:30 UTC"
    )
    assert len(told.notes) == 1


def test_a_silent_sender_that_hangs_costs_one_timeout() -> None:
    told = asked(HUNG)

    # The last of three looks starts after 3 s and ends after 5 s more.
    assert_history(told, ONE, (State.UP, 0.0), (State.SUSPECT, 41.0), (State.FAULT, 49.0))


def test_a_sender_that_answers_but_does_not_beat_has_until_its_deadline() -> None:
    reasons: list[str] = []

    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats((ONE,), 0.0, 40.0), 45.0)
        reasons.append(world.engine.table[ONE].reason)
        await world.until(60.0)

    told = play(story, mode=WELL)

    assert_history(told, ONE, (State.UP, 0.0), (State.SUSPECT, 41.0), (State.FAULT, 51.0))
    assert causes(told, ONE) == ["ok", "late-beat", "missed-beat"]
    [reason] = reasons
    assert reason.startswith("it answers at simulated (")
    assert "but it does not beat; every 10s, 2 in a row, the last came at 2026-01-05 00:00:30 UTC" in reason


def test_a_beat_withdraws_the_question() -> None:
    told = asked(DOWN, 46.0, Sent(at=42.0, monitor=ONE, seq=4, epoch="a"))

    assert_history(told, ONE, (State.UP, 0.0), (State.SUSPECT, 41.0), (State.UP, 42.0))


def test_a_fault_found_by_asking_ends_with_the_next_beat() -> None:
    told = asked(DOWN, 70.0, Sent(at=60.0, monitor=ONE, seq=0, epoch="b"))

    assert_history(
        told, ONE, (State.UP, 0.0), (State.SUSPECT, 41.0), (State.FAULT, 44.0), (State.UP, 60.0)
    )  # fmt: skip


def test_a_planned_stop_asks_nobody() -> None:
    told = asked(DOWN, 100.0, Sent(at=35.0, monitor=ONE, signal=Signal.STOPPING))

    assert_history(told, ONE, (State.UP, 0.0), (State.STOPPED, 35.0))


def test_looks_that_were_our_own_trouble_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_descriptors(self: Target, timeout: Any) -> Evidence:
        return Evidence.inconclusive("no-descriptors", "too many open files")

    monkeypatch.setattr(Target, "meet", no_descriptors)

    assert_history(asked(DOWN, 60.0), ONE, (State.UP, 0.0), (State.SUSPECT, 41.0), (State.FAULT, 51.0))


def test_senders_that_do_not_answer_while_our_network_is_down_are_not_at_fault() -> None:
    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats(AGENTS, 0.0, 40.0), 40.0)
        weather.readings = CUT_OFF
        await world.until(100.0)

    names = [
        Watch(monitor=name, options={"every": "10s", "probe": f"tcp://192.0.2.{number + 1}:9"})
        for number, name in enumerate(AGENTS)
    ]

    assert play(story, watches=tuple(names)).entries(State.FAULT) == []


# --- what a sender requires ------------------------------------------------------------------------


def test_a_sender_that_stays_silent_when_what_it_requires_is_back_is_at_fault_itself() -> None:
    base, leaning = AGENTS[:2]

    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats((base, leaning), 0.0, 40.0), 34.9)
        await world.send(Sent(at=35.0, monitor=base, signal=Signal.FAIL))
        await world.until(100.0)
        await world.take(beats((base,), 100.0, 150.0, first=10), 150.0)

    told = play(story, watches=(
        Watch(monitor=base, options={"every": "10s"}),
        Watch(monitor=leaning, options={"every": "10s"}, requires=(base,)),
    ))  # fmt: skip

    assert_history(
        told, leaning,
        (State.UP, 1.5), (State.SUSPECT, 42.5), (State.UNREACHABLE, 52.5), (State.FAULT, 130.0),  # it settles for 30 s
    )  # fmt: skip


def test_a_sender_that_beats_again_with_what_it_requires_was_never_at_fault() -> None:
    base, leaning = AGENTS[:2]

    async def story(world: BeatWorld, weather: Weather) -> None:
        await world.take(beats((base, leaning), 0.0, 40.0), 34.9)
        await world.send(Sent(at=35.0, monitor=base, signal=Signal.FAIL))
        await world.until(100.0)
        await world.take(beats((base, leaning), 100.0, 150.0, first=10), 145.0)

    told = play(story, watches=(
        Watch(monitor=base, options={"every": "10s"}),
        Watch(monitor=leaning, options={"every": "10s"}, requires=(base,)),
    ))  # fmt: skip

    assert_history(
        told, leaning, (State.UP, 1.5), (State.SUSPECT, 42.5), (State.UNREACHABLE, 52.5), (State.UP, 101.5)
    )  # fmt: skip
