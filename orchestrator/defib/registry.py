"""The guarded plugin registry: finds plugins through entry points, and survives the broken ones.

Each plugin is loaded, registered, checked and collected inside its own ``try``: pluggy's own collective
call would stop at the first implementation that raises and lose the results before it. Our own
distribution comes first, the rest follows by name. A broken built-in refuses to start; a broken
third-party plugin becomes a :class:`Fault`, shown by the log, ``defib plugins``, the dashboard and health.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint
from importlib.metadata import entry_points as installed
from typing import Any, Generic, TypeVar

import pluggy

from defib import hookspecs
from defib.errors import PluginError
from defib.hookspecs import (
    PROJECT,
    ActionType,
    ChannelType,
    DetectorType,
    MonitorType,
    ReceiverType,
    ReportType,
    TextsType,
)  # fmt: skip
from defib.model.strategy import Strategy

OWN_DISTRIBUTION = "defib"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a plugin comes from."""

    plugin: str  #: the entry point's name
    module: str
    distribution: str
    version: str

    @property
    def is_builtin(self) -> bool:
        return self.distribution == OWN_DISTRIBUTION

    def __str__(self) -> str:
        return f"{self.plugin} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A plugin that could not be used, or not wholly."""

    origin: Origin
    message: str


@dataclass(frozen=True, slots=True)
class Kinds(Generic[T]):
    """The descriptors of one family, by kind, with their origins."""

    noun: str  #: ``monitor type``, for messages
    items: Mapping[str, T] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> T:
        return self.items[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self.items

    def names(self) -> list[str]:
        return sorted(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Everything the loaded plugins offer."""

    monitors: Kinds[MonitorType]
    strategies: Kinds[Strategy]
    detectors: Kinds[DetectorType]
    actions: Kinds[ActionType]
    channels: Kinds[ChannelType]
    texts: Kinds[TextsType]
    reports: Kinds[ReportType]
    receivers: Kinds[ReceiverType]
    plugins: tuple[Origin, ...]  #: that loaded, in their order
    faults: tuple[Fault, ...]  #: of third-party plugins

    def families(self) -> tuple[Kinds[Any], ...]:
        """Each family of descriptors, in the order they are shown."""
        return (
            self.monitors, self.strategies, self.detectors, self.actions,
            self.channels, self.texts, self.reports, self.receivers,
        )  # fmt: skip


_FAMILIES: Mapping[str, tuple[str, str, type[Any], str]] = {
    # field of Registry: hook, noun, type of its descriptors, attribute that holds the kind
    "monitors": ("defib_monitors", "monitor type", MonitorType, "kind"),
    "strategies": ("defib_strategies", "strategy", Strategy, "name"),
    "detectors": ("defib_detectors", "detector", DetectorType, "kind"),
    "actions": ("defib_actions", "recovery action", ActionType, "kind"),
    "channels": ("defib_channels", "alert channel", ChannelType, "kind"),
    "texts": ("defib_texts", "alert text composer", TextsType, "kind"),
    "reports": ("defib_reports", "report", ReportType, "kind"),
    "receivers": ("defib_receivers", "beat receiver", ReceiverType, "kind"),
}


def load(entry_points: Iterable[EntryPoint] | None = None) -> Registry:
    """Load every plugin of the entry-point group ``defib``.

    :param entry_points: instead of the installed ones; for tests.
    :raises PluginError: a built-in plugin is broken, or there is none at all (Defib is not installed).
    """
    if entry_points is None:
        entry_points = installed(group=PROJECT)
    manager = _Manager(PROJECT)
    manager.add_hookspecs(hookspecs)
    items: dict[str, dict[str, Any]] = {family: {} for family in _FAMILIES}
    origins: dict[str, dict[str, Origin]] = {family: {} for family in _FAMILIES}
    plugins: list[Origin] = []
    faults: list[Fault] = []

    for origin, point in sorted(
        _origins(entry_points),
        key=lambda pair: (not pair[0].is_builtin, pair[0].distribution, pair[0].plugin),
    ):
        try:
            offers = _collect(manager, origin, point.load())
            _refuse_taken(offers, origins)
        except Exception as error:  # a plugin may raise anything while it loads
            message = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            if origin.is_builtin:
                raise PluginError(f"built-in plugin {origin} does not load: {message}") from error
            faults.append(Fault(origin=origin, message=message))
            continue
        plugins.append(origin)
        for family, kind, descriptor in offers:
            items[family][kind] = descriptor
            origins[family][kind] = origin

    if not any(origin.is_builtin for origin in plugins):
        raise PluginError(
            "no built-in plugin is installed; install Defib with 'pip install .' and run it from there"
        )
    kinds = {
        family: Kinds(noun, items[family], origins[family]) for family, (_, noun, _, _) in _FAMILIES.items()
    }
    return Registry(**kinds, plugins=tuple(plugins), faults=tuple(faults))


class _Manager(pluggy.PluginManager):
    """Looks for hooks among the names that can be one; pluggy itself inspects all that a module imports."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        return super().parse_hookimpl_opts(plugin, name) if name.startswith(f"{PROJECT}_") else None


def _origins(entry_points: Iterable[EntryPoint]) -> Iterator[tuple[Origin, EntryPoint]]:
    """Each entry point, and where it comes from."""
    named: dict[Distribution | None, tuple[str, str]] = {None: (OWN_DISTRIBUTION, "unknown")}
    for point in entry_points:
        owner = point.dist
        if owner is not None and owner not in named:  # its metadata is parsed anew whenever it is asked
            metadata = owner.metadata
            named[owner] = (metadata["Name"], metadata["Version"])
        distribution, version = named[owner]
        yield (
            Origin(plugin=point.name, module=point.value, distribution=distribution, version=version),
            point,
        )


def _collect(manager: pluggy.PluginManager, origin: Origin, plugin: object) -> list[tuple[str, str, Any]]:
    """Everything one plugin offers, as (family, kind, descriptor); raises on anything that is off."""
    name = f"{origin.distribution}:{origin.plugin}"
    _refuse_misspelt(plugin)
    manager.register(plugin, name)
    try:
        offers = []
        for family, (hook, noun, expected, key) in _FAMILIES.items():
            implementation = getattr(plugin, hook, None)
            if implementation is None:
                continue
            for descriptor in implementation():
                if not isinstance(descriptor, expected):
                    raise PluginError(
                        f"{hook}() returned a {type(descriptor).__name__}; each {noun} is a {expected.__name__}"
                    )
                offers.append((family, getattr(descriptor, key), descriptor))
    except BaseException:
        manager.unregister(plugin, name)
        raise
    if not offers:
        manager.unregister(plugin, name)
        raise PluginError(f"module {origin.module} implements no hook; see the hooks in defib.hookspecs")
    return offers


def _refuse_misspelt(plugin: object) -> None:
    """pluggy takes a misspelt hook without a word; we do not."""
    known = {hook for hook, _, _, _ in _FAMILIES.values()}
    for name in dir(plugin):
        if (
            name.startswith("defib_")
            and hasattr(getattr(plugin, name), f"{PROJECT}_impl")
            and name not in known
        ):
            raise PluginError(f"{name}() is no hook of Defib; the hooks are {', '.join(sorted(known))}")


def _refuse_taken(offers: list[tuple[str, str, Any]], origins: Mapping[str, Mapping[str, Origin]]) -> None:
    seen: set[tuple[str, str]] = set()
    for family, kind, _ in offers:
        noun = _FAMILIES[family][1]
        if owner := origins[family].get(kind):
            raise PluginError(f"{noun} {kind!r} is taken already by plugin {owner}")
        if (family, kind) in seen:
            raise PluginError(f"{noun} {kind!r} is offered twice by the same plugin")
        seen.add((family, kind))
