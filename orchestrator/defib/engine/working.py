"""Whether Defib really works: watches, judges and can keep what it decides."""

from collections.abc import Iterator

from defib.engine.detection.scheduler import Scheduler
from defib.engine.housekeeping import Housekeeping
from defib.engine.observer.guard import Guard
from defib.ports import Clock
from defib.rules.observer import Ailment

STALLED_S = 30.0
"""A look that is so long overdue means that the schedule stands still: nothing is watched."""


class Working:
    """Knows what keeps Defib from its work."""

    def __init__(self, clock: Clock, scheduler: Scheduler, housekeeping: Housekeeping, guard: Guard) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._housekeeping = housekeeping
        self._guard = guard

    def obstacles(self) -> Iterator[str]:
        """Why Defib cannot watch; nothing when it can."""
        if self._housekeeping.store_error:
            yield f"the store cannot be written: {self._housekeeping.store_error}"
        if (late := self.overdue()) > STALLED_S:
            yield f"the schedule stands still: a look is {late:.0f} s overdue"

    def overdue(self) -> float:
        """Seconds since the look that is due next was due; negative while it is to come, 0 when there is none."""
        due = self._scheduler.next_due()
        return 0.0 if due is None else self._clock.monotonic() - due

    def obstacle_to_vouching(self) -> str:
        """Why nobody may be told that Defib works; "" when it does. A lost network speaks for itself."""
        trouble = self._guard.trouble()
        if trouble is not None and trouble.ailment is Ailment.SICK:
            return trouble.reason
        return next(self.obstacles(), "")
