"""Which strategy holds for a monitor."""

from collections.abc import Mapping
from dataclasses import replace

from defib.model.monitor import MonitorSpec
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
