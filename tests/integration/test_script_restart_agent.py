"""``restart_agent.sh``: one systemd unit, restarted and seen to stay up."""

from pathlib import Path

import pytest

from defib_testkit.processes import is_running
from script_stage import (
    AGENT,
    DONE,
    HANGS,
    JOB_FAILED,
    NO_BUS,
    NO_RIGHT,
    Reply,
    Stage,
    assert_failed,
    unit,
    usual,
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize(
    ("args", "env", "expected"),
    [
        (["main"], {}, "openclaw-main.service"),
        (["system-admin"], {}, "openclaw-system-admin.service"),
        (["a.socket"], {}, "openclaw-a.socket.service"),
        (["main"], {"DEFIB_AGENT_UNIT_PREFIX": "agent@"}, "agent@main.service"),
        (["main"], {"DEFIB_AGENT_UNIT_PREFIX": ""}, "openclaw-main.service"),
        (["main", "--unit-prefix", "bot-"], {"DEFIB_AGENT_UNIT_PREFIX": "agent@"}, "bot-main.service"),
        (["main", "--unit=gateway"], {"DEFIB_AGENT_UNIT_PREFIX": "agent@"}, "gateway.service"),
        (["--unit", "gateway.service"], {}, "gateway.service"),
    ],
)
def test_agent_unit_is_named_by_prefix_or_exactly(
    stage: Stage, args: list[str], env: dict[str, str], expected: str
) -> None:
    plan = stage.run(AGENT, *args, "--dry-run", **env).out
    assert f"systemctl --no-ask-password restart -- {expected}\n" in plan


def test_a_bad_prefix_in_the_environment_is_refused(stage: Stage) -> None:
    usual(stage, AGENT)
    assert_failed(stage.run(AGENT, "main", DEFIB_AGENT_UNIT_PREFIX="-x"), 2, "DEFIB_AGENT_UNIT_PREFIX")
    assert stage.calls == []


def test_user_units_are_restarted_by_the_users_systemd(stage: Stage) -> None:
    usual(stage, AGENT)
    assert stage.run(AGENT, "main", "--user").status == 0
    assert all(call.startswith("systemctl --user ") for call in stage.calls)


def test_a_failed_unit_is_reset_before_it_is_restarted(stage: Stage) -> None:
    failed = unit(active="failed", sub="failed", pid=0, Result="start-limit-hit")
    stage.program("systemctl", ("show", [failed, unit()]), ("reset-failed", [DONE]), ("restart", [DONE]))
    assert stage.run(AGENT, "main").status == 0
    assert stage.changes == [
        "systemctl --no-ask-password reset-failed -- openclaw-main.service",
        "systemctl --no-ask-password restart -- openclaw-main.service",
    ]


def test_a_unit_that_is_not_failed_is_not_reset(stage: Stage) -> None:
    usual(stage, AGENT)
    stage.run(AGENT, "main")
    assert stage.changes == ["systemctl --no-ask-password restart -- openclaw-main.service"]


@pytest.mark.parametrize(
    ("load", "status", "says"),
    [
        ("not-found", 3, "not loaded: no such unit; compare: systemctl list-unit-files"),
        ("masked", 4, "is masked, somebody wants it off; to allow it again: systemctl unmask"),
        ("bad-setting", 4, "its file is broken; look at: systemd-analyze verify"),
        ("error", 4, "its file is broken"),
        ("stub", 4, "load state 'stub'"),
    ],
)
def test_a_unit_that_is_not_loaded_is_never_started(stage: Stage, load: str, status: int, says: str) -> None:
    stage.program("systemctl", ("show", [unit(load=load, active="inactive", sub="dead", pid=0)]))
    assert_failed(stage.run(AGENT, "main"), status, "openclaw-main.service", says)
    assert stage.changes == []


@pytest.mark.parametrize("reply", [NO_BUS, HANGS])
def test_nothing_is_changed_while_systemd_does_not_answer(stage: Stage, reply: Reply) -> None:
    stage.program("systemctl", ("show", [reply]))
    outcome = stage.run(AGENT, "main")
    assert_failed(outcome, 6, "systemd did not answer")
    assert stage.changes == []
    assert outcome.took_s < 15


@pytest.mark.parametrize(("hang", "limit_s"), [("yes", 12), ("deaf", 13)])
def test_a_hanging_restart_of_an_agent_is_bounded(stage: Stage, hang: str, limit_s: float) -> None:
    stage.program("systemctl", ("show", [unit()]), ("restart", [{"hang": hang}]))
    outcome = stage.run(AGENT, "main", "--wait", "2")
    assert_failed(outcome, 5, "is not restarted after 2 s", "journalctl -u openclaw-main.service")
    assert outcome.took_s < limit_s
    assert not is_running(stage.records[-1]["pid"])


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (JOB_FAILED, "failed because the control process exited with error code; look at: journalctl -u"),
        (NO_RIGHT, "Interactive authentication required; run Defib as root, or allow it in polkit"),
        ({"status": 1}, "it printed nothing"),
    ],
)
def test_a_refused_restart_of_an_agent_is_told(stage: Stage, reply: Reply, says: str) -> None:
    stage.program("systemctl", ("show", [unit()]), ("restart", [reply]))
    assert_failed(stage.run(AGENT, "main"), 1, "cannot restart openclaw-main.service", says)


def test_an_agent_that_dies_after_its_start_is_not_up(stage: Stage) -> None:
    failed = unit(active="failed", sub="failed", pid=0, Result="exit-code")
    stage.program("systemctl", ("show", [unit(pid=1), unit(pid=2), failed]), ("restart", [DONE]))
    assert_failed(stage.run(AGENT, "main"), 5, "ended at once (failed, result 'exit-code')", "journalctl")


def test_an_agent_that_dies_and_is_started_again_is_not_up(stage: Stage) -> None:
    waiting = unit(active="activating", sub="auto-restart", pid=0)
    stage.program("systemctl", ("show", [unit(pid=1), unit(pid=2), waiting]), ("restart", [DONE]))
    assert_failed(stage.run(AGENT, "main", "--wait", "2"), 5, "not up after 2 s (activating, auto-restart)")


def test_an_agent_that_is_another_start_at_every_look_is_not_up(stage: Stage) -> None:
    stage.program("systemctl", ("show", [unit(pid=n) for n in range(1, 40)]), ("restart", [DONE]))
    outcome = stage.run(AGENT, "main", "--wait", "2")
    assert_failed(outcome, 5, "not up after 2 s (active, running)")
    assert outcome.took_s < 12


def test_an_agent_that_comes_up_at_the_last_moment_gets_its_second_look(stage: Stage) -> None:
    stage.program("systemctl", ("show", [unit(pid=1), unit(pid=2)]), ("restart", [DONE]))
    assert stage.run(AGENT, "main", "--wait", "1").status == 0


def test_an_agent_is_up_only_once_the_same_start_was_seen_twice(stage: Stage) -> None:
    looks = [
        unit(pid=1),
        unit(active="activating", sub="start", pid=2),
        unit(pid=2),
        unit(pid=3),
        unit(pid=3),
    ]
    stage.program("systemctl", ("show", looks), ("restart", [DONE]))
    outcome = stage.run(AGENT, "main")
    assert outcome.out.startswith("restarted openclaw-main.service: active, process 3,")
    assert len(stage.calls) == 6


def test_a_lost_answer_after_the_restart_is_asked_for_again(stage: Stage) -> None:
    stage.program("systemctl", ("show", [unit(pid=1), NO_BUS, unit(pid=2)]), ("restart", [DONE]))
    assert stage.run(AGENT, "main").status == 0
