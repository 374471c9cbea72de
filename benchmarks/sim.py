"""How well faults are found: the production engine on virtual time, thousands of faults in minutes."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib.model.strategy import Strategy
from defib_sim.counting import Share, percentile
from defib_sim.modes import Truth
from defib_sim.playing import PLAIN, play
from defib_sim.plugin import load_plugins
from defib_sim.results import Result
from defib_sim.scenarios import DAY, HARD, SCENARIOS, Scenario, named

SEED = 20260105
FAULTS = 3000  #: hard ones: without a miss they show a recall of 99.9 %
EPISODES = 200  #: of every other scenario
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
LOSS_MONITORS = 20
LOSS_DAYS = {"1 % reset": 18}  #: a monitor-year, which takes minutes; 3 for the others


def measure(bench: Bench) -> Iterator[Figure]:
    """The commitments of the detection design's section 8, beside plain "three in a row, every 30 s"."""
    presets = load_plugins().strategies.items
    less = _QUICK if bench.is_quick else 1
    plain = {
        scenario.name: play(scenario, PLAIN, episodes=FAULTS // 10 // less, seed=SEED) for scenario in HARD
    }
    results: list[Result] = []
    for name in ("normal", "aggressive"):
        for scenario in HARD:
            result = play(scenario, presets[name], episodes=FAULTS // 3 // less, seed=SEED)
            results.append(result)
            yield from _detection(result, plain[scenario.name])
        yield from _together(name, results[-len(HARD) :])
        yield from _intermittent(presets[name], EPISODES // less)
    yield from _restraint(presets["normal"], EPISODES // less)
    yield from _unfixable(presets["normal"], EPISODES // less)
    for scenario in SCENARIOS:
        if scenario.number == 7:
            yield _noise(scenario, presets["normal"], less)
    probes, cpu_s = sum(item.probes for item in results), sum(item.cpu_s for item in results)
    yield Figure(
        id="S/cost", name="S engine's cost of a simulated probe", unit="µs of CPU", values=(cpu_s / probes * 1e6,),
        note=f"schedule, probe and verdict without network and disk; {probes} probes, targets included",
    )  # fmt: skip


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


def _intermittent(strategy: Strategy, episodes: int) -> Iterator[Figure]:
    for scenario in SCENARIOS:
        if scenario.number != 5:
            continue
        is_promised = scenario.name == "intermittent 50 %"
        count = 5 * episodes if is_promised else episodes
        result, plain = (play(scenario, item, episodes=count, seed=SEED) for item in (strategy, PLAIN))
        limit = INTERMITTENT_S[strategy.name]
        found, by_plain = result.found_within(limit), plain.found_within(limit)
        yield Figure(
            id=f"S/{scenario.name}/{strategy.name}",
            name=f"S {scenario.name}, {strategy.name}: not found in {limit / 60:g} min",
            unit="%", goal=1.0 if is_promised else None, values=(_missing(found),),
            note=f"found {found}, by three in a row {by_plain}; p50/p95/p99/max {_spread(result)} s; "
            f"calls for one cause: at most {max(result.down_alerts)}; seed {SEED}",
        )  # fmt: skip


def _restraint(strategy: Strategy, episodes: int) -> Iterator[Figure]:
    """Restarts of what is not broken, and alarms for it."""
    for scenario in SCENARIOS:
        if scenario.number not in NO_RESTART:
            continue
        count = max(1, episodes // MANY.get(scenario.name, 1))
        result, plain = (play(scenario, item, episodes=count, seed=SEED) for item in (strategy, PLAIN))
        short = sum(truth in (Truth.BLIP, Truth.INTENT) for story in result.stories for truth in story.alarms)
        yield Figure(
            id=f"S/{scenario.name}/restarts", name=f"S {scenario.name}: false restarts", unit="restarts",
            goal=0 if scenario.expect.false_restarts is not None else None, values=(result.false_restarts,),
            note=f"three in a row: {plain.false_restarts}; false alarms: {result.false_faults}, three in a row: "
            f"{plain.false_faults}; alarms for a short outage: {short}; {result.episodes} episodes, seed {SEED}",
        )  # fmt: skip


def _unfixable(strategy: Strategy, episodes: int) -> Iterator[Figure]:
    for scenario in named(["unfixable 500s", "unfixable crash"]):
        result = play(scenario, strategy, episodes=episodes, seed=SEED)
        yield Figure(
            id=f"S/{scenario.name}/actions", name=f"S {scenario.name}: actions", unit="restarts", goal=3, by_worst=True,
            values=(min(result.restarts), max(result.restarts)), note=f"fewest and most; {result.episodes} episodes",
        )  # fmt: skip
        yield Figure(
            id=f"S/{scenario.name}/page", name=f"S {scenario.name}: a person is called", unit="s", goal=180,
            by_worst=True, values=tuple(result.paged_s), note=f"from the fault; seed {SEED}",
        )  # fmt: skip


def _noise(scenario: Scenario, strategy: Strategy, less: int) -> Figure:
    """False alarms of targets that are well all the time."""
    days = LOSS_DAYS.get(scenario.name, 3) / less
    result = play(replace(scenario, lasts_s=days * DAY), strategy, episodes=LOSS_MONITORS, seed=SEED)
    rate, upper = result.false_faults_a_year
    return Figure(
        id=f"S/{scenario.name}", name=f"S {scenario.name}: false alarms", unit="in a monitor-year", goal=1.0,
        values=(rate,),
        note=f"{result.false_faults} in {result.monitor_years:.3f} monitor-years of {days:.2g} days each, at most "
        f"{upper:.3g} a year (95 %); seed {SEED}",
    )  # fmt: skip
