"""Which run of the machine this is: a process id of another boot means nothing."""

from pathlib import Path

import psutil


def boot_id() -> str:
    """The kernel's boot id, or the boot time where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"booted-{psutil.boot_time():.0f}"


def process_started(pid: int) -> float | None:
    """Start time of a process that lives, in seconds since 1970; None when it is gone or a zombie."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None
