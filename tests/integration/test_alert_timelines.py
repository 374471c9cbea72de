"""Exactly these messages at exactly these seconds: the real engine on virtual time, over targets that live by a script.

Looks come each 10 s, and each second once something fails; three failures in a row are a fault, two good answers its
end. A message leaves 1.5 s after the verdict, in case others join; 2.5 s when others are under suspicion.
"""

import textwrap
from collections.abc import Awaitable, Callable
from datetime import time, timedelta

import pytest

from defib.model.alert import Held, Hold, Ruling
from defib.model.ids import IncidentId
from defib.model.route import EscalationStep, Hours, InhibitRule, QuietHours, Route, RouteMatch
from defib_sim.modes import CUT_OFF, DOWN, WELL, Mode
from defib_sim.virtual_loop import BEGINNING
from defib_sim.world import Actor, Company, Story, World, play, swings

Act = Callable[[World], Awaitable[object]]
MIN = timedelta(minutes=1)

ONCALL = Company(
    routes=(
        Route(
            channels=("chat",),
            escalate=(
                EscalationStep(after=10 * MIN, channels=("phone",)),
                EscalationStep(after=30 * MIN, channels=("boss",)),
            ),
        ),
    )
)
NO_ESCALATION = Company(routes=(Route(channels=("chat",)),))
QUIET = QuietHours(hours=Hours(begins=time(0, 0), ends=time(0, 10)))  #: the simulation begins at midnight
NIGHT = Company(routes=(Route(channels=("chat",), quiet=QUIET),))


def story(ends: float, *acts: tuple[float, Act]) -> Story:
    """What people do, and when."""

    async def tell(world: World) -> None:
        for at, act in acts:
            await world.until(at)
            await act(world)
        await world.until(ends)

    return tell


def falls(name: str, at: float, back: float | None = None, *, mode: Mode = DOWN, **more: object) -> Actor:
    script = ((at, mode),) if back is None else ((at, mode), (back, WELL))
    return Actor(name=name, script=script, **more)  # type: ignore[arg-type]


def shows(world: World, table: str) -> None:
    assert textwrap.dedent(world.table()) == textwrap.dedent(table).strip("\n")


def silence(lasting: float, **matcher: list[str]) -> Act:
    return lambda world: world.silence(lasting, reason="deploy", **matcher)


async def restart(world: World) -> None:
    """As by kill -9, and up again at once."""
    await world.die()
    world.come_back()


# --- grouping ------------------------------------------------------------------------------------------


def test_what_falls_together_is_one_message_and_what_joins_later_comes_in_batches() -> None:
    pool = [falls(name, 35, 150, tags=("pool",)) for name in ("ann", "bob", "cat")]

    world = play(story(300), *pool, falls("dan", 44, 150, tags=("pool",)))

    shows(
        world,
        """
         40.0  notebook  down           3 services failed together: Ann, Bob, Cat
         67.5  notebook  down           Dan is down
        156.6  notebook  recovered      4 services have recovered: Dan, Cat, Bob, Ann
    """,
    )


# --- inhibition ----------------------------------------------------------------------------------------


def test_what_a_rule_explains_waits_until_that_is_over_and_gets_time_to_follow() -> None:
    rack = InhibitRule(
        source=RouteMatch(tags=frozenset({"switch"})), target=RouteMatch(tags=frozenset({"server"})), equal=("rack",)
    )  # fmt: skip
    world = play(
        story(400),
        falls("net", 35, 200, tags=("switch", "rack:7")),
        falls("web", 55, 300, tags=("server", "rack:7")),
        falls("app", 55, 215, tags=("server", "rack:7")),
        company=Company(inhibit=(rack,)),
    )

    shows(
        world,
        """
         44.2  notebook  down           Net is down
        201.7  notebook  recovered      Net has recovered
        231.7  notebook  down           Web is down
        304.2  notebook  recovered      Web has recovered
    """,
    )
    assert world.why("app") == [
        "down: held: net (service_down) with the same rack inhibits it by a rule",
        "recovered: dropped: nobody was told of what it follows",
    ]


def test_a_silence_that_ends_while_what_it_needs_is_at_fault_gives_way_to_that() -> None:
    world = play(
        story(400, (20, silence(100, monitors=["app"]))),
        falls("app", 35, requires=("db",)),
        falls("db", 100, 200),
    )

    shows(
        world,
        """
        105.7  notebook  down           Db is down
        203.2  notebook  recovered      Db has recovered
        233.2  notebook  down           App is down
    """,
    )


# --- escalation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", [(), ((100, restart), (700, restart), (2000, restart))])
def test_the_next_ones_are_called_and_all_is_repeated_whatever_restarts(
    restarts: tuple[tuple[float, Act], ...],
) -> None:
    world = play(story(26000, *restarts), falls("web", 35), company=ONCALL)

    shows(
        world,
        """
           46.6  chat      down           Web is down
          645.1  phone     escalated      Nobody has taken it on: Web is down
         1845.1  boss      escalated      Nobody has taken it on: Web is down
         3045.1  chat      escalated      Nobody has taken it on: Web is down
         3645.1  phone     escalated      Nobody has taken it on: Web is down
         4845.1  boss      escalated      Nobody has taken it on: Web is down
         6045.1  chat      escalated      Nobody has taken it on: Web is down
         6645.1  phone     escalated      Nobody has taken it on: Web is down
         7845.1  boss      escalated      Nobody has taken it on: Web is down
         9045.1  chat      escalated      Nobody has taken it on: Web is down
         9645.1  phone     escalated      Nobody has taken it on: Web is down
        10845.1  boss      escalated      Nobody has taken it on: Web is down
        25245.1  boss      reminder       Still open: Web is down
        25245.1  chat      reminder       Still open: Web is down
        25245.1  phone     reminder       Still open: Web is down
    """,
    )


def test_an_acknowledgement_ends_the_calls_and_runs_out_after_an_hour() -> None:
    world = play(
        story(6500, (700, lambda world: world.acknowledge("web"))), falls("web", 35, 6200), company=ONCALL
    )

    shows(
        world,
        """
          46.6  chat      down           Web is down
         645.1  phone     escalated      Nobody has taken it on: Web is down
         700.0  chat      acknowledged   ana has taken on Web
         700.0  phone     acknowledged   ana has taken on Web
        4300.0  chat      reminder       Still open: Web is down
        4300.0  phone     reminder       Still open: Web is down
        4900.0  phone     escalated      Taken on by ana, and still failing: Web is down
        6100.0  boss      escalated      Taken on by ana, and still failing: Web is down
        6204.2  boss      recovered      Web has recovered
        6204.2  chat      recovered      Web has recovered
        6204.2  phone     recovered      Web has recovered
    """,
    )


def test_who_was_told_hears_that_it_was_taken_back_and_the_calls_go_on_at_once() -> None:
    world = play(
        story(1900, (60, lambda world: world.acknowledge("web")), (730, lambda world: world.withdraw("web", "bob"))),
        falls("web", 35), company=ONCALL,
    )  # fmt: skip

    shows(
        world,
        """
          46.6  chat      down           Web is down
          60.0  chat      acknowledged   ana has taken on Web
         730.0  chat      unacknowledged  Nobody sees to Web any more
         730.0  phone     escalated      Nobody has taken it on: Web is down
        1845.1  boss      escalated      Nobody has taken it on: Web is down
    """,
    )
    [told] = [item for _, item in world.notebooks["chat"].notes if item.kind == "unacknowledged"]
    assert told.description.startswith("bob took the acknowledgement back at ")


def test_whoever_sees_to_it_already_is_not_told_of_twice_and_somebody_else_takes_it_over() -> None:
    said: list[str] = []

    async def take_on(world: World, who: str, note: str = "") -> None:
        said.append(await world.engine.desk.acknowledge(IncidentId("web"), who, note))

    async def status(world: World) -> None:
        said.append(await world.engine.desk.status())

    world = play(
        story(
            4000, (60, lambda world: take_on(world, "ana", "on it")), (70, lambda world: take_on(world, "ana")),
            (80, lambda world: take_on(world, "ana", "on it")), (90, lambda world: take_on(world, "ana", "a disk")),
            (100, lambda world: take_on(world, "bob")), (110, status), (3750, status),
            (3800, lambda world: take_on(world, "bob")),
        ),
        falls("web", 35), company=NO_ESCALATION,
    )  # fmt: skip

    shows(
        world,
        """
          46.6  chat      down           Web is down
          60.0  chat      acknowledged   ana has taken on Web
          90.0  chat      acknowledged   ana has taken on Web
         100.0  chat      acknowledged   bob has taken on Web
        3700.0  chat      reminder       Still open: Web is down
        3800.0  chat      acknowledged   bob has taken on Web
    """,
    )
    already = "ana sees to web already: nothing has changed"
    assert said[1:3] == [already, already]
    assert ["; bob sees to it" in text for text in said[5:7]] == [True, False]
    notes = [alert.facts.note for alert in world.alerts]
    assert [note for note in notes if note] == ["on it", "a disk"]


def test_an_acknowledgement_outlives_a_restart_and_whoever_was_told_hears_of_the_end() -> None:
    world = play(
        story(4200, (60, lambda world: world.acknowledge("web")), (70, restart)), falls("web", 35, 4000), company=ONCALL
    )  # fmt: skip

    shows(
        world,
        """
          46.6  chat      down           Web is down
          60.0  chat      acknowledged   ana has taken on Web
        3660.0  chat      reminder       Still open: Web is down
        4004.2  chat      recovered      Web has recovered
    """,
    )


def test_when_the_first_of_a_story_is_well_the_others_are_still_called_for() -> None:
    pool = (falls("ann", 35, 300, tags=("pool",)), falls("bob", 35, 900, tags=("pool",)))

    world = play(story(1000), *pool, company=ONCALL)

    shows(
        world,
        """
         40.0  chat      down           2 services failed together: Ann, Bob
        336.6  chat      recovered      Ann has recovered
        638.5  phone     escalated      Nobody has taken it on: Bob is down
        905.6  chat      recovered      Bob has recovered
        905.6  phone     recovered      Bob has recovered
    """,
    )


# --- silence, maintenance ------------------------------------------------------------------------------


@pytest.mark.parametrize("acts", [(), ((100, restart), (1019, restart))])
def test_what_is_still_so_when_a_silence_ends_is_told_after_a_fresh_look(
    acts: tuple[tuple[float, Act], ...],
) -> None:
    world = play(story(1300, (20, silence(1000, monitors=["web"])), *acts), falls("web", 35, 1200))

    shows(
        world,
        """
        1020.0  notebook  down           Web is down
        1204.2  notebook  recovered      Web has recovered
    """,
    )
    [(_, alert), _] = world.notebook.notes
    ended = BEGINNING + timedelta(seconds=1020)
    assert alert.facts.held == Held(by=Hold.SILENCE, name="deploy", until=ended)
    assert world.why("web") == [
        "down: held: silenced “deploy” by ana",
        "down: passed: route 1: notebook",
        "recovered: passed: where the beginning was told: notebook",
    ]


def test_what_is_well_when_a_silence_ends_is_not_told_even_if_only_just() -> None:
    world = play(
        story(300, (20, silence(100, monitors=["web", "app"]))), falls("web", 35, 119.9), falls("app", 35, 60)
    )

    assert world.timeline == []
    assert [incident.monitor for incident in world.store.incidents()] == ["app", "web"]


def test_a_silence_that_somebody_ends_early_is_over_at_once() -> None:
    async def end(world: World) -> None:
        [window] = world.engine.windows.in_force()
        await world.engine.windows.end(window.id, "bob")

    world = play(story(200, (20, silence(1000, monitors=["web"])), (100, end)), falls("web", 35))

    shows(
        world,
        """
        100.0  notebook  down           Web is down
    """,
    )


def test_a_silence_after_people_were_told_holds_calls_back_and_never_the_end() -> None:
    world = play(
        story(2000, (100, silence(1000, monitors=["web"]))), falls("web", 35, 900), falls("app", 35), company=ONCALL
    )  # fmt: skip

    shows(
        world,
        """
          41.6  chat      down           App is down
          46.6  chat      down           Web is down
         640.1  phone     escalated      Nobody has taken it on: App is down
         904.2  chat      recovered      Web has recovered
        1840.1  boss      escalated      Nobody has taken it on: App is down
    """,
    )


def test_after_maintenance_only_what_a_fresh_look_finds_failing_is_told() -> None:
    world = play(
        story(400, (20, lambda world: world.maintain(100, monitors=["web", "app"]))),
        falls("web", 35, 300),
        falls("app", 35, 100),
        falls("old", 10, 200),
    )

    shows(
        world,
        """
         23.2  notebook  down           Old is down
        123.5  notebook  down           Web is down
        210.7  notebook  recovered      Old has recovered
        304.2  notebook  recovered      Web has recovered
    """,
    )
    assert world.why("app") == []


def test_whoever_knows_of_a_fault_hears_that_it_is_set_aside_and_nothing_new_after_that() -> None:
    pool = [falls(name, 35, 400, tags=("pool",)) for name in ("ann", "bob")]
    world = play(
        story(
            600, (100, lambda world: world.maintain(200, monitors=["web", "bus"])),
            (110, lambda world: world.maintain(200, tags=["pool"])),
        ),
        falls("web", 35, 400), falls("bus", 99), *pool,
    )  # fmt: skip

    shows(
        world,
        """
         40.0  notebook  down           2 services failed together: Ann, Bob
         46.6  notebook  down           Web is down
        100.0  notebook  set_aside      Web is in maintenance now
        111.5  notebook  set_aside      2 services are in maintenance now: Ann, Bob
        303.5  notebook  down           Bus is down
        404.2  notebook  recovered      Web has recovered
        406.6  notebook  recovered      2 services have recovered: Bob, Ann
    """,
    )
    [told] = [item for _, item in world.notebook.notes if item.title == "Web is in maintenance now"]
    assert told.description.startswith("Maintenance has begun until 00:05 (UTC), by ana. Note: “upgrade”.")
    assert [delivery.is_quiet for delivery in world.store.deliveries() if delivery.notice == told.id] == [
        True
    ]


def test_whoever_knows_of_a_fault_hears_that_it_is_not_watched_any_more() -> None:
    async def remove(world: World) -> None:
        await world.reload(without=("web", "app", "silent"))

    async def put_back(world: World) -> None:
        await world.reload()

    world = play(
        story(400, (20, silence(500, monitors=["silent"])), (100, remove), (300, put_back)),
        falls("web", 35), falls("app", 35), falls("silent", 35), falls("bus", 35, 150),
    )  # fmt: skip

    shows(
        world,
        """
         41.6  notebook  down           App is down
         45.5  notebook  down           Bus is down
         46.6  notebook  down           Web is down
        100.0  notebook  unwatched      App is no longer watched
        100.0  notebook  unwatched      Web is no longer watched
        153.0  notebook  recovered      Bus has recovered
        306.6  notebook  down           Web is down
        311.6  notebook  down           App is down
    """,
    )
    told = next(item for _, item in world.notebook.notes if item.kind == "unwatched")
    assert told.description.endswith(
        "It is not in the configuration any more. This is the last that you hear of it."
    )
    gone = [item for item in world.store.incidents() if item.monitor in ("web", "app", "silent")]
    assert [item.resolution for item in gone].count("it is not in the configuration any more") == 3


# --- quiet hours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("acts", [(), ((300, restart), (599, restart), (615, restart))])
def test_after_quiet_hours_what_is_open_is_told_and_what_is_over_comes_in_one_digest(
    acts: tuple[tuple[float, Act], ...],
) -> None:
    world = play(
        story(1000, *acts), falls("web", 35), falls("app", 35, 100), falls("bus", 300, 400), falls("car", 500, 599.5),
        company=NIGHT,
    )  # fmt: skip

    shows(
        world,
        """
        600.0  chat      down           Web is down
        630.0  chat      digest         3 alerts, all over by now: App, Bus, Car
    """,
    )


def test_a_route_that_is_quiet_does_not_hold_back_the_others() -> None:
    company = Company(routes=(Route(channels=("chat",), resume=True), Route(channels=("mail",), quiet=QUIET)))

    world = play(story(1000), falls("web", 35, 800), falls("app", 35, 100), company=company)

    shows(
        world,
        """
         41.6  chat      down           App is down
         46.6  chat      down           Web is down
        109.1  chat      recovered      App has recovered
        600.0  mail      down           Web is down
        630.0  mail      digest         1 alert, over by now: App
        804.2  chat      recovered      Web has recovered
        804.2  mail      recovered      Web has recovered
    """,
    )


def test_who_was_off_at_the_end_of_quiet_hours_makes_up_for_it_once() -> None:
    async def sleep(world: World) -> None:
        await world.die()
        await world.until(900)
        world.come_back()

    world = play(story(1000, (500, sleep), (950, restart)), falls("app", 35, 100), company=NIGHT)

    shows(
        world,
        """
        900.0  chat      digest         1 alert, over by now: App
    """,
    )


# --- calm, flapping, recovery --------------------------------------------------------------------------


def test_what_does_not_last_is_not_told() -> None:
    company = Company(routes=(Route(channels=("chat",), calm=timedelta(seconds=10)),))

    world = play(story(200), falls("web", 35, 47), falls("app", 35, 100), company=company)

    shows(
        world,
        """
         50.1  chat      down           App is down
        109.1  chat      recovered      App has recovered
    """,
    )


def test_flapping_is_told_once_and_each_fall_says_why_it_was_not() -> None:
    world = play(story(1500), Actor(name="web", script=swings(35, down=40, up=40, times=6)))

    shows(
        world,
        """
          46.6  notebook  down           Web is down
          84.2  notebook  recovered      Web has recovered
         126.6  notebook  down           Web is down
         164.2  notebook  recovered      Web has recovered
         206.6  notebook  down           Web is down
         244.2  notebook  flapping       Web goes up and down
        1144.2  notebook  still_flapping  Web still goes up and down
        1384.2  notebook  settled        Web goes up and down no more: well
    """,
    )
    dropped = [
        alert for alert in world.store.alerts(monitor="web") if alert.verdicts[-1].ruling is Ruling.DROPPED
    ]
    assert len(dropped) == 3
    assert {alert.verdicts[-1].reason for alert in dropped} == {
        "it goes up and down: single falls and returns are not told, only what becomes of it"
    }


def test_flapping_in_a_silence_is_told_when_it_goes_on_after_it() -> None:
    world = play(
        story(2000, (20, silence(600, monitors=["web"]))),
        Actor(name="web", script=swings(35, down=40, up=40, times=9)),
    )

    shows(
        world,
        """
         620.0  notebook  flapping       Web goes up and down
        1144.2  notebook  still_flapping  Web still goes up and down
        1624.2  notebook  settled        Web goes up and down no more: well
    """,
    )


def test_what_defib_repairs_wakes_nobody() -> None:
    world = play(story(200), Actor(name="web", script=((35.0, DOWN),), has_ladder=True))

    shows(
        world,
        """
        46.6  notebook  down           Web is down
        55.2  notebook  recovered      Web has recovered
    """,
    )
    assert [delivery.is_quiet for delivery in world.store.deliveries()] == [True, True]


def test_what_defib_cannot_repair_is_loud_after_three_minutes() -> None:
    world = play(story(400), Actor(name="web", script=((35.0, DOWN),), has_ladder=True, cures=False))

    shows(
        world,
        """
         46.6  notebook  down           Web is down
        193.5  notebook  recovery_late  Web is still failing and needs you
        266.7  notebook  recovery_failed  Web needs a human
    """,
    )
    assert [delivery.is_quiet for delivery in world.store.deliveries()] == [True, False, False]


# --- storms --------------------------------------------------------------------------------------------


def test_a_host_that_dies_with_two_hundred_monitors_on_it_is_one_message_and_one_recovery() -> None:
    crowd = [falls(f"m{n:03}", 35, 155, mode=CUT_OFF, requires=("host",)) for n in range(200)]

    world = play(story(400), falls("host", 35, 155, mode=CUT_OFF), *crowd)

    shows(
        world,
        """
         41.9  notebook  down           Host is down
        160.0  notebook  recovered      Host has recovered
    """,
    )
    assert len(world.store.incidents()) == 1


def test_a_host_that_dies_without_a_monitor_of_its_own_is_spoken_for_by_the_first_message() -> None:
    crowd = [falls(f"m{n:03}", 35, 155, mode=CUT_OFF, host="box") for n in range(200)]

    world = play(story(400), *crowd)

    shows(
        world,
        """
         40.9  notebook  down           Nothing on box answers: 40 services failed together
        161.4  notebook  recovered      200 services have recovered: M076, M167, M070, M044 and 196 more
    """,
    )
    assert "160 more on box" in world.alerts[0].description
    assert len(world.store.incidents()) == 200  # each has its own story, and each is told of
    assert {delivery.state for delivery in world.store.deliveries()} == {"delivered"}


def test_a_host_on_which_something_answers_is_not_spoken_for() -> None:
    crowd = [falls(f"m{n:02}", 35, 155, mode=CUT_OFF, host="box") for n in range(30)]

    world = play(story(400), *crowd, Actor(name="alive", host="box"))

    shows(
        world,
        """
         41.1  notebook  down           13 services failed together: M23, M15, M12, M14 and 9 more
         68.6  notebook  down           17 services failed together: M04, M06, M05, M08 and 13 more
        163.8  notebook  recovered      30 services have recovered: M03, M28, M26, M05 and 26 more
    """,
    )


def test_thirty_failures_that_have_nothing_in_common_are_told_one_by_one_and_then_in_digests() -> None:
    world = play(story(700), *(falls(f"x{n:02}", 35 + 20 * n) for n in range(30)))

    shows(
        world,
        """
         39.4  notebook  down           X00 is down
         64.9  notebook  down           X01 is down
         79.6  notebook  down           X02 is down
        104.9  notebook  down           X03 is down
        120.3  notebook  down           X04 is down
        140.8  notebook  down           X05 is down
        159.4  notebook  down           X06 is down
        219.4  notebook  digest         2 alerts, all still open: X07, X08
        279.4  notebook  digest         3 alerts, all still open: X09, X10, X11
        339.4  notebook  digest         3 alerts, all still open: X12, X13, X14
        399.4  notebook  digest         3 alerts, all still open: X15, X16, X17
        459.4  notebook  digest         3 alerts, all still open: X18, X19, X20
        519.4  notebook  digest         3 alerts, all still open: X21, X22, X23
        579.4  notebook  digest         3 alerts, all still open: X24, X25, X26
        639.4  notebook  digest         3 alerts, all still open: X27, X28, X29
    """,
    )
    told = [alert for _, alert in world.notebook.notes]
    names = [item.monitor for alert in told for item in alert.facts.together] + [
        alert.facts.monitor for alert in told if not alert.facts.together
    ]
    assert sorted(names) == [f"x{n:02}" for n in range(30)]  # everybody, and each once
