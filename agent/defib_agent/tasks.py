"""What the workload is doing just now: ``with task("import"): …`` or ``@task("import")``."""

import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTask:
    """Something that is being worked on."""

    id: int
    kind: str
    workspace: str
    started_at: datetime


class TaskList:
    """The tasks that run now. Safe to use from any thread."""

    def __init__(self) -> None:
        self._running: dict[int, RunningTask] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    @contextmanager
    def keep(self, kind: str, workspace: str = "") -> Iterator[RunningTask]:
        """A task that runs while this lasts."""
        started = RunningTask(
            id=next(self._numbers), kind=kind, workspace=workspace, started_at=datetime.now(UTC)
        )
        with self._lock:
            self._running[started.id] = started
        try:
            yield started
        finally:
            with self._lock:
                del self._running[started.id]

    def running(self) -> tuple[RunningTask, ...]:
        """Those that run now, the oldest first."""
        with self._lock:
            return tuple(self._running.values())


TASKS = TaskList()
"""Of this process."""


class task:
    """A running task, told with each beat: a context manager, and a decorator of functions and coroutine functions.

    :param kind: what is done: ``import``.
    :param workspace: for whom or in which part, if that says anything.
    """

    def __init__(self, kind: str, workspace: str = "") -> None:
        self._kind = kind
        self._workspace = workspace

    def __enter__(self) -> RunningTask:
        self._kept = TASKS.keep(self._kind, self._workspace)
        return self._kept.__enter__()

    def __exit__(self, *raised: Any) -> None:
        self._kept.__exit__(*raised)

    def __call__(self, work: F) -> F:
        if inspect.iscoroutinefunction(work):

            async def tracked_coroutine(*arguments: Any, **named: Any) -> Any:
                with TASKS.keep(self._kind, self._workspace):
                    return await work(*arguments, **named)

            return functools.wraps(work)(tracked_coroutine)  # type: ignore[return-value]

        def tracked(*arguments: Any, **named: Any) -> Any:
            with TASKS.keep(self._kind, self._workspace):
                return work(*arguments, **named)

        return functools.wraps(work)(tracked)  # type: ignore[return-value]
