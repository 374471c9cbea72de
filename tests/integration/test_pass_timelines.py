"""Exactly these messages at exactly these seconds where nothing runs but one pass a minute, as cron starts it.

A pass looks at what is due and follows up on what fails: three failures within two seconds are a fault. Whatever
depends on time alone, such as the next call or the end of a silence, happens in the first pass after its instant.
"""

import textwrap
from collections.abc import Awaitable, Callable
from datetime import time, timedelta

from defib.model.route import EscalationStep, Hours, QuietHours, Route
from defib_sim.modes import DOWN, WELL
from defib_sim.world import Actor, Company, Cron, Story, World, play

Act = Callable[[World], Awaitable[object]]
MIN = timedelta(minutes=1)
ONCALL = Company(
    routes=(
        Route(
            channels=("chat",), repeat=timedelta(minutes=30),
            escalate=(
                EscalationStep(after=10 * MIN, channels=("phone",)),
                EscalationStep(after=20 * MIN, channels=("boss",)),
            ),
        ),
    ),
    ack_timeout=timedelta(minutes=15),
)  # fmt: skip
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


def falls(name: str, at: float, back: float | None = None, **more: object) -> Actor:
    script = ((at, DOWN),) if back is None else ((at, DOWN), (back, WELL))
    return Actor(name=name, script=script, **more)  # type: ignore[arg-type]


def shows(world: World, table: str) -> None:
    assert textwrap.dedent(world.table()) == textwrap.dedent(table).strip("\n")


def passes(what: Story, *actors: Actor, company: Company | None = None) -> World:
    return play(what, *actors, company=company, kind=Cron)


def test_what_falls_together_is_one_message_of_one_pass_and_so_is_its_end() -> None:
    pool = [falls(name, 70, 310, tags=("pool",)) for name in ("ann", "bob", "cat")]

    world = passes(story(600), *pool, falls("dan", 190, 310, tags=("pool",)))

    shows(
        world,
        """
         124.5  notebook  down           3 services failed together: Ann, Bob, Cat
         243.5  notebook  down           Dan is down
         361.0  notebook  recovered      Dan has recovered
         361.1  notebook  recovered      3 services have recovered: Ann, Bob, Cat
    """,
    )


def test_who_does_not_answer_is_called_and_reminded_by_the_first_pass_that_it_is_time_for() -> None:
    world = passes(
        story(4800, (1500, lambda world: world.acknowledge("web"))), falls("web", 70, 4270), company=ONCALL
    )

    shows(
        world,
        """
         123.5  chat      down           Web is down
         780.0  phone     escalated      Nobody has taken it on: Web is down
        1380.0  boss      escalated      Nobody has taken it on: Web is down
        1560.0  boss      acknowledged   ana has taken on Web
        1560.0  chat      acknowledged   ana has taken on Web
        1560.0  phone     acknowledged   ana has taken on Web
        2400.0  boss      reminder       Still open: Web is down
        2400.0  chat      reminder       Still open: Web is down
        2400.0  phone     reminder       Still open: Web is down
        3000.0  phone     escalated      Taken on by ana, and still failing: Web is down
        3600.0  boss      escalated      Taken on by ana, and still failing: Web is down
        4200.0  chat      escalated      Taken on by ana, and still failing: Web is down
        4321.1  boss      recovered      Web has recovered
        4321.1  chat      recovered      Web has recovered
        4321.1  phone     recovered      Web has recovered
    """,
    )


def test_what_is_still_so_when_a_silence_ends_is_told_by_the_next_pass_after_a_fresh_look() -> None:
    world = passes(
        story(
            1200,
            (65, lambda world: world.silence(300, monitors=["web", "app"])),
        ),
        falls("web", 70, 730),
        falls("app", 70, 340),
    )

    shows(
        world,
        """
         420.0  notebook  down           Web is down
         781.1  notebook  recovered      Web has recovered
    """,
    )


def test_whoever_knows_hears_of_a_maintenance_and_only_what_fails_afterwards_is_told() -> None:
    world = passes(
        story(1200, (190, lambda world: world.maintain(300, monitors=["web", "app", "old"]))),
        falls("web", 200, 730), falls("app", 200, 340), falls("old", 70, 730),
    )  # fmt: skip

    shows(
        world,
        """
         123.5  notebook  down           Old is down
         240.0  notebook  set_aside      Old is in maintenance now
         543.5  notebook  down           Web is down
         781.1  notebook  recovered      Old has recovered
         781.1  notebook  recovered      Web has recovered
    """,
    )


def test_after_quiet_hours_what_is_open_is_told_and_what_is_over_comes_in_one_digest() -> None:
    world = passes(
        story(1200), falls("web", 70), falls("app", 70, 200), falls("bus", 310, 400), company=NIGHT
    )

    shows(
        world,
        """
         600.0  chat      down           Web is down
         660.0  chat      digest         2 alerts, all over by now: App, Bus
    """,
    )


def test_passes_that_did_not_run_are_not_made_up_for_one_by_one() -> None:
    async def away(world: World) -> None:
        assert isinstance(world, Cron)
        await world.rest_until(1900)

    world = passes(story(2500, (200, away)), falls("web", 70), company=ONCALL)

    shows(
        world,
        """
         123.5  chat      down           Web is down
        1920.0  boss      escalated      Nobody has taken it on: Web is down
        1920.0  phone     escalated      Nobody has taken it on: Web is down
        1980.0  chat      escalated      Nobody has taken it on: Web is down
    """,
    )
