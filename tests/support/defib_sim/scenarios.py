"""The scenarios of the detection design's section 7.2, as data."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
from defib_sim.observer import Ordeal, Trial
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
    is_tagged: bool = False  #: those of one episode have a tag in common


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What the engine owes; None: not looked at. Counts are per episode unless they say otherwise."""

    recall: float | None = None  #: least share of faults that are found …
    within_s: float | None = None  #: … and so soon
    false_faults: int | None = None  #: most, in all episodes together
    false_restarts: int | None = None  #: most, in all episodes together
    restarts: tuple[int, int] | None = None  #: fewest and most
    down_alerts: tuple[int, int] | None = None  #: fewest and most
    flap_notes: tuple[int, int] | None = None
    """Fewest and most messages that it goes up and down: one at first, one in 15 min, one when it has settled."""
    healed: float | None = None  #: least share of faults that Defib ended
    paged_within_s: float | None = None  #: a person was called so soon after the fault
    told_late_s: float | None = None  #: the last alert came at most so long after its verdict
    actions_at_once: int | None = None
    lateness_p99_s: float | None = None  #: of the looks at what is well all the time
    notices: tuple[int, int] | None = None  #: fewest and most alerts that Defib itself is not well
    unwatched_s: tuple[float, float] | None = None  #: least and most time that counts for nobody


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
    leaves_out_answers: bool = False
    """Time passes quickly while the only target is well and answers each probe: alone with its losses, a year of
    it is looked at in a minute. What is left out changes nothing but clocks."""
    trials: tuple[Trial, ...] = ()  #: what befalls Defib itself; such an episode has an engine of its own
    wall_s: float = 0.0  #: how far from the usual Monday the wall clock begins
    channel_outage_s: float = 0.0  #: how long the channel is out of order from the episode's beginning
    perfect: str = ""  #: what section 7.2 asks for beyond what is expected here, and why it is not

    @property
    def watches_itself(self) -> bool:
        """Defib's own health is what the scenario is about."""
        return self.expect.notices is not None


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


def _intermittent(percent: int, *, is_fixable: bool = True) -> Scenario:
    """It fails a share of all probes; nobody is called for every pair of answers that luck allows."""
    return Scenario(
        number=5, name=f"intermittent {percent} %" + ("" if is_fixable else ", unfixable"),
        roles=_alone((0.0, failing(percent / 100)), remedy=Remedy(helps=is_fixable)), lasts_s=6 * MINUTE,
        expect=Expect(recall=0.5 if percent < 50 else 0.99, false_faults=0, down_alerts=(0 if percent < 50 else 1, 4)),
    )  # fmt: skip


def _loss(name: str, loss: Loss, *, false_faults: int | None = 0, perfect: str = "") -> Scenario:
    return Scenario(
        number=7, name=name, roles=_alone(loss=loss), lasts_s=5 * DAY, together=1, apart_s=0.0,
        expect=Expect(false_faults=false_faults, false_restarts=0), leaves_out_answers=True, perfect=perfect,
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


def _own(
    number: int, name: str, *trials: Trial, count: int = 20, hosts: int = 20, notices: tuple[int, int] = (0, 0),
    unwatched_s: tuple[float, float] | None = None, **more: object,
) -> Scenario:  # fmt: skip
    """Something befalls Defib itself, and its targets are well all the time."""
    return Scenario(
        number=number, name=name, roles=(Role(count=count, hosts=hosts),), together=1, trials=trials,
        lasts_s=sum(trial.lasts_s for trial in trials if trial.ordeal in _TAKES_TIME) + 5 * MINUTE,
        expect=Expect(
            false_faults=0, false_restarts=0, down_alerts=(0, 0), notices=notices, unwatched_s=unwatched_s
        ), **more,  # type: ignore[arg-type]
    )  # fmt: skip


_TAKES_TIME = frozenset(Ordeal) - {Ordeal.ASLEEP, Ordeal.CLOCK_SET}
_DST_NIGHT_S = 293 * DAY + 55 * MINUTE
"""From the usual Monday, 5 January 2026, to five minutes before the clocks of Europe change in October."""

OWN_TROUBLE = (
    *(
        _own(
            10, f"own network down {seconds:g} s", Trial(ordeal=Ordeal.CUT_OFF, lasts_s=seconds),
            channel_outage_s=seconds, notices=(1, 1),
        )
        for seconds in (30.0, 120.0, 600.0)
    ),
    _own(
        10, "own network down 120 s, one target", Trial(ordeal=Ordeal.CUT_OFF, lasts_s=120.0), count=1, hosts=1,
        channel_outage_s=120.0, notices=(1, 1),
    ),
    *(
        _own(
            10, f"own link switched off {seconds:g} s", Trial(ordeal=Ordeal.SWITCHED_OFF, lasts_s=seconds),
            channel_outage_s=seconds, notices=(1, 1),
        )
        for seconds in (30.0, 120.0)
    ),
    _own(
        10, "own uplink down 120 s", Trial(ordeal=Ordeal.UPLINK_DOWN, lasts_s=120.0), channel_outage_s=120.0,
        notices=(1, 1),
    ),
    *(
        _own(
            11, f"loop held up {seconds:g} s", Trial(ordeal=Ordeal.HELD_UP, lasts_s=seconds), hosts=0,
            unwatched_s=(seconds - 0.5, seconds + 1.5) if seconds > 1 else (0.0, 1.0),
        )
        for seconds in (1.0, 6.0, 20.0)
    ),
    _own(11, "CPU 100 % for 2 min", Trial(ordeal=Ordeal.BUSY, lasts_s=120.0), notices=(1, 1)),
    _own(
        11, "no descriptors for 2 min", Trial(ordeal=Ordeal.WITHOUT_DESCRIPTORS, lasts_s=120.0), hosts=0,
        notices=(1, 1),
    ),
    _own(12, "stopped 60 s", Trial(ordeal=Ordeal.HELD_UP, lasts_s=60.0), unwatched_s=(59.5, 61.5)),
    _own(
        12, "suspended 1 h, no network for 8 s then", Trial(ordeal=Ordeal.ASLEEP, lasts_s=HOUR),
        Trial(ordeal=Ordeal.CUT_OFF, lasts_s=8.0), unwatched_s=(3599.5, 3603.0),
    ),
    _own(
        12, "clock set on by 1 h", Trial(ordeal=Ordeal.CLOCK_SET, lasts_s=HOUR), unwatched_s=(3599.5, 3603.0)
    ),
    _own(12, "clock set back by 1 h", Trial(ordeal=Ordeal.CLOCK_SET, lasts_s=-HOUR)),
    replace(
        _own(12, "night in which clocks change", wall_s=_DST_NIGHT_S), lasts_s=20 * MINUTE
    ),
)  # fmt: skip

HARD = (
    _hard("crash", 1, DOWN, 33.0),
    _hard("hang", 2, HUNG, 37.0),
    _hard("500s", 3, WRONG, 33.0),
)

_CROWD = Trial(ordeal=Ordeal.CROWDED, lasts_s=5 * MINUTE, at_s=-MINUTE)
_HANG = _hard("hang while others want the CPU", 11, HUNG, 37.0)
CROWDED = replace(_HANG, together=1, trials=(_CROWD,), expect=replace(_HANG.expect, notices=(0, 0)))

_CUT = "no fault; but a way that is cut for 2 s each eight minutes has to be learned from its first cuts"

LOSSES = (
    *(_loss(f"{percent:g} % lost", Loss(share=percent / 100)) for percent in (0.1, 1, 5, 10)),
    _loss("1 % reset", Loss(share=0.01, is_reset=True)),
    *(
        _loss(
            f"1 % {how} in bursts, {again} %", Loss(share=0.01, again=again / 100, is_reset=is_reset),
            false_faults=0 if again < 50 else None, perfect="" if again < 50 else _CUT,
        )
        for how, is_reset in (("lost", False), ("reset", True))
        for again in (5, 20, 50)
    ),
)  # fmt: skip

SCENARIOS: tuple[Scenario, ...] = (
    *HARD,
    *OWN_TROUBLE,
    CROWDED,
    Scenario(
        number=4, name="slow but valid", roles=_alone((0.0, SLOW)), lasts_s=10 * MINUTE,
        expect=Expect(false_faults=0, false_restarts=0, down_alerts=(0, 0)),
    ),
    _intermittent(30),
    _intermittent(50),
    _intermittent(80),
    _intermittent(50, is_fixable=False),
    Scenario(
        number=6, name="flapping 20/20 s", roles=_alone(*_flaps(20, 20, 30 * MINUTE), remedy=Remedy(helps=False)),
        lasts_s=50 * MINUTE,
        expect=Expect(false_restarts=0, down_alerts=(1, 3), flap_notes=(2, 4)),
    ),
    *LOSSES,
    *(_pause(seconds, is_short=seconds < 10) for seconds in (2, 4, 8, 15)),
    _deploy("deploy", DEPLOYING, 6, is_known=True),
    _deploy("deploy", DEPLOYING, 20, is_known=False),
    _deploy("deploy under a supervisor", STOPPED, 6, is_known=True),
    _deploy("deploy under a supervisor", STOPPED, 20, is_known=True),
    Scenario(
        number=13, name="unfixable 500s", roles=_alone((0.0, WRONG), remedy=Remedy(helps=False)), lasts_s=15 * MINUTE,
        together=1, expect=Expect(recall=0.999, restarts=(1, 3), down_alerts=(1, 1), paged_within_s=180.0),
    ),
    Scenario(
        number=13, name="unfixable crash", roles=_alone((0.0, DOWN), remedy=Remedy(helps=False)), lasts_s=15 * MINUTE,
        together=1, expect=Expect(recall=0.999, restarts=(1, 3), down_alerts=(1, 1), paged_within_s=180.0),
    ),
    Scenario(
        number=14, name="relapse every 2 min", roles=_alone((0.0, DOWN), remedy=Remedy(relapse_after_s=120.0)),
        lasts_s=40 * MINUTE, together=1, expect=Expect(recall=0.999, restarts=(9, 11), paged_within_s=15 * MINUTE),
    ),
    Scenario(
        number=14, name="relapse after 25 s", roles=_alone((0.0, DOWN), remedy=Remedy(relapse_after_s=25.0)),
        lasts_s=10 * MINUTE, together=1,
        expect=Expect(recall=0.9, restarts=(5, 6), down_alerts=(1, 1), paged_within_s=10 * MINUTE),
    ),
    *(
        Scenario(
            number=15, name=f"boot {seconds:g} s", roles=_alone((0.0, DOWN), remedy=Remedy(boot_s=seconds)),
            lasts_s=5 * MINUTE, together=1,
            expect=Expect(recall=0.999, restarts=(1, 1), down_alerts=(1, 1), healed=0.99),
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
        number=18, name="whole group of 5 down",
        roles=(Role(name="member", count=5, script=((0.0, DOWN),), is_tagged=True),),
        lasts_s=4 * MINUTE, together=8, apart_s=90.0,
        expect=Expect(recall=0.999, restarts=(5, 5), down_alerts=(1, 1), actions_at_once=1, healed=0.99),
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
)


def named(names: Iterable[str], scenarios: Iterable[Scenario] = SCENARIOS) -> list[Scenario]:
    """Scenarios by name, in the order asked for."""
    known = {scenario.name: scenario for scenario in scenarios}
    return [known[name] for name in names]
