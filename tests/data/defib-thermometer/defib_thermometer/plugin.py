"""A monitor type and an alert channel, made with nothing but Defib's public plugin API."""

import asyncio
from pathlib import Path

from defib.plugin import (
    Alert,
    BuildContext,
    ChannelType,
    Evidence,
    Family,
    Grade,
    MonitorType,
    Options,
    ProbeContext,
    Receipt,
    ReportDocument,
    SendContext,
    hookimpl,
)  # fmt: skip


class ThermometerOptions(Options):
    """Where the reading is, and what is too hot."""

    file: Path
    limit: float = 30.0


class Thermometer:
    """Reads degrees from a file."""

    host = ""

    def __init__(self, options: ThermometerOptions, context: BuildContext) -> None:
        self._file = context.base / options.file
        self._limit = options.limit
        self.target = str(self._file)

    async def probe(self, context: ProbeContext) -> Evidence:
        try:
            degrees = float(await asyncio.to_thread(self._file.read_text))
        except (OSError, ValueError) as error:
            return Evidence.fail("no-reading", f"no reading: {error}", grade=Grade.STRONG)
        if degrees > self._limit:
            return Evidence.fail("too-hot", f"{degrees:g} °C, above {self._limit:g} °C")
        return Evidence.ok(f"{degrees:g} °C", metrics={"degrees": degrees})

    async def close(self) -> None:
        pass


class PaperOptions(Options):
    """Where to write."""

    file: Path


class Paper:
    """Writes the title of each notice on a line."""

    def __init__(self, name: str, options: PaperOptions, context: BuildContext) -> None:
        self._file = context.base / options.file
        self.target = str(self._file)

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        title = notice.title if isinstance(notice, Alert) else notice.subject
        with self._file.open("a") as file:
            file.write(f"{title}\n")
        return Receipt(detail="written")

    async def close(self) -> None:
        pass


@hookimpl
def defib_monitors() -> list[MonitorType]:
    return [
        MonitorType(
            kind="thermometer",
            summary="degrees from a file",
            family=Family.CHECK,
            options=ThermometerOptions,
            create=Thermometer,
        )
    ]


@hookimpl
def defib_channels() -> list[ChannelType]:
    return [ChannelType(kind="paper", summary="lines in a file", options=PaperOptions, create=Paper)]
