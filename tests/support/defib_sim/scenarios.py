"""The scenarios of the detection design's section 7.2, as data."""

from collections.abc import Iterable
from dataclasses import dataclass

from defib_sim.modes import (
    CUT_OFF,
    DEPLOYING,
    DOWN,
    HUNG,
    LEFT_ALONE,
    PAUSED,
    SLOW,
    STOPPED,
    WELL,
    WRONG,
    Loss,
    Mode,
    failing,
)
from defib_sim.targets import Remedy

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
RESTARTED = Remedy()
NOISE = Loss(share=0.001)  #: what every network loses

Script = tuple[tuple[float, Mode], ...]
"""From each instant on, in seconds since the episode's own beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One sort of target in an episode."""

    name: str = "target"
    count: int = 1
    script: Script = ()  #: well until it begins
    remedy: Remedy = RESTARTED
    loss: Loss | None = None
    requires: tuple[str, ...] = ()  #: roles, as the configuration says
    leaning: Mode = WELL  #: what it really does while one of them is out of order
    hosts: int = 0  #: spread over so many hosts, on which probes are limited together


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What the engine owes; None: not looked at. Counts are per episode unless they say otherwise."""

    recall: float | None = None  #: least share of faults that are found …
    within_s: float | None = None  #: … and so soon
    false_faults: int | None = None  #: most, in all episodes together
    false_restarts: int | None = None  #: most, in all episodes together
    restarts: tuple[int, int] | None = None  #: fewest and most
    down_alerts: tuple[int, int] | None = None  #: fewest and most
    healed: float | None = None  #: least share of faults that Defib ended
    paged_within_s: float | None = None  #: a person was called so soon after the fault
    told_late_s: float | None = None  #: the last alert came at most so long after its verdict
    actions_at_once: int | None = None
    lateness_p99_s: float | None = None  #: of the looks at what is well all the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of the table."""

    number: int
    name: str
    roles: tuple[Role, ...]
    lasts_s: float  #: that an episode is watched from its beginning
    expect: Expect
    together: int = 40  #: episodes in one engine …
    apart_s: float = 8.0  #: … and how far apart they begin, on average
    channel_outage_s: float = 0.0  #: how long the channel is out of order from the episode's beginning
    perfect: str = ""  #: what section 7.2 asks for beyond what is expected here, and why it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A row of the table that nothing can be run for yet."""

    number: int
    name: str
    reason: str


def _alone(*script: tuple[float, Mode], **more: object) -> tuple[Role, ...]:
    return (Role(script=script, **more),)  # type: ignore[arg-type]


def _hard(name: str, number: int, mode: Mode, within_s: float) -> Scenario:
    return Scenario(
        number=number, name=name, roles=_alone((0.0, mode), loss=NOISE), lasts_s=150.0,
        expect=Expect(recall=0.999, within_s=within_s, false_faults=0, false_restarts=0, restarts=(1, 1),
                      down_alerts=(1, 1), healed=0.99),
    )  # fmt: skip


def _intermittent(percent: int) -> Scenario:
    return Scenario(
        number=5, name=f"intermittent {percent} %", roles=_alone((0.0, failing(percent / 100))), lasts_s=20 * MINUTE,
        expect=Expect(recall=0.5, false_faults=0), perfect="99 % of those of 50 % within 6 min at 30 s: detector cusum",
    )  # fmt: skip


def _loss(name: str, loss: Loss, *, false_faults: int | None) -> Scenario:
    return Scenario(
        number=7, name=name, roles=_alone(loss=loss), lasts_s=5 * DAY, together=10, apart_s=0.0,
        expect=Expect(false_faults=false_faults, false_restarts=0), perfect="at most 1 FAULT in a monitor-year",
    )  # fmt: skip


def _pause(seconds: float, *, is_short: bool) -> Scenario:
    return Scenario(
        number=8, name=f"pause {seconds:g} s", roles=_alone((0.0, PAUSED), (seconds, WELL)), lasts_s=150.0,
        expect=Expect(false_faults=0, false_restarts=0 if is_short else None),
        perfect="" if is_short else "no restart; but a hang of so long is a fault to whoever cannot see the future",
    )  # fmt: skip


def _deploy(name: str, mode: Mode, seconds: float, *, is_known: bool) -> Scenario:
    return Scenario(
        number=9, name=f"{name} {seconds:g} s", roles=_alone((0.0, mode), (seconds, WELL)), lasts_s=150.0,
        expect=Expect(false_faults=0, false_restarts=0 if is_known else None),
        perfect="" if is_known else "no restart; but without a supervisor to ask, it is like a crash",
    )  # fmt: skip


def _flaps(up_s: float, down_s: float, during_s: float) -> Script:
    swings: list[tuple[float, Mode]] = []
    at = 0.0
    while at < during_s:
        swings += [(at, DOWN), (at + down_s, WELL)]
        at += down_s + up_s
    return tuple(swings)


HARD = (
    _hard("crash", 1, DOWN, 33.0),
    _hard("hang", 2, HUNG, 37.0),
    _hard("500s", 3, WRONG, 33.0),
)

SCENARIOS: tuple[Scenario, ...] = (
    *HARD,
    Scenario(
        number=4, name="slow but valid", roles=_alone((0.0, SLOW)), lasts_s=10 * MINUTE,
        expect=Expect(false_faults=0, false_restarts=0, down_alerts=(0, 0)),
    ),
    _intermittent(30),
    _intermittent(50),
    _intermittent(80),
    Scenario(
        number=6, name="flapping 20/20 s", roles=_alone(*_flaps(20, 20, 30 * MINUTE), remedy=Remedy(helps=False)),
        lasts_s=32 * MINUTE, expect=Expect(false_restarts=0), perfect="one digest in 15 min: flapping rule",
    ),
    _loss("1 % lost", Loss(share=0.01), false_faults=0),
    _loss("1 % reset", Loss(share=0.01, is_reset=True), false_faults=0),
    _loss("1 % lost in bursts, 20 %", Loss(share=0.01, again=0.2), false_faults=None),
    _loss("1 % reset in bursts, 20 %", Loss(share=0.01, again=0.2, is_reset=True), false_faults=None),
    _loss("1 % reset in bursts, 50 %", Loss(share=0.01, again=0.5, is_reset=True), false_faults=None),
    *(_pause(seconds, is_short=seconds < 10) for seconds in (2, 4, 8, 15)),
    _deploy("deploy", DEPLOYING, 6, is_known=True),
    _deploy("deploy", DEPLOYING, 20, is_known=False),
    _deploy("deploy under a supervisor", STOPPED, 6, is_known=True),
    _deploy("deploy under a supervisor", STOPPED, 20, is_known=True),
    Scenario(
        number=13, name="unfixable 500s", roles=_alone((0.0, WRONG), remedy=Remedy(helps=False)), lasts_s=15 * MINUTE,
        apart_s=30.0, expect=Expect(recall=0.999, restarts=(1, 3), down_alerts=(1, 1), paged_within_s=180.0),
    ),
    Scenario(
        number=13, name="unfixable crash", roles=_alone((0.0, DOWN), remedy=Remedy(helps=False)), lasts_s=15 * MINUTE,
        apart_s=30.0, expect=Expect(recall=0.999, restarts=(1, 3), down_alerts=(1, 1), paged_within_s=300.0),
        perfect="paged within 180 s of the fault",
    ),
    Scenario(
        number=14, name="relapse every 2 min", roles=_alone((0.0, DOWN), remedy=Remedy(relapse_after_s=120.0)),
        lasts_s=40 * MINUTE, apart_s=60.0, expect=Expect(recall=0.999, restarts=(5, 5)),
    ),
    *(
        Scenario(
            number=15, name=f"boot {seconds:g} s", roles=_alone((0.0, DOWN), remedy=Remedy(boot_s=seconds)),
            lasts_s=5 * MINUTE, expect=Expect(recall=0.999, restarts=(1, 1), down_alerts=(1, 1), healed=0.99),
        )
        for seconds in (40.0, 80.0)
    ),
    Scenario(
        number=16, name="database of an application down",
        roles=(
            Role(name="db", script=((0.0, DOWN),), remedy=Remedy(boot_s=5.0)),
            Role(name="app", requires=("db",), leaning=LEFT_ALONE),
        ),
        lasts_s=4 * MINUTE, apart_s=20.0,
        expect=Expect(recall=0.999, false_faults=0, false_restarts=0, restarts=(1, 1), down_alerts=(1, 1)),
    ),
    Scenario(
        number=17, name="host down, 10 services",
        roles=(
            Role(name="host", script=((0.0, HUNG),), remedy=Remedy(boot_s=20.0)),
            Role(name="service", count=10, requires=("host",), leaning=CUT_OFF),
        ),
        lasts_s=4 * MINUTE, together=8, apart_s=60.0,
        expect=Expect(recall=0.999, false_faults=0, false_restarts=0, restarts=(1, 1), down_alerts=(1, 1)),
    ),
    Scenario(
        number=18, name="whole group of 5 down", roles=(Role(name="member", count=5, script=((0.0, DOWN),)),),
        lasts_s=4 * MINUTE, together=8, apart_s=90.0,
        expect=Expect(recall=0.999, restarts=(5, 5), actions_at_once=2), perfect="one incident, one action at a time",
    ),
    Scenario(
        number=24, name="30 of 200 hang",
        roles=(
            Role(name="hung", count=30, script=((0.0, HUNG),), remedy=Remedy(helps=False), hosts=10),
            Role(name="well", count=170, hosts=10),
        ),
        lasts_s=15 * MINUTE, together=1,
        expect=Expect(recall=0.999, false_faults=0, false_restarts=0, lateness_p99_s=0.25, actions_at_once=2),
    ),
    Scenario(
        number=25, name="notifier down 5 min", roles=_alone((0.0, DOWN)), lasts_s=15 * MINUTE, together=1,
        channel_outage_s=5 * MINUTE, expect=Expect(recall=0.999, down_alerts=(1, 1), told_late_s=600.0),
        perfect="failover to another channel within 10 s",
    ),
)  # fmt: skip

PLANNED = (
    Planned(number=10, name="Defib's network down", reason="needs canaries that a simulation can answer for"),
    Planned(number=11, name="Defib overloaded", reason="needs vitals that a simulation can set"),
    Planned(
        number=12, name="Defib stopped, suspended", reason="needs clocks that a simulation can make jump"
    ),
    Planned(
        number=19, name="action hangs, forks, floods", reason="real processes: integration/test_executor.py"
    ),
    Planned(number=20, name="Defib killed at work", reason="real processes: acceptance/test_crash_safety.py"),
    Planned(
        number=21, name="two Defibs on one store", reason="real processes: acceptance/test_crash_safety.py"
    ),
    Planned(
        number=22, name="certificate expiring", reason="a monitor's matter: the http monitor's own tests"
    ),
    Planned(number=23, name="heartbeats", reason="needs beats instead of probes, and their detector"),
)


def named(names: Iterable[str], scenarios: Iterable[Scenario] = SCENARIOS) -> list[Scenario]:
    """Scenarios by name, in the order asked for."""
    known = {scenario.name: scenario for scenario in scenarios}
    return [known[name] for name in names]
