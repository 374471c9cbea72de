"""Hours and monitors in one number, so that the tables of hours need no index beside their rows."""

from datetime import UTC, datetime, timedelta

from defib.rules.journal import SHARD
from defib.store.schema import SLOT

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hour_of(at: datetime) -> int:
    """The hour since 1970 that an instant is in."""
    return (at - _EPOCH) // HOUR


def next_hour(at: datetime) -> int:
    """The first whole hour since 1970 at or after an instant."""
    return -((_EPOCH - at) // HOUR)


def beginning(hour: int) -> datetime:
    """When an hour began."""
    return _EPOCH + hour * HOUR


def slot(hour: int, monitor: int = 0) -> int:
    """Where an hour of a monitor is."""
    return hour * SLOT + monitor


def parted(number: int) -> tuple[int, int]:
    """Hour and monitor of a slot."""
    return divmod(number, SLOT)


def shard_of(monitor: int) -> tuple[int, int]:
    """The shard of a monitor, and its number within."""
    return divmod(monitor, SHARD)
