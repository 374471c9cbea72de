"""What the end of a Nagios plugin means."""

from datetime import timedelta

import pytest

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins.command import judge
from defib_plugins.subprocesses import Finished


def judged(exit_status: int, stdout: str = "", stderr: str = "") -> Evidence:
    finished = Finished(exit_status=exit_status, stdout=stdout, stderr=stderr)
    return judge(finished, "check_queue", timedelta(milliseconds=20))


def test_zero_is_ok_with_the_plugins_numbers() -> None:
    assert judged(0, "QUEUE OK - 3 jobs | jobs=3;50;200;0\nmore\n") == Evidence.ok(
        "QUEUE OK - 3 jobs",
        latency=timedelta(milliseconds=20),
        metrics={"jobs": 3.0},
        facts={"exit_status": 0, "output": "more"},
    )


def test_one_degrades() -> None:
    evidence = judged(1, "QUEUE WARNING - 60 jobs")

    assert (evidence.is_degraded, evidence.cause, evidence.summary) == (
        True,
        "warning",
        "QUEUE WARNING - 60 jobs",
    )


@pytest.mark.parametrize(
    ("exit_status", "cause"), [(2, "critical"), (4, "exit-4"), (127, "exit-127"), (255, "exit-255")]
)
def test_two_and_anything_beyond_three_fail(exit_status: int, cause: str) -> None:
    evidence = judged(exit_status, "QUEUE CRITICAL - 300 jobs | jobs=300")

    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, cause, Grade.NORMAL)
    assert (evidence.status, evidence.summary) == (ProbeStatus.UNHEALTHY, "QUEUE CRITICAL - 300 jobs")
    assert evidence.metrics == {"jobs": 300.0}


def test_three_is_inconclusive() -> None:
    evidence = judged(3, "QUEUE UNKNOWN - no such queue")

    assert (evidence.outcome, evidence.cause, evidence.status) == (
        Outcome.INCONCLUSIVE,
        "plugin-unknown",
        ProbeStatus.UNKNOWN,
    )


def test_a_plugin_that_is_killed_says_nothing_of_its_target() -> None:
    evidence = judged(-9, "QUEUE OK")

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, "plugin-killed")
    assert evidence.summary == "check_queue was killed by signal 9"


def test_the_exit_status_decides_whatever_the_text_says() -> None:
    assert judged(0, "QUEUE CRITICAL - really").is_ok


def test_a_plugin_that_only_complains_is_quoted() -> None:
    assert judged(2, "", "warning\ncannot open queue\n").summary == "cannot open queue"


def test_a_silent_plugin_is_told_as_such() -> None:
    assert judged(2).summary == "check_queue exited with 2 and said nothing"


def test_long_output_is_bounded() -> None:
    evidence = judged(0, "x" * 5000 + "\n" + "y" * 5000)

    assert len(evidence.summary) == 200
    assert len(str(evidence.facts["output"])) == 1000
