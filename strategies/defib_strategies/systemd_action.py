"""Recovery of systemd units."""

import asyncio
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    ActionResult,
    ActionType,
    BuildContext,
    MonitorSpec,
    Options,
    SnapshotContext,
    command_line,
    hookimpl,
)
from defib_strategies.inherited import inherited
from defib_strategies.results import result_of, timed_out
from defib_strategies.systemd_manager import SystemdUnit, checked_unit

_FORBIDDEN = ("Interactive authentication required", "Access denied")

Unit = Annotated[str, AfterValidator(checked_unit)]
"""A unit's full name."""


class UnitStep(StrEnum):
    """What is done to the unit."""

    RESTART = "restart"
    RELOAD = "reload"
    RESET_FAILED = "reset-failed"


class UnitOptions(Options):
    """``systemd: {unit: openclaw-main, action: restart}``."""

    unit: Unit | None = Field(default=None, description="The unit; a systemd monitor's own when left out.")
    action: UnitStep = Field(
        default=UnitStep.RESTART,
        description="restart; reload, which makes the service read its configuration again and keeps its process; "
        "reset-failed, which lifts a start limit that was hit and then restarts.",
    )
    user: bool = Field(
        default=False,
        description="A unit of the user's own manager instead of the system's; as the monitor when its unit is taken.",
    )


class UnitAction:
    """Runs ``systemctl`` on one unit."""

    def __init__(self, step: UnitStep, unit: SystemdUnit) -> None:
        self._unit = unit
        steps = (UnitStep.RESET_FAILED, UnitStep.RESTART) if step is UnitStep.RESET_FAILED else (step,)
        self._commands = tuple(unit.command(each) for each in steps)
        self.description = "; ".join(command_line(*command) for command in self._commands)
        self.changes_identity = step is not UnitStep.RELOAD

    def check(self) -> None:
        """See :class:`Action`."""
        check_systemctl()
        self._unit.refuse_own()

    async def aim(self) -> str:
        """See :class:`defib.plugin.Aimed`."""
        return await self._unit.aim()

    async def identity(self) -> str | None:
        """Invocation, main process and start of the unit; None where systemd does not tell."""
        return await self._unit.identity()

    async def acted_at(self) -> datetime | None:
        """See :class:`defib.plugin.Dated`."""
        return await self._unit.acted_at()

    async def stopped_on_purpose(self) -> str:
        """See :class:`defib.plugin.Attended`."""
        return await self._unit.stopped_on_purpose()

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        """See :class:`defib.plugin.Witness`."""
        return await self._unit.snapshot(context)

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`. Only the last command's outcome counts: there may be nothing to reset."""
        self.check()
        return await run_in_turn(self._unit, self._commands, context)


def check_systemctl() -> None:
    """:raises ActionRefusedError: there is no ``systemctl``."""
    if shutil.which("systemctl") is None:
        raise ActionRefusedError(
            "systemctl is not on the PATH: systemd does not run this machine; use another kind of rung"
        )


async def run_in_turn(
    unit: SystemdUnit, commands: tuple[tuple[str, ...], ...], context: ActionContext
) -> ActionResult:
    """Aim, then run ``commands`` within the time of ``context``; the last one's outcome is that of all.

    :raises ActionRefusedError: the unit must not be touched.
    """
    ends_at = context.clock.monotonic() + context.timeout.total_seconds()
    try:
        async with asyncio.timeout(context.timeout.total_seconds()):
            await unit.aim()
    except TimeoutError:
        return timed_out(f"systemd did not tell in time what {unit.name} is")
    for number, command in enumerate(commands, start=1):
        left = ends_at - context.clock.monotonic()
        if left <= 0:
            return timed_out(f"no time was left for: {command_line(*command)}")
        execution = await context.execute(command, timeout=timedelta(seconds=left), env=context.env)
        if execution.timed_out or number == len(commands):
            return _with_remedy(unit, result_of(execution))
    raise ValueError("there is no command")


def _with_remedy(unit: SystemdUnit, result: ActionResult) -> ActionResult:
    """What to do where polkit forbids it, which systemd does not say."""
    if result.exit_status and any(words in result.output for words in _FORBIDDEN):
        remedy = f"To allow it, put into /etc/polkit-1/rules.d what this prints: defib polkit {unit.name}"
        return replace(result, output=f"{result.output}{remedy}\n")
    return result


def _create(options: UnitOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    if options.unit is not None:
        return UnitAction(options.action, SystemdUnit(options.unit, options.user, context.own))
    own = inherited(monitor, "unit") if monitor.kind == "systemd" else None
    if own is None:
        raise ValueError(f"monitor {monitor.id} is not of type systemd; write 'unit: NAME' here")
    is_users = options.user or getattr(monitor.options, "user", False) is True
    return UnitAction(options.action, SystemdUnit(checked_unit(own), is_users, context.own))


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="systemd",
            summary="restarts or reloads a systemd unit, or lifts its start limit and restarts it",
            options=UnitOptions,
            create=_create,
        ),
    )
