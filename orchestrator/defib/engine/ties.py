"""What ties monitors to one another, looked up instead of searched for.

It is asked at every first failure, fault and return, on the event loop.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING

from defib.model.ids import MonitorId
from defib.rules.grouping import Kinship

if TYPE_CHECKING:
    from defib.engine.roster import Watched


class Ties:
    """Those between the monitors of a roster, as they are now."""

    def __init__(self, monitors: "Mapping[MonitorId, Watched]") -> None:
        self._children: dict[MonitorId, list[MonitorId]] = defaultdict(list)
        self._there: dict[str, set[MonitorId]] = defaultdict(set)
        for name, watched in monitors.items():
            for parent in dict.fromkeys((*watched.spec.requires, *watched.spec.requires_any)):
                self._children[parent].append(name)
            self._there[watched.host].add(name)
        polled = {name: watched for name, watched in monitors.items() if watched.polled is not None}
        self._kinship = Kinship((name, watched.host, watched.labels) for name, watched in polled.items())

    def children(self, monitor: MonitorId) -> Sequence[MonitorId]:
        """Those that require it directly."""
        return self._children.get(monitor, ())

    def on_host(self, host: str) -> Set[MonitorId]:
        """All that are on a host."""
        return self._there.get(host, frozenset())

    def siblings(self, monitor: MonitorId) -> list[MonitorId]:
        """Those that are looked at and may stand and fall with it; see :class:`Kinship`."""
        return self._kinship.of(monitor)
