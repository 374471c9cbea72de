"""What systemd's properties of a unit mean."""

from datetime import timedelta

import pytest

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins.systemd_judgement import judge


def judged(active: str, sub: str, **properties: str) -> Evidence:
    known = {"LoadState": "loaded", "Result": "success", "NRestarts": "0", "MainPID": "0", "InvocationID": ""}
    return judge("web.service", {**known, "ActiveState": active, "SubState": sub, **properties}, timedelta(0))


def test_an_active_unit_is_ok() -> None:
    evidence = judged("active", "running", NRestarts="2", MainPID="4242", InvocationID="abc")

    assert evidence == Evidence.ok(
        "web.service is active (running)",
        latency=timedelta(0),
        metrics={"n_restarts": 2.0},
        facts={
            "active_state": "active",
            "sub_state": "running",
            "result": "success",
            "n_restarts": 2,
            "main_pid": 4242,
            "invocation_id": "abc",
        },
    )


@pytest.mark.parametrize(
    ("evidence", "cause", "grade", "status", "summary"),
    [
        (
            judged("failed", "failed", Result="exit-code", ExecMainCode="1", ExecMainStatus="3"),
            "unit-failed",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
            "web.service failed: exit-code, main process exited with 3",
        ),
        (
            judged("failed", "failed", Result="signal", ExecMainCode="2", ExecMainStatus="9"),
            "unit-failed",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
            "web.service failed: signal, main process killed by SIGKILL",
        ),
        (
            judged("failed", "failed", Result="start-limit-hit", ExecMainCode="0"),
            "unit-failed",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
            "web.service failed: start-limit-hit",
        ),
        (
            judged("inactive", "dead"),
            "unit-inactive",
            Grade.INTENT,
            ProbeStatus.ERROR,
            "web.service is stopped (dead)",
        ),
        (
            judged("deactivating", "stop-sigterm"),
            "unit-inactive",
            Grade.INTENT,
            ProbeStatus.ERROR,
            "web.service is stopping (stop-sigterm)",
        ),
        (
            judged("inactive", "dead", Result="oom-kill", ExecMainCode="2", ExecMainStatus="9"),
            "unit-inactive",
            Grade.NORMAL,
            ProbeStatus.ERROR,
            "web.service is inactive: oom-kill, main process killed by SIGKILL",
        ),
        (
            judged("activating", "auto-restart", Result="exit-code", ExecMainCode="1", ExecMainStatus="1"),
            "unit-restarting",
            Grade.NORMAL,
            ProbeStatus.ERROR,
            "web.service waits for its automatic restart: exit-code, main process exited with 1",
        ),
        (
            judged(
                "failed", "failed", Result="exit-code", ExecMainCode="1", ExecMainStatus="217", NRestarts="5"
            ),
            "unit-failed",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
            "web.service failed: exit-code, main process exited with 217 (USER: its user), after 5 automatic restarts",
        ),
        (
            judged(
                "failed", "failed", Result="core-dump", ExecMainCode="3", ExecMainStatus="11", NRestarts="1"
            ),
            "unit-failed",
            Grade.AUTHORITATIVE,
            ProbeStatus.ERROR,
            "web.service failed: core-dump, main process killed by SIGSEGV, after 1 automatic restart",
        ),
        (
            judged("inactive", "dead", ConditionResult="no", ConditionTimestampMonotonic="7"),
            "unit-inactive",
            Grade.INTENT,
            ProbeStatus.ERROR,
            "web.service was not started, because a condition of it did not hold",
        ),
        (
            judged("inactive", "dead", AssertResult="no", AssertTimestampMonotonic="7"),
            "unit-inactive",
            Grade.NORMAL,
            ProbeStatus.ERROR,
            "web.service was not started, because an assertion of it did not hold",
        ),
        (
            judged("inactive", "dead", WantedBy="multi-user.target", InactiveExitTimestampMonotonic="0"),
            "unit-inactive",
            Grade.NORMAL,
            ProbeStatus.ERROR,
            "web.service was never started, though multi-user.target wants it: has a unit failed that it needs?",
        ),
        (
            judged("inactive", "dead", WantedBy="multi-user.target", InactiveExitTimestampMonotonic="7"),
            "unit-inactive",
            Grade.INTENT,
            ProbeStatus.ERROR,
            "web.service is stopped (dead)",
        ),
        (
            judged("inactive", "dead", WantedBy="graphical.target", InactiveExitTimestampMonotonic="0"),
            "unit-inactive",
            Grade.INTENT,
            ProbeStatus.ERROR,
            "web.service is stopped (dead)",
        ),
        (
            judged("inactive", "dead", LoadState="not-found"),
            "unit-not-found",
            Grade.NORMAL,
            ProbeStatus.UNKNOWN,
            "web.service does not exist",
        ),
        (
            judged("inactive", "dead", LoadState="masked"),
            "unit-masked",
            Grade.INTENT,
            ProbeStatus.ERROR,
            "web.service is masked",
        ),
        (
            judged("inactive", "dead", LoadState="bad-setting"),
            "unit-broken",
            Grade.NORMAL,
            ProbeStatus.UNHEALTHY,
            "web.service cannot be loaded (bad-setting)",
        ),
    ],
)
def test_a_unit_that_is_not_active_is_a_failure(
    evidence: Evidence, cause: str, grade: Grade, status: ProbeStatus, summary: str
) -> None:
    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, cause, grade)
    assert (evidence.status, evidence.summary) == (status, summary)


def test_a_unit_that_starts_is_degraded() -> None:
    evidence = judged("activating", "start-pre")

    assert (evidence.is_degraded, evidence.cause, evidence.grade) == (True, "activating", Grade.WEAK)


def test_a_unit_that_waits_for_others_before_its_start_is_degraded() -> None:
    evidence = judged("inactive", "dead", Job="264", WantedBy="multi-user.target")

    assert (evidence.is_degraded, evidence.cause) == (True, "activating")
    assert evidence.summary == "web.service is about to be started, after others"


@pytest.mark.parametrize("active", ["reloading", "refreshing"])
def test_a_unit_that_reloads_is_ok(active: str) -> None:
    assert judged(active, "reload").grade is Grade.NONE


def test_a_unit_whose_file_was_deleted_while_it_runs_is_ok() -> None:
    assert judged("active", "running", LoadState="not-found").grade is Grade.NONE


def test_a_unit_without_a_process_of_its_own_has_no_restarts() -> None:
    evidence = judge("data.mount", {"ActiveState": "active", "SubState": "mounted"}, timedelta(0))

    assert evidence.metrics == {}
    assert evidence.facts["n_restarts"] is None
