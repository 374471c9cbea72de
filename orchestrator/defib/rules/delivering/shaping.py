"""In what shape a message goes out: new, as a reply in its conversation, or in place of the first message."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from defib.model.alert import Alert, AlertKind, Severity
from defib.model.ids import MonitorId
from defib.rules.alerting.notice import HANDS
from defib.rules.delivering.messages import Message

SECOND_THOUGHT = timedelta(seconds=10)
"""What is well again so soon after the first message changes that message: never two scares."""


class Shape(StrEnum):
    NEW = "new"
    REPLY = "reply"
    EDIT = "edit"
    SAID = "said"  #: not at all: the first message has said it


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The message that a conversation began with in a channel, as people see it now."""

    receipt: str
    accepted_at: datetime
    events: frozenset[AlertKind]  #: of everything that was told in it
    monitors: frozenset[MonitorId | None]
    severity: Severity
    is_of_one_story: bool  #: and no digest
    silent_host: str = ""  #: on which, it said, nothing answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Where a fall was, and since when at the latest."""

    host: str
    well_at: datetime  #: when it was seen well last


def decide_shape(
    message: Message, opening: Opening | None, *, can_edit: bool, now: datetime, falls: Sequence[Fall] = ()
) -> Shape:
    """How ``message`` goes out.

    An edit makes no sound. So it carries what adds to the first message without being more pressing, what takes it
    back at once, and who sees to it.

    :param opening: None when the conversation has not begun in this channel.
    :param falls: that ``message`` tells of, to people who need not be told each by itself.
    """
    if opening is None or not opening.receipt or message.is_digest:
        return Shape.NEW
    if can_edit and opening.is_of_one_story and _belongs_into(message, opening, now):
        return Shape.EDIT
    return Shape.SAID if not can_edit and _has_said(opening, message, falls) else Shape.REPLY


def silent_host(alerts: Sequence[Alert]) -> str:
    """The host that a message of ``alerts``, oldest first, says does not answer at all; "" where it says nothing so."""
    return alerts[-1].facts.silent_host if len(alerts) > 1 else ""


def _has_said(opening: Opening, message: Message, falls: Sequence[Fall]) -> bool:
    """Whether all that fell is on the host that the first message spoke for, and was not seen well since."""
    is_all_falls = {row.event for row in message.rows} == {AlertKind.DOWN} and len(falls) == len(message.told)
    return (
        is_all_falls
        and bool(opening.silent_host)
        and message.severity.rank <= opening.severity.rank
        and all(fall.host == opening.silent_host and fall.well_at <= opening.accepted_at for fall in falls)
    )


def _belongs_into(message: Message, opening: Opening, now: datetime) -> bool:
    events = {row.event for row in message.told}
    if events <= HANDS:
        return AlertKind.RECOVERED not in opening.events
    if events == {AlertKind.DOWN}:
        is_no_worse = message.severity.rank <= opening.severity.rank
        return is_no_worse and opening.events <= {AlertKind.DOWN, *HANDS}
    if events == {AlertKind.RECOVERED}:
        is_all_over = opening.monitors <= {row.monitor for row in message.told}
        return is_all_over and now - opening.accepted_at <= SECOND_THOUGHT
    return False


def worst(severities: Sequence[Severity]) -> Severity:
    return max(severities, key=lambda severity: severity.rank, default=Severity.INFO)
