"""Numbers of this machine by psutil. Heavy to import: load on first use; blocking where a disk hangs."""

import os
import time
from dataclasses import dataclass

import psutil

_READ_ONLY_TYPES = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs"})
"""Images that are full by nature."""
_INNER_INTERFACES = ("lo", "veth", "docker", "br-", "virbr", "vnet", "cni", "flannel", "cali")
"""Their traffic never leaves this machine, or is counted once more on a real interface."""
_WARMEST_CREDIBLE_C = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One partition."""

    mountpoint: str
    percent: float  #: as df shows it: of what users may fill
    inodes_percent: float | None  #: None where the file system has no fixed number
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What only grows."""

    at: float  #: seconds, monotonic
    cpu_busy_s: float  #: over all processors
    cpu_total_s: float
    received_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What is true now."""

    memory_percent: float
    swap_percent: float
    load1: float
    temperature_c: float | None  #: of the warmest sensor
    disks: tuple[Disk, ...]
    processors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Between two readings of the counters."""

    cpu_percent: float | None
    received_bytes_s: float | None
    sent_bytes_s: float | None


def read_counters() -> Counters:
    times = psutil.cpu_times()
    # The kernel counts guests' time once more as user time (proc(5), /proc/stat).
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    idle = times.idle + getattr(times, "iowait", 0.0)
    interfaces = psutil.net_io_counters(pernic=True)
    outer = [count for name, count in interfaces.items() if not name.startswith(_INNER_INTERFACES)]
    return Counters(
        at=time.monotonic(),
        cpu_busy_s=total - idle,
        cpu_total_s=total,
        received_bytes=sum(count.bytes_recv for count in outer),
        sent_bytes=sum(count.bytes_sent for count in outer),
    )


def read_gauges() -> Gauges:
    return Gauges(
        memory_percent=psutil.virtual_memory().percent,
        swap_percent=psutil.swap_memory().percent,
        load1=psutil.getloadavg()[0],
        temperature_c=_temperature(),
        disks=tuple(_disks()),
        processors=psutil.cpu_count() or 1,
    )


def rates(before: Counters, after: Counters) -> Rates:
    """What happened in between. A counter that fell (an interface went away, a wrap) gives no rate."""

    def each_second(grown: int) -> float | None:
        return grown / elapsed if elapsed > 0 and grown >= 0 else None

    elapsed = after.at - before.at
    total = after.cpu_total_s - before.cpu_total_s
    busy = after.cpu_busy_s - before.cpu_busy_s
    return Rates(
        cpu_percent=min(100.0, max(0.0, 100 * busy / total)) if total > 0 else None,
        received_bytes_s=each_second(after.received_bytes - before.received_bytes),
        sent_bytes_s=each_second(after.sent_bytes - before.sent_bytes),
    )


def _disks() -> list[Disk]:
    """Every real partition once, and the root whatever it is made of (a container's is an overlay)."""
    places = {"/": "/"}
    for partition in psutil.disk_partitions(all=False):
        if partition.fstype not in _READ_ONLY_TYPES:
            places.setdefault(partition.device, partition.mountpoint)
    disks: dict[str, Disk] = {}
    for mountpoint in places.values():
        try:
            usage, counts = psutil.disk_usage(mountpoint), os.statvfs(mountpoint)
        except OSError:  # unmounted meanwhile, or not ours to see
            continue
        inodes = 100 * (1 - counts.f_favail / counts.f_files) if counts.f_files else None
        disks.setdefault(
            mountpoint,
            Disk(
                mountpoint=mountpoint, percent=usage.percent, inodes_percent=inodes, total_bytes=usage.total
            ),
        )
    return list(disks.values())


def _temperature() -> float | None:
    if not hasattr(psutil, "sensors_temperatures"):
        return None
    sensors = (entry.current for entries in psutil.sensors_temperatures().values() for entry in entries)
    return max((value for value in sensors if value and 0 < value < _WARMEST_CREDIBLE_C), default=None)
