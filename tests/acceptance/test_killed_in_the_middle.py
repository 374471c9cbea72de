"""Defib is killed at seeded moments of a recovery, as daemon and as pass: nothing runs twice, every case goes on.

The benchmark group ``recovery`` does it two hundred times; ``test_crash_safety.py`` looks at the messages as well.
"""

from pathlib import Path

import pytest

from defib_real import crashes
from defib_real.crashes import Phase, Way
from defib_testkit import processes

pytestmark = [pytest.mark.xdist_group("killed"), pytest.mark.timeout(300)]

SEED = 8421
MOMENTS = 8  #: each phase once as daemon and once as pass


def test_whenever_defib_is_killed_nothing_runs_twice_and_every_case_goes_on(kit_tmp: Path) -> None:
    processes.adopt_orphans()
    plan = crashes.plan(SEED, MOMENTS)

    campaign = crashes.play(kit_tmp, plan)

    assert sorted((way, moment.phase) for way, moment in plan) == sorted(
        [(way, phase) for way in Way for phase in Phase]
    )
    assert [str(story) for story in campaign.stories if story.executed_twice] == []
    assert [str(story) for story in campaign.stories if not story.went_on] == []
    assert len(campaign.stories) == MOMENTS
    assert campaign.audits == ("", "")
