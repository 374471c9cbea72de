"""Whether Defib really works: watches, judges and can keep what it decides."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from defib.rules.observer import Ailment

if TYPE_CHECKING:
    from defib.engine.engine import Engine

STALLED_S = 30.0
"""A look that is so long overdue means that the schedule stands still: nothing is watched."""


def obstacles(engine: "Engine") -> Iterator[str]:
    """Why Defib cannot watch; nothing when it can."""
    if engine.housekeeping.store_error:
        yield f"the store cannot be written: {engine.housekeeping.store_error}"
    if (late := overdue(engine)) > STALLED_S:
        yield f"the schedule stands still: a look is {late:.0f} s overdue"


def overdue(engine: "Engine") -> float:
    """Seconds since the look that is due next was due; negative while it is still to come, 0 when there is none."""
    due = engine.scheduler.next_due()
    return 0.0 if due is None else engine.clock.monotonic() - due


def obstacle_to_vouching(engine: "Engine") -> str:
    """Why nobody may be told that Defib works; "" when it does. A lost network speaks for itself."""
    trouble = engine.guard.trouble()
    if trouble is not None and trouble.ailment is Ailment.SICK:
        return trouble.reason
    return next(obstacles(engine), "")
