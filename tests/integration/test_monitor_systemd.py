"""The ``systemd`` monitor against a stand-in for ``systemctl``; ``test_real_systemd.py`` has the real one."""

import os
from pathlib import Path
from typing import Any

import pytest

from defib.plugin import Evidence, Grade, Outcome, ProbeStatus
from defib_plugins import systemd_unit
from defib_testkit.systemctl_double import SystemctlDouble
from monitor_kit import look


@pytest.fixture(autouse=True)
def on_path(systemctl: SystemctlDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{systemctl.folder}:{os.environ['PATH']}")


async def asked(unit: str = "web", **options: Any) -> Evidence:
    return await look(systemd_unit, unit=unit, **options)


async def test_a_running_unit_is_ok(systemctl: SystemctlDouble) -> None:
    systemctl.running("web.service", NRestarts=2)

    evidence = await asked()

    unit = systemctl.unit("web.service")
    assert (evidence.grade, evidence.summary) == (Grade.NONE, "web.service is active (running)")
    assert evidence.metrics == {"n_restarts": 2.0}
    assert evidence.facts == {
        "active_state": "active",
        "sub_state": "running",
        "result": "success",
        "n_restarts": 2,
        "main_pid": unit["MainPID"],
        "invocation_id": unit["InvocationID"],
    }
    assert evidence.latency is not None


async def test_a_failed_unit_is_authoritative(systemctl: SystemctlDouble) -> None:
    systemctl.failed("web.service", result="exit-code", status=3)

    evidence = await asked()

    assert (evidence.outcome, evidence.cause, evidence.grade) == (
        Outcome.FAIL,
        "unit-failed",
        Grade.AUTHORITATIVE,
    )
    assert evidence.summary == "web.service failed: exit-code, main process exited with 3"


async def test_a_unit_that_was_stopped_is_intent(systemctl: SystemctlDouble) -> None:
    systemctl.stopped("web.service")

    evidence = await asked()

    assert (evidence.cause, evidence.grade) == ("unit-inactive", Grade.INTENT)


async def test_a_masked_unit_is_intent(systemctl: SystemctlDouble) -> None:
    systemctl.masked("web.service")

    assert (await asked()).cause == "unit-masked"


async def test_a_unit_that_does_not_exist_is_unknown() -> None:
    evidence = await asked("nonesuch")

    assert (evidence.outcome, evidence.cause, evidence.status) == (
        Outcome.FAIL,
        "unit-not-found",
        ProbeStatus.UNKNOWN,
    )


async def test_a_unit_that_starts_is_degraded(systemctl: SystemctlDouble) -> None:
    systemctl.running("web.service", ActiveState="activating", SubState="start-pre")

    assert (await asked()).cause == "activating"


async def test_a_machine_without_systemd_says_nothing(systemctl: SystemctlDouble) -> None:
    systemctl.fault("no-systemd")

    evidence = await asked()

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, "systemd-unreachable")
    assert "System has not been booted with systemd" in evidence.summary


async def test_a_machine_without_systemctl_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    evidence = await asked()

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, "no-systemd")


async def test_a_systemctl_that_hangs_is_killed(systemctl: SystemctlDouble) -> None:
    systemctl.fault("hang")

    evidence = await asked(timeout_s=0.5)

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, "systemd-unreachable")
    assert evidence.summary == "no answer within 500ms, while asking systemd"


async def test_only_questions_are_asked(systemctl: SystemctlDouble) -> None:
    systemctl.running("web.service")

    await asked()
    await asked(user=True)

    assert [(call[0], call[2], call[-2:]) for call in systemctl.calls] == [
        ("--system", "show", ["--", "web.service"]),
        ("--user", "show", ["--", "web.service"]),
    ]
