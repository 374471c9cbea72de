"""Tells at once when processes end, whoever's children they are. Linux 5.3 and newer: pidfd_open(2)."""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable

Identity = tuple[int, float]
"""Process id and time of its start: the id alone is used again."""

_MOST = 64  #: processes that are watched; of more, one that ends is seldom the last


class ProcessExits:
    """Watches the processes that the latest look found.

    Costs one file descriptor for each, and nothing while they live.
    """

    def __init__(self) -> None:
        self._wanted: frozenset[Identity] = frozenset()
        self._watched: dict[Identity, int | None] = {}  # pidfd; None of one that has ended
        self._ended: list[int] = []  # pids nobody was told of yet
        self._news = asyncio.Event()

    def want(self, processes: Iterable[Identity]) -> None:
        """Watch these from now on, and no others. A matter of nothing while nobody listens."""
        wanted = frozenset(processes)
        self._wanted = wanted if len(wanted) <= _MOST else frozenset()
        self._news.set()

    async def losses(self, least: int) -> AsyncGenerator[str, None]:
        """Yield each time that a process ends which leaves fewer than ``least`` of the wanted.

        Returns where processes cannot be watched.
        """
        if not hasattr(os, "pidfd_open"):
            return
        try:
            while True:
                try:
                    self._follow()
                except OSError:  # no descriptor left, a kernel without it, or a sandbox that forbids it
                    return
                ended, self._ended = self._ended, []
                if ended and sum(pidfd is not None for pidfd in self._watched.values()) < least:
                    yield f"process {', '.join(map(str, ended))} ended"
                await self._news.wait()
                self._news.clear()
        finally:
            for identity in tuple(self._watched):
                self._let_go(identity)
            self._watched.clear()
            self._ended.clear()

    def _follow(self) -> None:
        for gone in self._watched.keys() - self._wanted:
            self._let_go(gone)
            del self._watched[gone]
        for identity in self._wanted - self._watched.keys():
            try:
                pidfd = os.pidfd_open(identity[0])
            except ProcessLookupError:  # since the look that found it
                self._end(identity)
                continue
            self._watched[identity] = pidfd
            asyncio.get_running_loop().add_reader(pidfd, self._end, identity)

    def _end(self, identity: Identity) -> None:
        self._let_go(identity)
        self._watched[identity] = None
        self._ended.append(identity[0])
        self._news.set()

    def _let_go(self, identity: Identity) -> None:
        pidfd = self._watched.get(identity)
        if pidfd is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)
