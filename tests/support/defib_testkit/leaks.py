"""What a test must not leave behind: threads, processes and asyncio tasks.

Sockets and files need no watch here: dropping one unclosed is a ``ResourceWarning``, and warnings are errors.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from unittest import mock

from defib_testkit import processes
from defib_testkit.waiting import wait_until

_GRACE_S = 1.0
"""For threads and processes that are about to end: longer than it takes, shorter than a forgotten one."""


class Residents:
    """Processes that may outlive a test because they belong to the session (a database server, a daemon)."""

    def __init__(self) -> None:
        self._marks: list[str] = []

    def allow(self, mark: str) -> None:
        """Allow every process with ``mark`` in its command line; a folder of its own makes a good mark."""
        self._marks.append(mark)

    def includes(self, pid: int) -> bool:
        line = processes.command_line(pid)
        return any(mark in line for mark in self._marks)


class LeakWatch:
    """Compares what runs now with what ran when it was made."""

    def __init__(self, residents: Residents) -> None:
        self._residents = residents
        self._threads = set(threading.enumerate())
        self._children = processes.children()
        self._tasks: list[str] = []

    @contextlib.contextmanager
    def watching_tasks(self) -> Iterator[None]:
        """Note the tasks that event loops of the main thread cancel because nobody had awaited them.

        ``asyncio.run`` and ``asyncio.Runner`` (and with it pytest-asyncio and anyio) end a loop by cancelling
        whatever is still pending, silently; this is the one place where it can be seen.
        """
        cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

        def note_and_cancel(loop: asyncio.AbstractEventLoop) -> None:
            if threading.current_thread() is threading.main_thread():
                self._tasks += [f"asyncio task still pending: {task!r}" for task in asyncio.all_tasks(loop)]
            cancel_all(loop)

        with mock.patch.object(asyncio.runners, "_cancel_all_tasks", note_and_cancel):
            yield

    def leftovers(self) -> list[str]:
        """One line for each leftover, none when all is clean; leftover processes are killed, to spare the next test."""
        found = list(self._tasks)
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self._new_threads() and not self._new_children(), _GRACE_S)
        found += [f"thread still running: {thread.name}" for thread in self._new_threads()]
        for pid in sorted(self._new_children()):
            found.append(f"process still running: {pid} {processes.command_line(pid)}")
            processes.end(pid)
        return found

    def _new_threads(self) -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t not in self._threads and not t.daemon]

    def _new_children(self) -> set[int]:
        new = {pid for pid in processes.children() - self._children if not self._residents.includes(pid)}
        for pid in new:
            processes.reap(pid)  # a zombie is nobody's harm: an orphan that was adopted and has ended
        return {pid for pid in new if processes.is_running(pid)}
