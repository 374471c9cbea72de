"""The outbox in memory: the rows that wait, and what each is about. The store has them all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from defib.model.alert import Alert, AlertKind, Delivery, Severity
from defib.model.ids import AlertId, DeliveryId, MonitorId
from defib.rules.delivering.choosing import BACKOFF_CAP
from defib.rules.delivering.messages import Waiting
from defib.store import Reader

MOST_PATIENCE = timedelta(minutes=10)  #: that a far end is granted over a restart


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    event: AlertKind | None = None
    monitor: MonitorId | None = None
    severity: Severity = Severity.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What a conversation began with in a channel; see :attr:`Waiting.root`."""

    delivery: str = ""
    told_at: datetime | None = None


UNTOLD = Root()


class Outbox:
    """Rows by id, oldest first."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rows: dict[DeliveryId, Delivery] = {}
        self._ready: dict[DeliveryId, datetime] = {}
        self._about: dict[DeliveryId, _Subject] = {}
        self._tried: set[DeliveryId] = set()  #: since the start of this process

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, delivery: DeliveryId) -> bool:
        return delivery in self._rows

    def put(
        self, deliveries: Iterable[Delivery], now: datetime, alerts: Mapping[AlertId, Alert] | None = None
    ) -> None:
        """Take in rows.

        Those that were tried by another process are tried at once, unless the far end has asked for more patience than
        we have ourselves. Those of another time than this clock's, which was set while nobody was here, wait no longer
        than they would have.

        :param alerts: those that are at hand; others are looked up when they are asked for.
        """
        for row in deliveries:
            if row.id in self._rows:
                continue
            ahead = max(row.created_at - now, timedelta(0))
            due = row.due_at - ahead
            if row.tries:
                due = min(due, now + MOST_PATIENCE) if due > now + BACKOFF_CAP else now
            self._rows[row.id] = replace(row, due_at=due)
            self._ready[row.id] = row.created_at - ahead if row.tries else due
            if alerts and (alert := alerts.get(AlertId(row.notice))) is not None:
                self._about[row.id] = _subject(alert)

    def replace(self, deliveries: Iterable[Delivery]) -> None:
        """Rows that were tried in vain, or that will go with others."""
        for row in deliveries:
            self._rows[row.id] = row
            self._tried.add(row.id)

    def claim(self, deliveries: Iterable[Delivery]) -> None:
        """Rows that are about to go with another."""
        self._rows.update((row.id, row) for row in deliveries)

    def remove(self, deliveries: Iterable[DeliveryId]) -> None:
        for delivery in deliveries:
            self._rows.pop(delivery, None)
            self._ready.pop(delivery, None)
            self._about.pop(delivery, None)
            self._tried.discard(delivery)

    def hurry(self, channel: str, now: datetime) -> None:
        """The channel works again: whatever waits for its next try is due."""
        for key, row in self._rows.items():
            if row.channel == channel and row.tries and row.due_at > now:
                self._rows[key] = replace(row, due_at=now)

    def take_step(self, step: timedelta) -> None:
        """The wall clock was set by ``step``: what waits does so for as long as before."""
        self._rows = {key: replace(row, due_at=row.due_at + step) for key, row in self._rows.items()}
        self._ready = {key: ready + step for key, ready in self._ready.items()}

    def of(self, channel: str, roots: Mapping[str, Root] | None = None) -> list[Waiting]:
        """The rows of a channel.

        :param roots: of conversations.
        """
        return [
            self._waiting(row, (roots or {}).get(row.thread, UNTOLD))
            for row in self._rows.values()
            if row.channel == channel
        ]

    def all(self) -> list[Waiting]:
        return [self._waiting(row, UNTOLD) for row in self._rows.values()]

    def threads(self, channel: str) -> set[str]:
        return {row.thread for row in self._rows.values() if row.channel == channel}

    def tried_since(self, channel: str) -> datetime | None:
        """Since when something of a channel could go that was tried in vain; None when nothing was."""
        tried = (self._ready[row.id] for row in self._rows.values() if row.channel == channel and row.tries)
        return min(tried, default=None)

    def has_untried(self, until: datetime) -> bool:
        """Whether something that is due by then was not tried since this process started."""
        return any(row.id not in self._tried and row.due_at <= until for row in self._rows.values())

    def _waiting(self, row: Delivery, root: Root) -> Waiting:
        about = self._about.get(row.id)
        if about is None:
            alert = self._reader.alert(AlertId(row.notice)) if row.notice_type == "alert" else None
            about = self._about[row.id] = _subject(alert) if alert is not None else _Subject()
        return Waiting(
            delivery=row, ready_at=self._ready[row.id], event=about.event, monitor=about.monitor,
            severity=about.severity, root=root.delivery, told_at=root.told_at,
        )  # fmt: skip


def _subject(alert: Alert) -> _Subject:
    return _Subject(event=alert.facts.event, monitor=alert.monitor, severity=alert.severity)
