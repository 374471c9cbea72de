"""The strategies of the campaigns, as the simulation takes them and as users write them."""

from datetime import timedelta
from typing import Any

from defib.model.options import format_duration
from defib.model.strategy import Strategy

ACCELERATED = Strategy(
    name="accelerated", summary="everything so much sooner that an episode takes seconds",
    interval=timedelta(seconds=2), timeout=timedelta(seconds=2),
    confirm=(timedelta(seconds=0.2), timedelta(seconds=0.4)), recover_confirm=timedelta(seconds=0.4),
    recovery_threshold=2, detector="cusum",
)  # fmt: skip

FIRST_SERVED = ("sh", "-c", 'echo -15 2>/dev/null > /proc/self/autogroup; exec "$@"', "sh")
"""Before the command line of a daemon and of its victims: whatever else runs on the machine, hundreds of other tests,
is not what is measured. A session competes with others as a whole, so this is its priority (sched(7), "The autogroup
feature"); without the right to it, or without the feature, all stays as it is."""


def configured(strategy: Strategy) -> dict[str, Any]:
    """What a user writes below ``strategies:`` to get it; all else as the preset ``normal`` has it."""
    assert strategy.recover_confirm is not None
    return {
        "base": "normal",
        "interval": format_duration(strategy.interval),
        "timeout": format_duration(strategy.timeout),
        "confirm": [format_duration(wait) for wait in strategy.confirm],
        "recover_confirm": format_duration(strategy.recover_confirm),
    }
