"""Plays scenarios on all cores, and keeps what came of every episode."""

import csv
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from defib.model.alert import AlertKind
from defib.model.strategy import Strategy
from defib_sim.playing import play
from defib_sim.results import Result
from defib_sim.scenarios import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One scenario under one strategy, so many episodes of it."""

    scenario: Scenario
    strategy: Strategy
    episodes: int


@dataclass(slots=True, kw_only=True)
class Plays:
    """Each play is played once, whoever asks for it. Nothing of a result depends on how many cores there are."""

    pool: ProcessPoolExecutor
    seed: int
    _asked: dict[tuple[str, float, str, int], Future[Result]] = field(default_factory=dict)

    def begin(self, plays: Iterable[Play]) -> None:
        """Begin with these, in this order."""
        for item in plays:
            self._future(item)

    def result(self, scenario: Scenario, strategy: Strategy, episodes: int) -> Result:
        """Wait for a play; begin with it if nobody has."""
        return self._future(Play(scenario=scenario, strategy=strategy, episodes=episodes)).result()

    def _future(self, item: Play) -> Future[Result]:
        key = (item.scenario.name, item.scenario.lasts_s, item.strategy.name, item.episodes)
        if key not in self._asked:
            self._asked[key] = self.pool.submit(
                play, item.scenario, item.strategy, episodes=item.episodes, seed=self.seed
            )
        return self._asked[key]

    def write_csv(self, file: Path) -> None:
        """One row for each target of each episode."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(_HEADINGS)
            for future in self._asked.values():
                table.writerows(_rows(future.result()))


_HEADINGS = (
    "scenario", "strategy", "seed", "episode", "role", "watched_s", "faults", "found", "detection_s", "outage_s",
    "declared", "false_faults", "restarts", "false_restarts", "calls",
)  # fmt: skip


def _rows(result: Result) -> Iterable[tuple[object, ...]]:
    for story in result.stories:
        first = story.faults[0] if story.faults else None
        yield (
            result.scenario.name, result.strategy, result.seed, story.episode, story.role, f"{story.watched_s:.0f}",
            len(story.faults), sum(fault.found is not None for fault in story.faults),
            _seconds(first.detection_s if first else None), _seconds(first.outage_s if first else None),
            len(story.alarms), story.false_faults, len(story.restarts), story.false_restarts,
            sum(note.event is AlertKind.DOWN for note in story.notes),
        )  # fmt: skip


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def pool(workers: int) -> ProcessPoolExecutor:
    """Processes that begin afresh: the one that measures has threads."""
    return ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn"))
