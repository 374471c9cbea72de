"""Who beats again and again, as it is heard: senders that fall silent together prove nothing against any of them."""

from dataclasses import dataclass

from defib.engine.table import StateTable
from defib.model.ids import MonitorId
from defib.ports import Clock, Deadline
from defib.rules.silence import Sender, find_correlated_silence

SETTLE_S = 30.0  #: that a job without a rhythm has to be heard, once it can be


@dataclass(slots=True)
class _Rhythm:
    """A sender of whom beats are expected."""

    every_s: float
    heard: float  #: monotonic: the newest beat, or since when somebody has listened for it
    is_late: bool = False


class Rhythms:
    """The senders whose beats are weighed together."""

    def __init__(self, clock: Clock, table: StateTable) -> None:
        self._clock = clock
        self._table = table
        self._known: dict[MonitorId, _Rhythm] = {}

    def hear(self, monitor: MonitorId, deadline: Deadline | None) -> None:
        """A beat came, and this is what is expected from then on."""
        known = self._known.get(monitor)
        if deadline is None or not deadline.is_rhythmic:
            if known is not None:
                del self._known[monitor]
        elif known is None:
            self.listen(monitor, deadline)
        else:
            known.every_s = deadline.every.total_seconds()
            known.heard = self._clock.monotonic()
            known.is_late = False

    def listen(self, monitor: MonitorId, deadline: Deadline | None) -> None:
        """From now on beats of this rhythm are expected, if it is one."""
        if deadline is None or not deadline.is_rhythmic:
            return
        every_s = deadline.every.total_seconds()
        known = self._known.get(monitor)
        if known is None or known.every_s != every_s:
            self._known[monitor] = _Rhythm(every_s, self._clock.monotonic())

    def forget(self, monitor: MonitorId) -> None:
        """Nothing is expected of it."""
        self._known.pop(monitor, None)

    def note_late(self, monitor: MonitorId) -> None:
        """Its beat did not come."""
        if (known := self._known.get(monitor)) is not None:
            known.is_late = True

    def listen_afresh(self, monitor: MonitorId) -> None:
        """Its silence counts from now on."""
        if (known := self._known.get(monitor)) is not None:
            known.heard = self._clock.monotonic()

    def take_gap(self) -> None:
        """Nobody listened until now: everybody's silence counts from now on."""
        now = self._clock.monotonic()
        for known in self._known.values():
            known.heard = now

    def patience_s(self, monitor: MonitorId) -> float:
        """How long a sender may take to be heard again, once it can be."""
        known = self._known.get(monitor)
        return SETTLE_S if known is None else known.every_s + max(1.0, known.every_s / 10)

    def correlated_silence(self) -> str:
        """Why the silence of one proves nothing now: most who beat are silent; "" when they are not."""
        now = self._clock.monotonic()
        return find_correlated_silence(
            Sender(every_s=item.every_s, silent_s=now - item.heard, is_late=item.is_late)
            for monitor, item in self._known.items()
            if not (
                (health := self._table.get(monitor)) is not None
                and (health.state.is_bad or health.state.is_aside)
            )
        )
