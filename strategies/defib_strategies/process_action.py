"""Recovery of a process by a command that restarts it, which has helped only if another process runs then."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    ActionResult,
    ActionType,
    BuildContext,
    MonitorSpec,
    Options,
    OwnParts,
    SnapshotContext,
    command_line,
    hookimpl,
)
from defib_strategies import watched_processes
from defib_strategies.own_store import listeners, own_store_message
from defib_strategies.programs import check_program, find_program
from defib_strategies.results import result_of
from defib_strategies.watched_processes import WatchedProcesses
from defib_strategies.words import Argv


class ProcessOptions(Options):
    """``process: {argv: [/opt/app/restart]}``."""

    argv: Argv = Field(
        description="The program that restarts it, and its arguments, one item each; no shell reads them."
    )
    pidfile: Path | None = Field(
        default=None,
        description="File with the id of the process that must be another one afterwards; by default what the "
        "monitor watches, where it is of type process.",
    )
    verify: Literal["new-pid", "probe"] = Field(
        default="new-pid",
        description="new-pid: besides answering again, it must be another process than before; probe: answering is "
        "enough.",
    )


class ProcessAction:
    """Runs the command, and tells by the process table whether it did anything."""

    def __init__(
        self, program: Path, arguments: tuple[str, ...], processes: WatchedProcesses | None, own: OwnParts
    ) -> None:
        """:param processes: that must be others afterwards; None where good probes are enough."""
        self._program = program
        self._argv = (str(program), *arguments)
        self._processes = processes
        self._own = own
        self.changes_identity = processes is not None
        self.description = command_line(*self._argv)

    def check(self) -> None:
        """See :class:`Action`."""
        try:
            check_program(self._program)
        except ValueError as error:
            raise ActionRefusedError(str(error)) from error

    async def aim(self) -> str:
        """See :class:`defib.plugin.Aimed`."""
        if self._processes is None:
            return self.description
        pids = {process.pid for process in await self._processes.find()}
        if self._own.pid in pids:
            raise ActionRefusedError(
                f"process {self._own.pid} is Defib itself; watch it from outside, such as by 'heartbeat'"
            )
        if not pids.isdisjoint(listeners(self._own)):
            raise ActionRefusedError(own_store_message("this process"))
        return f"process {', '.join(map(str, sorted(pids)))}" if pids else "no process, it is gone"

    async def identity(self) -> str | None:
        """Ids and starts of the processes; None where there is none."""
        return (
            None if self._processes is None else watched_processes.identity_of(await self._processes.find())
        )

    async def acted_at(self) -> datetime | None:
        """See :class:`defib.plugin.Dated`."""
        return None if self._processes is None else watched_processes.started_at(await self._processes.find())

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        """The processes with their state, as ``ps`` would show them."""
        if self._processes is None:
            return {}
        found = await self._processes.find()
        lines = []
        for process in found:
            info = process.as_dict(
                ("status", "num_threads", "num_fds", "memory_info", "cpu_times", "cmdline"), "?"
            )
            memory = getattr(info["memory_info"], "rss", 0) // 2**20
            cpu = getattr(info["cpu_times"], "user", 0.0) + getattr(info["cpu_times"], "system", 0.0)
            line = command_line(*(info["cmdline"] if isinstance(info["cmdline"], list) else ()))
            lines.append(
                f"pid {process.pid}  {info['status']}  {info['num_threads']} threads  {info['num_fds']} open files  "
                f"{memory} MiB  {cpu:.1f} s of CPU  {line}"
            )
        return {"processes": "\n".join(lines) or "there is none"}

    async def run(self, context: ActionContext) -> ActionResult:
        """See :class:`Action`."""
        self.check()
        await self.aim()
        return result_of(await context.execute(self._argv, timeout=context.timeout, env=context.env))


def _create(options: ProcessOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    program, *arguments = options.argv
    processes = None
    if options.verify == "new-pid":
        if options.pidfile is not None:
            processes = WatchedProcesses(context.base / options.pidfile)
        elif (processes := watched_processes.of_monitor(monitor, context.base)) is None:
            raise ValueError(
                f"monitor {monitor.id} is not of type process, so which process must be a new one is not known; "
                "write 'pidfile: /run/app.pid' here, or 'verify: probe'"
            )
    elif options.pidfile is not None:
        raise ValueError("'pidfile' is for 'verify: new-pid'; remove one of them")
    return ProcessAction(find_program(program), tuple(arguments), processes, context.own)


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    """The action."""
    return (
        ActionType(
            kind="process",
            summary="runs a command that restarts a process, which must be another one afterwards",
            options=ProcessOptions,
            create=_create,
        ),
    )
