"""How well faults are found: the production engine on virtual time, thousands of faults in minutes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.sim_beats import measure_beats
from benchmarks.sim_plays import Play, Plays, pool
from defib.model.strategy import Strategy
from defib_sim.counting import Share, percentile
from defib_sim.modes import Truth
from defib_sim.playing import PLAIN, listening
from defib_sim.plugin import load_plugins
from defib_sim.results import Result
from defib_sim.scenarios import DAY, HARD, LOSSES, OWN_TROUBLE, SCENARIOS, Scenario, named

SEED = 20260105
TABLE = Path(__file__).parent / "results" / f"sim-{SEED}.csv"
FAULTS = 3000  #: hard ones: without a miss they show a recall of 99.9 %
EPISODES = 200  #: of every other scenario
OWN_EPISODES = 20  #: of those about Defib itself, with 20 targets each
INTERMITTENT_EPISODES = 2000  #: of the one that is promised
_QUICK = 15  #: times fewer of everything

P99_S = {
    ("normal", "crash"): 33.0, ("normal", "hang"): 37.0, ("normal", "500s"): 33.0,
    ("aggressive", "crash"): 18.0, ("aggressive", "hang"): 20.0, ("aggressive", "500s"): 18.0,
}  # fmt: skip
P50_S = {("normal", "crash"): 18.0, ("aggressive", "crash"): 11.0}
INTERMITTENT_S = {"normal": 360.0, "aggressive": 180.0}
NO_RESTART = (4, 8, 9, 16, 17)  #: scenarios in which a restart of something is a mistake
MANY = {
    "30 of 200 hang": 200,
    "host down, 10 services": 10,
    "whole group of 5 down": 5,
}  #: targets in an episode


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """How long targets on a line that loses probes are watched: 3 monitor-years show at most 1 alarm in one."""

    years: int  #: monitors, each from its first day on for a year
    at_most: float  #: goal, a year
    new: bool = False  #: the first day of many new monitors is measured besides


LINES = {
    "0.1 % lost": _Line(years=3, at_most=1.0),
    "1 % lost": _Line(years=3, at_most=1.0, new=True),
    "1 % reset": _Line(years=3, at_most=1.0),
    "5 % lost": _Line(years=1, at_most=4.0),
    "10 % lost": _Line(years=1, at_most=4.0),
    "1 % lost in bursts, 20 %": _Line(years=3, at_most=4.0, new=True),
    "1 % reset in bursts, 20 %": _Line(years=3, at_most=4.0, new=True),
}
_ANY_LINE = _Line(years=1, at_most=4.0)
YEAR_DAYS, PLAIN_DAYS = 365.0, 36.5
NEW = 300  #: monitors whose first day is looked at


def measure(bench: Bench) -> Iterator[Figure]:
    """The commitments of the detection design's section 8, beside plain "three in a row, every 30 s"."""
    presets = load_plugins().strategies.items
    less = _QUICK if bench.is_quick else 1
    with pool(os.cpu_count() or 1) as workers:
        plays = Plays(pool=workers, seed=SEED)
        plays.begin(_longest_first(presets["normal"], presets["aggressive"], less))
        results: list[Result] = []
        for name in ("normal", "aggressive"):
            for scenario in HARD:
                result = plays.result(scenario, presets[name], FAULTS // 3 // less)
                results.append(result)
                yield from _detection(result, plays.result(scenario, PLAIN, FAULTS // 10 // less))
            yield from _together(name, results[-len(HARD) :])
            yield from _intermittent(plays, presets[name], less)
        yield from _restraint(plays, presets["normal"], EPISODES // less)
        yield from _unfixable(plays, presets["normal"], EPISODES // less)
        yield from _own_trouble(plays, presets["normal"], max(1, OWN_EPISODES // less))
        for scenario in LOSSES:
            yield from _noise(plays, scenario, presets["normal"], less)
        with listening():
            yield from measure_beats(less, SEED)
        plays.write_csv(TABLE)
    probes, cpu_s = sum(item.probes for item in results), sum(item.cpu_s for item in results)
    yield Figure(
        id="S/cost", name="S engine's cost of a simulated probe", unit="µs of CPU", values=(cpu_s / probes * 1e6,),
        note=f"schedule, probe and verdict without network and disk; {probes} probes, targets included; every "
        f"episode is in {TABLE.name}",
    )  # fmt: skip


def _longest_first(normal: Strategy, aggressive: Strategy, less: int) -> Iterator[Play]:
    """What takes long, so that no core is left with it at the end; the rest is begun when it is asked for."""
    for scenario in sorted(LOSSES, key=lambda item: _watched(item, less).lasts_s, reverse=True):
        line = LINES.get(scenario.name, _ANY_LINE)
        yield Play(scenario=_watched(scenario, less), strategy=normal, episodes=line.years)
    for strategy in (normal, aggressive):
        for scenario in HARD:
            yield Play(scenario=scenario, strategy=strategy, episodes=FAULTS // 3 // less)
        for scenario in SCENARIOS:
            if scenario.number == 5:
                yield Play(scenario=scenario, strategy=strategy, episodes=_episodes(scenario, less))
    for scenario in OWN_TROUBLE:
        for strategy in (normal, PLAIN):
            yield Play(scenario=scenario, strategy=strategy, episodes=max(1, OWN_EPISODES // less))


def _detection(result: Result, plain: Result) -> Iterator[Figure]:
    """How long until a hard fault is declared."""
    key = result.strategy, result.scenario.name
    times = [fault.detection_s for fault in result.faults if fault.detection_s is not None]
    others = tuple(fault.detection_s for fault in plain.faults if fault.detection_s is not None)
    for q, goal in ((0.5, P50_S.get(key)), (0.99, P99_S[key])):
        yield Figure(
            id=f"S/{key[1]}/{key[0]}/p{q * 100:.0f}", name=f"S {key[1]}, {key[0]}: detection p{q * 100:.0f}", unit="s",
            goal=goal, values=(percentile(times, q),), yardstick="three in a row each 30 s",
            yardstick_values=(percentile(others, q),),
            note=f"p50/p95/p99/max {_spread(result)} s; three in a row {_spread(plain)} s; n {len(times)}, seed {SEED}",
        )  # fmt: skip


def _missing(share: Share) -> float:
    """What is missing of all, in per cent."""
    return 100 * (share.of - share.count) / share.of


def _spread(result: Result) -> str:
    return "/".join(f"{result.detection_s(q):.1f}" for q in (0.5, 0.95, 0.99, 1.0))


def _together(strategy: str, results: list[Result]) -> Iterator[Figure]:
    """Recall, precision and healing over all hard faults."""
    for what, shares, goal in (
        ("missed", [item.found for item in results], 0.1),
        ("unjustified", [item.justified for item in results], 0.5),
        ("not healed", [item.healed for item in results], 1.0),
    ):
        total = Share(count=sum(item.count for item in shares), of=sum(item.of for item in shares))
        low, high = total.interval
        yield Figure(
            id=f"S/hard/{strategy}/{what}", name=f"S hard faults, {strategy}: {what}", unit="%", goal=goal,
            values=(_missing(total),),
            note=f"95 % interval {100 * (1 - high):.3g} … {100 * (1 - low):.3g} %; n {total.of}, seed {SEED}",
        )  # fmt: skip
    calls = [count for item in results for count in item.down_alerts]
    yield Figure(
        id=f"S/hard/{strategy}/alerts", name=f"S hard faults, {strategy}: calls for one cause", unit="alerts", goal=1,
        by_worst=True, values=(min(calls), max(calls)), note=f"fewest and most; n {len(calls)}, seed {SEED}",
    )  # fmt: skip


def _episodes(scenario: Scenario, less: int) -> int:
    if scenario.name == "intermittent 50 %":
        return INTERMITTENT_EPISODES // less
    is_long = scenario.name.endswith("unfixable")  # recovery is at work on it all the time
    return max(1, EPISODES // (5 if is_long else 1) // less)


def _intermittent(plays: Plays, strategy: Strategy, less: int) -> Iterator[Figure]:
    for scenario in SCENARIOS:
        if scenario.number != 5:
            continue
        count, is_promised = _episodes(scenario, less), scenario.name == "intermittent 50 %"
        result = plays.result(scenario, strategy, count)
        plain = plays.result(scenario, PLAIN, EPISODES // less)
        limit = INTERMITTENT_S[strategy.name]
        found, by_plain = result.found_within(limit), plain.found_within(limit)
        yield Figure(
            id=f"S/{scenario.name}/{strategy.name}",
            name=f"S {scenario.name}, {strategy.name}: not found in {limit / 60:g} min",
            unit="%", goal=1.0 if is_promised else None, values=(_missing(found),),
            note=f"found {found}, by three in a row {by_plain}; p50/p95/p99/max {_spread(result)} s; calls for one "
            f"cause: {_mean(result.down_alerts):.2f}, at most {max(result.down_alerts)}, by three in a row "
            f"{_mean(plain.down_alerts):.2f}, at most {max(plain.down_alerts)}; seed {SEED}",
        )  # fmt: skip


def _mean(counts: list[int]) -> float:
    return sum(counts) / len(counts)


def _restraint(plays: Plays, strategy: Strategy, episodes: int) -> Iterator[Figure]:
    """Restarts of what is not broken, and alarms for it."""
    for scenario in SCENARIOS:
        if scenario.number not in NO_RESTART:
            continue
        count = max(1, episodes // MANY.get(scenario.name, 1))
        result, plain = (plays.result(scenario, item, count) for item in (strategy, PLAIN))
        short = sum(truth in (Truth.BLIP, Truth.INTENT) for story in result.stories for truth in story.alarms)
        yield Figure(
            id=f"S/{scenario.name}/restarts", name=f"S {scenario.name}: false restarts", unit="restarts",
            goal=0 if scenario.expect.false_restarts is not None else None, values=(result.false_restarts,),
            note=f"three in a row: {plain.false_restarts}; false alarms: {result.false_faults}, three in a row: "
            f"{plain.false_faults}; alarms for a short outage: {short}; {result.episodes} episodes, seed {SEED}",
        )  # fmt: skip


def _unfixable(plays: Plays, strategy: Strategy, episodes: int) -> Iterator[Figure]:
    for scenario in named(["unfixable 500s", "unfixable crash"]):
        result = plays.result(scenario, strategy, episodes)
        yield Figure(
            id=f"S/{scenario.name}/actions", name=f"S {scenario.name}: actions", unit="restarts", goal=3, by_worst=True,
            values=(min(result.restarts), max(result.restarts)), note=f"fewest and most; {result.episodes} episodes",
        )  # fmt: skip
        yield Figure(
            id=f"S/{scenario.name}/page", name=f"S {scenario.name}: a person is called", unit="s", goal=180,
            by_worst=True, values=tuple(result.paged_s), note=f"from the fault; seed {SEED}",
        )  # fmt: skip


def _own_trouble(plays: Plays, strategy: Strategy, episodes: int) -> Iterator[Figure]:
    """What is declared of 20 targets that are well, while Defib itself is cut off, held up or asleep."""
    for scenario in OWN_TROUBLE:
        result, plain = (plays.result(scenario, item, episodes) for item in (strategy, PLAIN))
        yield Figure(
            id=f"S/{scenario.name}/false", name=f"S {scenario.name}: false faults and restarts", unit="verdicts",
            goal=0, values=(result.false_faults + result.false_restarts,),
            note=f"three in a row, with the same guard: {plain.false_faults + plain.false_restarts}; told of Defib "
            f"itself: {min(result.notices)} to {max(result.notices)} times; unknown: "
            f"{min(result.unwatched_s):.0f}-{max(result.unwatched_s):.0f} s; {result.episodes} episodes; seed {SEED}",
        )  # fmt: skip


def _watched(scenario: Scenario, less: int, days: float = YEAR_DAYS) -> Scenario:
    return replace(scenario, lasts_s=days / less * DAY)


def _noise(plays: Plays, scenario: Scenario, strategy: Strategy, less: int) -> Iterator[Figure]:
    """False alarms of targets that are well all the time."""
    line = LINES.get(scenario.name, _ANY_LINE)
    result = plays.result(_watched(scenario, less), strategy, line.years)
    plain = plays.result(_watched(scenario, less, PLAIN_DAYS), PLAIN, line.years)
    rate, upper = result.false_faults_a_year
    yield Figure(
        id=f"S/{scenario.name}", name=f"S {scenario.name}: false alarms", unit="in a monitor-year", goal=line.at_most,
        values=(rate,),
        note=f"{result.false_faults} in {result.monitor_years:.3g} monitor-years from the first day on, at most "
        f"{upper:.3g} a year (95 %), {result.false_restarts} restarts; three in a row: "
        f"{plain.false_faults_a_year[0]:.3g} a year, of {plain.monitor_years:.2g}; seed {SEED}",
    )  # fmt: skip
    if line.new:
        first = plays.result(_watched(scenario, 1, 1.0), strategy, NEW // less)
        yield Figure(
            id=f"S/{scenario.name}/new", name=f"S {scenario.name}: new monitors with a false alarm on their first day",
            unit="%", values=(100 * first.alarmed.value,),
            note=f"{first.alarmed}; {first.false_faults} alarms, {first.false_restarts} restarts; seed {SEED}",
        )  # fmt: skip
