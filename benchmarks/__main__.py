"""``python -m benchmarks``: measure, print, write, and compare the ratios with those of an earlier run.

Exit status 1: a ratio is more than 20 % above the one kept in ``baseline.json``, or something could not be measured.
Figures that miss their goal do not change it.
"""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import (
    agents,
    alerts,
    baseline,
    beats,
    daemon,
    decisions,
    founding,
    lone_agent,
    pages,
    passes,
    real_detection,
    real_recovery,
    reports,
    sim,
    storage,
)
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Setting, print_table, write_json
from benchmarks.targets import Targets
from benchmarks.yardsticks import Yardsticks

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
RESULTS = HERE / "results"

GROUPS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "founding": founding.measure,
    "alerts": alerts.measure,
    "passes": passes.measure,
    "daemon": daemon.measure,
    "agents": agents.measure,
    "agent": lone_agent.measure,
    "beats": beats.measure,
    "decisions": decisions.measure,
    "storage": storage.measure,
    "pages": pages.measure,
    "reports": reports.measure,
    "sim": sim.measure,
    "real": real_detection.measure,
    "recovery": real_recovery.measure,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = _parser().parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 160)
    setting = Setting.now(is_quick=options.quick)
    figures, failed = _measure(options.names or list(GROUPS), is_quick=options.quick)
    if not figures:
        return 1
    print_table(figures, setting, console)
    file = options.json or RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%SZ}.json"
    write_json(figures, setting, file)
    print(f"Every value is in {file}")
    if options.update_baseline:
        baseline.update(figures, BASELINE)
        return int(failed)
    worse = baseline.regressions(figures, BASELINE)
    for regression in worse:
        print(f"REGRESSION {regression}", file=sys.stderr)
    return int(failed or bool(worse))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What Defib costs, measured.")
    parser.add_argument("names", nargs="*", choices=[*GROUPS, []], metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: under two minutes")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="where every value goes; else benchmarks/results/"
    )
    parser.add_argument(
        "--update-baseline", action="store_true", help="keep this run's ratios for comparison"
    )
    return parser


def _measure(names: Sequence[str], *, is_quick: bool) -> tuple[list[Figure], bool]:
    """What could be measured, and whether something could not."""
    figures: list[Figure] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="defib-bench-") as scratch, Targets() as targets:
        yardsticks = Yardsticks(targets, Path(scratch), runs=3 if is_quick else 7)
        for name in names:
            print(f"{name} …", end=" ", file=sys.stderr, flush=True)
            folder, began = Path(scratch) / name, time.perf_counter()
            folder.mkdir()
            bench = Bench(folder=folder, targets=targets, yardsticks=yardsticks, is_quick=is_quick)
            try:
                figures += GROUPS[name](bench)
            except Exception:  # noqa: BLE001 - one group that fails takes no other with it
                failed = True
                traceback.print_exc()
            print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    return figures, failed


if __name__ == "__main__":
    sys.exit(main())
