"""Where the read model gets its state from."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from defib.engine.alerting.windows import Windows
from defib.engine.roster import Roster
from defib.model.health import Health
from defib.model.ids import MonitorId
from defib.model.recovery import Case
from defib.ports import Clock
from defib.rules.observer import Trouble
from defib.store import Reader


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the read model gets its state from: a running engine, or the store alone."""

    roster: Roster
    reader: Reader
    clock: Clock
    windows: Windows
    health: Callable[[MonitorId], Health | None]
    case: Callable[[MonitorId], Case | None]
    store_error: Callable[[], str]
    observer: Callable[[], Trouble | None]  #: what is wrong with the observer itself; None when it is well
    dead_man_problem: Callable[[], str]  #: why the newest dead-man ping failed; "" when it did not
    report_problem: Callable[[], str]
    started_at: datetime | None
