"""What follows when nobody takes a fault on: the next people are called, and those who know are reminded.

    told ─ L1 ──10 min─→ L2 ──30 min─→ L3 ─→ all of it again, three times ─→ reminders, each 4 h
      └─ acknowledged: nothing ─→ an hour later, and it still fails: told again, from the beginning

Every instant follows from stored rows: what was told when, and when somebody acknowledged. A restart changes nothing.

Source of the shape: escalation policies of PagerDuty.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from defib.model.alert import Alert, AlertKind
from defib.model.health import Incident
from defib.model.route import EscalationStep, Route
from defib.rules.alerting.matter import step_of, was_told
from defib.rules.alerting.notice import HANDS

REPETITIONS = 3
"""So often the whole policy is gone through again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the routes that take an alert say about those who do not answer."""

    first: tuple[str, ...] = ()  #: channels that are told at once
    steps: tuple[EscalationStep, ...] = ()
    repeat: timedelta | None = None


def policy_of(routes: Iterable[Route]) -> Policy:
    """The policies of several routes as one: steps by their time, and the shortest repetition."""
    routes = list(routes)
    steps: dict[timedelta, dict[str, None]] = {}
    for route in routes:
        for step in route.escalate:
            steps.setdefault(step.after, {}).update(dict.fromkeys(step.channels))
    repeats = [route.repeat for route in routes if route.repeat is not None]
    return Policy(
        first=tuple(dict.fromkeys(channel for route in routes for channel in route.channels)),
        steps=tuple(EscalationStep(after=after, channels=tuple(steps[after])) for after in sorted(steps)),
        repeat=min(repeats, default=None),
    )


def has_lapsed(incident: Incident, ack_timeout: timedelta | None, now: datetime) -> bool:
    """Whether somebody took it on so long ago that it counts no more."""
    return (
        incident.acked_at is not None and ack_timeout is not None and incident.acked_at + ack_timeout <= now
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """What people know of a story, and whether anybody sees to it."""

    began: datetime  #: people were first told, or what somebody had taken on was let go
    last_told: datetime
    step: int = 1  #: of the policy, since it began
    reminders: int = 0
    acked_until: datetime | None = None  #: somebody sees to it till then
    lapsed_at: datetime | None = None  #: somebody saw to it till then, and it still fails


def attention(
    incidents: Sequence[Incident], alerts: Sequence[Alert], ack_timeout: timedelta | None, now: datetime
) -> Attention | None:
    """How a story stands; None when people were not told of it, or all of it is over.

    An acknowledgement is for everything of the story that had failed by then.

    :param incidents: the open ones of the story.
    :param alerts: all of the story, oldest first.
    """
    told = [alert for alert in alerts if was_told(alert) and alert.facts.event not in HANDS]
    acked_at = max((item.acked_at for item in incidents if item.acked_at is not None), default=None)
    until = None if acked_at is None or ack_timeout is None else acked_at + ack_timeout
    is_acked = acked_at is not None and (until is None or now < until)
    open_ = {
        item.id for item in incidents if not is_acked or (acked_at is not None and item.opened_at > acked_at)
    }
    first = min((alert.at for alert in told if alert.incident in open_), default=None)
    if not told or (first is None and not is_acked):
        return None
    if first is None:
        return Attention(
            began=told[0].at,
            last_told=told[-1].at,
            acked_until=until or datetime.max.replace(tzinfo=now.tzinfo),
        )
    lapsed_at = until if until is not None and until <= now and until > first else None
    began = lapsed_at or first
    since = [alert for alert in told if alert.at >= began]
    return Attention(
        began=began, last_told=told[-1].at, step=step_of(since), lapsed_at=lapsed_at,
        reminders=sum(alert.facts.event is AlertKind.REMINDER for alert in told),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who is called next, and when."""

    due_at: datetime
    level: int  #: from 1, those that the route names first
    step: int  #: of the policy with its repetitions, from 1
    channels: tuple[str, ...]


def next_call(policy: Policy, state: Attention, now: datetime) -> Call | None:
    """The call that comes next; of several that were missed, the last one, for all whom they would have reached.

    1. The first level was told when it began.
    2. Each level is called so long after the beginning as the route says.
    3. The whole is gone through again when as much time has passed after the last level as before it since the one
       before, :data:`REPETITIONS` times.
    """
    if not policy.steps or state.acked_until is not None:
        return None
    left = [call for call in _timeline(policy, state.began) if call.step > state.step]
    due = [call for call in left if call.due_at <= now]
    if due:
        channels = tuple(dict.fromkeys(channel for call in due for channel in call.channels))
        return Call(due_at=due[-1].due_at, level=due[-1].level, step=due[-1].step, channels=channels)
    return left[0] if left else None


def _timeline(policy: Policy, began: datetime) -> list[Call]:
    levels = [EscalationStep(after=timedelta(0), channels=policy.first), *policy.steps]
    length = 2 * levels[-1].after - levels[-2].after
    return [
        Call(
            due_at=began + run * length + level.after, level=number, step=run * len(levels) + number,
            channels=level.channels,
        )
        for run in range(REPETITIONS + 1)
        for number, level in enumerate(levels, 1)
    ]  # fmt: skip


def reminder_due(policy: Policy, state: Attention) -> datetime | None:
    """When those who know are told again; None when never, as things are."""
    if state.acked_until is not None:
        return None
    if state.lapsed_at is not None and state.last_told < state.lapsed_at:
        return state.lapsed_at
    return None if policy.repeat is None else state.last_told + policy.repeat
