"""What goes together: rows of the outbox become messages.

What is about one monitor keeps its order within a conversation. Falls go with falls and returns with returns of the
same conversation. A fall that nobody was told of yet and that is over meanwhile is one message, of its end: never two
scares. What could not be told for long goes as one digest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.model.alert import AlertKind, Delivery, Severity
from defib.model.ids import DeliveryId, MonitorId
from defib.rules.grouping import BATCH, LONGER_WAIT

LATE = timedelta(minutes=5)
"""What could not be told for so long goes as a digest, together with everything else that could not."""

_MERGED = (AlertKind.DOWN, AlertKind.RECOVERED, AlertKind.SET_ASIDE, AlertKind.UNWATCHED)
_ALONE = (None, AlertKind.TEST, AlertKind.DIGEST)
"""Never in a digest: reports, tests, and what is a digest already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row of the outbox, and what it is about."""

    delivery: Delivery
    ready_at: datetime  #: from when on it could go, had nothing failed
    event: AlertKind | None = None  #: None: no alert
    monitor: MonitorId | None = None
    severity: Severity = Severity.INFO
    root: str = ""
    """The delivery whose message its conversation began with in this channel; "" if it begins now."""
    told_at: datetime | None = None  #: when that message was accepted

    @property
    def story(self) -> str:
        """What it belongs to: conversations that one message began are one from then on."""
        return self.root or self.delivery.thread

    @property
    def due_at(self) -> datetime:
        """When it goes. A fall that has just missed the first message, with which it was to go, waits for a batch."""
        due, told_at = self.delivery.due_at, self.told_at
        if told_at is None or self.event is not AlertKind.DOWN or self.delivery.tries:
            return due
        return told_at + BATCH if due <= told_at + LONGER_WAIT else due


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Rows that go out as one."""

    rows: tuple[Waiting, ...]  #: oldest first
    told: tuple[Waiting, ...]  #: those of them whose alerts are put into words; these say the others' too
    due_at: datetime
    is_digest: bool = False

    @property
    def first(self) -> Delivery:
        return self.rows[0].delivery

    @property
    def ready_at(self) -> datetime:
        return min(row.ready_at for row in self.rows)

    @property
    def severity(self) -> Severity:
        return max((row.severity for row in self.told), key=lambda severity: severity.rank)

    @property
    def tries(self) -> int:
        """Of the row that was tried the least."""
        return min(row.delivery.tries for row in self.rows)

    @property
    def begins(self) -> bool:
        """Whether it opens a conversation, so that people look up."""
        return self.rows[0].event is not None and not any(row.root for row in self.rows)

    @property
    def may_be_digested(self) -> bool:
        return all(row.event not in _ALONE for row in self.rows)


def messages(waiting: Sequence[Waiting], now: datetime) -> list[Message]:
    """The next message of each conversation and monitor, merged where they are alike; in no order.

    :param waiting: rows of one channel, oldest first. Those that say what they are ``sent_with`` were on their way when
        the process died, and go out once more exactly so.
    """
    bundles, free = _claimed(waiting)
    queues = _queues(free)
    late = [queue for queue in queues if now - queue[0].ready_at >= LATE and _can_be_digested(queue)]
    if needs_digest(late):
        queues = [queue for queue in queues if queue not in late]
        bundles.append(digest(row for queue in late for row in queue))
    return bundles + _merged(queues)


def needs_digest(queues: Sequence[Sequence[Waiting]]) -> bool:
    """Whether ``queues`` could not be told in a single message."""
    return len(found := _merged(queues)) > 1 or sum(len(one.rows) for one in found) < sum(map(len, queues))


def digest(rows: Iterable[Waiting]) -> Message:
    """One message of all ``rows``, in the order in which it all happened."""
    ordered = tuple(sorted(rows, key=lambda row: row.delivery.created_at))
    due = min(row.delivery.due_at for row in ordered)
    return Message(rows=ordered, told=ordered, due_at=due, is_digest=True)


def _can_be_digested(queue: Sequence[Waiting]) -> bool:
    return all(row.event not in _ALONE for row in queue)


def _claimed(waiting: Sequence[Waiting]) -> tuple[list[Message], list[Waiting]]:
    """Messages that were on their way already, and all other rows."""
    followers: dict[str, list[Waiting]] = {}
    for row in waiting:
        if row.delivery.sent_with is not None:
            followers.setdefault(row.delivery.sent_with, []).append(row)
    bundles: list[Message] = []
    taken: set[DeliveryId] = set()
    for row in waiting:
        if row.delivery.id in followers:
            bundle = [row, *followers[row.delivery.id]]
            taken.update(item.delivery.id for item in bundle)
            plain = _merged(_queues(bundle))
            bundles.append(
                plain[0] if len(plain) == 1 and len(plain[0].rows) == len(bundle) else digest(bundle)
            )
    return bundles, [row for row in waiting if row.delivery.id not in taken]


def _queues(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    """By conversation and monitor, each in order."""
    queues: dict[tuple[str, MonitorId | None], list[Waiting]] = {}
    for row in waiting:
        queues.setdefault((row.story, row.monitor), []).append(row)
    return list(queues.values())


def _merged(queues: Iterable[Sequence[Waiting]]) -> list[Message]:
    """The next message of each queue; those that are alike as one, as soon as one of them is due."""
    alike: dict[tuple[str, str], Message] = {}
    for queue in queues:
        one = _next_of(queue)
        lead = one.told[0]
        key = (lead.story, str(lead.event) if lead.event in _MERGED else lead.delivery.id)
        if (other := alike.get(key)) is not None:
            one = Message(
                rows=other.rows + one.rows, told=other.told + one.told, due_at=min(other.due_at, one.due_at)
            )
        alike[key] = one
    return list(alike.values())


def _next_of(queue: Sequence[Waiting]) -> Message:
    """What goes next of a queue. What waits for company waits no longer once something after it is due."""
    head = queue[0]
    count = 1
    if head.event is AlertKind.DOWN:
        ends = (n for n, row in enumerate(queue, start=1) if row.event is AlertKind.RECOVERED)
        count = next(ends, 1)
    followers = queue if head.delivery.tries == 0 else queue[:1]  # a try that failed has its own delay
    due = min(row.due_at for row in followers)
    return Message(rows=tuple(queue[:count]), told=(queue[count - 1],), due_at=due)
