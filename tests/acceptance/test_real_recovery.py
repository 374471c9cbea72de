"""Everything that Defib repairs, or must leave alone, under one real daemon: scenarios 1 to 3, 8, 9 and 13 to 19.

Live processes, a real Docker Engine and a real PostgreSQL, at an accelerated pace but with Defib's own holds. The
benchmark group ``recovery`` plays the same with more episodes, and with the preset that users have.
"""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from defib_real import dramas, recoveries
from defib_real.profiles import ACCELERATED
from defib_real.recoveries import Story
from defib_sim.counting import percentile
from defib_testkit import processes
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.postgres_cluster import PostgresCluster

pytestmark = [pytest.mark.xdist_group("real-recovery"), pytest.mark.timeout(300)]

SEED = 20260105
EACH = 4
BUSY_S = 6.0  #: what a busy machine may add to anything
FIXABLE = ("crash", "hang", "500s", "container killed", "database killed", "slow boot", "group")
LEFT_ALONE = ("pause", "deploy", "container deployed", "behind the database", "host", "on the host")

Stories = Mapping[str, list[Story]]


@pytest.fixture(scope="module")
def stories(
    tmp_path_factory: pytest.TempPathFactory, shared_docker: DockerEngine, shared_postgres: PostgresCluster
) -> Stories:
    processes.adopt_orphans()
    cast = recoveries.Cast(tmp_path_factory.mktemp("cast"))
    dramas.hard(cast, EACH, boot_s=1.0)
    dramas.pauses(cast, 2.0, 4.0, 8.0)
    dramas.deploys(cast, 6.0)
    dramas.containers(cast, shared_docker, deploy_s=14.0)
    dramas.database(cast, shared_postgres)
    dramas.unfixable(cast, 1, start_timeout="4s")
    dramas.relapsing(cast, well_for_s=1.0, most=3)
    dramas.slow_boots(cast, 15.0)
    dramas.group(cast, 5, boot_s=0.5)
    dramas.host(cast, 10, lasts_s=12.0)
    played, errors = recoveries.play(cast, ACCELERATED, seed=SEED, over_s=8.0, patience_s=40.0)
    shared_docker.clean()
    assert errors == ()
    assert all(played.values())
    return played


@pytest.mark.parametrize("name", FIXABLE)
def test_what_a_restart_repairs_is_repaired_by_exactly_one(stories: Stories, name: str) -> None:
    for story in stories[name]:
        assert [item.outcome for item in story.tries] == ["verified"], story
        assert story.ran in (1, None), story
        assert story.is_up, story
        assert story.healed_by_defib, story
        assert story.case[0] == "done", story


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_what_comes_back_by_itself_or_is_not_to_blame_is_left_alone(stories: Stories, name: str) -> None:
    for story in stories[name]:
        assert story.tries == (), story
        assert story.ran in (0, None), story
        assert story.is_up, story


def test_a_recovery_is_verified_soon_after_its_target_is_ready(stories: Stories) -> None:
    late = [late_s for name in FIXABLE for story in stories[name] for late_s in story.late_s]

    assert percentile(late, 0.5) <= 3.0
    assert max(late) <= 3.0 + BUSY_S


def test_what_no_restart_repairs_is_given_to_a_person(stories: Stories) -> None:
    [story] = stories["unfixable"]

    assert [item.outcome for item in story.tries] == ["failed", "failed"]
    assert story.ran == 2
    assert story.kinds() == ["down", "recovery_failed"]
    assert story.case[0] == "needs-human"
    paged = story.told_after_s("recovery_failed")
    assert paged is not None
    assert paged <= 180


def test_what_falls_again_and_again_is_called_a_crash_loop(stories: Stories) -> None:
    [story] = stories["relapsing"]

    assert [item.has_relapsed for item in story.tries] == [True, True, True]
    assert story.kinds().count("crash_looping") == 1
    assert story.ran == 3


def test_a_group_that_falls_as_a_whole_is_restarted_one_by_one_and_told_once(stories: Stories) -> None:
    members = stories["group"]
    turns = sorted((item.started, item.verified) for story in members for item in story.tries)

    assert len(turns) == 5
    assert all(verified is not None and after >= verified for (_, verified), (after, _) in pairwise(turns)), (
        turns
    )
    assert sum(story.kinds().count("down") for story in members) == 1


def test_of_a_host_that_goes_away_only_the_host_is_told(stories: Stories) -> None:
    [box] = stories["host"]

    assert box.kinds() == ["down", "recovered"]
    assert [story.kinds() for story in stories["on the host"]] == [[]] * 10
    assert all("unreachable" in story.states for story in stories["on the host"])


def test_what_needs_a_broken_database_is_not_restarted_and_comes_back_with_it(stories: Stories) -> None:
    [app] = stories["behind the database"]

    assert app.kinds() == []
    assert app.states[-2:] == ("unreachable", "up")


def test_a_deploy_of_a_container_that_is_only_seen_by_http_is_left_alone(stories: Stories) -> None:
    """Its end without an error is what its supervisor tells: the silence had lasted longer than any hold."""
    [story] = stories["container deployed"]

    assert "fault" in story.states
    assert story.case == ("aborted", "recovered by itself")
