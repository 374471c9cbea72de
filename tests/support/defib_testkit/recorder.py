"""What a server double has received, readable from the test's thread while the server's adds to it."""

import threading
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from defib_testkit.waiting import async_wait_until, wait_until

T = TypeVar("T")


class Recorder(Generic[T]):
    """An append-only list that one can wait for."""

    def __init__(self, what: str) -> None:
        """
        :param what: what is recorded, in the plural, for messages: ``"mails"``.
        """
        self._what = what
        self._items: list[T] = []
        self._lock = threading.Lock()

    def add(self, item: T) -> None:
        with self._lock:
            self._items.append(item)

    def all(self) -> Sequence[T]:
        with self._lock:
            return tuple(self._items)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()

    def wait_for(self, count: int, timeout: float = 5.0) -> Sequence[T]:
        """All items, as soon as there are at least ``count`` (from 1).

        Blocks the thread: a test whose own event loop does the sending uses :meth:`async_wait_for`.

        :raises TimeoutError: with the items that did arrive.
        """
        return wait_until(lambda: self._at_least(count), timeout, f"{count} {self._what}")

    async def async_wait_for(self, count: int, timeout: float = 5.0) -> Sequence[T]:
        """As :meth:`wait_for`, leaving the event loop free meanwhile."""
        return await async_wait_until(lambda: self._at_least(count), timeout, f"{count} {self._what}")

    def _at_least(self, count: int) -> Sequence[T]:
        items = self.all()
        if len(items) < count:
            raise LookupError(f"there are {len(items)}: {items!r}")
        return items

    def __len__(self) -> int:
        return len(self.all())

    def __getitem__(self, index: int) -> T:
        return self.all()[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self.all())
