"""What of a delivery has been taken already, where one goes to several far ends and not all take it at once."""

from collections import OrderedDict
from dataclasses import dataclass, field

_MOST = 500  #: deliveries that are remembered


@dataclass
class Progress:
    """How far one delivery has come."""

    answers: dict[str, str] = field(default_factory=dict)
    """Who has answered for good: "" for taken, else why it never will be."""
    tries: int = 0  #: that were taken by some and put off by others

    @property
    def taken(self) -> int:
        return sum(not answer for answer in self.answers.values())


class Halfway:
    """Remembers the progress of deliveries.

    In memory only: one that was half-way when Defib was killed goes to all of its far ends again.
    """

    def __init__(self) -> None:
        self._progress: OrderedDict[str, Progress] = OrderedDict()

    def of(self, key: str) -> Progress:
        """What there is of this delivery, to be added to."""
        progress = self._progress.setdefault(key, Progress())
        if len(self._progress) > _MOST:
            self._progress.popitem(last=False)
        return progress

    def forget(self, key: str) -> None:
        """It is over, one way or the other."""
        self._progress.pop(key, None)
