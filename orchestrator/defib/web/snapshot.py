"""The overview, made once for everybody who asks within half a second."""

import asyncio
import gzip
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from defib.engine.views import Views
from defib.web.encoding import encode

MAX_AGE_S = 0.5
_GZIP_LEVEL = 3  #: most of the gain for a tenth of the time of level 9


@dataclass(frozen=True)
class Overview:
    """One state of everything."""

    view: dict[str, Any] = field(repr=False)
    made_at: float  #: monotonic

    @cached_property
    def body(self) -> bytes:
        return encode(self.view)

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.body, _GZIP_LEVEL, mtime=0)


class Snapshot:
    """Hands out the overview: any number of browsers cost as much as one."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._newest: Overview | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> Overview:
        """The overview, at most :data:`MAX_AGE_S` old.

        :raises StoreError: the store cannot be read.
        """
        async with self._lock:
            if self._newest is None or time.monotonic() - self._newest.made_at > MAX_AGE_S:
                self._newest = await asyncio.to_thread(self._make)
            return self._newest

    def _make(self) -> Overview:
        overview = Overview(self._views.overview(), time.monotonic())
        _ = overview.body  # encoded here, where it holds up nobody
        return overview

    def expire(self) -> None:
        """Something was changed by hand: who did it wants to see it."""
        self._newest = None
