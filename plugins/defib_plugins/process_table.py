"""Processes of this machine by psutil. Heavy to import: load on first use."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from defib_plugins.phrases import phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """One process that runs; a zombie does not."""

    pid: int
    started_at: float  #: seconds since 1970; with the pid it identifies the process
    cpu_s: float  #: processor time used so far
    memory_bytes: int  #: resident


class PidfileError(Exception):
    """The pidfile cannot be read, or holds no process id."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


def read_pidfile(path: Path) -> int:
    """The process id in ``path``.

    :raises FileNotFoundError: there is none.
    :raises PidfileError: it cannot be read or holds something else.
    """
    try:
        words = path.read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PidfileError(
            phrase("{file} cannot be read: {error}", file=str(path), error=str(error.strerror))
        ) from error
    if not words or not words[0].isdecimal() or int(words[0]) <= 0:
        raise PidfileError(phrase("{file} holds no process id", file=str(path)))
    return int(words[0])


def find(
    pids: Iterable[int] | None, *, name: str | None, is_wanted: Callable[[str], bool] | None
) -> list[Living]:
    """The living processes that match.

    :param pids: look only at these; None for all but this very process, whose arguments may hold the pattern.
    :param name: of the program.
    :param is_wanted: decides by the whole command line, its words joined by blanks.
    """
    found = []
    if pids is None:
        pids = (pid for pid in psutil.pids() if pid != os.getpid())
    for pid in pids:
        if (process := _matching(pid, name, is_wanted)) is not None:
            found.append(process)
    return found


def _matching(pid: int, name: str | None, is_wanted: Callable[[str], bool] | None) -> Living | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if name is not None and process.name() != name:
                return None
            if is_wanted is not None and not is_wanted(" ".join(process.cmdline())):
                return None
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return None
            times = process.cpu_times()
            return Living(
                pid=pid,
                started_at=process.create_time(),
                cpu_s=times.user + times.system,
                memory_bytes=process.memory_info().rss,
            )
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # a zombie's error is a NoSuchProcess too
        return None
