"""The daemon under load: CPU for each check, lateness, start-up, memory."""

import time
from collections.abc import Iterator

from benchmarks import fleet, processes
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib.rules.phase import phase

MONITORS = 200
HANGING = 20
INTERVAL_S = 5.0
STRATEGY = {
    "interval": f"{INTERVAL_S:g}s", "timeout": "3s", "confirm": ["1s", "2s"], "recover_confirm": "2s",
    "fail_threshold": 3, "recovery_threshold": 2,
}  # fmt: skip
_MB = 1e6


def measure(bench: Bench) -> Iterator[Figure]:
    """P1, P4, P5 and P3, at what two cores and a minute allow."""
    yield from _cost_of_checks(bench)
    yield from _lateness(bench)
    yield from _start(bench)


def _cost_of_checks(bench: Bench) -> Iterator[Figure]:
    company = fleet.make_fleet(bench.folder / "load", bench.targets, MONITORS, STRATEGY)
    bench.targets.arrivals()
    with fleet.ended(company):
        pid, _ = fleet.start(company)
        fleet.wait_until_all_seen(bench.targets, MONITORS, 40)
        alone = tuple(_cost_ms(bench, pid) for _ in range(bench.runs))
        with fleet.dashboard(company):
            watched = tuple(_cost_ms(bench, pid) for _ in range(bench.runs))
    rate = MONITORS / INTERVAL_S
    yield Figure(
        id="P1", name=f"P1 CPU per HTTP check, {MONITORS} monitors at {INTERVAL_S:g} s", unit="ms", goal=0.16,
        values=watched, yardstick="a bare GET", yardstick_values=bench.yardsticks.get_cpu_ms, ratio_goal=2.5,
        note="daemon with store and one open dashboard, everything it does divided by its checks; the goal's own "
        "scale is 2000 monitors at 20 s",
    )  # fmt: skip
    yield Figure(
        id="P1/alone", name="P1 the same, nobody looking", unit="ms", values=alone,
        yardstick=f"a bare GET, {rate:g} a second", yardstick_values=bench.yardsticks.paced_get_cpu_ms(rate, 5.0),
        note="beside a bare process that does the same GETs at the same pace, and sleeps in between as the daemon does",
    )  # fmt: skip


def _cost_ms(bench: Bench, pid: int) -> float:
    """CPU of the daemon for each check, over one round."""
    bench.targets.arrivals()
    before = processes.cpu_s(pid)
    time.sleep(INTERVAL_S)
    used = processes.cpu_s(pid) - before
    return used / sum(len(times) for times in bench.targets.arrivals().values()) * 1000


def _lateness(bench: Bench) -> Iterator[Figure]:
    company = fleet.make_fleet(bench.folder / "late", bench.targets, MONITORS, STRATEGY, hanging=HANGING)
    bench.targets.arrivals()
    rounds = []
    with fleet.ended(company):
        fleet.start(company)
        fleet.wait_until_all_seen(bench.targets, MONITORS, 40)
        time.sleep(INTERVAL_S)  # the first looks are off the beat
        for _ in range(bench.runs):
            bench.targets.arrivals()
            time.sleep(INTERVAL_S)
            late = sorted(
                _late_ms(path, at)
                for path, times in bench.targets.arrivals().items()
                if path.startswith("/well/")
                for at in times
            )
            rounds.append(late[int(0.99 * (len(late) - 1))])
        skipped = fleet.metric(company, "defib_scheduler_overruns_total")
    yield Figure(
        id="P4", name=f"P4 lateness p99, {HANGING} of {MONITORS} targets hang", unit="ms", goal=50.0,
        values=tuple(rounds),
        note=f"of the healthy ones, from a look's due time to its request at the target; {skipped:g} turns skipped",
    )  # fmt: skip


def _late_ms(path: str, at: float) -> float:
    """How long after its turn a target was asked; a clock that was set back a little makes it 0."""
    turn = phase(f"m-{path.rpartition('/')[2]}", INTERVAL_S)
    late = (at - turn) % INTERVAL_S
    return 0.0 if late > INTERVAL_S * 0.98 else late * 1000


def _start(bench: Bench) -> Iterator[Figure]:
    pages, costs, rounds, sizes = [], [], [], []
    for number in range(bench.runs if not bench.is_quick else 1):
        company = fleet.make_fleet(bench.folder / f"start-{number}", bench.targets, 1000, "normal")
        bench.targets.arrivals()
        with fleet.ended(company):
            began = time.time()
            pid, page = fleet.start(company)
            costs.append(processes.cpu_s(pid))
            seen = fleet.wait_until_all_seen(bench.targets, 1000, 60)
            pages.append(page)
            rounds.append(max(times[0] for times in seen.values()) - began)
            sizes.append(processes.resident_bytes(pid) / _MB)
    yield Figure(
        id="P5/page", name="P5 first page served, 1000 monitors", unit="s", goal=1.5, values=tuple(pages),
        note="from starting the process on an empty folder: it makes its store, too",
    )  # fmt: skip
    yield Figure(
        id="P5/cpu", name="   its CPU until then", unit="s", values=tuple(costs), yardstick="starting Python",
        yardstick_values=bench.yardsticks.start_cpu_s,
    )  # fmt: skip
    yield Figure(
        id="P5/all", name="P5 all of 1000 monitors looked at", unit="s", goal=12.0, values=tuple(rounds),
        note="the first looks are spread over 10 s on purpose",
    )  # fmt: skip
    yield Figure(
        id="P3/1000", name="P3 memory, 1000 monitors", unit="MB resident", goal=110.0, values=tuple(sizes),
        note="once all have been looked at",
    )  # fmt: skip
    empty = fleet.make_fleet(bench.folder / "empty", bench.targets, 0, "normal")
    with fleet.ended(empty):
        pid, _ = fleet.start(empty)
        size = processes.resident_bytes(pid) / _MB
    yield Figure(id="P3/0", name="P3 memory, no monitors", unit="MB resident", goal=80.0, values=(size,))
