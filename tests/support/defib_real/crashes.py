"""Defib is killed while it recovers something, at moments that a seed chooses, and another takes over.

The truth is what the restart script itself noted each time it ran, beside the store that the two Defibs left.
"""

import itertools
import os
import shlex
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random

from defib_real.profiles import FIRST_SERVED
from defib_testkit.company import Company
from defib_testkit.victim_handle import Victim, close_all
from defib_testkit.waiting import wait_until

_PATIENCE_S = 60.0
_PASSES = 8  #: that a case may take at most
_EVERYTHING_AT_ONCE = {"burst": 1000, "refill": "1s"}  #: for so many faults in so short a time


class Way(StrEnum):
    """How Defib runs."""

    DAEMON = "daemon"
    PASSES = "passes"


class Phase(StrEnum):
    """What the store shows right before the death is due."""

    LOOKING = "looking"
    INTENT = "intent"
    ACTING = "acting"
    VERIFYING = "verifying"


_SHOWN_BY: Mapping[Phase, str] = {
    Phase.LOOKING: "SELECT 1 FROM recovery_case WHERE monitor = ? AND state NOT IN ('pending', 'gated')",
    Phase.INTENT: "SELECT 1 FROM attempt WHERE monitor = ?",
    Phase.ACTING: "SELECT 1 FROM attempt WHERE monitor = ? AND started_at IS NOT NULL",
    Phase.VERIFYING: "SELECT 1 FROM attempt WHERE monitor = ? AND ended_at IS NOT NULL",
}
_WITHIN_S: Mapping[Phase, float] = {
    Phase.LOOKING: 0.1, Phase.INTENT: 0.002, Phase.ACTING: 0.8, Phase.VERIFYING: 1.5,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When Defib dies."""

    phase: Phase
    after_s: float  #: seconds after the store first shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What became of one fault in which Defib was killed."""

    moment: Moment
    way: Way
    died_in: str  #: the state of the case that the dead left; "" when there was none yet
    ran: tuple[str, ...]  #: each run of the script: incident and attempt
    outcomes: tuple[str, ...]  #: of the attempts that the store has
    open_cases: int
    is_up: bool

    @property
    def executed_twice(self) -> bool:
        """The same attempt ran again, or another one although the first had brought the target back."""
        return len(self.ran) > 1

    @property
    def went_on(self) -> bool:
        return (
            self.is_up and self.open_cases == 0 and self.outcomes[-1:] == ("verified",) and len(self.ran) > 0
        )

    def __str__(self) -> str:
        return (
            f"{self.way}, {self.moment.after_s * 1000:.0f} ms after {self.moment.phase}, "
            f"in {self.died_in or 'nothing'}: ran {list(self.ran)}, outcomes {list(self.outcomes)}, "
            f"{self.open_cases} cases open, {'up' if self.is_up else 'not up'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """All of it."""

    stories: tuple[Story, ...]
    audits: tuple[str, ...]  #: what 'defib doctor --audit' found wrong, world by world; "" for nothing


def plan(seed: int, count: int) -> list[tuple[Way, Moment]]:
    """All phases as often, each at a time of its own; a daemon twice as often as a pass."""
    random = Random(seed)
    turns = itertools.product((Way.DAEMON, Way.PASSES, Way.DAEMON), Phase)
    return [
        (way, Moment(phase=phase, after_s=random.uniform(0.0, _WITHIN_S[phase])))
        for way, phase in itertools.islice(itertools.cycle(turns), count)
    ]


def play(
    folder: Path, planned: Sequence[tuple[Way, Moment]], *, at_once: int = 2, in_a_world: int = 10,
    progress: Callable[[Story], None] = lambda story: None,
) -> Campaign:  # fmt: skip
    """Kill Defib once for each entry of ``planned``, each time in another fault.

    :param folder: scratch, empty.
    :param at_once: worlds that are played beside one another.
    :param in_a_world: faults one after the other under the same store, each of another victim.
    """
    worlds = list(_batches(planned, in_a_world))

    def one(number: int) -> tuple[list[Story], str]:
        world = folder / f"world-{number}"
        world.mkdir()
        return _play_world(world, *worlds[number], progress)

    with ThreadPoolExecutor(at_once) as pool:
        played = list(pool.map(one, range(len(worlds))))
    return Campaign(
        stories=tuple(story for stories, _ in played for story in stories),
        audits=tuple(audit for _, audit in played),
    )


def _batches(planned: Iterable[tuple[Way, Moment]], most: int) -> Iterator[tuple[Way, list[Moment]]]:
    by_way: dict[Way, list[Moment]] = {}
    for way, moment in planned:
        by_way.setdefault(way, []).append(moment)
    for way, listed in by_way.items():
        for first in range(0, len(listed), most):
            yield way, listed[first : first + most]


def _play_world(
    folder: Path, way: Way, planned: Sequence[Moment], progress: Callable[[Story], None]
) -> tuple[list[Story], str]:
    victims = [Victim(folder, launcher=FIRST_SERVED) for _ in planned]
    with closing(Company(folder)) as company:
        try:
            for victim in victims:
                victim.start(wait=False)
            for victim in victims:
                victim.wait_until_up()
            ran = _configure(company, victims)
            _look_at_all(company, way, len(victims))
            stories = []
            for number, moment in enumerate(planned):
                stories.append(_episode(company, way, moment, f"victim-{number}", victims[number], ran))
                progress(stories[-1])
            assert company.stop() == 0
            audit = company.defib("doctor", "--audit")
            return stories, "" if audit.returncode == 0 else audit.stdout + audit.stderr
        finally:
            close_all(victims)


def _configure(company: Company, victims: Sequence[Victim]) -> Path:
    """Give each victim a monitor and a restart script; returns the file in which scripts note that they run."""
    company.launcher = FIRST_SERVED
    ran = company.folder / "ran"
    for number, victim in enumerate(victims):
        inner = victim.restart_script(company.folder, f"inner-{number}.sh")
        script = company.folder / f"restart-{number}.sh"
        script.write_text(
            f'#!/bin/sh\necho "$DEFIB_MONITOR $DEFIB_INCIDENT/$DEFIB_ATTEMPT" >> {shlex.quote(str(ran))}\n'
            f"sleep 0.4\n{shlex.quote(str(inner))}\nsleep 0.4\n"
        )
        script.chmod(0o755)
        monitor = {"id": f"victim-{number}", "type": "http", "url": victim.url}
        company.watch(monitor, {"script": {"file": script.name, "timeout": "10s"}})
    company.set(recovery=_EVERYTHING_AT_ONCE)
    return ran


def _look_at_all(company: Company, way: Way, count: int) -> None:
    up = "SELECT count(*) FROM health WHERE state = 'up'"
    if way is Way.DAEMON:
        company.serve()
        wait_until(lambda: company.rows(up) == [(count,)], _PATIENCE_S, "all victims to be up")
    else:
        assert company.run_pass("--all").returncode == 0
        assert company.rows(up) == [(count,)]


def _episode(company: Company, way: Way, moment: Moment, monitor: str, victim: Victim, ran: Path) -> Story:
    os.kill(int(victim.pidfile.read_text()), signal.SIGKILL)
    if way is Way.DAEMON:
        _wait_for(company, moment, monitor)
        company.kill()
    else:
        with company.start_pass() as first:
            _wait_for(company, moment, monitor)
            first.kill()
    case = company.rows("SELECT state FROM recovery_case WHERE monitor = ?", monitor)
    if way is Way.DAEMON:
        company.serve()
        _wait_for_the_end(company, monitor)
    else:
        for _ in range(_PASSES):
            company.run_pass("--all")
            if _is_over(company, monitor):
                break
    return Story(
        moment=moment, way=way, died_in=case[-1][0] if case else "",
        ran=tuple(line.split()[1] for line in ran.read_text().splitlines() if line.startswith(f"{monitor} ")),
        outcomes=tuple(
            row[0] for row in company.rows("SELECT outcome FROM attempt WHERE monitor = ? ORDER BY intent_at", monitor)
        ),
        open_cases=len(_open_cases(company, monitor)), is_up=company.state(monitor) == "up",
    )  # fmt: skip


def _wait_for(company: Company, moment: Moment, monitor: str) -> None:
    """Return at the moment. The store is asked without a pause worth the name: an intent lasts for milliseconds."""
    deadline = time.monotonic() + _PATIENCE_S
    query = _SHOWN_BY[moment.phase]
    with closing(sqlite3.connect(f"file:{company.store}?mode=ro", uri=True, timeout=10)) as store:
        while store.execute(query, (monitor,)).fetchone() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{monitor} was never {moment.phase}:\n{company.log.read_text()[-3000:]}")
            time.sleep(0.0005)
    time.sleep(moment.after_s)


def _wait_for_the_end(company: Company, monitor: str) -> None:
    try:
        wait_until(lambda: _is_over(company, monitor), _PATIENCE_S)
    except TimeoutError:
        return  # what is not over by then is a result


def _is_over(company: Company, monitor: str) -> bool:
    return (
        company.state(monitor) == "up"
        and not _open_cases(company, monitor)
        and bool(company.rows("SELECT 1 FROM incident WHERE monitor = ?", monitor))
    )


def _open_cases(company: Company, monitor: str) -> list[tuple[object, ...]]:
    return company.rows("SELECT 1 FROM recovery_case WHERE monitor = ? AND closed_at IS NULL", monitor)
