"""A channel and what people see at its far end: messages, edits and replies, with the seconds at which they came."""

import asyncio
import importlib.metadata
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from pydantic import ConfigDict

from defib import registry
from defib.hookspecs import PROJECT
from defib.plugin import (
    Alert,
    BuildContext,
    Channel,
    ChannelType,
    DeliveryError,
    Desk,
    Options,
    Receipt,
    ReportDocument,
    SendContext,
    hookimpl,
)  # fmt: skip
from defib.registry import Registry
from defib_sim.plugin import REAL_PARTS


@dataclass(slots=True)
class Seen:
    """One message as people see it: what an edit replaces is gone."""

    id: str
    at: float  #: when it came
    alert: Alert
    context: SendContext
    edits: list[float] = field(default_factory=list)  #: when it was replaced

    @property
    def members(self) -> list[str]:
        """The monitors that it tells of."""
        return [item.monitor for item in self.alert.facts.together] or [self.alert.facts.monitor]


@dataclass(slots=True)
class FarEnd:
    """Takes messages unless it is told otherwise; knows a message again by its key."""

    can_edit: bool = False
    timeout: timedelta = timedelta(seconds=5)
    mode: str = "ok"  #: or ``trouble``, ``hang``, ``refuse``, ``crash``, ``gone`` (no message can be edited)
    retry_after: timedelta | None = None  #: asked for in trouble
    poison: str = ""  #: the monitor of whose messages it takes none
    seen: list[Seen] = field(default_factory=list)
    tries: list[float] = field(default_factory=list)
    heard: Callable[[Desk], Awaitable[None]] | None = None  #: what it does while it listens
    losing: bool = False  #: takes a message, and the answer never arrives

    @property
    def titles(self) -> list[str]:
        return [item.alert.title for item in self.seen]


class FarEndOptions(Options):
    """Options that hold the thing itself."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )
    end: FarEnd


class FarEndChannel:
    """The way to it."""

    target = "a far end"

    def __init__(self, name: str, options: FarEndOptions, context: BuildContext) -> None:
        self._end = options.end
        self.can_edit = options.end.can_edit
        self.timeout = options.end.timeout

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        assert isinstance(notice, Alert)
        end, now = self._end, asyncio.get_running_loop().time()
        end.tries.append(now)
        match end.mode:
            case "trouble":
                raise DeliveryError("421 come back later", retry_after=end.retry_after)
            case "refuse":
                raise DeliveryError("403 never", permanent=True)
            case "hang":
                await asyncio.sleep(3600)
            case "crash":
                raise RuntimeError("token=hunter2")
        if end.poison and notice.facts.monitor == end.poison:
            raise DeliveryError("500 cannot digest this")
        known = next((item for item in end.seen if item.context.key == context.key), None)
        if known is None and context.edits is not None:
            if end.mode == "gone":
                raise DeliveryError("400 message to edit not found", permanent=True)
            first = next(item for item in end.seen if item.id == context.edits)
            first.alert, first.context = notice, context
            first.edits.append(now)
            return Receipt(id=first.id)
        if known is None:
            known = Seen(f"m{len(end.seen) + 1}", now, notice, context)
            end.seen.append(known)
        if end.losing:
            await asyncio.sleep(3600)
        return Receipt(id=known.id)

    async def listen(self, desk: Desk) -> None:
        if self._end.heard is None:
            await asyncio.sleep(float("inf"))
        else:
            await self._end.heard(desk)

    async def close(self) -> None: ...


def _channel(name: str, options: FarEndOptions, context: BuildContext) -> Channel:
    return FarEndChannel(name, options, context)


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    return [ChannelType(kind="far-end", summary="a far end", options=FarEndOptions, create=_channel)]


def load_plugins() -> Registry:
    """This one, and the real parts that delivery needs."""
    parts = {"far-end": __name__, **REAL_PARTS}
    return registry.load(
        [importlib.metadata.EntryPoint(name, module, PROJECT) for name, module in parts.items()]
    )
