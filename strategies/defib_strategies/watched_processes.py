"""The processes that a monitor watches, found the way it finds them: by pidfile, program or command line."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from defib.plugin import MonitorSpec

if TYPE_CHECKING:
    import psutil

_LOOK_S = 4.0  #: how long reading the process table may take


@dataclass(frozen=True, slots=True)
class WatchedProcesses:
    """Which processes are meant; all that is given has to fit."""

    pidfile: Path | None
    program: str | None = None
    is_wanted: Callable[[str], bool] | None = None  #: decides by the whole command line

    async def find(self) -> "list[psutil.Process]":
        """Those that live now, oldest first. Zombies are none.

        :raises TimeoutError: the process table could not be read in time.
        """
        async with asyncio.timeout(_LOOK_S):
            return await asyncio.to_thread(self._find)

    def _find(self) -> "list[psutil.Process]":
        import psutil

        pids = psutil.pids() if self.pidfile is None else self._noted()
        found = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process = psutil.Process(pid)
                if self._fits(process):
                    process.create_time()  # looked at while it lives, and kept
                    found.append(process)
        return sorted(found, key=lambda process: process.create_time())

    def _noted(self) -> list[int]:
        assert self.pidfile is not None
        with suppress(OSError):
            words = self.pidfile.read_text(encoding="ascii", errors="replace").split()
            if words and words[0].isdecimal() and int(words[0]) > 0:
                return [int(words[0])]
        return []

    def _fits(self, process: "psutil.Process") -> bool:
        import psutil

        if self.pidfile is None and process.pid == os.getpid():  # its arguments may hold the pattern
            return False
        if self.program is not None and process.name() != self.program:
            return False
        if self.is_wanted is not None and not self.is_wanted(" ".join(process.cmdline())):
            return False
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


def identity_of(processes: "list[psutil.Process]") -> str | None:
    """Ids and starts; None where there is none."""
    return " ".join(f"{process.pid}@{process.create_time():.2f}" for process in processes) or None


def started_at(processes: "list[psutil.Process]") -> datetime | None:
    """When the newest of them was started."""
    newest = max((process.create_time() for process in processes), default=None)
    return None if newest is None else datetime.fromtimestamp(newest, UTC)


def of_monitor(monitor: MonitorSpec, base: Path) -> WatchedProcesses | None:
    """What a monitor of processes watches; None for other monitors."""
    if monitor.kind != "process":
        return None
    options = monitor.options
    pidfile: Path | None = getattr(options, "pidfile", None)
    pattern = getattr(options, "cmdline", None)
    return WatchedProcesses(
        None if pidfile is None else base / pidfile,
        getattr(options, "program", None),
        pattern.is_in if pattern is not None else None,
    )
