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
    Several,
    Size,
    hookimpl,
)
from defib_plugins.failures import timed_out
from defib_plugins.phrases import phrase
from defib_plugins.thresholds import Limits, Reading, percent, present

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

    target = phrase("this machine")
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
            return timed_out(context.timeout, phrase("measuring this machine; probably a disk hangs"))
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
            facts[f"disk {disk.mountpoint}"] = phrase(
                "{share:.1f} % of {size}", share=disk.percent, size=Size(disk.total_bytes)
            )
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
        ("cpu", phrase("CPU"), changes.cpu_percent, limits.cpu),
        ("memory", phrase("memory"), gauges.memory_percent, limits.memory),
        ("swap", phrase("swap"), gauges.swap_percent, limits.swap),
    )
    for name, words, value, limit in percents:
        if value is not None:
            yield percent(name, words, value, limit)
    if limits.load is not None:
        yield Reading(
            name="load",
            value=gauges.load1,
            limit=limits.load,
            text=phrase("load at {load:.2f}", load=gauges.load1),
            limit_text=phrase("{load:g}", load=limits.load),
        )
    if gauges.temperature_c is not None:
        yield Reading(
            name="temperature",
            value=gauges.temperature_c,
            limit=limits.temperature,
            text=phrase("temperature at {degrees:.0f} °C", degrees=gauges.temperature_c),
            limit_text=""
            if limits.temperature is None
            else phrase("{degrees} °C", degrees=limits.temperature),
        )
    for disk in gauges.disks:
        place = disk.mountpoint
        words = phrase("disk {place}", place=place)
        yield percent("disk", words, disk.percent, limits.disk, grade=Grade.SCHEDULED, key=place)
        if disk.inodes_percent is not None:
            words = phrase("inodes of {place}", place=place)
            yield percent(
                "inodes", words, disk.inodes_percent, limits.inodes, grade=Grade.SCHEDULED, key=place
            )


def _summary(gauges: "Gauges", changes: "Rates") -> str:
    parts = [
        phrase("memory {share:.0f} %", share=gauges.memory_percent), phrase("load {load:.2f}", load=gauges.load1)
    ]  # fmt: skip
    if changes.cpu_percent is not None:
        parts.insert(0, phrase("CPU {share:.0f} %", share=changes.cpu_percent))
    if gauges.disks:
        fullest = max(gauges.disks, key=lambda disk: disk.percent)
        parts.append(phrase("disk {place} {share:.0f} %", place=fullest.mountpoint, share=fullest.percent))
    return phrase("{figures}", figures=Several(tuple(parts)))


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
