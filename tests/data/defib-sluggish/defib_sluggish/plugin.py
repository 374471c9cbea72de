"""A monitor type whose author has not read that a probe must never block."""

import time
from pathlib import Path

from defib.plugin import (
    BuildContext,
    Evidence,
    Family,
    MonitorType,
    Options,
    ProbeContext,
    hookimpl,
)  # fmt: skip


class SluggishOptions(Options):
    """Where it is written for how long to block."""

    file: Path


class Sluggish:
    """Sleeps for as many seconds as are written in its file, once, and holds everybody up meanwhile."""

    host = ""

    def __init__(self, options: SluggishOptions, context: BuildContext) -> None:
        self._file = context.base / options.file
        self.target = str(self._file)

    async def probe(self, context: ProbeContext) -> Evidence:
        if self._file.exists():
            seconds = float(self._file.read_text())
            self._file.unlink()
            time.sleep(seconds)  # noqa: ASYNC251 - the very thing that it is here for
        return Evidence.ok("slept well")

    async def close(self) -> None:
        pass


@hookimpl
def defib_monitors() -> list[MonitorType]:
    return [
        MonitorType(
            kind="sluggish", summary="sleeps at its work", family=Family.CHECK, options=SluggishOptions, create=Sluggish
        )
    ]  # fmt: skip
