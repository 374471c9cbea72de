"""Recovery of systemd units."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import Iterable
from datetime import timedelta
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
    hookimpl,
)
from defib_strategies.display import command_line
from defib_strategies.inherited import inherited
from defib_strategies.results import result_of, timed_out

_IDENTITY = ("InvocationID", "MainPID", "ActiveEnterTimestamp")
_IDENTITY_S = 4.0  #: how long `systemctl show` may take
_UNIT = re.compile(r"[A-Za-z0-9_:.\\][A-Za-z0-9_:.\\@-]{0,254}")
_KINDS = ("service", "socket", "timer", "path", "mount", "automount")
_OTHER_KINDS = ("target", "slice", "scope", "device", "swap", "snapshot")


def _checked_unit(unit: str) -> str:
    """A full unit name that can only mean one unit, and none whose restart is no recovery."""
    if not _UNIT.fullmatch(unit):
        raise ValueError(
            f"{unit!r} is not the name of one unit; write letters, digits and _:.@\\- only, as in openclaw-main"
        )
    stem, _, kind = unit.rpartition(".")
    if stem and kind in _OTHER_KINDS:
        raise ValueError(f"{unit} is a {kind}, and restarting one is no recovery; name a service")
    if not stem or kind not in _KINDS:
        stem, unit = unit, f"{unit}.service"
    if stem.endswith("@"):
        raise ValueError(f"{unit} is a template; name an instance, as in {stem}main")
    return unit


class UnitStep(StrEnum):
    """What is done to the unit."""

    RESTART = "restart"
    RELOAD = "reload"
    RESET_FAILED = "reset-failed"


class UnitOptions(Options):
    """``systemd: {unit: openclaw-main, action: restart}``."""

    unit: Annotated[str, AfterValidator(_checked_unit)] | None = Field(
        default=None, description="The unit; a systemd monitor's own when left out."
    )
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

    def __init__(self, step: UnitStep, unit: str, *, is_users: bool = False) -> None:
        self._unit = unit
        self._systemctl = ("systemctl", *(("--user",) if is_users else ()), "--no-ask-password")
        steps = (UnitStep.RESET_FAILED, UnitStep.RESTART) if step is UnitStep.RESET_FAILED else (step,)
        self._commands = tuple((*self._systemctl, str(each), "--", unit) for each in steps)
        self.description = "; ".join(command_line(*command) for command in self._commands)
        self.changes_identity = step is not UnitStep.RELOAD

    def check(self) -> None:
        """See :class:`Action`."""
        if shutil.which("systemctl") is None:
            raise ActionRefusedError(
                "systemctl is not on the PATH: systemd does not run this machine; use another kind of rung"
            )

    async def identity(self) -> str | None:
        """Invocation, main process and start of the unit; None where systemd does not tell."""
        command = (*self._systemctl, "show", f"--property={','.join(_IDENTITY)}", "--", self._unit)
        with contextlib.suppress(OSError, TimeoutError):
            values = await _ask(command)
            if any(value not in ("", "0") for value in values.values()):
                return " ".join(f"{name}={values[name]}" for name in sorted(values))
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`. Only the last command's outcome counts: there may be nothing to reset."""
        self.check()
        ends_at = context.clock.monotonic() + context.timeout.total_seconds()
        *before, last = self._commands
        for command in before:
            execution = await context.execute(command, timeout=context.timeout, env=context.env)
            if execution.timed_out:
                return result_of(execution)
        left = ends_at - context.clock.monotonic()
        if left <= 0:
            return timed_out(f"no time was left for: {command_line(*last)}")
        return result_of(await context.execute(last, timeout=timedelta(seconds=left), env=context.env))


async def _ask(command: tuple[str, ...]) -> dict[str, str]:
    """The properties that ``systemctl show`` prints; none when it fails.

    :raises TimeoutError: it did not answer.
    :raises OSError: it cannot be run.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_IDENTITY_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        return {}
    return dict(line.split("=", 1) for line in output.decode(errors="replace").splitlines() if "=" in line)


def _create(options: UnitOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    if options.unit is not None:
        return UnitAction(options.action, options.unit, is_users=options.user)
    own = inherited(monitor, "unit") if monitor.kind == "systemd" else None
    if own is None:
        raise ValueError(f"monitor {monitor.id} is not of type systemd; write 'unit: NAME' here")
    is_users = options.user or getattr(monitor.options, "user", False) is True
    return UnitAction(options.action, _checked_unit(own), is_users=is_users)


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
