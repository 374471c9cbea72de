"""The overview, made once for everybody who asks within half a second."""

import asyncio
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from defib.engine.views.read_model import Views
from defib.web.encoding import encode

MAX_AGE_S = 0.5
_GZIP_LEVEL = 1  #: nearly all of the gain for a tenth of the time of level 9
_GZIP_WINDOW = 31  #: 2**15 bytes, within gzip's frame

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Overview:
    """One state of everything."""

    view: dict[str, Any] = field(repr=False)
    body: bytes = field(repr=False)  #: the same as JSON
    made_at: float  #: monotonic

    @cached_property
    def compressed(self) -> bytes:
        """The body within gzip's frame. Takes a while when they are many: not on the event loop."""
        packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)
        return packer.compress(self.body) + packer.flush()


class Snapshot:
    """Hands out the overview: any number of browsers cost as much as one."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._newest: Overview | None = None
        self._lock = asyncio.Lock()
        self._encoded = Monitors()

    async def get(self) -> Overview:
        """The overview, at most :data:`MAX_AGE_S` old.

        :raises StoreError: the store cannot be read.
        """
        async with self._lock:
            if self._newest is None or time.monotonic() - self._newest.made_at > MAX_AGE_S:
                self._newest = await asyncio.to_thread(self._make)
            return self._newest

    def _make(self) -> Overview:
        view = self._views.overview()
        monitors = self._encoded.encode(view["monitors"])
        rest = encode({key: value for key, value in view.items() if key != "monitors"})
        return Overview(view, b"".join((rest[:-1], b',"monitors":', monitors, b"}")), time.monotonic())

    def expire(self) -> None:
        """Something was changed by hand: who did it wants to see it."""
        self._newest = None


class Monitors:
    """Encodes the list of monitors, and those that are as they were but once: of many, few change within a second."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Json, bytes]] = {}

    def encode(self, monitors: Sequence[Json]) -> bytes:
        """The list as JSON."""
        known = self._known
        self._known = {
            item["id"]: before
            if (before := known.get(item["id"])) and (before[0] is item or before[0] == item)
            else (item, encode(item))
            for item in monitors
        }
        return b"[" + b",".join(encoded for _, encoded in self._known.values()) + b"]"
