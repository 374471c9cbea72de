"""The ``systemd`` action against a stand-in for ``systemctl``."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    BuildContext,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
)
from defib_strategies import systemd_action, systemd_manager
from defib_testkit.systemctl_double import SystemctlDouble
from defib_testkit.waiting import async_wait_until

UNIT = "openclaw-main.service"
(KIND,) = systemd_action.defib_actions()


class OwnUnit(Options):
    """Options of a monitor that watches a unit."""

    unit: str
    user: bool = False


def monitor(kind: str = "http", options: Options | None = None) -> MonitorSpec:
    return MonitorSpec(
        id=MonitorId("main"), name="Main", kind=kind, family=Family.SERVICE, options=options or Options()
    )


def action(step: str = "restart", unit: str | None = UNIT, spec: MonitorSpec | None = None) -> Action:
    options = KIND.options.model_validate({"action": step} | ({} if unit is None else {"unit": unit}))
    created: Action = KIND.create(options, spec or monitor(), BuildContext(base=Path("/")))
    return created


def context(timeout_s: float = 10.0) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env={}, execute=ProcessExecutor(), clock=SystemClock()
    )


class SteppingClock(SystemClock):
    """Monotonic time goes on by the same step at each look."""

    def __init__(self, step_s: float) -> None:
        super().__init__()
        self._step_s, self._now = step_s, 0.0

    def monotonic(self) -> float:
        self._now += self._step_s
        return self._now


def done(units: SystemctlDouble) -> list[list[str]]:
    """The calls that changed something."""
    return [call for call in units.calls if "show" not in call]


@pytest.fixture
def units(systemctl: SystemctlDouble, monkeypatch: pytest.MonkeyPatch) -> SystemctlDouble:
    """``systemctl`` on the PATH."""
    monkeypatch.setenv("PATH", str(systemctl.folder), prepend=":")
    return systemctl


# --- what it does --------------------------------------------------------------------------------------


async def test_a_restart_gives_the_unit_a_new_process(units: SystemctlDouble) -> None:
    units.running(UNIT)
    before = units.unit(UNIT)["MainPID"]

    result = await action().run(context())

    assert (result.exit_status, result.output) == (0, "")
    assert units.unit(UNIT)["MainPID"] != before
    assert done(units) == [["--no-ask-password", "restart", "--", UNIT]]


async def test_a_failed_unit_is_started(units: SystemctlDouble) -> None:
    units.failed(UNIT)

    assert (await action().run(context())).exit_status == 0
    assert units.unit(UNIT)["ActiveState"] == "active"


async def test_a_reload_keeps_the_process(units: SystemctlDouble) -> None:
    units.running(UNIT, CanReload="yes")
    before = units.unit(UNIT)["MainPID"]
    reload = action("reload")

    assert (await reload.run(context())).exit_status == 0
    assert units.unit(UNIT)["MainPID"] == before
    assert done(units) == [["--no-ask-password", "reload", "--", UNIT]]


async def test_a_start_limit_stops_a_restart_and_reset_failed_lifts_it(units: SystemctlDouble) -> None:
    units.failed(UNIT, result="start-limit-hit")

    refused = await action("restart").run(context())
    assert refused.exit_status == 1
    assert "start of the service was attempted too often" in refused.output

    assert (await action("reset-failed").run(context())).exit_status == 0
    assert units.unit(UNIT)["ActiveState"] == "active"
    assert units.calls[-2:] == [
        ["--no-ask-password", "reset-failed", "--", UNIT],
        ["--no-ask-password", "restart", "--", UNIT],
    ]


async def test_the_words_of_systemd_are_reported(units: SystemctlDouble) -> None:
    units.running(UNIT)

    result = await action("reload").run(context())

    assert result.exit_status == 3
    assert result.output == f"Failed to reload {UNIT}: Job type reload is not applicable for unit {UNIT}.\n"


async def test_a_unit_that_fails_again_is_a_failure_with_systemds_words(units: SystemctlDouble) -> None:
    units.failed(UNIT)
    units.on_start(UNIT, "fail")

    result = await action("reset-failed").run(context())

    assert [call[1] for call in done(units)] == ["reset-failed", "restart"]
    assert result.exit_status == 1
    assert "failed because the control process exited with error code" in result.output


async def test_it_is_given_up_when_its_time_is_up(units: SystemctlDouble) -> None:
    units.running(UNIT)
    units.fault("hang")

    result = await action().run(context(timeout_s=0.5))

    assert (result.exit_status, result.timed_out) == (None, True)


async def test_no_restart_follows_a_reset_that_used_up_the_time(units: SystemctlDouble) -> None:
    units.running(UNIT)
    clock = SteppingClock(0.3)

    result = await action("reset-failed").run(replace(context(timeout_s=0.5), clock=clock))

    assert result.timed_out
    assert result.output == f"no time was left for: systemctl --no-ask-password restart -- {UNIT}"
    assert [call[1] for call in done(units)] == ["reset-failed"]


async def test_where_systemd_does_not_run_it_fails_with_systemds_words(units: SystemctlDouble) -> None:
    units.fault("no-systemd")

    result = await action().run(context())

    assert result.exit_status == 1
    assert "not been booted with systemd" in result.output


async def test_without_systemctl_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ready = action()

    with pytest.raises(ActionRefusedError, match=r"systemctl is not on the PATH: .*; use another"):
        ready.check()
    with pytest.raises(ActionRefusedError, match="systemctl is not on the PATH"):
        await ready.run(context())
    assert await ready.identity() is None


async def test_the_check_runs_nothing(units: SystemctlDouble) -> None:
    action().check()

    assert units.calls == []


# --- identity ------------------------------------------------------------------------------------------


async def test_a_restart_changes_the_identity_and_a_reload_does_not(units: SystemctlDouble) -> None:
    units.running(UNIT, CanReload="yes")
    restart, reload = action("restart"), action("reload")
    first = await restart.identity()

    await reload.run(context())
    assert await reload.identity() == first
    await restart.run(context())
    second = await restart.identity()

    assert first is not None
    assert second is not None
    assert first != second
    assert f"MainPID={units.unit(UNIT)['MainPID']}" in second
    assert f"InvocationID={units.unit(UNIT)['InvocationID']}" in second


async def test_a_unit_that_never_ran_or_is_unknown_has_no_identity(units: SystemctlDouble) -> None:
    units.stopped("idle.service", ActiveEnterTimestamp="")

    assert await action(unit="idle").identity() is None
    assert await action(unit="unknown").identity() is None


async def test_where_systemd_does_not_run_there_is_no_identity(units: SystemctlDouble) -> None:
    units.fault("no-systemd")

    assert await action().identity() is None


async def test_asking_for_the_identity_is_bounded(
    units: SystemctlDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd_manager, "ANSWER_S", 0.3)
    units.fault("hang")

    assert await action().identity() is None


async def test_asking_for_the_identity_leaves_no_process_when_cancelled(units: SystemctlDouble) -> None:
    units.fault("hang")
    asking = asyncio.create_task(action().identity())
    await async_wait_until(lambda: units.calls, what="systemctl to run")

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize(("step", "expected"), [("restart", True), ("reset-failed", True), ("reload", False)])
def test_only_a_restart_promises_another_process(step: str, expected: bool) -> None:
    assert action(step).changes_identity is expected


# --- configuration -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "description"),
    [
        ("restart", f"systemctl --no-ask-password restart -- {UNIT}"),
        ("reload", f"systemctl --no-ask-password reload -- {UNIT}"),
        (
            "reset-failed",
            f"systemctl --no-ask-password reset-failed -- {UNIT}; systemctl --no-ask-password restart -- {UNIT}",
        ),
    ],
)
def test_the_description_is_the_command(step: str, description: str) -> None:
    assert action(step).description == description


def test_the_unit_is_by_default_that_of_a_systemd_monitor() -> None:
    own = action(unit=None, spec=monitor("systemd", OwnUnit(unit="nginx")))

    assert own.description == "systemctl --no-ask-password restart -- nginx.service"


def test_a_monitor_of_a_users_unit_restarts_it_in_that_users_manager() -> None:
    own = action(unit=None, spec=monitor("systemd", OwnUnit(unit="nginx", user=True)))

    assert own.description == "systemctl --user --no-ask-password restart -- nginx.service"


def test_a_users_unit_can_be_named_too() -> None:
    options = KIND.options.model_validate({"unit": "agent", "user": True})

    created = KIND.create(options, monitor(), BuildContext(base=Path("/")))

    assert created.description == "systemctl --user --no-ask-password restart -- agent.service"


@pytest.mark.parametrize("spec", [monitor(), monitor("process", OwnUnit(unit="nginx"))])
def test_without_a_unit_another_monitor_is_a_mistake(spec: MonitorSpec) -> None:
    with pytest.raises(ValueError, match="monitor main is not of type systemd; write 'unit: NAME' here"):
        action(unit=None, spec=spec)


@pytest.mark.parametrize(
    ("unit", "full"),
    [
        ("nginx", "nginx.service"),
        ("nginx.service", "nginx.service"),
        ("agent@main", "agent@main.service"),
        ("a.b", "a.b.service"),
        ("backup.timer", "backup.timer"),
        ("dev-disk-by\\x2dlabel.mount", "dev-disk-by\\x2dlabel.mount"),
    ],
)
def test_a_unit_is_known_by_its_full_name(unit: str, full: str) -> None:
    assert KIND.options.model_validate({"unit": unit}).unit == full  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "unit",
    [
        "--force",
        "-H",
        "",
        "*",
        "open*",
        "a b",
        "a\nb",
        "a;b",
        "../x",
        "/etc/x",
        "a[b]",
        "é",
        "x" * 300,
        "@foo",
    ],
)
def test_what_is_no_unit_name_is_refused(unit: str) -> None:
    with pytest.raises(ValidationError, match="is not the name of one unit; write"):
        KIND.options.model_validate({"unit": unit})


@pytest.mark.parametrize("unit", ["reboot.target", "user.slice", "dev-sda.device", "session-1.scope"])
def test_units_whose_restart_is_no_recovery_are_refused(unit: str) -> None:
    with pytest.raises(ValidationError, match="restarting one is no recovery; name a service"):
        KIND.options.model_validate({"unit": unit})
    with pytest.raises(ValueError, match="restarting one is no recovery"):
        action(unit=None, spec=monitor("systemd", OwnUnit(unit=unit)))


@pytest.mark.parametrize("unit", ["agent@", "agent@.service"])
def test_a_template_is_refused(unit: str) -> None:
    with pytest.raises(ValidationError, match="is a template; name an instance, as in agent@main"):
        KIND.options.model_validate({"unit": unit})


def test_an_unknown_action_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="'restart', 'reload' or 'reset-failed'"):
        KIND.options.model_validate({"unit": UNIT, "action": "stop"})
