"""What one pass costs, as cron runs it: ``defib run``."""

from collections.abc import Iterator

from benchmarks import fleet
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.processes import defib, run

GOALS_S = {0: 0.6, 100: 1.0, 1000: 4.0}


def measure(bench: Bench) -> Iterator[Figure]:
    """P6: wall time of a pass over 0, 100 and 1000 healthy HTTP monitors."""
    for monitors, goal in GOALS_S.items():
        company = fleet.make_fleet(bench.folder / f"pass-{monitors}", bench.targets, monitors, "normal")
        argv = defib(company.config, "run", "--all")
        run(argv, company.folder)  # makes the store, and the compiled modules
        passes = [run(argv, company.folder) for _ in range(bench.runs)]
        yield Figure(
            id=f"P6/{monitors}", name=f"P6 one pass, {monitors} monitors", unit="s", goal=goal,
            values=tuple(ended.wall_s for ended in passes),
        )  # fmt: skip
        yield Figure(
            id=f"P6/{monitors}/cpu", name=f"   its CPU, {monitors} monitors", unit="s",
            values=tuple(ended.cpu_s for ended in passes),
            yardstick=f"a bare script, {monitors} GETs" if monitors else "starting Python",
            yardstick_values=bench.yardsticks.script_cpu_s(monitors) if monitors else bench.yardsticks.start_cpu_s,
        )  # fmt: skip
