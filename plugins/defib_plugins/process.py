"""Monitor ``process``: processes of this machine, by pidfile, program or command line."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from defib.plugin import (
    N_,
    BuildContext,
    DefaultRung,
    Duration,
    Evidence,
    Fact,
    Family,
    Grade,
    MonitorType,
    Options,
    ProbeContext,
    ProbeStatus,
    hookimpl,
)
from defib.plugin import Size as Bytes
from defib_plugins.assertions import PatternOption
from defib_plugins.failures import timed_out
from defib_plugins.phrases import phrase
from defib_plugins.process_exits import ProcessExits
from defib_plugins.thresholds import Limits, Reading, Size, percent

if TYPE_CHECKING:
    from defib_plugins.process_table import Living


class ProcessCount(Options):
    """How many processes there should be."""

    min: int = Field(default=1, ge=1, description="Fewer are a failure.")
    max: int | None = Field(default=None, ge=1, description="More are a failure.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max ({self.max}) is less than min ({self.min})")
        return self


class ProcessLimits(Options):
    """Numbers beyond which the processes are degraded."""

    cpu: float | None = Field(
        default=None, gt=0, description="Processor time in % of one core, all processes together."
    )
    memory: Size | None = Field(
        default=None, description="Resident memory of all processes together, such as 500MB."
    )
    hold: Duration = Field(
        default=timedelta(0), alias="for", description="How long a limit must be exceeded without a break."
    )


class ProcessOptions(Options):
    """Options of the ``process`` monitor."""

    pidfile: Path | None = Field(default=None, description="File with the process id.")
    program: str | None = Field(
        default=None, min_length=1, description="Exact name of the program, such as nginx."
    )
    cmdline: PatternOption | None = Field(
        default=None, description="Part of the command line, or a /regular expression/ that must match in it."
    )
    count: ProcessCount = Field(default_factory=ProcessCount, description="How many there should be.")
    limits: ProcessLimits = Field(default_factory=ProcessLimits, description="Beyond them they are degraded.")
    restart: tuple[Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")], ...] = Field(
        default=(),
        description="Program and arguments that restart it, one item each, for 'recovery: auto'; no shell reads them.",
    )

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.pidfile is None and self.program is None and self.cmdline is None:
            raise ValueError(
                "nothing to look for; write pidfile: /run/app.pid, program: nginx or cmdline: app.worker"
            )
        return self


def ladder(options: ProcessOptions) -> Sequence[DefaultRung]:
    """:raises ValueError: how the process is restarted is not said."""
    if not options.restart:
        raise ValueError(
            "how this process is restarted is not known; write 'restart: [/opt/app/restart]' at the monitor, or the "
            "rungs of a ladder"
        )
    return (DefaultRung(action="process", options={"argv": list(options.restart)}),)


class ProcessMonitor:
    """Looks into the process table. A program or command line beside a pidfile guards against a reused id."""

    host = ""

    def __init__(self, options: ProcessOptions, context: BuildContext) -> None:
        self._options = options
        self._pidfile = context.base / options.pidfile if options.pidfile else None
        words = (
            str(self._pidfile or ""),
            options.program or "",
            options.cmdline.source if options.cmdline else "",
        )
        self.target = " ".join(word for word in words if word)
        self._limits = Limits(options.limits.hold)
        self._before: tuple[float, dict[tuple[int, float], float]] | None = None
        self._exits = ProcessExits()

    async def probe(self, context: ProbeContext) -> Evidence:
        """One look, in a thread: a long table takes milliseconds."""
        try:
            async with asyncio.timeout(context.timeout.total_seconds()):
                found = await asyncio.to_thread(self._look)
        except TimeoutError:
            return Evidence.inconclusive(
                "still-looking", timed_out(context.timeout, phrase("reading the process table")).summary
            )
        if isinstance(found, Evidence):
            return found
        self._exits.want((process.pid, process.started_at) for process in found)
        return self._judge(found, context.clock.monotonic())

    def trips(self) -> AsyncGenerator[str, None]:
        """When so many of the processes that the latest look found have ended that there are too few."""
        return self._exits.losses(self._options.count.min)

    async def close(self) -> None:
        """Nothing is held between probes but numbers."""

    def _look(self) -> "list[Living] | Evidence":
        from defib_plugins.process_table import PidfileError, find, read_pidfile

        pids = None
        if self._pidfile is not None:
            try:
                pids = (read_pidfile(self._pidfile),)
            except FileNotFoundError:
                # It crashed without writing one, or stopped and took it along: strong, not authoritative.
                words = phrase("{file} does not exist", file=str(self._pidfile))
                return Evidence.fail("process-gone", words, grade=Grade.STRONG)
            except PidfileError as error:
                return Evidence.inconclusive("bad-pidfile", error.message)
        pattern = self._options.cmdline
        return find(pids, name=self._options.program, is_wanted=pattern.is_in if pattern else None)

    def _judge(self, found: "list[Living]", now: float) -> Evidence:
        wanted = self._options.count
        number = len(found)
        cpu_percent = self._cpu_percent(found, now)
        memory_bytes = sum(process.memory_bytes for process in found)
        metrics = {"count": float(number), "memory_bytes": float(memory_bytes)}
        if cpu_percent is not None:
            metrics["cpu_percent"] = cpu_percent
        if not found:
            words = phrase("no process for {what}", what=self.target)
            return Evidence.fail("process-gone", words, grade=Grade.AUTHORITATIVE, metrics=metrics)
        oldest = min(found, key=lambda process: process.started_at)
        started_at = datetime.fromtimestamp(oldest.started_at, UTC)
        facts: dict[str, Fact] = {
            "pid": oldest.pid,
            "started_at": started_at.isoformat(timespec="seconds"),
            "count": number,
        }
        if number < wanted.min or number > (wanted.max or number):
            cause = "too-few-processes" if number < wanted.min else "too-many-processes"
            words = phrase(
                N_("{n} process for {what}, expected {wanted}")
                if number == 1
                else N_("{n} processes for {what}, expected {wanted}"),
                n=number, what=self.target, wanted=_range(wanted),
            )  # fmt: skip
            return Evidence.fail(cause, words, status=ProbeStatus.UNHEALTHY, metrics=metrics, facts=facts)
        summary = (
            phrase("pid {pid} with {memory}", pid=oldest.pid, memory=Bytes(memory_bytes))
            if number == 1
            else phrase("{n} processes with {memory}", n=number, memory=Bytes(memory_bytes))
        )
        readings = self._readings(cpu_percent, memory_bytes)
        return self._limits.judge(readings, now, summary=summary, metrics=metrics, facts=facts)

    def _cpu_percent(self, found: "list[Living]", now: float) -> float | None:
        """Since the look before, of those that were there already; None on the first look."""
        used = {(process.pid, process.started_at): process.cpu_s for process in found}
        before, self._before = self._before, (now, used)
        if before is None or now <= before[0]:
            return None
        grown = sum(cpu_s - before[1].get(identity, cpu_s) for identity, cpu_s in used.items())
        return max(0.0, 100 * grown / (now - before[0]))

    def _readings(self, cpu_percent: float | None, memory_bytes: int) -> Iterator[Reading]:
        limits = self._options.limits
        if cpu_percent is not None:
            yield percent("cpu", phrase("CPU"), cpu_percent, limits.cpu)
        yield Reading(
            name="memory", value=memory_bytes, limit=limits.memory,
            text=phrase("memory at {size}", size=Bytes(memory_bytes)),
            limit_text=phrase("{size}", size=Bytes(limits.memory or 0)),
        )  # fmt: skip


def _range(count: ProcessCount) -> str:
    if count.max is None:
        return phrase("at least {n}", n=count.min)
    if count.min == count.max:
        return str(count.min)
    return phrase("{least} to {most}", least=count.min, most=count.max)


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="process",
            summary="Processes by pidfile, program or command line: present, how many, CPU, memory",
            family=Family.PROCESS,
            options=ProcessOptions,
            create=ProcessMonitor,
            ladder=ladder,
        )
    ]
