"""Asks systemd about one unit: what it is, since when, and whether Defib itself hangs on it."""

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from defib.plugin import ActionHeldBackError, ActionRefusedError, OwnParts, SnapshotContext
from defib_strategies.own_store import own_store_message, runs_store

ANSWER_S = 4.0  #: how long systemd may take to answer a question
LOG_LINES = 50

_UNIT = re.compile(r"[A-Za-z0-9_:.\\][A-Za-z0-9_:.\\@-]{0,254}")
_KINDS = ("service", "socket", "timer", "path", "mount", "automount")
_OTHER_KINDS = ("target", "slice", "scope", "device", "swap", "snapshot")
_CARRYING_THE_HOST = ("dbus.service", "dbus-broker.service", "dbus.socket", "systemd-logind.service")
"""Units whose restart tears the sessions and the management of the whole host down."""

_TAKEN_ALONG = ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo")
"""Properties that name the units which a restart restarts or stops too (systemd.unit(5))."""
_AT_WORK = ("activating", "deactivating", "reloading", "refreshing")
_IDENTITY = ("InvocationID", "MainPID", "ActiveEnterTimestamp")
_STARTED = ("ActiveEnterTimestampMonotonic", "InactiveExitTimestampMonotonic")


def checked_unit(unit: str) -> str:
    """A full unit name that can only mean one unit, and none whose restart is no recovery.

    :raises ValueError: it is none such.
    """
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


@dataclass(frozen=True, slots=True)
class SystemdUnit:
    """One unit of the system's manager, or of the user's own."""

    name: str  #: in full, from :func:`checked_unit`
    is_users: bool
    own: OwnParts  #: what is to be left alone

    def command(self, verb: str) -> tuple[str, ...]:
        """The command line that does ``verb`` to it."""
        return (*self._systemctl, verb, "--", self.name)

    @property
    def _systemctl(self) -> tuple[str, ...]:
        return ("systemctl", *(("--user",) if self.is_users else ()), "--no-ask-password")

    async def show(self, *properties: str) -> Mapping[str, str]:
        """These properties; none of them where systemd does not answer in time."""
        command = (*self._systemctl, "show", f"--property={','.join(properties)}", "--", self.name)
        with contextlib.suppress(OSError, TimeoutError):
            return await _ask(command)
        return {}

    def refuse_own(self) -> None:
        """:raises ActionRefusedError: by its name alone it is one that Defib, or its whole host, stands on."""
        if self.name in self.own.units:
            raise ActionRefusedError(f"{self.name} is the unit that Defib itself runs in; name another unit")
        if self.name in _CARRYING_THE_HOST:
            raise ActionRefusedError(f"{self.name} carries the whole host; a person has to restart it")

    async def aim(self) -> str:
        """Its name, once it is sure that an action would hit this unit and nothing that Defib stands on.

        :raises ActionRefusedError: there is no such unit, it is masked, or Defib stands on it.
        :raises ActionHeldBackError: systemd is at work on it.
        """
        self.refuse_own()
        found = await self.show("Names", "LoadState", "ActiveState", "SubState", *_TAKEN_ALONG)
        if not found:
            return self.name
        match found.get("LoadState"):
            case "not-found":
                raise ActionRefusedError(
                    f"systemd has no unit {self.name}; correct 'unit', 'systemctl list-units --all' shows the names"
                )
            case "masked":
                raise ActionRefusedError(
                    f"{self.name} is masked, so somebody forbids it; to allow it: systemctl unmask {self.name}"
                )
        names = {self.name, *found.get("Names", "").split()}
        along = {unit for key in _TAKEN_ALONG for unit in found.get(key, "").split()}
        if hit := sorted((names | along) & self.own.units):
            raise ActionRefusedError(
                f"{self.name} takes {hit[0]} along, which Defib itself runs in; name another"
            )
        if await asyncio.to_thread(runs_store, names | along, self.own):
            raise ActionRefusedError(own_store_message(self.name))
        if (state := found.get("ActiveState", "")) in _AT_WORK:
            raise ActionHeldBackError(
                f"{self.name} is {state} ({found.get('SubState')}): systemd is at work on it"
            )
        return self.name

    async def identity(self) -> str | None:
        """Invocation, main process and start; None where systemd does not tell."""
        values = await self.show(*_IDENTITY)
        if any(value not in ("", "0") for value in values.values()):
            return " ".join(f"{name}={values[name]}" for name in sorted(values))
        return None

    async def acted_at(self) -> datetime | None:
        """When it was last started, or began to start; None where systemd does not tell.

        None, too, for a unit that systemd has restarted by itself and given up on: nothing more comes of that.
        """
        found = await self.show("ActiveState", "NRestarts", *_STARTED)
        started_us = max(
            (int(found[name]) for name in _STARTED if found.get(name, "").isdecimal()), default=0
        )
        has_given_up = found.get("ActiveState") == "failed" and found.get("NRestarts", "0") != "0"
        if not started_us or has_given_up:
            return None
        ago_s = time.clock_gettime(time.CLOCK_MONOTONIC) - started_us / 1e6
        return datetime.now(UTC) - timedelta(seconds=ago_s)

    async def stopped_on_purpose(self) -> str:
        """systemd's words for a clean stop; "" for all else, also for a unit that was to be started and was not."""
        found = await self.show("ActiveState", "SubState", "Result", "ExecMainStatus", "WantedBy", *_STARTED)
        was_clean = found.get("Result") == "success" and found.get("ExecMainStatus") in ("0", "15")
        is_left_out = bool(found.get("WantedBy")) and all(found.get(name) == "0" for name in _STARTED)
        if found.get("ActiveState") == "inactive" and was_clean and not is_left_out:
            return f"{self.name} is inactive ({found.get('SubState')}), and its end was a success"
        return ""

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        """Its status and the end of its log."""
        status = (*self._systemctl, "status", "--no-pager", "--full", "--lines=0", "--", self.name)
        scope = "--user-unit" if self.is_users else "--unit"
        log = ("journalctl", "--no-pager", "--quiet", "--output=short-iso", f"--lines={LOG_LINES}")
        commands = {
            f"journalctl {scope}={self.name}": (*log, f"{scope}={self.name}"),
            f"systemctl status {self.name}": status,
        }
        return await outputs_of(commands, context)


async def outputs_of(commands: Mapping[str, tuple[str, ...]], context: SnapshotContext) -> Mapping[str, str]:
    """What these commands print, by heading, all run at once; of one that cannot be run, why."""

    async def output(argv: tuple[str, ...]) -> str:
        try:
            return (await context.execute(argv, timeout=context.timeout, env={})).output
        except ActionRefusedError as error:
            return str(error)

    texts = await asyncio.gather(*(output(argv) for argv in commands.values()))
    return dict(zip(commands, texts, strict=True))


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
        async with asyncio.timeout(ANSWER_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        return {}
    return dict(line.split("=", 1) for line in output.decode(errors="replace").splitlines() if "=" in line)
