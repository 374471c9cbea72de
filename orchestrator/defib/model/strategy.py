"""How often to look, how long to wait, and how much evidence decides."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """Interval, timeout, confirmation and thresholds under one name."""

    name: str
    summary: str = ""
    interval: timedelta  #: between scheduled probes
    timeout: timedelta  #: of one probe
    confirm: tuple[timedelta, ...] = ()
    """Waits before the 2nd, 3rd, … look after a failure; empty waits for the interval each time."""
    recover_confirm: timedelta | None = None  #: wait before the second look after a first success
    fail_threshold: int | None = None  #: failures in a row that make a fault; None: the detector learns it
    recovery_threshold: int = 2  #: successes in a row that end it
    detector: str = "cusum"  #: the fault detector's kind
