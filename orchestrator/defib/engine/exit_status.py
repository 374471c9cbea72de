"""How a pass tells cron what it found."""

from collections.abc import Iterable
from enum import IntEnum

from defib.model.health import Health, State


class ExitStatus(IntEnum):
    """The Nagios plugin convention, which cron wrappers and timers know."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


def exit_status(healths: Iterable[Health]) -> ExitStatus:
    """The worst of all: a fault is critical; degraded, suspect or unreachable is a warning; never seen is unknown."""
    states = {health.state for health in healths}
    if State.FAULT in states:
        return ExitStatus.CRITICAL
    if states & {State.DEGRADED, State.SUSPECT, State.WATCH, State.UNREACHABLE, State.STOPPED}:
        return ExitStatus.WARNING
    return ExitStatus.UNKNOWN if State.NEW in states else ExitStatus.OK
