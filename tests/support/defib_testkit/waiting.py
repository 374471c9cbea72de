"""Wait for something to become true, with a deadline and a message that says what did not happen."""

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S = 0.01
_PATIENCE = float(os.environ.get("DEFIB_TEST_PATIENCE", "1"))


def wait_until(
    predicate: Callable[[], T], timeout: float = 5.0, what: str = "the condition", *, pause: float = _PAUSE_S
) -> T:
    """Look until ``predicate()`` is truthy, and return its value.

    A look that raises an ``Exception`` counts as "not yet". There is always a last look after the deadline.

    :param timeout: seconds; as many times as many as DEFIB_TEST_PATIENCE says, for machines that are slow or shared.
        It bounds how long a failure takes: a promise about time is measured and asserted.
    :param what: what is waited for, for the message: ``"the agent to listen"``.
    :param pause: seconds between two looks; longer for looks that cost.
    :raises TimeoutError: saying what was waited for, how long, and what was seen instead.
    """
    looks = _Looks(timeout, what)
    while True:
        is_last = looks.is_time_up()
        try:
            value = predicate()
        except Exception as error:
            looks.note_error(error)
        else:
            if value:
                return value
            looks.note_value(value)
        if is_last:
            raise looks.failure()
        time.sleep(pause)


async def async_wait_until(
    predicate: Callable[[], T | Awaitable[T]], timeout: float = 5.0, what: str = "the condition"
) -> T:
    """As :func:`wait_until`, leaving the event loop free meanwhile; the predicate may be a coroutine function.

    A coroutine is not interrupted: it needs a timeout of its own.
    """
    looks = _Looks(timeout, what)
    while True:
        is_last = looks.is_time_up()
        try:
            outcome = predicate()
            value: T = await outcome if inspect.isawaitable(outcome) else outcome
        except Exception as error:
            looks.note_error(error)
        else:
            if value:
                return value
            looks.note_value(value)
        if is_last:
            raise looks.failure()
        await asyncio.sleep(_PAUSE_S)


class _Looks:
    """When to stop looking, and what to say then."""

    def __init__(self, timeout: float, what: str) -> None:
        self._started = time.monotonic()
        self._timeout = timeout * _PATIENCE
        self._what = what
        self._seen = ""
        self._cause: Exception | None = None

    def is_time_up(self) -> bool:
        return time.monotonic() - self._started >= self._timeout

    def note_value(self, value: object) -> None:
        self._seen, self._cause = f"the last look gave {value!r}", None

    def note_error(self, error: Exception) -> None:
        self._seen, self._cause = f"the last look raised {type(error).__name__}: {error}", error

    def failure(self) -> TimeoutError:
        failure = TimeoutError(f"waited {self._timeout:g} s for {self._what}; {self._seen}")
        failure.__cause__ = self._cause
        return failure
