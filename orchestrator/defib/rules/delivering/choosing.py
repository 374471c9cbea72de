"""Which message a channel sends next, or how long it waits.

nothing is due ───────────────→ wait
the channel may say no more ──→ wait; what piles up meanwhile goes as one digest
the channel does not answer ──→ what was tried waits for the channel's next try, the oldest first;
                                what is new is tried once at its own time
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from defib.rules.backoff import next_delay
from defib.rules.delivering.buckets import Bucket
from defib.rules.delivering.messages import Message, Waiting, digest, messages

BACKOFF_BASE = timedelta(seconds=1)
BACKOFF_CAP = timedelta(seconds=30)
RATE = 20  #: messages a minute that people can follow; whoever allows a channel more gets more of everything
CONVERSATIONS = 5  #: begun at once at that rate …
CONVERSATION_EVERY = timedelta(minutes=1)  #: … and how long until one more may be
STUBBORN = 8
"""Tries of one message before another has its turn: the fault may be the message's and not the channel's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message that a channel has taken."""

    at: datetime
    begins: bool  #: it opened a conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a channel has used up, and how it does."""

    messages: Bucket
    conversations: Bucket
    failures: int = 0  #: tries in a row that were not accepted
    failing_since: datetime | None = None
    next_try_at: datetime | None = None  #: of what was tried already; None: whenever it is due

    @classmethod
    def fresh(cls, rate: int, now: datetime) -> "Pace":
        """Of a channel that has said nothing yet.

        :param rate: messages a minute.
        """
        begun = max(min(CONVERSATIONS, rate), CONVERSATIONS * rate // RATE)
        return cls(
            messages=Bucket.full(rate, timedelta(minutes=1) / rate, now),
            conversations=Bucket.full(begun, CONVERSATION_EVERY * min(1.0, RATE / rate), now),
        )

    @classmethod
    def recalled(cls, rate: int, said: Iterable[Said], now: datetime) -> "Pace":
        """Of a channel through which another process has spoken.

        :param said: at least what it took since :meth:`reach` before ``now``, oldest first.
        """
        pace = cls.fresh(rate, now - cls.reach(rate))
        for one in said:
            if one.at <= now:  # else the clock was set back since
                pace = pace._spent(one.begins, one.at)
        return pace

    @classmethod
    def reach(cls, rate: int) -> timedelta:
        """How far back it matters what was said."""
        full = cls.fresh(rate, datetime.min.replace(tzinfo=UTC))
        return 2 * max(bucket.capacity * bucket.refill for bucket in (full.messages, full.conversations))

    def with_rate(self, rate: int, now: datetime) -> "Pace":
        """The same after a reload that may have changed the rate."""
        return self if rate == self.messages.capacity else replace(self.fresh(rate, now), failures=self.failures,
            failing_since=self.failing_since, next_try_at=self.next_try_at)  # fmt: skip

    def accepted(self, message: Message, now: datetime) -> "Pace":
        spent = self._spent(message.begins, now)
        return replace(spent, failures=0, failing_since=None, next_try_at=None)

    def _spent(self, begins: bool, at: datetime) -> "Pace":
        conversations = self.conversations.taken(at) if begins else self.conversations
        return replace(self, messages=self.messages.taken(at), conversations=conversations)

    def failed(self, now: datetime, retry_after: timedelta | None) -> "Pace":
        delay = next_delay(self.failures, base=BACKOFF_BASE, cap=BACKOFF_CAP)
        return replace(
            self, failures=self.failures + 1, failing_since=self.failing_since or now,
            next_try_at=now + max(delay, retry_after or timedelta(0)),
        )  # fmt: skip

    def moved(self, step: timedelta) -> "Pace":
        """After the wall clock was set by ``step``."""
        return replace(
            self,
            messages=replace(self.messages, at=self.messages.at + step),
            conversations=replace(self.conversations, at=self.conversations.at + step),
            failing_since=self.failing_since and self.failing_since + step,
            next_try_at=self.next_try_at and self.next_try_at + step,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Send ``message``, or wait for ``wait`` (None: until something new comes)."""

    message: Message | None = None
    wait: timedelta | None = None


def next_step(waiting: Sequence[Waiting], pace: Pace, now: datetime) -> Step:
    """What a channel does next.

    :param waiting: its rows of the outbox, oldest first.
    """
    found = [_at_its_time(message, pace) for message in messages(waiting, now)]
    due = sorted((message for message in found if message.due_at <= now), key=_turn(pace))
    ahead = [message.due_at for message in found if message.due_at > now]
    if not due:
        return _wait(ahead, now)
    if pace.messages.tokens(now) < 1:
        return _wait([*ahead, pace.messages.ready_at(now)], now)
    if pace.messages.tokens(now) == 1 and (message := _digest(due)):
        return Step(message=message)
    beginning = [message for message in due if message.begins and message.may_be_digested]
    tokens = pace.conversations.tokens(now)
    if beginning and tokens == 1 and (message := _digest(beginning)):
        return Step(message=message)
    if len(beginning) > tokens:
        due.sort(key=lambda message: -message.severity.rank)  # those that are told at all are the severe ones
    sendable = [message for message in due if tokens or message not in beginning]
    if not sendable:
        return _wait([*ahead, pace.conversations.ready_at(now)], now)
    return Step(message=sendable[0])


def _at_its_time(message: Message, pace: Pace) -> Message:
    """What was tried in vain waits for the channel's next try while the channel does not answer at all."""
    if pace.next_try_at is None or message.tries == 0:
        return message
    return replace(message, due_at=pace.next_try_at)


def _turn(pace: Pace) -> "_Key":
    return _Key(is_failing=pace.failures > 0)


@dataclass(frozen=True, slots=True)
class _Key:
    """The oldest first; in a channel that does not answer, the one that is not to blame for it."""

    is_failing: bool

    def __call__(self, message: Message) -> tuple[int, datetime, str]:
        return (message.tries // STUBBORN if self.is_failing else 0, message.ready_at, message.first.id)


def _digest(due: Sequence[Message]) -> Message | None:
    """All that is due as one; None when there are not two that can be told so."""
    several = [message for message in due if message.may_be_digested or message.is_digest]
    return digest(row for message in several for row in message.rows) if len(several) > 1 else None


def _wait(instants: Iterable[datetime], now: datetime) -> Step:
    soonest = min(instants, default=None)
    return Step(wait=None if soonest is None else max(soonest - now, timedelta(0)))
