"""``restart_container.sh``: one container, restarted and seen to stay up."""

from pathlib import Path

import pytest

from script_stage import (
    CONTAINER,
    DONE,
    HANGS,
    ID,
    NO_CONTAINER,
    NO_DAEMON,
    Reply,
    Stage,
    assert_failed,
    container,
    usual,
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_docker_host_is_handed_on(stage: Stage) -> None:
    usual(stage, CONTAINER)
    assert stage.run(CONTAINER, "gateway", DOCKER_HOST="ssh://ops@elsewhere").status == 0
    assert {record["env"]["DOCKER_HOST"] for record in stage.records} == {"ssh://ops@elsewhere"}


def test_the_stop_timeout_is_handed_on(stage: Stage) -> None:
    usual(stage, CONTAINER)
    assert stage.run(CONTAINER, "gateway", "--stop-timeout", "3").status == 0
    assert stage.changes == ["docker restart -t 3 -- gateway"]


def test_warnings_of_docker_do_not_confuse(stage: Stage) -> None:
    warning = "WARNING: Error loading config file: /home/ops/.docker/config.json: permission denied\n"
    stage.program(
        "docker",
        ("inspect", [{**container(), "err": warning}, {**container(at=5), "err": warning}]),
        ("restart", [DONE]),
    )
    assert stage.run(CONTAINER, "gateway").status == 0


@pytest.mark.parametrize(
    ("name", "reply", "status", "says"),
    [
        ("gateway", NO_CONTAINER, 3, "no container is called gateway; compare: docker ps --all"),
        (
            "gateway",
            {"err": 'Error: no such container "gateway"\n', "status": 125},
            3,
            "no container is called",
        ),
        ("15db", container(), 3, "no container is called 15db, only an id begins so"),
        ("abc", container(), 3, "Docker found another one"),
        ("gateway", container("paused"), 4, "docker unpause gateway"),
        ("gateway", container("dead"), 4, "is dead; create it anew"),
        ("gateway", container("removing"), 4, "is removing"),
        ("gateway", NO_DAEMON, 6, "Is the docker daemon running?): is it running, and is DOCKER_HOST right?"),
        (
            "gateway",
            {"err": "permission denied while trying to connect to the Docker daemon socket\n", "status": 1},
            6,
            "add Defib's user to the group docker",
        ),
        ("gateway", HANGS, 6, "Docker did not answer within 4 s"),
    ],
)
def test_a_container_is_left_alone(stage: Stage, name: str, reply: Reply, status: int, says: str) -> None:
    stage.program("docker", ("inspect", [reply]))
    outcome = stage.run(CONTAINER, name, "--force")
    assert_failed(outcome, status, says)
    assert stage.changes == []
    assert outcome.took_s < 15


def test_a_long_id_names_a_container(stage: Stage) -> None:
    usual(stage, CONTAINER)
    assert stage.run(CONTAINER, ID[:12]).status == 0
    assert stage.changes == [f"docker restart -- {ID[:12]}"]


def test_a_refused_restart_of_a_container_is_told(stage: Stage) -> None:
    refusal = (
        "Error response from daemon: Cannot restart container gateway: driver failed programming external "
        "connectivity on endpoint gateway: Bind for 0.0.0.0:8080 failed: port is already allocated\n"
    )
    stage.program("docker", ("inspect", [container()]), ("restart", [{"err": refusal, "status": 1}]))
    assert_failed(
        stage.run(CONTAINER, "gateway"),
        1,
        "port is already allocated; look at: docker logs --tail 50 gateway",
    )
    assert stage.changes == ["docker restart -- gateway"]


NOT_RUNNING = {
    "err": f"Error response from daemon: Cannot kill container: gateway: Container {ID} is not running\n",
    "status": 1,
}


@pytest.mark.parametrize(
    "restart", [{"err": "Error response from daemon: tried to kill container\n", "status": 1}, HANGS]
)
@pytest.mark.parametrize("kill", [DONE, NOT_RUNNING])
def test_force_kills_and_starts_where_the_restart_fails(stage: Stage, restart: Reply, kill: Reply) -> None:
    stage.program(
        "docker",
        ("inspect", [container(), container(at=9)]),
        ("restart", [restart]),
        ("kill", [kill]),
        ("start", [DONE]),
    )
    outcome = stage.run(CONTAINER, "gateway", "--force", "--wait", "9")
    assert outcome.status == 0, outcome
    assert outcome.out.startswith("killed and started container gateway: running, after ")
    assert stage.changes == ["docker restart -- gateway", "docker kill -- gateway", "docker start -- gateway"]


@pytest.mark.parametrize(
    ("kill", "start", "status", "says"),
    [
        (
            {"err": "Error: did not receive an exit event\n", "status": 1},
            DONE,
            1,
            "cannot kill container gateway: Error",
        ),
        (HANGS, DONE, 1, "docker kill gateway hangs: the daemon is stuck"),
        (
            DONE,
            {"err": "Error: no space left on device\n", "status": 1},
            1,
            "cannot start container gateway: Error: no space",
        ),
        (DONE, HANGS, 5, "is killed and not started after 6 s; try: docker start gateway"),
    ],
)
def test_a_failing_kill_or_start_is_told(
    stage: Stage, kill: Reply, start: Reply, status: int, says: str
) -> None:
    failing = {"err": "Error response from daemon: oops\n", "status": 1}
    stage.program(
        "docker", ("inspect", [container()]), ("restart", [failing]), ("kill", [kill]), ("start", [start])
    )
    outcome = stage.run(CONTAINER, "gateway", "--force", "--wait", "6")
    assert_failed(outcome, status, says)
    assert outcome.took_s < 16


def test_a_hanging_restart_of_a_container_is_bounded_and_nothing_is_killed(stage: Stage) -> None:
    stage.program("docker", ("inspect", [container()]), ("restart", [HANGS]))
    outcome = stage.run(CONTAINER, "gateway", "--wait", "2")
    assert_failed(outcome, 5, "is not restarted after 2 s", "--force")
    assert stage.changes == ["docker restart -- gateway"]
    assert outcome.took_s < 12


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        ([container("exited", at=5, code=1)], "ended at once (exit status 1); look at: docker logs"),
        ([container("exited", at=5, code=137, oom="true")], "ended at once (exit status 137, out of memory)"),
        ([container("restarting", at=5)], "is not up after 2 s (restarting)"),
        ([container(at=0)], "is not up after 2 s (running)"),
        ([container(at=n) for n in range(1, 30)], "is not up after 2 s"),
        ([NO_DAEMON], "is not up after 2 s (no answer)"),
    ],
    ids=["exits", "out-of-memory", "crash-loop", "same-start", "ever-new-start", "daemon-gone"],
)
def test_a_container_that_does_not_stay_up_is_told(stage: Stage, looks: list[Reply], says: str) -> None:
    stage.program("docker", ("inspect", [container(), *looks]), ("restart", [DONE]))
    assert_failed(stage.run(CONTAINER, "gateway", "--wait", "2"), 5, says)
