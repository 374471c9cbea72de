"""What people are told beyond up and down: the real engine on virtual time, over targets that live by a script."""

from dataclasses import replace
from typing import Any, cast

import pytest

from defib.model.alert import AlertKind
from defib.model.health import FaultLabel, State
from defib.model.ids import MonitorId
from defib_sim.modes import DOWN, STOPPED, WELL, Mode, failing
from defib_sim.virtual_loop import seconds_at
from defib_sim.world import PLAIN, Actor, World, play, swings

# --- together ------------------------------------------------------------------------------------------


def pool(*names: str, script: tuple[tuple[float, Mode], ...] = ((35.0, DOWN), (95.0, WELL))) -> list[Actor]:
    return [Actor(name=name, script=script, tags=("pool",)) for name in names]


def test_five_of_a_pool_that_fall_together_are_told_in_one_message_and_so_is_their_return() -> None:
    async def story(world: World) -> None:
        await world.until(200)

    world = play(story, *pool("a", "b", "c", "d", "e"))

    events = [event for _, event in world.told]
    assert events == [AlertKind.DOWN, AlertKind.RECOVERED]
    assert [len(alert.facts.together) for alert in world.alerts] == [5, 5]
    assert world.alerts[0].title.startswith("5 services failed together: ")
    incidents = world.store.incidents()
    assert len(incidents) == 5
    assert len({incident.story for incident in incidents}) == 1
    assert [incident.root for incident in incidents].count(None) == 1


@pytest.mark.parametrize(("names", "seconds"), [("a", 1.5), ("abc", 2.5)])
def test_the_message_waits_for_company_no_longer_than_that_is_near(names: str, seconds: float) -> None:
    async def story(world: World) -> None:
        await world.until(60)

    world = play(story, *pool(*names))

    [(told_at, _)] = world.notebook.notes
    first = min(incident.opened_at for incident in world.store.incidents())
    assert told_at - seconds_at(first) == pytest.approx(seconds, abs=0.01)


def test_those_that_have_nothing_in_common_are_told_apart() -> None:
    async def story(world: World) -> None:
        await world.until(60)

    world = play(
        story, Actor(name="a", script=((35.0, DOWN),), host="h1"), Actor(name="b", script=((35.0, DOWN),), host="h2")
    )  # fmt: skip

    assert sorted(world.told) == [("a", AlertKind.DOWN), ("b", AlertKind.DOWN)]


def test_one_that_falls_later_joins_the_conversation_in_a_batch() -> None:
    async def story(world: World) -> None:
        await world.until(120)

    world = play(
        story,
        Actor(name="a", script=((35.0, DOWN),), host="h"),
        Actor(name="b", script=((52.0, DOWN),), host="h"),
    )

    assert world.told == [("a", AlertKind.DOWN), ("b", AlertKind.DOWN)]
    threads = {delivery.thread for delivery in world.store.deliveries()}
    assert len(threads) == 1
    (first, _), (second, _) = world.notebook.notes
    assert second - first == pytest.approx(28.5, abs=0.1)  # 30 s after the first verdict


def test_a_crash_between_verdict_and_message_loses_nobody_and_tells_nobody_twice() -> None:
    async def story(world: World) -> None:
        while len(world.store.incidents()) < 3:
            await world.clock.sleep(0.05)
        assert world.told == []
        await world.die()
        world.come_back()
        await world.until(90)

    world = play(story, *pool("a", "b", "c", script=((35.0, DOWN),)))

    assert [len(alert.facts.together) for alert in world.alerts] == [3]
    assert {delivery.state for delivery in world.store.deliveries()} == {"delivered"}


def test_rows_that_went_with_another_say_so() -> None:
    async def story(world: World) -> None:
        await world.until(60)

    world = play(story, *pool("a", "b", "c"))

    rows = world.store.deliveries()
    [first] = [row for row in rows if row.sent_with is None]
    assert {row.sent_with for row in rows if row is not first} == {first.id}


# --- flapping ------------------------------------------------------------------------------------------

FLAPPER = Actor(name="gate", script=swings(35, down=40, up=40, times=30))


def test_what_flaps_is_told_once_and_then_once_in_a_quarter_of_an_hour_until_it_settles() -> None:
    async def story(world: World) -> None:
        await world.until(230)
        assert not world.engine.table[MonitorId("gate")].is_flapping
        await world.until(300)
        assert world.engine.table[MonitorId("gate")].is_flapping
        await world.until(3600)
        assert not world.engine.table[MonitorId("gate")].is_flapping

    world = play(story, FLAPPER)

    down, back = AlertKind.DOWN, AlertKind.RECOVERED
    assert [event for _, event in world.told] == [
        *(down, back, down, back, down, AlertKind.FLAPPING),
        *(AlertKind.STILL_FLAPPING, AlertKind.STILL_FLAPPING, AlertKind.STILL_FLAPPING),
        AlertKind.SETTLED,
    ]
    times = [at for at, _ in world.notebook.notes][5:8]
    assert times[1] - times[0] == pytest.approx(900, abs=1.1)
    assert times[2] - times[1] == pytest.approx(900, abs=1.1)
    assert world.alerts[5].facts.falls == 3
    assert world.alerts[-1].title == "Gate goes up and down no more: well"
    assert len(world.store.incidents()) == 30  # every fall is on record


def test_a_fault_that_ends_the_flapping_is_told() -> None:
    async def story(world: World) -> None:
        await world.until(1500)

    world = play(story, Actor(name="gate", script=(*swings(35, down=40, up=40, times=3), (275.0, DOWN))))

    assert [event for _, event in world.told[-3:]] == [
        AlertKind.FLAPPING, AlertKind.STILL_FLAPPING, AlertKind.SETTLED,
    ]  # fmt: skip
    settled = world.alerts[-1]
    assert settled.title == "Gate goes up and down no more: at fault"
    assert settled.severity == "high"
    assert settled.incident == world.engine.table[MonitorId("gate")].incident


def test_the_return_from_that_fault_is_told() -> None:
    async def story(world: World) -> None:
        await world.until(2200)

    script = (*swings(35, down=40, up=40, times=3), (275.0, DOWN), (2000.0, WELL))
    world = play(story, Actor(name="gate", script=script))

    assert [event for _, event in world.told[-2:]] == [AlertKind.SETTLED, AlertKind.RECOVERED]


def test_flapping_outlives_a_restart() -> None:
    async def story(world: World) -> None:
        await world.until(320)
        before = world.engine.table[MonitorId("gate")].flaps
        await world.die()
        world.come_back()
        assert world.engine.table[MonitorId("gate")].flaps == before
        await world.until(600)

    world = play(story, FLAPPER)

    assert [event for _, event in world.told].count(AlertKind.FLAPPING) == 1
    assert [event for _, event in world.told].count(AlertKind.DOWN) == 3


# --- stopped on purpose --------------------------------------------------------------------------------


SAVVY = replace(PLAIN, fail_threshold=None, detector="cusum")  #: knows a stop on purpose


def test_a_deployment_of_less_than_a_minute_is_not_told() -> None:
    async def story(world: World) -> None:
        await world.until(70)
        assert world.state("web") is State.STOPPED
        await world.until(300)
        assert world.state("web") is State.UP

    world = play(
        story, Actor(name="web", script=((35.0, STOPPED), (75.0, WELL)), has_ladder=True), strategy=SAVVY
    )

    assert world.told == []
    assert world.store.incidents() == []
    assert world.targets["web"].restarts == []


def test_a_stop_that_lasts_is_told_after_a_minute_and_so_is_the_return() -> None:
    async def story(world: World) -> None:
        await world.until(400)

    world = play(
        story, Actor(name="web", script=((35.0, STOPPED), (305.0, WELL)), has_ladder=True), strategy=SAVVY
    )

    assert world.told == [("web", AlertKind.STOPPED), ("web", AlertKind.STARTED)]
    told_at, stopped = world.notebook.notes[0]
    assert 59.9 <= told_at - seconds_at(stopped.facts.since) <= 61.1
    assert stopped.title == "Web was stopped"
    assert world.targets["web"].restarts == []


def test_a_stop_is_told_once_whatever_restarts() -> None:
    async def story(world: World) -> None:
        for at in (60, 120, 180):
            await world.until(at)
            await world.die()
            world.come_back()
        await world.until(260)

    world = play(story, Actor(name="web", script=((35.0, STOPPED),)), strategy=SAVVY)

    assert world.told == [("web", AlertKind.STOPPED)]


def test_what_comes_back_broken_from_a_stop_is_a_fault_and_nothing_else() -> None:
    async def story(world: World) -> None:
        await world.until(300)

    world = play(story, Actor(name="web", script=((35.0, STOPPED), (205.0, DOWN))), strategy=SAVVY)

    assert world.told == [("web", AlertKind.STOPPED), ("web", AlertKind.DOWN)]


# --- reachability --------------------------------------------------------------------------------------


def test_what_requires_a_fallen_one_is_not_told_of_and_nothing_is_after_its_return() -> None:
    async def story(world: World) -> None:
        await world.until(60)
        assert world.state("app") is State.UNREACHABLE
        await world.until(160)
        assert world.state("app") is State.UP

    gone = ((35.0, DOWN), (95.0, WELL))
    world = play(
        story,
        Actor(name="db", script=gone),
        Actor(name="app", script=((35.0, DOWN), (110.0, WELL)), requires=("db",)),
    )

    assert world.told == [("db", AlertKind.DOWN), ("db", AlertKind.RECOVERED)]
    assert [incident.monitor for incident in world.store.incidents()] == ["db"]


def test_who_does_not_follow_within_half_a_minute_is_a_fault_of_its_own() -> None:
    async def story(world: World) -> None:
        await world.until(200)

    world = play(
        story,
        Actor(name="db", script=((35.0, DOWN), (95.0, WELL))),
        Actor(name="app", script=((35.0, DOWN),), requires=("db",)),
    )

    assert world.told == [("db", AlertKind.DOWN), ("db", AlertKind.RECOVERED), ("app", AlertKind.DOWN)]
    back = next(at for at, alert in world.notebook.notes if alert.facts.event is AlertKind.RECOVERED)
    app = world.notebook.notes[-1][0]
    assert 30.0 <= app - back <= 34.0


def test_generations_are_looked_at_in_order_when_the_root_is_back() -> None:
    async def story(world: World) -> None:
        await world.until(200)

    gone = ((35.0, DOWN), (100.0, WELL))  # the root's turn is right then, those of the others 7 s later
    world = play(
        story,
        Actor(name="cart", script=gone, requires=("app",)),
        Actor(name="app", script=gone, requires=("root",)),
        Actor(name="root", script=gone),
    )

    returns = [item for item in world.store.all_transitions if item.from_state.is_bad]
    assert [item.monitor for item in returns] == ["root", "app", "cart"]
    assert seconds_at(returns[-1].decided_at) < 105.0
    assert world.told == [("root", AlertKind.DOWN), ("root", AlertKind.RECOVERED)]


# --- labels --------------------------------------------------------------------------------------------


def test_a_fault_declared_while_the_observer_is_sick_is_told_and_not_acted_on_until_it_is_seen_afresh() -> (
    None
):
    async def story(world: World) -> None:
        await world.until(30)
        sick = cast(Any, world.engine.guard)
        healthy = sick._sickness
        sick._sickness = replace(healthy, score=8, frozen_since=-1000.0)
        await world.until(60)
        [incident] = world.store.incidents()
        assert incident.label is FaultLabel.UNVERIFIED
        assert world.store.cases() == []
        assert world.targets["web"].restarts == []
        sick._sickness = healthy
        await world.until(120)

    world = play(story, Actor(name="web", script=((35.0, DOWN),), has_ladder=True))

    assert world.alerts[0].title == "Web is probably down"
    assert "seen it afresh" in world.alerts[0].description
    assert len(world.targets["web"].restarts) == 1
    assert world.store.incidents()[0].label is FaultLabel.NONE


def test_a_fault_that_comes_and_goes_is_called_intermittent() -> None:
    async def story(world: World) -> None:
        while not world.store.incidents():
            await world.clock.sleep(1.0)
        await world.clock.sleep(3.0)

    world = play(story, Actor(name="web", script=((35.0, failing(0.5)),)), strategy=SAVVY)

    assert world.store.incidents()[0].label is FaultLabel.INTERMITTENT
    assert world.alerts[0].title == "Web fails now and then"
    assert "not fail at every look" in world.alerts[0].description
