"""The hooks a plugin may implement, and the descriptors they return.

A plugin is a module named by an entry point in the group ``defib``. Hooks are synchronous, take no
arguments and do no work: they return descriptors. Behaviour is created from a descriptor when a
configuration names its kind.

    from defib.plugin import MonitorType, hookimpl

    @hookimpl
    def defib_monitors():
        return [MonitorType(kind="ldap", summary="…", family=Family.SERVICE, options=LdapOptions, create=Ldap)]
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pluggy

from defib.model.monitor import Family, MonitorSpec
from defib.model.report import Span
from defib.model.strategy import Strategy
from defib.ports import (
    Action,
    AlertTexts,
    BuildContext,
    Channel,
    Detector,
    Monitor,
    PushedMonitor,
    ReceiverContext,
    ReportWriter,
)  # fmt: skip

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.routing import BaseRoute

PROJECT = "defib"
"""Name of the entry-point group and of the pluggy project."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRung:
    """One step of the ladder that a monitor type brings along."""

    action: str  #: the action's kind; its plugin may be another one
    options: Mapping[str, object] = field(default_factory=dict)  #: as users would write them below the action
    timeout: timedelta | None = None  #: as at a written rung; None: its default
    max_uses: int | None = None  #: likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorType:
    """A sort of monitor: what ``type:`` names in the configuration."""

    kind: str  #: what users write: ``http``
    summary: str  #: one line for ``defib plugins``
    family: Family  #: chooses the kind of alert: ``agent`` → ``agent_down``
    options: "type[BaseModel]"  #: the monitor's own keys; unknown keys are mistakes
    configured_only: bool = False
    """Only whoever writes the configuration may set one up, since it does on this machine what its options say."""
    create: "Callable[[Any, BuildContext], Monitor | PushedMonitor]"
    """``create(options, context)``; a ``ValueError`` is a configuration mistake at this monitor."""
    ladder: "Callable[[Any], Sequence[DefaultRung]] | None" = None
    """``ladder(options)``: what ``recovery: auto`` alone does, gentlest first. A ``ValueError`` says what these
    options lack for it; None: this type has nothing that could be done without being told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorType:
    """A fault detector: what a strategy's ``detector`` names."""

    kind: str
    summary: str
    create: Callable[[], Detector]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionType:
    """A recovery action: a rung's name in the configuration."""

    kind: str
    summary: str
    options: "type[BaseModel]"
    create: "Callable[[Any, MonitorSpec, BuildContext], Action]"
    """``create(options, monitor, context)``; a ``ValueError`` is a configuration mistake at this rung."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelType:
    """A way to reach people: a channel's ``type:``."""

    kind: str
    summary: str
    options: "type[BaseModel]"
    create: "Callable[[str, Any, BuildContext], Channel]"
    """``create(name, options, context)``; a ``ValueError`` is a configuration mistake at this channel."""
    rate: int = 20
    """Messages a minute unless configured otherwise: as many as people can read. What leads to programs takes more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsType:
    """A composer of alert texts. The one named ``standard`` is used unless configured otherwise."""

    kind: str
    summary: str
    create: Callable[[], AlertTexts]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportType:
    """A report: the ``type`` of a report below ``reports:``."""

    kind: str
    summary: str
    create: Callable[[], ReportWriter]
    span: Span = Span.DAY  #: what it covers


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverType:
    """A wire protocol by which others report to us."""

    kind: str
    summary: str
    routes: "Callable[[ReceiverContext], Sequence[BaseRoute]]"
    """Of the web server; mounted at its root."""
    serve: "Callable[[ReceiverContext], Coroutine[Any, Any, None]] | None" = None
    """Listens elsewhere, for as long as the daemon serves: started as a task, and cancelled at its end."""


@hookspec
def defib_monitors() -> Iterable[MonitorType]:
    """Monitor types.

    Called once at start, in the order of plugin names, our own distribution first. A kind that is taken
    already is an error that names both owners.
    """
    return ()


@hookspec
def defib_strategies() -> Iterable[Strategy]:
    """Polling strategies under names that configurations may use and redefine."""
    return ()


@hookspec
def defib_detectors() -> Iterable[DetectorType]:
    """Fault detectors."""
    return ()


@hookspec
def defib_actions() -> Iterable[ActionType]:
    """Recovery actions."""
    return ()


@hookspec
def defib_channels() -> Iterable[ChannelType]:
    """Alert channels."""
    return ()


@hookspec
def defib_texts() -> Iterable[TextsType]:
    """Composers of alert texts."""
    return ()


@hookspec
def defib_reports() -> Iterable[ReportType]:
    """Reports."""
    return ()


@hookspec
def defib_receivers() -> Iterable[ReceiverType]:
    """Receivers of beats; their routes are mounted at the root of the server."""
    return ()
