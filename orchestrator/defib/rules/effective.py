"""Which strategy and which mode of recovery hold for a monitor."""

from collections.abc import Mapping
from dataclasses import replace

from defib.model.monitor import MonitorSpec, RecoveryMode
from defib.model.strategy import Strategy


def strategy_for(
    monitor: MonitorSpec, strategies: Mapping[str, Strategy], global_name: str, switched: Mapping[str, str]
) -> Strategy:
    """The strategy of ``monitor``: switched at run time, else configured, else the global one.

    :param global_name: the global strategy, run-time switch included.
    :param switched: run-time choice by monitor id; a name that no longer exists is passed over.

    The monitor's own overrides of single fields hold on top of a configured strategy, and give way when
    an operator switches this very monitor.
    """
    if (chosen := strategies.get(switched.get(monitor.id, ""))) is not None:
        return chosen
    strategy = strategies.get(monitor.strategy or global_name) or strategies["normal"]
    return replace(strategy, **monitor.overrides) if monitor.overrides else strategy  # type: ignore[arg-type]


def mode_for(configured: RecoveryMode, everywhere: str | None, own: str | None) -> RecoveryMode:
    """The mode of recovery of a monitor: set for itself at run time, else for all, else configured.

    Arming all arms no monitor whose configuration says ``off``: somebody meant just this one. What is stored and
    no mode (of another version) is passed over.
    """
    modes = {str(mode): mode for mode in RecoveryMode}
    if (chosen := modes.get(own or "")) is not None:
        return chosen
    if configured is RecoveryMode.OFF:
        return configured
    return modes.get(everywhere or "", configured)
