"""Other processes: who is alive, whose child is whose, and how to end one for certain."""

import contextlib
import ctypes
import os
import signal
from pathlib import Path

import psutil

from defib_testkit.waiting import wait_until

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends (Linux; elsewhere nothing).

    What a test starts and detaches with ``setsid`` or a double fork is then still seen as a child, and is
    reaped here instead of lingering as a zombie that looks alive to ``kill -0`` and to PostgreSQL's lock file.

    Source: prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """Process ids of this process's direct children, zombies included."""
    try:
        lists = [(task / "children").read_text() for task in Path("/proc/self/task").iterdir()]
    except OSError:  # no /proc, a kernel without CONFIG_PROC_CHILDREN, or a thread that ended meanwhile
        return {child.pid for child in psutil.Process().children()}
    return {int(pid) for text in lists for pid in text.split()}


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie.

    The first of several threads is a zombie already while the others still hold the sockets.
    """
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
    except psutil.NoSuchProcess:
        return False


def command_line(pid: int) -> str:
    """The arguments joined by spaces; empty for a process that has ended or has none."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def with_argument(*arguments: str) -> set[int]:
    """Processes started with exactly one of these: those of one owner, when the argument is a path of its own."""
    wanted = set(arguments)
    return {
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if not wanted.isdisjoint(process.info["cmdline"] or [])
    }


def reap(pid: int) -> None:
    """Take the exit status of a child that has ended; nothing for anybody else's, or while it runs."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone already is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def freeze(*pids: int) -> None:
    """Send SIGSTOP, and return when every thread has stopped; some run on for a moment."""
    for pid in pids:
        send(pid, signal.SIGSTOP)
    wait_until(lambda: all(map(_is_frozen, pids)), what=f"processes {pids} to stop")


def _is_frozen(pid: int) -> bool:
    states = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
            states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
    return set(states) <= {"T", "Z"}


def thaw(*pids: int) -> None:
    """Send SIGCONT."""
    for pid in pids:
        send(pid, signal.SIGCONT)


def end(pid: int, *, number: signal.Signals = signal.SIGKILL, timeout: float = 5.0) -> None:
    """Send the signal, wait until the process is gone, and reap it; nothing if it is gone already.

    :raises TimeoutError: it is still running after ``timeout`` seconds.
    """
    send(pid, number)
    wait_until(lambda: not is_running(pid), timeout, f"process {pid} to end after {number.name}")
    reap(pid)
