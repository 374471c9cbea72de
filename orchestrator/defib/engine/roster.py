"""Who is on duty: the configuration in force with its live monitors, actions and channels."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from defib.errors import ConfigError, Mistake
from defib.model.ids import MonitorId
from defib.model.monitor import MonitorSpec
from defib.model.settings import Settings
from defib.model.strategy import Strategy
from defib.ports import (
    Action,
    AlertTexts,
    BuildContext,
    Channel,
    Detector,
    Monitor,
    PushedMonitor,
    ReportWriter,
)
from defib.registry import Registry
from defib.rules.effective import strategy_for

log = structlog.get_logger("defib.roster")

STRATEGY_KEY = "strategy"  #: run-time setting: the global strategy; ``strategy:ID`` is one monitor's
TEXTS = "standard"


@dataclass(slots=True)
class Watched:
    """One live monitor."""

    spec: MonitorSpec
    plugin: Monitor | PushedMonitor
    actions: tuple[Action, ...]  #: by rung
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  #: observations are judged one at a time

    pushed: PushedMonitor | None = field(init=False)  #: the plugin, when it is told instead of looking
    polled: Monitor | None = field(init=False)  #: the plugin, when it looks

    def __post_init__(self) -> None:
        if isinstance(self.plugin, PushedMonitor):
            self.pushed, self.polled = self.plugin, None
        else:
            self.pushed, self.polled = None, self.plugin

    @property
    def is_pushed(self) -> bool:
        return self.pushed is not None


class Roster:
    """Builds everything that a configuration names, and swaps it as a whole on reload."""

    def __init__(self, registry: Registry, settings: Settings, switched: Mapping[str, str]) -> None:
        """
        :param switched: run-time settings from the store.
        :raises ConfigError: a factory refused its options.
        """
        self.registry = registry
        self.settings = settings
        self.monitors: dict[MonitorId, Watched] = {}
        self.channels: dict[str, Channel] = {}
        self.detectors: dict[str, Detector] = {
            kind: registry.detectors[kind].create() for kind in registry.detectors.items
        }
        self.texts: AlertTexts = registry.texts[TEXTS].create()
        self.reports: dict[str, ReportWriter] = {}
        self._switched = dict(switched)
        self._keys: dict[str, MonitorId] = {}
        self._strategies: dict[MonitorId, Strategy] = {}  # in force, worked out at first use
        self._build()

    def _build(self) -> None:
        mistakes = []
        context = BuildContext(base=self.settings.base, script_folders=self.settings.script_folders)
        for spec in self.settings.monitors:
            if not spec.enabled:
                continue
            try:
                plugin = self.registry.monitors[spec.kind].create(spec.options, context)
                actions = tuple(
                    self.registry.actions[rung.kind].create(rung.options, spec, context)
                    for rung in spec.recovery.ladder
                )
            except ValueError as error:
                mistakes.append(Mistake(message=str(error), path=f"monitors: {spec.id}"))
                continue
            watched = self.monitors[spec.id] = Watched(spec, plugin, actions)
            if watched.pushed is not None:
                self._keys[spec.id] = spec.id
                self._keys.update(dict.fromkeys(watched.pushed.keys, spec.id))
        for channel in self.settings.channels:
            try:
                self.channels[channel.name] = self.registry.channels[channel.kind].create(
                    channel.name, channel.options, context
                )
            except ValueError as error:
                mistakes.append(Mistake(message=str(error), path=f"channels.{channel.name}"))
        for report in self.settings.reports:
            self.reports[report.kind] = self.registry.reports[report.kind].create()
        if mistakes:
            raise ConfigError(mistakes)

    # --- questions ---------------------------------------------------------------------------------

    def strategy(self, monitor: MonitorId) -> Strategy:
        """The strategy in force for a monitor."""
        found = self._strategies.get(monitor)
        if found is None:
            spec = self.monitors[monitor].spec
            per_monitor = {key.partition(":")[2]: name for key, name in self._switched.items() if ":" in key}
            found = strategy_for(spec, self.settings.strategies, self.global_strategy, per_monitor)
            self._strategies[monitor] = found
        return found

    @property
    def global_strategy(self) -> str:
        """The global strategy's name: switched at run time, else configured."""
        name = self._switched.get(STRATEGY_KEY, self.settings.strategy)
        return name if name in self.settings.strategies else self.settings.strategy

    @property
    def switched(self) -> Mapping[str, str]:
        """Run-time settings in force."""
        return self._switched

    def switch(self, key: str, name: str | None) -> None:
        """Take note of a run-time setting; the caller has stored it."""
        self._strategies.clear()
        if name is None:
            self._switched.pop(key, None)
        else:
            self._switched[key] = name

    def find_beaten(self, key: str) -> MonitorId | None:
        """The pushed monitor a beat addresses."""
        return self._keys.get(key)

    def children(self, monitor: MonitorId) -> list[MonitorId]:
        """Monitors that require this one directly."""
        return [
            child
            for child, watched in self.monitors.items()
            if monitor in (*watched.spec.requires, *watched.spec.requires_any)
        ]

    async def close(self) -> None:
        """Release what plugins hold; a plugin that fails at this is logged."""
        holders: list[Monitor | Channel] = [w.polled for w in self.monitors.values() if w.polled is not None]
        holders += self.channels.values()
        for holder in holders:
            try:
                await asyncio.wait_for(holder.close(), 5.0)
            except Exception as error:  # a plugin may raise anything
                log.warning("plugin did not close cleanly", plugin=type(holder).__name__, exc_info=error)
