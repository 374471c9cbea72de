"""What there is to choose from, and what is in force, JSON-ready."""

from typing import Any

from defib.engine.roster import Roster
from defib.model.ids import MonitorId
from defib.model.options import format_duration
from defib.model.strategy import Strategy

Json = dict[str, Any]


def strategies(roster: Roster) -> Json:
    """The strategies, the global one in force, and which monitor follows which."""
    return {
        "in_force": roster.global_strategy,
        "configured": roster.settings.strategy,
        "items": [
            strategy_detail(strategy) | {"summary": strategy.summary}
            for _, strategy in sorted(roster.settings.strategies.items())
        ],
        "monitors": {monitor: roster.strategy(monitor).name for monitor in roster.monitors},
        "switched": dict(roster.switched),
    }


def recovery(roster: Roster) -> Json:
    """Which mode of recovery is in force for which monitor, and what was set at run time."""
    return {
        "configured": str(roster.settings.recovery_mode),
        "monitors": {
            monitor: str(roster.recovery_mode(watched.spec)) if watched.actions else "none"
            for monitor, watched in roster.monitors.items()
        },
        "set": dict(roster.armed),
    }


def plugins(roster: Roster) -> Json:
    """What the plugins offer, and those that do not load."""
    registry = roster.registry
    return {
        "offers": [
            {
                "noun": kinds.noun,
                "kind": kind,
                "summary": getattr(kinds[kind], "summary", ""),
                "plugin": kinds.origins[kind].plugin,
                "distribution": kinds.origins[kind].distribution,
                "version": kinds.origins[kind].version,
            }
            for kinds in registry.families()
            for kind in kinds.names()
        ],
        "faults": [
            {
                "plugin": fault.origin.plugin,
                "distribution": fault.origin.distribution,
                "message": fault.message,
            }
            for fault in registry.faults
        ],
    }


def strategy(roster: Roster, monitor: MonitorId) -> Json:
    """The strategy in force for a monitor, as a configuration would write it."""
    return strategy_detail(roster.strategy(monitor))


def strategy_detail(strategy: Strategy) -> Json:
    """A strategy as a configuration would write it."""
    return {
        "name": strategy.name,
        "interval": format_duration(strategy.interval),
        "timeout": format_duration(strategy.timeout),
        "confirm": [format_duration(wait) for wait in strategy.confirm],
        "fail_threshold": strategy.fail_threshold or "auto",
        "recovery_threshold": strategy.recovery_threshold,
        "detector": strategy.detector,
    }
