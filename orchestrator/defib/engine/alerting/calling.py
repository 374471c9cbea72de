"""Calls the next ones when nobody takes a fault on, and reminds those who know.

When is :mod:`defib.rules.alerting.escalate`'s; it all follows from stored rows.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from defib.engine.alerting.owing import RECHECK, Step
from defib.engine.alerting.scenes import notice_of
from defib.engine.alerting.telling import Telling
from defib.engine.roster import Watched
from defib.model.alert import Alert, Ruling
from defib.model.changes import Changes
from defib.model.health import Health, Incident
from defib.model.ids import IncidentId, MonitorId
from defib.rules.alerting import Policy, attention, next_call, policy_of, reminder_due, was_told
from defib.rules.alerting.escalate import Attention
from defib.rules.alerting.notice import HANDS
from defib.rules.alerting.route import routes_for

ACK_RECHECK = timedelta(minutes=1)
"""How often it is looked whether an acknowledgement was taken back."""


class Calling:
    """Reviews stories that people know of."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._leads: dict[IncidentId, MonitorId] = {}  # by story

    def heir(self, closed: Incident) -> MonitorId | None:
        """Who may stand for a story from now on, when the one that did is over."""
        if self._leads.get(closed.story) != closed.monitor:
            return None
        del self._leads[closed.story]
        left = [item for item in self._telling.open_story(closed) if item.id != closed.id]
        return min(left, key=_age).monitor if left else None

    async def review(self, watched: Watched, health: Health, now: datetime) -> Step:
        """What is due of the story that a monitor's fault leads; the caller holds its lock and commits."""
        telling = self._telling
        if health.incident is None or health.state.is_aside:
            return Step()
        incident = telling.incident(health.incident)
        story = sorted(telling.open_story(incident), key=_age)
        if (step := await asyncio.to_thread(self._others, incident, story)) is not None:
            return step
        self._leads[incident.story] = health.monitor
        alerts = await asyncio.to_thread(telling.reader.story_alerts, incident.story)
        state = attention(story, alerts, telling.roster.settings.ack_timeout, now)
        if state is None:
            return Step()
        if state.acked_until is not None:
            return Step(due_at=min(state.acked_until, now + ACK_RECHECK))
        policy = self._policy(watched, incident, alerts)
        told = self._due(watched, health, incident, alerts, state, policy, now)
        if told is None:
            return Step(due_at=_soonest(policy, state, now))
        [alert] = told.alerts
        if was_told(alert):
            return Step(told=told, due_at=now)
        ends = [
            verdict.until for verdict in alert.verdicts if verdict.ruling is Ruling.HELD and verdict.until
        ]
        again = min(ends, default=now + RECHECK)
        is_known = any(
            item.facts.event is alert.facts.event
            and item.facts.step == alert.facts.step
            and item.at >= state.last_told
            for item in alerts
            if not was_told(item)
        )
        return Step(
            told=Changes() if is_known else told,
            due_at=max(again, now + RECHECK / 30),
            is_open_ended=not ends,
        )

    def _others(self, incident: Incident, story: Sequence[Incident]) -> Step | None:
        """None when this is the oldest one of the story that people were told of: it stands for all of it."""
        told = self._telling.reader.told_channels
        place = [item.id for item in story].index(incident.id)
        if any(told(item.id) for item in story[:place]):
            return Step()
        if told(incident.id):
            return None
        return Step(follow=story[place + 1].monitor if place + 1 < len(story) else None)

    def _due(
        self, watched: Watched, health: Health, incident: Incident, alerts: Sequence[Alert], state: Attention,
        policy: Policy, now: datetime,
    ) -> Changes | None:  # fmt: skip
        """A call, else a reminder; None when neither is due."""
        telling = self._telling
        members = telling.members(incident)
        let_go = _newest_ack(telling.open_story(incident)) if state.lapsed_at is not None else None
        call = next_call(policy, state, now)
        if call is not None and call.due_at <= now:
            return telling.notifier.escalated(watched, health, incident, call, members, now, let_go=let_go)
        reminder = reminder_due(policy, state)
        if reminder is None or reminder > now:
            return None
        channels = telling.scenes.told_of(alerts)
        return telling.notifier.reminder(
            watched, health, incident, channels, members, now, number=state.reminders + 1, step=state.step,
            let_go=let_go,
        )  # fmt: skip

    def _policy(self, watched: Watched, incident: Incident, alerts: Sequence[Alert]) -> Policy:
        """What the routes say that took the first alert, at that time."""
        first = next(alert for alert in alerts if was_told(alert) and alert.facts.event not in HANDS)
        routes = routes_for(
            notice_of(first, watched, incident), self._telling.roster.settings.routes, first.at
        )
        return policy_of(route for _, route in routes)


def _newest_ack(story: Sequence[Incident]) -> Incident | None:
    """The one of a story that was taken on last."""
    taken = [(item.acked_at, item.id, item) for item in story if item.acked_at is not None]
    return max(taken)[-1] if taken else None


def _age(incident: Incident) -> tuple[datetime, str]:
    return incident.opened_at, incident.id


def _soonest(policy: Policy, state: Attention, now: datetime) -> datetime | None:
    call, reminder = next_call(policy, state, now), reminder_due(policy, state)
    found = [at for at in (call.due_at if call else None, reminder) if at is not None]
    return min(found, default=None)
