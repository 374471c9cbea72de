"""Who is on duty: the configuration in force with its live monitors, actions and channels."""

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from defib.engine.recovery.own import own_parts
from defib.engine.ties import Ties
from defib.errors import ConfigError, Mistake
from defib.logs import get_logger
from defib.model.ids import MonitorId
from defib.model.monitor import MonitorSpec, RecoveryMode
from defib.model.settings import Settings
from defib.model.strategy import Strategy
from defib.ports import (
    Action,
    AlertTexts,
    Askable,
    BuildContext,
    Channel,
    Detector,
    Founded,
    Monitor,
    PushedMonitor,
    ReportWriter,
)
from defib.registry import Registry
from defib.rules.dependencies import Footing, implied
from defib.rules.effective import mode_for, strategy_for

log = get_logger("defib.roster")

STRATEGY_KEY = "strategy"  #: run-time setting: the global strategy; ``strategy:ID`` is one monitor's
RECOVERY_KEY = "recovery"  #: run-time setting: the mode of recovery of all; ``recovery:ID`` is one monitor's
RESET_KEY = (
    "recovery-reset"  #: run-time setting: ``recovery-reset:ID``, when its budgets were wiped, ISO 8601
)
_SETTINGS = (STRATEGY_KEY, RECOVERY_KEY, RESET_KEY)
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
    asked: Monitor | None = field(init=False)  #: what looks: the plugin, or what it asks a silent sender with

    def __post_init__(self) -> None:
        if isinstance(self.plugin, PushedMonitor):
            self.pushed, self.polled = self.plugin, None
            self.asked = self.plugin.asked if isinstance(self.plugin, Askable) else None
        else:
            self.pushed, self.polled = None, self.plugin
            self.asked = self.plugin

    @property
    def is_pushed(self) -> bool:
        return self.pushed is not None

    @property
    def labels(self) -> frozenset[str]:
        """What may tie its fate to that of others: its tags, and its group."""
        group = self.spec.group
        return self.spec.tags | {f"group {group}"} if group else self.spec.tags

    @property
    def host(self) -> str:
        """What it is on; "" where that is not known."""
        return self.asked.host if self.asked is not None else ""


class Roster:
    """Builds everything that a configuration names, and swaps it as a whole on reload."""

    def __init__(
        self, registry: Registry, settings: Settings, switched: Mapping[str, str], *, beat_secret: str = ""
    ) -> None:
        """
        :param switched: run-time settings from the store.
        :param beat_secret: of the store, from which ping UUIDs follow; "" for one of this process.
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
        self._beat_secret = (beat_secret or secrets.token_hex()).encode()
        self._keys: dict[str, MonitorId] = {}
        self._strategies: dict[MonitorId, Strategy] = {}  # in force, worked out at first use
        self._ties: Ties | None = None  # worked out when asked for, as long as the monitors stay the same
        self._own = own_parts(settings)
        self._build()

    def _build(self) -> None:
        mistakes = []
        context = self.context
        for spec in self.settings.monitors:
            if not spec.enabled:
                continue
            try:
                self.enlist(spec)
            except ValueError as error:
                mistakes.append(Mistake(message=str(error), path=f"monitors: {spec.id}"))
        self.settle()
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

    def settle(self) -> None:
        """Let each monitor require what carries it; for whoever has enlisted more of them."""
        footings = {name: _footing(watched) for name, watched in self.monitors.items()}
        for name, more in implied(footings).items():
            if more:
                watched = self.monitors[name]
                watched.spec = replace(watched.spec, requires=(*watched.spec.requires, *more))
        self._ties = None

    @property
    def context(self) -> BuildContext:
        """What factories are given."""
        return BuildContext(
            base=self.settings.base, script_folders=self.settings.script_folders, own=self._own
        )

    def enlist(self, spec: MonitorSpec) -> None:
        """Build a monitor and watch it; one of the same id is replaced.

        :raises ValueError: a factory refused its options.
        """
        plugin = self.registry.monitors[spec.kind].create(spec.options, self.context)
        actions = tuple(
            self.registry.actions[rung.kind].create(rung.options, spec, self.context)
            for rung in spec.recovery.ladder
        )
        watched = self.monitors[spec.id] = Watched(spec, plugin, actions)
        self._strategies.pop(spec.id, None)
        self._ties = None
        if watched.pushed is not None:
            self._keys.update(dict.fromkeys((*watched.pushed.keys, self.beat_uuid(spec.id)), spec.id))

    def dismiss(self, monitor: MonitorId) -> None:
        """Watch a monitor no more."""
        self.monitors.pop(monitor, None)
        self._ties = None
        self._keys = {key: known for key, known in self._keys.items() if known != monitor}

    # --- questions ---------------------------------------------------------------------------------

    def strategy(self, monitor: MonitorId) -> Strategy:
        """The strategy in force for a monitor."""
        found = self._strategies.get(monitor)
        if found is None:
            spec = self.monitors[monitor].spec
            per_monitor = {
                key.partition(":")[2]: name
                for key, name in self._switched.items()
                if key.startswith(f"{STRATEGY_KEY}:")
            }
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
        """Strategies that were switched at run time."""
        return {key: value for key, value in self._switched.items() if is_setting(key, STRATEGY_KEY)}

    @property
    def armed(self) -> Mapping[str, str]:
        """Modes of recovery that were set at run time."""
        return {key: value for key, value in self._switched.items() if is_setting(key, RECOVERY_KEY)}

    def recovery_mode(self, spec: MonitorSpec) -> RecoveryMode:
        """The mode of recovery in force for a monitor."""
        everywhere = self._switched.get(RECOVERY_KEY)
        return mode_for(spec.recovery.mode, everywhere, self._switched.get(f"{RECOVERY_KEY}:{spec.id}"))

    def budgets_reset_at(self, monitor: MonitorId) -> datetime | None:
        """When an operator wiped what a monitor's recovery had spent."""
        found = self._switched.get(f"{RESET_KEY}:{monitor}")
        return None if found is None else datetime.fromisoformat(found)

    def switch(self, key: str, name: str | None) -> None:
        """Take note of a run-time setting; the caller has stored it."""
        self._strategies.clear()
        if name is None:
            self._switched.pop(key, None)
        else:
            self._switched[key] = name

    def find_beaten(self, key: str) -> MonitorId | None:
        """The pushed monitor a beat addresses: the one of this id, else the one with this key.

        An agent chooses its own id, which is the key of its monitor: it takes no beats from the monitor of that id.
        """
        return self._pushed(MonitorId(key)) or self._keys.get(key)

    def find_agent(self, agent: str) -> MonitorId | None:
        """The pushed monitor that names an agent's id as its key, else the one of this id."""
        return self._keys.get(agent) or self._pushed(MonitorId(agent))

    def pushed(self, monitor: MonitorId) -> PushedMonitor | None:
        """What judges the beats of a monitor; None where it is not watched any more, or not by its beats."""
        watched = self.monitors.get(monitor)
        return None if watched is None else watched.pushed

    def _pushed(self, monitor: MonitorId) -> MonitorId | None:
        watched = self.monitors.get(monitor)
        return monitor if watched is not None and watched.is_pushed else None

    def beat_uuid(self, monitor: MonitorId) -> str:
        """The UUID that a pushed monitor is beaten under: its own, else one that nobody can guess."""
        pushed = self.monitors[monitor].pushed
        own = (key for key in (pushed.keys if pushed else ()) if _is_uuid(key))
        digest = hmac.digest(self._beat_secret, monitor.encode(), "sha256")
        return next(own, str(UUID(bytes=digest[:16], version=4)))

    def sign(self, text: str) -> bytes:
        """32 bytes that nobody can guess, the same for one text as long as the store lives."""
        return hmac.digest(
            self._beat_secret, f"signed {text}".encode(), "sha256"
        )  # no id of a monitor has a space

    @property
    def ties(self) -> Ties:
        """Which monitors belong together."""
        if self._ties is None:
            self._ties = Ties(self.monitors)
        return self._ties

    async def close(self) -> None:
        """Release what plugins hold; a plugin that fails at this is logged."""
        holders: list[Monitor | Channel] = [w.asked for w in self.monitors.values() if w.asked is not None]
        holders += self.channels.values()
        for holder in holders:
            try:
                await asyncio.wait_for(holder.close(), 5.0)
            except Exception as error:  # a plugin may raise anything
                log.warning("plugin did not close cleanly", plugin=type(holder).__name__, exc_info=error)


def _is_uuid(key: str) -> bool:
    try:
        return str(UUID(key)) == key
    except ValueError:
        return False


def is_setting(key: str, of: str = "") -> bool:
    """Whether ``key`` is a run-time setting that a roster takes, or just one of the kind ``of``."""
    return any(key == name or key.startswith(f"{name}:") for name in ((of,) if of else _SETTINGS))


def _footing(watched: Watched) -> Footing:
    plugin, spec = watched.plugin, watched.spec
    own = plugin if isinstance(plugin, Founded) else None
    host = watched.host
    return Footing(
        requires=(*spec.requires, *spec.requires_any),
        stands_on=(own.stands_on if own else frozenset()) | ({f"host {host}"} if host else frozenset()),
        carries=own.carries if own else frozenset(),
    )
