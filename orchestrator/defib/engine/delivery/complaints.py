"""Says through another channel, once, that a channel does not work, and once that it works again."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from defib.engine.alerting.composing import compose
from defib.engine.delivery.lane import Lane
from defib.engine.delivery.reviewing import Reviewing
from defib.engine.ids import new_id
from defib.engine.roster import Roster
from defib.logs import get_logger
from defib.model.alert import Alert, AlertFacts, AlertKind, Delivery, DeliveryState
from defib.model.changes import Changes
from defib.model.ids import AlertId, DeliveryId, MonitorId
from defib.ports import Clock
from defib.rules.delivering.failover import BROKEN
from defib.store import Reader, Writer

log = get_logger("defib.delivery")

KEY = "channel-broken"
"""Run-time setting ``channel-broken:NAME``: since when people know that a channel does not work, and through which
other one they heard of it."""


class Complaints:
    """Watches over the channels."""

    def __init__(
        self, clock: Clock, roster: Callable[[], Roster], writer: Writer, reader: Reader, lanes: Mapping[str, Lane],
        on_deliveries: Callable[[Changes], None],
    ) -> None:  # fmt: skip
        self._clock = clock
        self._roster = roster
        self._writer = writer
        self._reader = reader
        self._lanes = lanes
        self._on_deliveries = on_deliveries
        self.reviewing = Reviewing("telling that a channel does not work", self._review)
        self._told: dict[str, tuple[datetime, str]] = {}  #: channel → since when, and through which other one
        self._refusing: dict[str, datetime] = {}  #: channels that refused something for good

    def start(self) -> None:
        """Recall what people were told."""
        for key, value in self._reader.settings().items():
            name, _, channel = key.partition(":")
            if name == KEY:
                since, _, through = value.partition(" ")
                self._told[channel] = (datetime.fromisoformat(since), through)

    def take_refusal(self, channel: str) -> None:
        """A channel will never accept something."""
        self._refusing.setdefault(channel, self._clock.now())
        self.reviewing.take_change()

    def take_success(self, channel: str) -> None:
        self._refusing.pop(channel, None)
        if channel in self._told:
            self.reviewing.take_change()

    async def _review(self) -> float | None:
        """Tell what is due; seconds until there may be more."""
        now, soonest = self._clock.now(), None
        for name, lane in tuple(self._lanes.items()):
            since = self._broken_since(lane)
            if name in self._told:
                if since is None and lane.accepted_at is not None:
                    await self._tell_of_return(name, now)
                continue
            if since is None:
                continue
            due = since if name in self._refusing else since + BROKEN
            if due <= now:
                await self._tell(name, lane, since, now)
            else:
                wait = (due - now).total_seconds()
                soonest = wait if soonest is None else min(soonest, wait)
        return soonest

    def _broken_since(self, lane: Lane) -> datetime | None:
        return self._refusing.get(lane.name) or lane.refused_since

    async def _tell(self, name: str, lane: Lane, since: datetime, now: datetime) -> None:
        other = self._another(name)
        if name not in self._roster().channels or other is None:
            self._told[name] = (since, "")  # nobody can be told; the log and the health page have it
            return
        recovery = f"Defib goes on trying, and sends alerts through {other} instead"
        if name in self._refusing:
            recovery = f"What it refused is kept as dead letters. Defib sends alerts through {other} instead"
        facts = self._facts(AlertKind.CHANNEL_BROKEN, name, since, now, lane.error, recovery)
        await self._commit(facts, other, f"{name}|{since.astimezone(UTC).isoformat()}",
                           (f"{KEY}:{name}", f"{since.isoformat()} {other}"))  # fmt: skip
        self._told[name] = (since, other)

    async def _tell_of_return(self, name: str, now: datetime) -> None:
        since, other = self._told[name]
        if other and other in self._roster().channels:
            facts = self._facts(
                AlertKind.CHANNEL_WORKS,
                name,
                since,
                now,
                "it accepts messages",
                _delivered(await asyncio.to_thread(self._dead_letters, name)),
            )
            await self._commit(
                facts, other, f"{name}|{since.astimezone(UTC).isoformat()}", (f"{KEY}:{name}", None)
            )
        elif other:
            await self._writer.commit(Changes(settings=((f"{KEY}:{name}", None),)))
        del self._told[name]

    def _dead_letters(self, name: str) -> int:
        """How many a channel has, of all time."""
        return self._reader.delivery_states().get(name, {}).get(DeliveryState.DEAD, 0)

    def _another(self, name: str) -> str | None:
        """The stand-in that the configuration names, or any other channel; one that works before one that fails."""
        settings = self._roster().settings
        named = next((spec.fallback for spec in settings.channels if spec.name == name), None)
        others = [spec.name for spec in settings.channels if spec.name != name]
        others.sort(key=lambda other: (self._is_failing(other), other != named))
        return others[0] if others else None

    def _is_failing(self, name: str) -> bool:
        lane = self._lanes.get(name)
        return lane is not None and self._broken_since(lane) is not None

    def _facts(
        self, event: AlertKind, name: str, since: datetime, now: datetime, summary: str, recovery: str
    ) -> AlertFacts:
        settings = self._roster().settings
        channel = self._roster().channels.get(name)
        return AlertFacts(
            event=event, monitor=MonitorId(""), monitor_name=name, monitor_kind="channel", family="observer",
            target=channel.target if channel is not None else "", at=now, since=min(since, now),
            cause="channel-broken", summary=summary, recovery=recovery, timezone=settings.timezone,
            duration_s=(now - since).total_seconds() if event is AlertKind.CHANNEL_WORKS else None,
            url=settings.server.public_url,
        )  # fmt: skip

    async def _commit(
        self, facts: AlertFacts, channel: str, about: str, setting: tuple[str, str | None]
    ) -> None:
        now = facts.at
        text = compose(self._roster().texts, facts)
        alert = Alert(
            id=AlertId(new_id("alert", now)), kind=text.kind, severity=text.severity, title=text.title,
            description=text.description, evidence=text.evidence, recommendations=text.recommendations, at=now,
            monitor=None, incident=None, facts=facts,
        )  # fmt: skip
        row = Delivery(
            id=DeliveryId(new_id("send", now)), channel=channel, notice=alert.id, notice_type="alert",
            key=f"{facts.event}|{about}", created_at=now, due_at=now, thread=f"channel|{about}",
        )  # fmt: skip
        changes = Changes(alerts=(alert,), new_deliveries=(row,), settings=(setting,))
        await self._writer.commit(changes)
        self._on_deliveries(changes)
        log.warning("told of a channel", channel=facts.monitor_name, through=channel, what=facts.event)


def _delivered(dead: int) -> str:
    """What a channel that works again delivers of what it owed."""
    if not dead:
        return "What it owed is delivered now"
    letters, which = ("dead letter", "it") if dead == 1 else ("dead letters", "each")
    return (
        f"What it owed is delivered now, except {dead} {letters}: the page Alerts sends {which} once more, as does "
        "`POST /api/v1/deliveries/ID/retry`"
    )
