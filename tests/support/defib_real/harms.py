"""What is done to a victim, for each scenario of the design that real processes can play."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from defib_real.profiles import ACCELERATED
from defib_sim.modes import Loss
from defib_sim.scenarios import Expect, Role, Scenario, named
from defib_testkit.chaos_proxy import Harm as Harming
from defib_testkit.victim_handle import Victim

Harm = Callable[[Victim], float]
"""Breaks a victim; returns when, in seconds of CLOCK_MONOTONIC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The targets of one scenario."""

    scenario: Scenario
    count: int
    harms: tuple[Harm, ...] = ()  #: taken in turn; none: nothing is the matter with them
    is_fault: bool = True  #: the truth about a harm
    loss: tuple[float, Harming] | None = (
        None  #: what a proxy before them does, and to what share of the looks
    )


def send(number: signal.Signals) -> Harm:
    """A signal to the process that its pid file names."""

    def harm(victim: Victim) -> float:
        os.kill(int(victim.pidfile.read_text()), number)
        return time.monotonic()

    return harm


def mode(name: str) -> Harm:
    """Another mode of the victim; the instant is by its own log."""

    def harm(victim: Victim) -> float:
        victim.set_mode(name)
        return next(at for at, what in reversed(victim.notes) if what == f"mode {name}")

    return harm


KILL, FREEZE = send(signal.SIGKILL), send(signal.SIGSTOP)
SLOW_SHARE = 0.6  #: of the timeout


def hard(count: int) -> list[Group]:
    """Scenarios 1 to 3."""
    crash, hang, wrong = named(["crash", "hang", "500s"])
    answers = ("error500", "wrong-body", "truncated", "wrong-length")
    return [
        Group(scenario=crash, count=count, harms=(KILL,)),
        Group(scenario=hang, count=count, harms=(FREEZE, mode("hang"), mode("stall-headers"))),
        Group(scenario=wrong, count=count, harms=tuple(map(mode, answers))),
    ]


def slow(count: int) -> Group:
    """Scenario 4."""
    [scenario] = named(["slow but valid"])
    seconds = SLOW_SHARE * ACCELERATED.timeout.total_seconds()
    return Group(scenario=scenario, count=count, harms=(mode(f"slow:{seconds:g}"),), is_fault=False)


def intermittent(count: int, *percents: int) -> list[Group]:
    """Scenario 5."""
    return [
        Group(
            scenario=named([f"intermittent {percent} %"])[0], count=count,
            harms=(mode(f"failing:{percent / 100:g}"),),
        )
        for percent in percents
    ]  # fmt: skip


def lossy(count: int, share: float) -> list[Group]:
    """Scenario 7: so many targets behind a proxy that resets, and as many behind one that swallows."""
    ways: tuple[Harming, ...] = ("reset", "black-hole")
    return [Group(scenario=_loss(share, way), count=count, loss=(share, way)) for way in ways]


def _loss(share: float, way: Harming) -> Scenario:
    """As the simulation has it, under a name that says how much is lost and how."""
    is_reset = way == "reset"
    loss = Loss(share=share, is_reset=is_reset)
    return Scenario(
        number=7, name=f"{100 * share:g} % {'reset' if is_reset else 'lost'}", roles=(Role(loss=loss),), lasts_s=60.0,
        together=10, apart_s=0.0, expect=Expect(false_restarts=0),
    )  # fmt: skip


def turns(group: Group, seed: int) -> list[Harm]:
    """A harm for each target, all kinds as often, in random order."""
    if not group.harms:
        return []
    listed = [group.harms[number % len(group.harms)] for number in range(group.count)]
    Random(f"{seed}/{group.scenario.name}").shuffle(listed)
    return listed
