"""The engine's store in memory: what a decision commits is there at once, and nothing else is kept."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from defib.model.agent import Agent, Token
from defib.model.alert import Alert, Delivery, DeliveryState
from defib.model.beat import Beat, Signal
from defib.model.changes import Changes, DeliveryTry, Heard, WatchSpan
from defib.model.decision import DecisionRecord
from defib.model.health import Health, Incident, Transition
from defib.model.ids import MonitorId
from defib.model.monitor import MadeMonitor
from defib.model.recovery import Attempt, AuditEntry, Case
from defib.model.window import Window


class _NothingToRoll:
    """Observations are not kept, so none wait to become history."""

    def waiting(self, before: datetime) -> list[object]:
        return []


class MemoryStore:
    """Reader and writer in one. Observations are dropped: there would be millions.

    It has what the engine asks for, and no more: a new question is a loud TypeError or AttributeError.
    """

    epoch = 0
    stale = None  #: nobody else is here
    rolling = _NothingToRoll()

    def __init__(self) -> None:
        self.all_decisions: list[DecisionRecord] = []
        self.all_transitions: list[Transition] = []
        self.watched: dict[datetime, WatchSpan] = {}  #: by beginning
        self._transitions_of: dict[MonitorId, list[Transition]] = {}
        self._beats: dict[MonitorId, Beat] = {}
        self._health: dict[MonitorId, Health] = {}
        self._incidents: dict[str, Incident] = {}
        self._cases: dict[str, Case] = {}
        self._attempts: dict[str, Attempt] = {}
        self._attempts_of: dict[MonitorId, dict[str, Attempt]] = {}
        self._alerts: dict[str, Alert] = {}
        self._deliveries: dict[str, Delivery] = {}
        self.all_tries: list[DeliveryTry] = []
        self._keys: set[str] = set()
        self._settings: dict[str, str] = {}
        self._agents: dict[str, Agent] = {}
        self._tokens: dict[str, Token] = {}
        self._made: dict[MonitorId, MadeMonitor] = {}
        self._windows: dict[str, Window] = {}
        self.audited: list[AuditEntry] = []
        self.kept_beats: deque[Beat] = deque(maxlen=10_000)

    # --- writing -----------------------------------------------------------------------------------

    async def commit(self, changes: Changes | Heard) -> None:
        if isinstance(changes, Heard):
            known = self._health[changes.monitor]
            self._health[changes.monitor] = replace(known, beats=changes.beats, deadline=changes.deadline)
            return
        self.all_decisions += changes.decisions
        self.all_transitions += changes.transitions
        for transition in changes.transitions:
            self._transitions_of.setdefault(transition.monitor, []).append(transition)
        self.watched.update((span.started_at, span) for span in changes.watch)
        self._beats.update((beat.monitor, beat) for beat in changes.beats if beat.signal is not Signal.LOG)
        self._health.update((item.monitor, item) for item in changes.health)
        self._incidents.update((item.id, item) for item in changes.incidents)
        self._cases.update((item.id, item) for item in changes.cases)
        for attempt in changes.attempts:
            self._attempts[attempt.id] = attempt
            self._attempts_of.setdefault(attempt.monitor, {})[attempt.id] = attempt
        self._agents.update((item.id, item) for item in changes.agents)
        self._tokens.update((item.id, item) for item in changes.tokens)
        self._made.update((item.id, item) for item in changes.made)
        self.audited += changes.audit
        self._windows.update((item.id, item) for item in changes.windows)
        self.kept_beats += changes.beats
        self._alerts.update((item.id, item) for item in changes.alerts)
        for delivery in changes.new_deliveries:
            if delivery.key not in self._keys:
                self._keys.add(delivery.key)
                self._deliveries[delivery.id] = delivery
        self._deliveries.update((item.id, item) for item in changes.deliveries)
        self.all_tries += changes.tries
        for key, value in changes.settings:
            if value is None:
                self._settings.pop(key, None)
            else:
                self._settings[key] = value

    async def confirm(self) -> None: ...

    def close(self) -> None: ...

    # --- reading -----------------------------------------------------------------------------------

    def health(self) -> dict[MonitorId, Health]:
        return dict(self._health)

    def settings(self) -> dict[str, str]:
        return dict(self._settings)

    def made_monitors(self) -> list[MadeMonitor]:
        return [item for item in self._made.values() if item.removed_at is None]

    def windows(self, *, since: datetime) -> list[Window]:
        """Whoever asks tells what is over from what is not."""
        return list(self._windows.values())

    def beats(self, monitor: MonitorId, newest: int = 100) -> list[Beat]:
        return [beat for beat in reversed(self.kept_beats) if beat.monitor == monitor][:newest]

    def snapshot(self, incident: str) -> None:
        """None is taken in a simulation."""

    def agents(self) -> list[Agent]:
        return [item for item in self._agents.values() if item.removed_at is None]

    def tokens(self) -> list[Token]:
        return list(self._tokens.values())

    def newest_beats(self) -> dict[MonitorId, Beat]:
        return dict(self._beats)

    def newest_watch_span(self) -> WatchSpan | None:
        return None

    def watch_spans(self, since: datetime, until: datetime) -> list[WatchSpan]:
        """It is always watched."""
        return []

    def incidents(self, *, only_open: bool = False) -> list[Incident]:
        return [item for item in self._incidents.values() if not (only_open and item.closed_at)]

    def incident(self, incident: str) -> Incident | None:
        return self._incidents.get(incident)

    def cases(
        self, *, only_active: bool = False, incident: str | None = None, monitor: str | None = None,
        newest: int | None = None,
    ) -> list[Case]:  # fmt: skip
        found = [
            item
            for item in self._cases.values()
            if not (only_active and item.state.is_terminal)
            and incident in (None, item.incident)
            and monitor in (None, item.monitor)
        ]
        return found[::-1][:newest] if newest else found

    def transitions(self, *, monitor: MonitorId, since: datetime) -> list[Transition]:
        found = self._transitions_of.get(monitor, [])
        return [item for item in found if item.decided_at >= since]

    def attempt(self, attempt: str) -> Attempt | None:
        return self._attempts.get(attempt)

    def attempts(
        self,
        *,
        monitor: MonitorId | None = None,
        since: datetime | None = None,
        newest: int | None = None,
    ) -> list[Attempt]:
        of_interest = self._attempts if monitor is None else self._attempts_of.get(monitor, {})
        found = [item for item in of_interest.values() if since is None or item.intent_at >= since]
        return found[::-1][:newest] if newest else found

    def alerts(
        self, *, since: datetime | None = None, until: datetime | None = None, incident: str | None = None,
        monitor: str | None = None, newest: int | None = None,
    ) -> list[Alert]:  # fmt: skip
        found = [
            item
            for item in self._alerts.values()
            if (since is None or item.at >= since)
            and (until is None or item.at < until)
            and incident in (None, item.incident)
            and monitor in (None, item.monitor)
        ]
        return found[::-1][:newest] if newest else found

    def told_channels(self, incident: str) -> tuple[str, ...]:
        told = (
            item.channel
            for item in self._deliveries.values()
            if item.state is not DeliveryState.DEAD
            and (alert := self._alerts.get(item.notice)) is not None
            and alert.incident == incident
        )
        return tuple(dict.fromkeys(told))

    def story_alerts(self, story: str) -> list[Alert]:
        members = {item.id for item in self._incidents.values() if story in (item.id, item.root)}
        return [item for item in self._alerts.values() if item.incident in members]

    def alert(self, alert: str) -> Alert | None:
        return self._alerts.get(alert)

    def pending_deliveries(self) -> list[Delivery]:
        return [item for item in self._deliveries.values() if item.state is DeliveryState.PENDING]

    def deliveries(self, *, notices: Sequence[str] | None = None) -> list[Delivery]:
        return [item for item in self._deliveries.values() if notices is None or item.notice in notices]

    def delivery_states(self) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for item in self._deliveries.values():
            if item.state is not DeliveryState.DELIVERED:
                of = counts.setdefault(item.channel, {})
                of[item.state] = of.get(item.state, 0) + 1
        return counts

    def delivery(self, delivery: str) -> Delivery | None:
        return self._deliveries.get(delivery)

    def accepted(self, channel: str, since: datetime) -> list[Delivery]:
        found = [
            (item.accepted_at, item.created_at, item.id, item)
            for item in self._deliveries.values()
            if item.channel == channel and item.accepted_at is not None and item.accepted_at >= since
            and item.state is DeliveryState.DELIVERED
        ]  # fmt: skip
        return [item for _, _, _, item in sorted(found)]

    def conversation(self, channel: str, thread: str) -> list[Delivery]:
        found = [
            item
            for item in self._deliveries.values()
            if (item.channel, item.thread, item.state) == (channel, thread, DeliveryState.DELIVERED)
        ]
        return sorted(found, key=lambda item: (item.accepted_at or item.created_at, item.created_at, item.id))

    def with_receipt(self, channel: str, receipt: str) -> list[Delivery]:
        found = [
            item for item in self._deliveries.values() if (item.channel, item.receipt) == (channel, receipt)
        ]
        return sorted(found, key=lambda item: (item.created_at, item.id))

    def delivery_tries(self, deliveries: Sequence[str]) -> list[DeliveryTry]:
        return [item for item in self.all_tries if item.delivery in deliveries]
