"""How well silence is judged: heartbeats over the production engine on virtual time, weeks of them in minutes."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.figures import Figure
from defib_sim.beat_scenarios import BEAT_SCENARIOS, live, mistakes, seconds
from defib_sim.beating import Line, agent, plain
from defib_sim.counting import percentile

SENDERS = 30
BEATS_A_RUN = 260_000
LIVES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of the design's table 1.6, at 1 % loss."""

    name: str
    line: Line
    misses: int
    suspected_a_day: float
    faults_a_day: float


_TABLE = (
    _Row(name="η 10 s, plain, m 2", line=plain(10.0), misses=2, suspected_a_day=108, faults_a_day=1.33),
    _Row(name="η 10 s, plain, m 3", line=plain(10.0), misses=3, suspected_a_day=108, faults_a_day=0.05),
    _Row(name="η 30 s, plain, m 2", line=plain(30.0), misses=2, suspected_a_day=31.2, faults_a_day=0.26),
    _Row(name="η 30 s, plain, m 3", line=plain(30.0), misses=3, suspected_a_day=31.2, faults_a_day=0.0),
    _Row(name="η 30 s, agent, m 2", line=agent(30.0), misses=2, suspected_a_day=1.9, faults_a_day=0.007),
)


def measure_beats(less: int, seed: int) -> Iterator[Figure]:
    """Mistakes a day of senders that live, and how soon the death of one is found.

    :param less: times fewer of everything.
    """
    for row in _TABLE:
        yield from _mistakes(row, less, seed)
    for scenario in BEAT_SCENARIOS:
        result = live(scenario, lives=LIVES // less, seed=seed)
        complaints = result.complaints()
        if scenario.within_s is not None:
            times = result.detection_s
            yield Figure(
                id=f"S/beats/{scenario.name}/p99", name=f"S beats: {scenario.name}: detection p99", unit="s",
                goal=scenario.within_s, values=(percentile(times, 0.99),),
                note=f"p50/p95/p99/max {seconds(times)} s; found {result.found}; seed {seed}",
            )  # fmt: skip
        yield Figure(
            id=f"S/beats/{scenario.name}/complaints", name=f"S beats: {scenario.name}: what is owed and missing",
            unit="complaints", goal=0, values=(len(complaints),),
            note="; ".join(complaints) or f"{len(result.lives)} lives, at most {result.suspicions} suspicions in one",
        )  # fmt: skip


def _mistakes(row: _Row, less: int, seed: int) -> Iterator[Figure]:
    days = BEATS_A_RUN / less * row.line.eta_s / 86400 / SENDERS
    found = mistakes(row.line, row.misses, senders=SENDERS, days=days, seed=seed)
    seen = f"{found.sender_days:.1f} sender-days, {found.beats} beats"
    yield Figure(
        id=f"S/beats/{row.name}/suspicions", name=f"S beats, {row.name}, 1 % lost: suspicions", unit="a day",
        goal=1.1 * row.suspected_a_day, values=(found.suspected_a_day,),
        note=f"{found.suspected} in {seen}; the design's model: {row.suspected_a_day:g}; seed {seed}",
    )  # fmt: skip
    yield Figure(
        id=f"S/beats/{row.name}/faults", name=f"S beats, {row.name}, 1 % lost: false faults", unit="a day",
        goal=(1.05 * found.silences + 1) / found.sender_days, values=(found.faults_a_day,),
        note=f"{found.faults} in {seen}, in which {found.silences} silences lasted as long as a fault takes; the "
        f"design's model: {row.faults_a_day:g} a day; seed {seed}",
    )  # fmt: skip
