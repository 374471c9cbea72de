"""What is worth telling only because it lasts."""

from datetime import datetime, timedelta

from defib.model.health import Health, State

STOP_PATIENCE = timedelta(seconds=60)
"""Who is stopped on purpose is usually being restarted or replaced, and back by then."""


def is_lasting(health: Health) -> bool:
    """Whether time alone may give something to tell about a monitor: something about it is open."""
    return (
        health.incident is not None or health.is_flapping or health.state in (State.STOPPED, State.DEGRADED)
    )


def is_stop_to_tell(health: Health, now: datetime) -> bool:
    """Whether people are to hear that a monitor was stopped on purpose: it still is, and nobody has told them."""
    return health.state is State.STOPPED and not health.stop_told and now - health.since >= STOP_PATIENCE
