"""Trouble of Defib's own, done to a real daemon that watches healthy targets: scenarios 10 to 12.

Nobody is accused, and nothing is restarted. The campaigns mostly wait, so they run beside one another; the benchmark
group ``real`` plays longer ones, one at a time.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from defib_real import campaigns
from defib_real.bystanders import Outcome
from defib_real.campaigns import TARGETS
from defib_real.profiles import ACCELERATED
from defib_testkit import processes

pytestmark = [pytest.mark.xdist_group("real-observer"), pytest.mark.timeout(300)]

CAMPAIGNS: Mapping[str, Callable[[Path], Outcome]] = {
    "link switched off": lambda folder: campaigns.network_away(folder, ACCELERATED, "own", (14.0,)),
    "link without carrier": lambda folder: campaigns.network_away(folder, ACCELERATED, "carrier", (14.0,)),
    "nothing behind the switch": lambda folder: campaigns.network_away(
        folder, ACCELERATED, "beyond", (14.0,)
    ),
    "loop blocked": lambda folder: campaigns.loop_blocked(folder, ACCELERATED, (1.0, 6.0)),
    "no CPU": lambda folder: campaigns.starved_of_cpu(
        folder, ACCELERATED, hogs=4, seconds=8.0, repetitions=1
    ),
    "no descriptors": lambda folder: campaigns.out_of_files(folder, ACCELERATED, spare=(0, 2), seconds=5.0),
    "stopped": lambda folder: campaigns.stopped(folder, ACCELERATED, (10.0,)),
    "clock set": lambda folder: campaigns.clock_stepped(folder, ACCELERATED, (3600.0, 0.0)),
}
AWAY = ("link switched off", "link without carrier", "nothing behind the switch")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Future[Outcome]]:
    """Every campaign; one that this machine cannot play raises its skip where it is asked for."""
    processes.adopt_orphans()
    with ThreadPoolExecutor(len(CAMPAIGNS), thread_name_prefix="campaign") as pool:
        return {
            name: pool.submit(play, tmp_path_factory.mktemp(name.replace(" ", "-")))
            for name, play in CAMPAIGNS.items()
        }


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_nobody_is_accused_of_trouble_that_is_our_own(
    ended: Mapping[str, Future[Outcome]], name: str
) -> None:
    outcome = ended[name].result()

    assert outcome.result.complaints() == []
    assert outcome.result.episodes >= TARGETS
    assert outcome.result.false_faults == 0
    assert sum(outcome.result.restarts) == 0
    assert Counter(notice.kind for notice in outcome.records.notices if notice.monitor) == {}
    assert outcome.asked >= 4 * TARGETS  # they were looked at, before and after


@pytest.mark.parametrize("name", AWAY)
def test_people_are_told_once_that_defib_lost_its_network(
    ended: Mapping[str, Future[Outcome]], name: str
) -> None:
    outcome = ended[name].result()

    assert [notice.kind for notice in outcome.own_notices] == ["observer_sick"]
    verdicts = [entry["verdict"] for entry in outcome.log if entry["event"] == "verdict of the canaries"]
    # what failed is no failure of theirs once it is over
    assert ("network-down", "clear") in pairwise(verdicts)


def test_time_in_which_the_loop_was_blocked_is_unknown(ended: Mapping[str, Future[Outcome]]) -> None:
    outcome = ended["loop blocked"].result()

    assert outcome.logged("event loop held up") >= 1
    assert 5.0 < outcome.result.unwatched_s[0] < 12.0
    assert outcome.own_notices == []


def test_a_defib_without_descriptors_knows_that_it_is_deaf(ended: Mapping[str, Future[Outcome]]) -> None:
    outcome = ended["no descriptors"].result()

    assert outcome.logged("verdict of the canaries", verdict="sick") >= 1


def test_time_in_which_defib_was_stopped_is_unknown(ended: Mapping[str, Future[Outcome]]) -> None:
    outcome = ended["stopped"].result()

    assert outcome.logged("a gap in time", kind="stalled") == 1
    assert 9.0 < outcome.result.unwatched_s[0] < 13.0
    assert outcome.own_notices == []


def test_an_hour_that_the_clock_skipped_is_unknown(ended: Mapping[str, Future[Outcome]]) -> None:
    outcome = ended["clock set"].result()

    assert outcome.logged("a gap in time", kind="clock-step") == 2
    assert 3590.0 < outcome.result.unwatched_s[0] < 3610.0
    assert outcome.own_notices == []
