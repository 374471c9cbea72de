"""What Docker's description of a container means."""

from datetime import timedelta
from typing import Any

import pytest

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins.docker_container import judge


def judged(restarts: int = 0, **state: Any) -> Evidence:
    found = {
        "State": {"StartedAt": "2026-11-20T00:00:00Z", "ExitCode": 0, **state},
        "RestartCount": restarts,
        "Config": {"Image": "gateway:2"},
    }
    return judge(found, "gateway", timedelta(milliseconds=5))


def test_a_running_container_is_ok() -> None:
    assert judged(2, Status="running") == Evidence.ok(
        "gateway is running",
        latency=timedelta(milliseconds=5),
        metrics={"restart_count": 2.0},
        facts={
            "state": "running",
            "restart_count": 2,
            "exit_code": None,
            "started_at": "2026-11-20T00:00:00Z",
            "image": "gateway:2",
        },
    )


@pytest.mark.parametrize(
    ("state", "cause", "grade", "status", "summary"),
    [
        (
            {"Status": "exited", "ExitCode": 137},
            "exited-137",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
            "gateway exited with 137",
        ),
        (
            {"Status": "exited", "ExitCode": 1},
            "exited-1",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
            "gateway exited with 1",
        ),
        (
            {"Status": "exited", "ExitCode": 137, "OOMKilled": True},
            "oom-killed",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
            "gateway ran out of memory and was killed",
        ),
        (
            {"Status": "exited", "ExitCode": 0},
            "exited-0",
            Grade.INTENT,
            ProbeStatus.ERROR,
            "gateway exited with 0",
        ),
        (
            {"Status": "exited", "ExitCode": 143},
            "exited-143",
            Grade.INTENT,
            ProbeStatus.ERROR,
            "gateway exited with 143",
        ),
        ({"Status": "paused"}, "paused", Grade.INTENT, ProbeStatus.ERROR, "gateway is paused"),
        ({"Status": "removing"}, "removing", Grade.INTENT, ProbeStatus.ERROR, "gateway is being removed"),
        (
            {"Status": "dead"},
            "dead",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
            "gateway is dead: the daemon could not remove it",
        ),
        (
            {"Status": "restarting", "ExitCode": 7},
            "restarting",
            Grade.NORMAL,
            ProbeStatus.ERROR,
            "gateway crashes and is restarted by Docker (exit status 7, 3 restarts)",
        ),
        (
            {"Status": "created"},
            "created",
            Grade.NORMAL,
            ProbeStatus.ERROR,
            "gateway is not running, but created",
        ),
        (
            {
                "Status": "running",
                "Health": {
                    "Status": "unhealthy",
                    "Log": [{"Output": "old"}, {"Output": "one\nconnection refused\n"}],
                },
            },
            "unhealthy",
            Grade.NORMAL,
            ProbeStatus.UNHEALTHY,
            "gateway runs, but its health check fails: connection refused",
        ),
        (
            {"Status": "running", "Health": {"Status": "unhealthy", "Log": None}},
            "unhealthy",
            Grade.NORMAL,
            ProbeStatus.UNHEALTHY,
            "gateway runs, but its health check fails: no output",
        ),
    ],
)
def test_another_state_is_a_failure(
    state: dict[str, Any], cause: str, grade: Grade, status: ProbeStatus, summary: str
) -> None:
    evidence = judged(3, **state)

    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, cause, grade)
    assert (evidence.status, evidence.summary) == (status, summary)


@pytest.mark.parametrize("health", ["starting", "healthy"])
def test_a_container_that_is_not_unhealthy_is_ok(health: str) -> None:
    evidence = judged(Status="running", Health={"Status": health, "Log": []})

    assert evidence.grade is Grade.NONE
    assert evidence.summary == f"gateway is running ({health})"
    assert evidence.facts["health"] == health


def test_a_description_without_anything_is_a_failure_and_no_crash() -> None:
    evidence = judge({}, "gateway", timedelta(0))

    assert (evidence.outcome, evidence.cause) == (Outcome.FAIL, "unknown")


@pytest.mark.parametrize(
    ("policy", "supervised"),
    [
        ({}, None),
        ({"Name": "no"}, None),
        ({"Name": ""}, None),
        ({"Name": "on-failure"}, True),
        ({"Name": "always"}, True),
    ],
)
def test_a_container_that_docker_restarts_by_itself_says_so(
    policy: dict[str, str], supervised: bool | None
) -> None:
    found = {"State": {"Status": "exited", "ExitCode": 1}, "HostConfig": {"RestartPolicy": policy}}

    assert judge(found, "gateway", timedelta(0)).facts.get("supervised") is supervised
