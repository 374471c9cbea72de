"""Monitor ``host``: this machine's processor, memory, swap, partitions, load, temperature and network."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from defib.plugin import (
    BuildContext,
    Clock,
    Duration,
    Evidence,
    Fact,
    Family,
    Grade,
    MonitorType,
    Options,
    Percent,
    ProbeContext,
    hookimpl,
)
from defib_plugins.failures import timed_out
from defib_plugins.thresholds import Limits, Reading, format_size, present

if TYPE_CHECKING:
    from defib_plugins.host_sample import Counters, Gauges, Rates

_FIRST_SAMPLE_S = 0.1


class HostLimits(Options):
    """Numbers beyond which this machine is degraded."""

    cpu: Percent | None = Field(default=None, description="Processor time, all processors together.")
    memory: Percent | None = Field(default=None, description="Memory that is not available.")
    swap: Percent | None = Field(default=None, description="Swap space in use.")
    disk: Percent | None = Field(default=None, description="Space in use on any partition.")
    inodes: Percent | None = Field(default=None, description="Inodes in use on any partition.")
    load: float | None = Field(default=None, gt=0, description="Load average of one minute.")
    temperature: float | None = Field(default=None, gt=0, description="The warmest sensor, in °C.")
    hold: Duration = Field(
        default=timedelta(0), alias="for", description="How long a limit must be exceeded without a break."
    )


class HostOptions(Options):
    """Options of the ``host`` monitor."""

    limits: HostLimits = Field(
        default_factory=HostLimits, description="Beyond them this machine is degraded."
    )


class HostMonitor:
    """Measures this machine. Never fails: a machine in trouble is degraded; when it is down, so are we."""

    target = "this machine"
    host = ""

    def __init__(self, options: HostOptions, context: BuildContext) -> None:
        self._options = options
        self._limits = Limits(options.limits.hold)
        self._before: Counters | None = None
        self._measuring: asyncio.Future[Gauges] | None = None

    async def probe(self, context: ProbeContext) -> Evidence:
        """Measure once; rates are those since the probe before, or of a short sample on the first one."""
        try:
            async with asyncio.timeout(context.timeout.total_seconds()):
                changes = await self._rates(context.clock)
                gauges = await self._gauges()
        except TimeoutError:
            return timed_out(context.timeout, "measuring this machine; probably a disk hangs")
        metrics = present(
            cpu_percent=changes.cpu_percent,
            memory_percent=gauges.memory_percent,
            swap_percent=gauges.swap_percent,
            disk_percent=max((disk.percent for disk in gauges.disks), default=None),
            inodes_percent=max((disk.inodes_percent or 0.0 for disk in gauges.disks), default=None),
            load1=gauges.load1,
            net_in_bytes_s=changes.received_bytes_s,
            net_out_bytes_s=changes.sent_bytes_s,
            temperature_c=gauges.temperature_c,
        )
        facts: dict[str, Fact] = {"processors": gauges.processors}
        for disk in gauges.disks:
            facts[f"disk {disk.mountpoint}"] = f"{disk.percent:.1f} % of {format_size(disk.total_bytes)}"
        readings = _readings(self._options.limits, gauges, changes)
        return self._limits.judge(
            readings,
            context.clock.monotonic(),
            summary=_summary(gauges, changes),
            metrics=metrics,
            facts=facts,
        )

    async def close(self) -> None:
        """Nothing is held between probes but numbers."""

    async def _rates(self, clock: Clock) -> "Rates":
        from defib_plugins.host_sample import rates, read_counters

        if self._before is None:
            self._before = read_counters()
            await clock.sleep(_FIRST_SAMPLE_S)
        before, self._before = self._before, read_counters()
        return rates(before, self._before)

    async def _gauges(self) -> "Gauges":
        """Measure in a thread, one at a time: probes share a measurement that hangs instead of adding threads."""
        from defib_plugins.host_sample import read_gauges

        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.get_running_loop().run_in_executor(None, read_gauges)
        return await asyncio.shield(self._measuring)


def _readings(limits: HostLimits, gauges: "Gauges", changes: "Rates") -> Iterator[Reading]:
    percents = (
        ("cpu", "CPU", changes.cpu_percent, limits.cpu),
        ("memory", "memory", gauges.memory_percent, limits.memory),
        ("swap", "swap", gauges.swap_percent, limits.swap),
    )
    for name, words, value, limit in percents:
        if value is not None:
            yield _percent(name, words, value, limit)
    if limits.load is not None:
        yield Reading(
            name="load",
            value=gauges.load1,
            limit=limits.load,
            text=f"load at {gauges.load1:.2f}",
            limit_text=f"{limits.load:g}",
        )
    if gauges.temperature_c is not None:
        yield Reading(
            name="temperature",
            value=gauges.temperature_c,
            limit=limits.temperature,
            text=f"temperature at {gauges.temperature_c:.0f} °C",
            limit_text=f"{limits.temperature} °C",
        )
    for disk in gauges.disks:
        place = disk.mountpoint
        yield _percent("disk", f"disk {place}", disk.percent, limits.disk, grade=Grade.SCHEDULED, key=place)
        if disk.inodes_percent is not None:
            words = f"inodes of {place}"
            yield _percent(
                "inodes", words, disk.inodes_percent, limits.inodes, grade=Grade.SCHEDULED, key=place
            )


def _percent(
    name: str, words: str, value: float, limit: float | None, *, grade: Grade = Grade.WEAK, key: str = ""
) -> Reading:
    text, limit_text = f"{words} at {value:.1f} %", f"{limit} %"
    return Reading(
        name=name, value=value, limit=limit, text=text, limit_text=limit_text, grade=grade, key=key
    )


def _summary(gauges: "Gauges", changes: "Rates") -> str:
    parts = [f"memory {gauges.memory_percent:.0f} %", f"load {gauges.load1:.2f}"]
    if changes.cpu_percent is not None:
        parts.insert(0, f"CPU {changes.cpu_percent:.0f} %")
    if gauges.disks:
        fullest = max(gauges.disks, key=lambda disk: disk.percent)
        parts.append(f"disk {fullest.mountpoint} {fullest.percent:.0f} %")
    return ", ".join(parts)


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="host",
            summary="This machine: CPU, memory, swap, every partition and its inodes, load, temperature, network",
            family=Family.HOST,
            options=HostOptions,
            create=HostMonitor,
        )
    ]
