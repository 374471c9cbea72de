"""How well faults are found in reality: live processes under a real daemon, beside what the simulation says of them."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib.model.health import State
from defib.model.strategy import Strategy
from defib_real import campaigns, ward
from defib_real.bystanders import Outcome
from defib_real.campaigns import TARGETS
from defib_real.harms import Group, hard, intermittent, lossy, slow
from defib_real.profiles import ACCELERATED
from defib_sim.observer import Ordeal, Trial
from defib_sim.playing import play
from defib_sim.plugin import load_plugins
from defib_sim.results import Result
from defib_sim.scenarios import Expect, Role, Scenario
from defib_testkit import processes

SEED = 20260105
WAVES, EACH = 10, 20  #: of each of scenarios 1 to 5: 200 episodes
NORMAL_EACH = 40  #: of each of scenarios 1 to 3, under the preset as users have it
SIMULATED = 200  #: episodes of the simulation beside them
AT_ONCE = 3  #: campaigns against Defib itself, which mostly wait
P99_S = {
    ("accelerated", "crash"): 2.8, ("accelerated", "hang"): 5.0, ("accelerated", "500s"): 2.8,
    ("normal", "crash"): 33.0, ("normal", "hang"): 37.0, ("normal", "500s"): 33.0,
}  # fmt: skip
"""By design: of ``normal`` the commitments of the detection design's section 8."""


def measure(bench: Bench) -> Iterator[Figure]:
    """Scenarios 1 to 5, 7 and 10 to 12 of the detection design's section 7.2."""
    processes.adopt_orphans()
    for real in _accelerated(bench).values():
        yield from _judged(real, ACCELERATED)
    if not bench.is_quick:
        normal = load_plugins().strategies.items["normal"]
        for real in _as_users_have_it(bench, normal).values():
            yield from _judged(real, normal)
    yield from _own_trouble(bench)


# --- targets --------------------------------------------------------------------------------------------


def _accelerated(bench: Bench) -> Mapping[str, Result]:
    each, waves = EACH, 1 if bench.is_quick else WAVES
    timing = ward.Timing(hard_over=20.0, lasting_over=6.0, lasts=45.0)
    played = []
    for wave in range(waves):
        groups: list[Group] = [*hard(each), slow(each), *intermittent(each, 30, 50, 80)]
        groups += [*lossy(each // 4, 0.01), *lossy(each // 4, 0.05)]
        played.append(
            ward.play(_new(bench.folder / f"wave-{wave}"), groups, ACCELERATED, timing, seed=SEED + wave)
        )
    return {name: _merged([wave[name] for wave in played]) for name in played[0]}


def _as_users_have_it(bench: Bench, strategy: Strategy) -> Mapping[str, Result]:
    timing = ward.Timing(hard_over=90.0, lasting_over=0.0, lasts=220.0)
    return ward.play(_new(bench.folder / "normal"), hard(NORMAL_EACH), strategy, timing, seed=SEED, hold=None)


def _merged(results: list[Result]) -> Result:
    """Of several runs, one after the other."""
    stories = [story for result in results for story in result.stories]
    return replace(
        results[0],
        stories=tuple(replace(story, episode=number) for number, story in enumerate(stories)),
        cpu_s=sum(result.cpu_s for result in results),
        crashes=tuple(crash for result in results for crash in result.crashes),
    )


def _judged(real: Result, strategy: Strategy) -> Iterator[Figure]:
    """One scenario: how soon faults are found, if it has any, and what was declared or done by mistake."""
    name, sim = real.scenario.name, play(real.scenario, strategy, episodes=SIMULATED, seed=SEED)
    ident, title = f"R/{name}/{strategy.name}", f"R {name}, {strategy.name}"
    if real.faults:
        told = (
            f"found {real.found}, by the simulation {sim.found}; p50/p95/p99/max {_spread(real)} s, in the simulation "
            f"{_spread(sim)} s; healed {real.healed}; n {real.found.count}, seed {SEED}"
        )
        yield Figure(
            id=f"{ident}/p99", name=f"{title}: detection p99", unit="s", values=(real.detection_s(0.99),),
            goal=P99_S.get((strategy.name, name)), yardstick="the simulation",
            yardstick_values=(sim.detection_s(0.99),), note=told,
        )  # fmt: skip
        yield Figure(
            id=f"{ident}/missed", name=f"{title}: not found", unit="%", values=(_missing(real),),
            goal=0.1 if name in ("crash", "hang", "500s") else None, note=f"in the simulation {_missing(sim):g} %",
        )  # fmt: skip
    beside = f"in the simulation {sim.false_faults} and {sim.false_restarts}"
    yield _mistakes(ident, title, real, beside, _degraded(real))


def _degraded(result: Result) -> str:
    return f"; degraded {result.share_in(State.DEGRADED)}" if result.scenario.number == 4 else ""


def _mistakes(ident: str, title: str, result: Result, beside: str, more: str = "") -> Figure:
    troubles = f"; {len(result.crashes)} errors: {result.crashes[0]}" if result.crashes else ""
    return Figure(
        id=f"{ident}/mistakes", name=f"{title}: false faults and restarts", unit="mistakes", goal=0.0,
        values=(float(result.false_faults + result.false_restarts),),
        note=f"{result.false_faults} false faults and {result.false_restarts} false restarts, {beside}; "
        f"{sum(result.restarts)} restarts in {result.episodes} episodes{more}{troubles}",
    )  # fmt: skip


def _missing(result: Result) -> float:
    return 100 * (result.found.of - result.found.count) / result.found.of


def _spread(result: Result) -> str:
    return "/".join(f"{result.detection_s(q):.1f}" for q in (0.5, 0.95, 0.99, 1.0))


# --- Defib itself ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ordeal:
    """A campaign, and what the simulation has of the same."""

    real: "partial[Outcome]"
    trials: tuple[Trial, ...]  #: in an episode each
    owed: str = ""  #: of notices about Defib itself, if that is settled


def _ordeals(*, is_quick: bool) -> Mapping[str, _Ordeal]:
    away = (14.0,) if is_quick else (30.0, 120.0)
    blocks = (1.0, 6.0) if is_quick else (1.0, 6.0, 20.0)
    stop, starved = (10.0, 8.0) if is_quick else (60.0, 60.0)
    found = {
        f"network away ({cut})": _Ordeal(
            real=partial(campaigns.network_away, cut=cut, outages_s=away),
            trials=tuple(Trial(ordeal=Ordeal.CUT_OFF, lasts_s=seconds) for seconds in away), owed=", 1 is owed",
        )
        for cut in ("own", "carrier", "beyond")
    }  # fmt: skip
    found["loop blocked"] = _Ordeal(
        real=partial(campaigns.loop_blocked, blocks_s=blocks),
        trials=tuple(Trial(ordeal=Ordeal.HELD_UP, lasts_s=seconds) for seconds in blocks),
    )  # fmt: skip
    found["no CPU"] = _Ordeal(
        real=partial(campaigns.starved_of_cpu, hogs=6, seconds=starved, repetitions=1),
        trials=(Trial(ordeal=Ordeal.BUSY, lasts_s=starved),),
    )  # fmt: skip
    found["no descriptors"] = _Ordeal(
        real=partial(campaigns.out_of_files, spare=(0, 2), seconds=5.0 if is_quick else 20.0),
        trials=(Trial(ordeal=Ordeal.WITHOUT_DESCRIPTORS, lasts_s=20.0),),
    )  # fmt: skip
    found["stopped"] = _Ordeal(
        real=partial(campaigns.stopped, stops_s=(stop,)),
        trials=(Trial(ordeal=Ordeal.HELD_UP, lasts_s=stop),),
    )  # fmt: skip
    found["clock set"] = _Ordeal(
        real=partial(campaigns.clock_stepped, steps_s=(3600.0, 0.0, -3600.0, 0.0)),
        trials=tuple(Trial(ordeal=Ordeal.CLOCK_SET, lasts_s=step) for step in (3600.0, -3600.0)),
    )  # fmt: skip
    return found


def _own_trouble(bench: Bench) -> Iterator[Figure]:
    ordeals = _ordeals(is_quick=bench.is_quick)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        folders = (_new(bench.folder / f"own-{number}") for number in range(len(ordeals)))
        ended = {
            name: pool.submit(ordeal.real, folder, ACCELERATED)
            for folder, (name, ordeal) in zip(folders, ordeals.items(), strict=True)
        }
    for name, ordeal in ordeals.items():
        outcome, sims = ended[name].result(), list(_simulated(ordeal.trials))
        beside = (
            f"in the simulation {sum(s.false_faults for s in sims)} and {sum(s.false_restarts for s in sims)}"
        )
        real = outcome.result
        more = f"; {real.unwatched_s[0]:.0f} s unknown; {real.notices[0]} notices that Defib is not well{ordeal.owed}; "
        more += f"targets were asked {outcome.asked} times"
        yield _mistakes(f"R/{name}", f"R {real.scenario.name}", real, beside, more)


def _simulated(trials: Iterable[Trial]) -> Iterator[Result]:
    for trial in trials:
        scenario = Scenario(
            number=10, name=str(trial.ordeal), roles=(Role(count=TARGETS, hosts=TARGETS),), together=1, trials=(trial,),
            lasts_s=abs(trial.lasts_s) + 60.0 if trial.ordeal is not Ordeal.CLOCK_SET else 60.0,
            expect=Expect(false_faults=0, false_restarts=0, notices=(0, 1)),
        )  # fmt: skip
        yield play(scenario, ACCELERATED, episodes=2, seed=SEED)


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
