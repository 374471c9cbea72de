"""How much a channel may say: so many messages at once, and one more each while."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A token bucket: holds up to ``capacity`` tokens, and gains one each ``refill``."""

    capacity: int
    refill: timedelta
    level: float  #: tokens in it at ``at``
    at: datetime

    @classmethod
    def full(cls, capacity: int, refill: timedelta, now: datetime) -> "Bucket":
        return cls(capacity=capacity, refill=refill, level=float(capacity), at=now)

    def tokens(self, now: datetime) -> int:
        """Whole tokens there are at ``now``; a clock that was put back takes none away."""
        return int(self._level(now) + _ROUNDING)

    def taken(self, now: datetime) -> "Bucket":
        """With one token less."""
        return replace(self, level=self._level(now) - 1.0, at=now)

    def ready_at(self, now: datetime) -> datetime:
        """When there is a token again; not after ``now`` where there is one."""
        missing = 1.0 - self._level(now)
        return now + max(0.0, missing) * self.refill

    def _level(self, now: datetime) -> float:
        gained = max(now - self.at, timedelta(0)) / self.refill
        return min(float(self.capacity), self.level + gained)


_ROUNDING = 1e-6  #: a token that is there but for the error of a division is there
