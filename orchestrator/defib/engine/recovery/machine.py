"""How this machine is, in a few lines for a snapshot: sockets, disks, load."""

import os
from collections.abc import Mapping
from datetime import timedelta

from defib.engine.recovery.executor import ProcessExecutor
from defib.errors import ActionRefusedError

_GIB = 2**30
_BIGGEST = 5  #: processes shown, by memory
_SS: Mapping[str, tuple[str, ...]] = {
    "sockets listening": ("ss", "-H", "-l", "-t", "-n", "-p"),
    "sockets": ("ss", "-s"),
}


async def sockets(timeout: timedelta) -> Mapping[str, str]:
    """What ``ss`` tells: who listens, with how full a queue, and how many connections there are."""
    execute, parts = ProcessExecutor(), {}
    for heading, argv in _SS.items():
        try:
            parts[heading] = (await execute(argv, timeout=timeout, env={})).output
        except ActionRefusedError as error:
            parts[heading] = str(error)
    return parts


def disks() -> str:
    """Local file systems, the fullest first; those of a network could hang."""
    import psutil

    places = {"/": "/"}
    for item in psutil.disk_partitions(
        all=False
    ):  # a unit of systemd sees a disk once for each of its folders
        places.setdefault(item.device, item.mountpoint)
    lines = []
    for place in set(places.values()):
        try:
            status = os.statvfs(place)
        except OSError:
            continue
        if not status.f_blocks:
            continue
        taken = (
            status.f_blocks - status.f_bfree
        )  # as df has it: what is kept for root is neither taken nor free
        used = taken / ((taken + status.f_bavail) or 1)
        inodes = 1 - status.f_favail / status.f_files if status.f_files else 0.0
        free = status.f_bavail * status.f_frsize / _GIB
        lines.append(
            (used, f"{used:.0%} full, {free:.1f} GiB free, {inodes:.0%} of the inodes used: {place}")
        )
    return "\n".join(line for _, line in sorted(lines, reverse=True))


def load() -> str:
    """Load, memory, and the processes that take most of it."""
    import psutil

    one, five, fifteen = os.getloadavg()
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    lines = [
        f"load {one:.2f} {five:.2f} {fifteen:.2f} on {os.cpu_count()} processors, memory {memory.percent:.0f} % of "
        f"{memory.total / _GIB:.1f} GiB used, swap {swap.percent:.0f} % of {swap.total / _GIB:.1f} GiB"
    ]
    processes = [
        (item.info["memory_info"].rss, item.pid, item.info["name"])
        for item in psutil.process_iter(("name", "memory_info"))
        if item.info["memory_info"] is not None
    ]
    for rss, pid, name in sorted(processes, reverse=True)[:_BIGGEST]:
        lines.append(f"{rss / 2**20:8.0f} MiB  pid {pid}  {name}")
    return "\n".join(lines)
