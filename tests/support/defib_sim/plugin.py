"""The plugin through which the engine meets the simulation: a monitor type, an action and a channel."""

import asyncio
import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict

from defib import registry
from defib.hookspecs import PROJECT
from defib.model.monitor import Family, MonitorSpec
from defib.plugin import (
    Action,
    ActionContext,
    ActionResult,
    ActionType,
    Alert,
    BuildContext,
    Channel,
    ChannelType,
    DeliveryError,
    Evidence,
    Monitor,
    MonitorType,
    Options,
    ProbeContext,
    PushedMonitor,
    Receipt,
    ReportDocument,
    SendContext,
    hookimpl,
)  # fmt: skip
from defib.registry import Registry
from defib_plugins.heartbeat import Heartbeat, HeartbeatOptions
from defib_sim.targets import Target

ACTION_TAKES_S = 1.0
REAL_PARTS = {
    "presets": "defib_strategies.presets",
    "consecutive": "defib_strategies.consecutive",
    "cusum": "defib_strategies.cusum",
    "alert-texts": "defib_alerts.texts",
}


@dataclass(slots=True)
class Notebook:
    """What people were told, and when."""

    outage: tuple[float, float] = (0.0, 0.0)  #: takes nothing from … until
    notes: list[tuple[float, Alert]] = field(default_factory=list)


class _Live(Options):
    """Options that hold the thing itself: simulations are built, not read from files."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class SimulatedOptions(_Live):
    target: Target
    host: str = ""


class BeatenOptions(_Live):
    beats: HeartbeatOptions
    target: Target | None = None  #: asked when it is silent


class RestartOptions(_Live):
    target: Target


class NotebookOptions(_Live):
    notebook: Notebook


class Simulated:
    """Asks its target."""

    target = "simulated"

    def __init__(self, options: SimulatedOptions, context: BuildContext) -> None:
        self.host = options.host
        self._target = options.target

    async def probe(self, context: ProbeContext) -> Evidence:
        return await self._target.meet(context.timeout)

    async def close(self) -> None: ...


class Restart:
    """Restarts its target; always says that it worked."""

    description = "restart"
    changes_identity = False

    def __init__(self, options: RestartOptions, monitor: MonitorSpec, context: BuildContext) -> None:
        self._target = options.target

    def check(self) -> None: ...

    async def identity(self) -> str | None:
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        await self._target.restart(ACTION_TAKES_S)
        return ActionResult()


class NotebookChannel:
    """Writes down what it is given, unless it is out of order."""

    target = "a notebook"
    is_read_by_people = True

    def __init__(self, name: str, options: NotebookOptions, context: BuildContext) -> None:
        self._notebook = options.notebook

    async def send(self, notice: Alert | ReportDocument, context: SendContext) -> Receipt:
        assert isinstance(notice, Alert)
        now = asyncio.get_running_loop().time()
        begins, ends = self._notebook.outage
        if begins <= now < ends:
            raise DeliveryError("out of order")
        self._notebook.notes.append((now, notice))
        return Receipt(id=context.key)

    async def close(self) -> None: ...


def _monitor(options: SimulatedOptions, context: BuildContext) -> Monitor:
    return Simulated(options, context)


def _beaten(options: BeatenOptions, context: BuildContext) -> PushedMonitor:
    heartbeat = Heartbeat(options.beats, context)
    if options.target is not None:
        heartbeat.asked = Simulated(SimulatedOptions(target=options.target), context)
    return heartbeat


def _action(options: RestartOptions, monitor: MonitorSpec, context: BuildContext) -> Action:
    return Restart(options, monitor, context)


def _channel(name: str, options: NotebookOptions, context: BuildContext) -> Channel:
    return NotebookChannel(name, options, context)


@hookimpl
def defib_monitors() -> Iterable[MonitorType]:
    return [
        MonitorType(
            kind="simulated",
            summary="asks a target of the simulation",
            family=Family.SERVICE,
            options=SimulatedOptions,
            create=_monitor,
        ),
        MonitorType(
            kind="beaten",
            summary="the heartbeat monitor; what it asks is a target of the simulation",
            family=Family.JOB,
            options=BeatenOptions,
            create=_beaten,
        ),
    ]


@hookimpl
def defib_actions() -> Iterable[ActionType]:
    return [
        ActionType(
            kind="simulated-restart", summary="restarts a target", options=RestartOptions, create=_action
        )
    ]


@hookimpl
def defib_channels() -> Iterable[ChannelType]:
    return [
        ChannelType(
            kind="notebook", summary="writes down what it is given", options=NotebookOptions, create=_channel
        )
    ]


def load_plugins() -> Registry:
    """This plugin and the real parts that the engine needs."""
    parts = {"simulation": __name__, **REAL_PARTS}
    return registry.load(
        [importlib.metadata.EntryPoint(name, module, PROJECT) for name, module in parts.items()]
    )
