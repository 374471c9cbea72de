"""Makes alerts: facts to words, words to rows of the outbox. Sends nothing itself."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from defib.engine.alerting import composing
from defib.engine.alerting.facts import facts_about, facts_about_observer, plan, will_act
from defib.engine.alerting.scenes import Scenes, notice_of
from defib.engine.ids import new_id
from defib.engine.roster import Roster, Watched
from defib.model.alert import (
    Alert,
    AlertFacts,
    AlertKind,
    Delivery,
    Held,
    Ruling,
    Stage,
    Together,
    Verdict,
)
from defib.model.changes import Changes
from defib.model.evidence import Observation
from defib.model.health import Flaps, Health, Incident
from defib.model.ids import AlertId, DeliveryId, IncidentId, MonitorId
from defib.model.report import ReportDocument
from defib.model.window import Window
from defib.rules.alerting import Call, Scene, decide, loudness
from defib.rules.alerting.matter import Owed
from defib.rules.observer import Trouble


@dataclass(frozen=True, slots=True)
class Notifier:
    """Turns decisions into alerts with their deliveries, ready to be committed with the decision."""

    roster: Roster
    recent: Callable[[MonitorId], Sequence[Observation]] = lambda monitor: ()
    """The newest observations of a monitor, oldest first: the evidence that people are shown."""
    called: dict[MonitorId, datetime] = field(default_factory=dict)
    """When a person was last called for a monitor that flaps; outlives the notifier."""
    scenes: Scenes | None = None
    """What the stages of alerting go by; without it, only what is in the configuration."""
    digest_of: Callable[[IncidentId], tuple[str, ...]] = lambda incident: ()
    """What was seen before the first action of an incident, in a few lines."""

    def down(
        self, watched: Watched, health: Health, incident: Incident, now: datetime, *, due_at: datetime,
        silent: tuple[str, int] = ("", 0),
    ) -> Changes:  # fmt: skip
        """A fault was declared; people hear of it at ``due_at``, with all that fails together with it.

        :param silent: the host that does not answer at all, and how many others there are to follow.
        """
        facts = self._facts(
            AlertKind.DOWN, watched, health, now, since=incident.fault_hi,
            recovery=self._plan(watched, health, incident), label=incident.label,
        )  # fmt: skip
        facts = replace(facts, silent_host=silent[0], silent=silent[1])
        return self._alert(facts, incident, now, watched=watched, health=health, due_at=due_at)

    def degraded(self, watched: Watched, health: Health, now: datetime) -> Changes:
        """It works, but not as it should."""
        facts = self._facts(AlertKind.DEGRADED, watched, health, now, since=health.since)
        return self._alert(facts, None, now, watched=watched, health=health)

    def recovered(
        self, watched: Watched, health: Health, incident: Incident, now: datetime, *, attempts: int,
        due_at: datetime,
    ) -> Changes:  # fmt: skip
        """A fault ended; ``incident`` is closed already and says who healed it."""
        facts = self._facts(
            AlertKind.RECOVERED, watched, health, now, since=incident.fault_hi, recovery=incident.resolution,
            healed_by=incident.healed_by, duration=now - incident.fault_hi, attempts=attempts, cause=incident.cause,
        )  # fmt: skip
        return self._alert(facts, incident, now, watched=watched, health=health, due_at=due_at)

    def flapping(self, watched: Watched, health: Health, incident: Incident | None, now: datetime) -> Changes:
        """It began to go up and down.

        :param incident: that this fall or return opened or closed; its conversation goes on with this.
        """
        thread = incident.story if incident else ""
        is_open = incident is not None and incident.closed_at is None
        return self._about_flapping(
            AlertKind.FLAPPING,
            watched,
            health,
            health.flaps,
            incident if is_open else None,
            now,
            thread=thread,
        )

    def still_flapping(
        self, watched: Watched, health: Health, incident: Incident | None, now: datetime
    ) -> Changes:
        """What became of it since people were last told."""
        return self._about_flapping(AlertKind.STILL_FLAPPING, watched, health, health.flaps, incident, now)

    def settled(
        self, watched: Watched, health: Health, flaps: Flaps, incident: Incident | None, now: datetime
    ) -> Changes:
        """It flaps no more, and is how it is now.

        :param flaps: until now.
        """
        return self._about_flapping(AlertKind.SETTLED, watched, health, flaps, incident, now)

    def _about_flapping(
        self, event: AlertKind, watched: Watched, health: Health, flaps: Flaps, incident: Incident | None,
        now: datetime, *, thread: str = "",
    ) -> Changes:  # fmt: skip
        assert flaps.since is not None
        facts = self._facts(
            event, watched, health, now, since=flaps.since, falls=flaps.falls, duration=now - flaps.since,
            recovery=self._plan(watched, health, incident) if incident else "",
        )  # fmt: skip
        thread = thread or f"flapping|{health.monitor}|{flaps.since.isoformat()}"
        return self._alert(
            facts, incident, now, watched=watched, health=health, thread=thread, about=new_id("flap", now)
        )

    def stopped(self, watched: Watched, health: Health, now: datetime) -> Changes:
        """It was stopped on purpose, and nobody has started it again."""
        facts = self._facts(AlertKind.STOPPED, watched, health, now, since=health.since)
        return self._alert(facts, None, now, watched=watched, health=health)

    def started(self, watched: Watched, health: Health, now: datetime) -> Changes:
        """What people know to be stopped is not stopped any more."""
        facts = self._facts(AlertKind.STARTED, watched, health, now, since=health.since)
        return self._alert(facts, None, now, watched=watched, health=health)

    # --- what follows ------------------------------------------------------------------------------

    def again(
        self, watched: Watched, health: Health, incident: Incident | None, due: Owed, now: datetime, *,
        due_at: datetime,
    ) -> Changes:  # fmt: skip
        """What was held back, as it is by now."""
        old = due.alert.facts
        is_down = old.event is AlertKind.DOWN and incident is not None
        facts = self._facts(
            old.event, watched, health, now, since=old.since, attempts=old.attempts, cause=old.cause, label=old.label,
            recovery=self._plan(watched, health, incident) if is_down and incident is not None else old.recovery,
            duration=now - old.since, falls=health.flaps.falls,
        )  # fmt: skip
        facts = replace(facts, held=due.held(now), snapshot=old.snapshot)
        if is_down:
            facts = replace(facts, duration_s=None)
        thread = f"flapping|{health.monitor}|{old.since.isoformat()}" if health.is_flapping else ""
        about = "" if incident is not None and not health.is_flapping else f"{due.alert.id}|again"
        return self._alert(
            facts, incident, now, watched=watched, health=health, due_at=due_at, thread=thread, about=about,
            is_owed=True, only=due.only,
        )  # fmt: skip

    def escalated(
        self, watched: Watched, health: Health, incident: Incident, call: Call, together: tuple[Together, ...],
        now: datetime, *, let_go: Incident | None = None,
    ) -> Changes:  # fmt: skip
        """Nobody has taken it on in time: the next ones are called.

        :param let_go: who had taken it on, as this incident says, did not bring it to an end in time.
        """
        facts = self._afterwards(AlertKind.ESCALATED, watched, health, incident, together, now)
        facts = replace(facts, level=call.level, step=call.step, **_acked(let_go))
        about = f"{incident.id}|escalated|{call.due_at.isoformat()}"
        return self._alert(facts, incident, now, call.channels, watched=watched, health=health, about=about)

    def reminder(
        self, watched: Watched, health: Health, incident: Incident, channels: tuple[str, ...],
        together: tuple[Together, ...], now: datetime, *, number: int, step: int,
        let_go: Incident | None = None,
    ) -> Changes:  # fmt: skip
        """It is still so, and nobody has taken it on.

        :param channels: where people know of it.
        :param step: of the escalation, which this does not change.
        :param let_go: as of :meth:`escalated`.
        """
        facts = self._afterwards(AlertKind.REMINDER, watched, health, incident, together, now)
        facts = replace(facts, reminders=number, step=step, **_acked(let_go))
        about = f"{incident.id}|reminder|{number}"
        return self._alert(facts, incident, now, channels, watched=watched, health=health, about=about)

    def hands(
        self, watched: Watched, health: Health, incident: Incident, together: tuple[Together, ...], who: str,
        now: datetime,
    ) -> Changes:  # fmt: skip
        """``who`` has taken it on, or has taken that back: whoever was told of the fault knows that."""
        event = AlertKind.UNACKNOWLEDGED if incident.acked_at is None else AlertKind.ACKNOWLEDGED
        facts = self._afterwards(event, watched, health, incident, together, now)
        facts = replace(facts, actor=who, note=incident.ack_note)
        about = f"{incident.id}|{event}|{now.isoformat()}"
        return self._alert(facts, incident, now, watched=watched, health=health, about=about)

    def aside(
        self, watched: Watched, health: Health, incident: Incident, window: Window, now: datetime, *,
        due_at: datetime,
    ) -> Changes:  # fmt: skip
        """Maintenance or a pause has begun for it: whoever was told of the fault knows who did that, and until when."""
        facts = self._afterwards(AlertKind.SET_ASIDE, watched, health, incident, (), now)
        facts = replace(facts, actor=window.made_by, note=window.reason, until=window.until, recovery="")
        about = f"{incident.id}|{facts.event}|{now.isoformat()}"
        return self._alert(facts, incident, now, watched=watched, health=health, about=about, due_at=due_at)

    def unwatched(
        self, told: Alert, incident: Incident, why: str, channels: tuple[str, ...], now: datetime, *, due_at: datetime
    ) -> Changes:  # fmt: skip
        """It is watched no more, and perhaps not even known: what is said of it is what was said last.

        :param told: the newest alert that people were told.
        :param incident: closed already.
        :param channels: through which they were.
        """
        old = told.facts
        facts = AlertFacts(
            event=AlertKind.UNWATCHED, monitor=old.monitor, monitor_name=old.monitor_name,
            monitor_kind=old.monitor_kind, family=old.family, target=old.target, at=now, since=incident.fault_hi,
            cause=incident.cause, summary=incident.summary, evidence=old.evidence, facts=old.facts, recovery=why,
            tags=old.tags, timezone=self.roster.settings.timezone, url=old.url,
        )  # fmt: skip
        known = tuple(name for name in channels if name in self.roster.channels)
        return self._alert(facts, incident, now, told=known, due_at=due_at)

    def _afterwards(
        self, event: AlertKind, watched: Watched, health: Health, incident: Incident, together: tuple[Together, ...],
        now: datetime,
    ) -> AlertFacts:  # fmt: skip
        facts = self._facts(
            event, watched, health, now, since=incident.fault_hi, cause=incident.cause, label=incident.label,
            duration=now - incident.fault_hi, recovery=self._plan(watched, health, incident),
        )  # fmt: skip
        return replace(facts, together=together)

    def digest_for(
        self, channels: tuple[str, ...], alerts: Sequence[Alert], held: Held, now: datetime, *, key: str
    ) -> Changes:
        """What people did not hear of at once, and is over.

        :param key: makes it the same one when it is made again.
        """
        digest = self.digest(alerts, over=[alert.id for alert in alerts], held=held)
        made = replace(digest, id=AlertId(new_id("alert", now)), at=now)
        verdict = Verdict(
            stage=Stage.ROUTE, ruling=Ruling.PASSED, channels=channels,
            reason=f"what happened in quiet hours: {', '.join(channels)}",
        )  # fmt: skip
        return Changes(
            alerts=(replace(made, verdicts=(verdict,)),),
            new_deliveries=tuple(
                replace(
                    _delivery(channel, made.id, "alert", f"digest|{key}|{channel}", now, made.id),
                    is_quiet=True,
                )
                for channel in channels
            ),
        )

    # --- several in one message --------------------------------------------------------------------

    def together(self, alerts: Sequence[Alert]) -> Alert:
        """See :func:`defib.engine.alerting.composing.together`."""
        return composing.together(self.roster.texts, alerts)

    def digest(
        self, alerts: Sequence[Alert], *, over: Iterable[AlertId] = (), held: Held | None = None
    ) -> Alert:
        """See :func:`defib.engine.alerting.composing.digest`."""
        return composing.digest(self.roster.texts, alerts, over=over, held=held)

    def recovery_failed(
        self,
        watched: Watched,
        health: Health,
        incident: Incident,
        now: datetime,
        *,
        reason: str,
        attempts: int,
    ) -> Changes:
        """Defib has done what it may: a person is needed. Told once while it flaps."""
        return self.recovery_page(
            AlertKind.RECOVERY_FAILED, watched, health, incident, now, reason=reason, attempts=attempts
        )

    def recovery_page(
        self, event: AlertKind, watched: Watched, health: Health, incident: Incident, now: datetime, *,
        reason: str, attempts: int,
    ) -> Changes:  # fmt: skip
        """A person is needed, whether Defib has given up or goes on. Told once while it flaps."""
        if health.flaps.since is not None:
            if self.called.get(health.monitor, _LONG_AGO) >= health.flaps.since:
                return Changes()
            self.called[health.monitor] = now
        facts = self._facts(
            event, watched, health, now, since=incident.fault_hi, recovery=reason,
            duration=now - incident.fault_hi, attempts=attempts, cause=incident.cause,
        )  # fmt: skip
        facts = replace(facts, snapshot=self.digest_of(incident.id))
        return self._alert(facts, incident, now, watched=watched, health=health)

    def relapsed(
        self, watched: Watched, health: Health, incident: Incident, now: datetime, *, attempts: int
    ) -> Changes:
        """It fell again while it was watched after its recovery: the same story goes on."""
        facts = self._facts(
            AlertKind.RELAPSED, watched, health, now, since=incident.fault_hi, attempts=attempts, cause=incident.cause,
            duration=now - incident.fault_hi, recovery="Defib tries again after a short wait",
        )  # fmt: skip
        return self._alert(facts, incident, now, watched=watched, health=health)

    def test(self, channel: str, now: datetime) -> Changes:
        """A test message through one channel."""
        facts = AlertFacts(
            event=AlertKind.TEST, monitor=composing.NO_MONITOR, monitor_name="Defib", monitor_kind="test",
            family="check", target="", at=now, since=now, cause="test", summary=f"a test of the channel {channel}",
            timezone=self.roster.settings.timezone, url=self.roster.settings.server.public_url,
        )  # fmt: skip
        return self._alert(facts, None, now, channels=(channel,))

    def observer_sick(self, trouble: Trouble, now: datetime) -> Changes:
        """Defib itself is not well, and has not been for a while."""
        facts = facts_about_observer(
            self.roster.settings, AlertKind.OBSERVER_SICK, trouble, now, recovery=trouble.effect
        )
        return self._alert(facts, None, now, thread=_thread_of_observer(trouble))

    def observer_well(self, trouble: Trouble, now: datetime) -> Changes:
        """It is again.

        :param trouble: as it was told of; its beginning makes the two a conversation.
        """
        over = "Whatever was seen meanwhile is looked at afresh"
        facts = facts_about_observer(
            self.roster.settings,
            AlertKind.OBSERVER_WELL,
            trouble,
            now,
            recovery=over,
            duration_s=(now - trouble.since).total_seconds(),
        )
        began = self.observer_sick(trouble, now)
        told = tuple(delivery.channel for delivery in began.new_deliveries)  # the routes say who was told
        return self._alert(facts, None, now, thread=_thread_of_observer(trouble), told=told)

    def report(
        self, document: ReportDocument, channels: tuple[str, ...], now: datetime, *, again: str = ""
    ) -> Changes:
        """A finished report, on its way to its readers.

        :param again: makes the deliveries different from earlier ones of the same report.
        """
        return Changes(
            reports=(document,),
            new_deliveries=tuple(
                _delivery(
                    channel, document.id, "report", f"{document.id}|{channel}|{again}", now, document.id
                )
                for channel in channels
            ),
        )

    def _alert(
        self,
        facts: AlertFacts,
        incident: Incident | None,
        now: datetime,
        channels: tuple[str, ...] | None = None,
        *,
        watched: Watched | None = None,
        health: Health | None = None,
        due_at: datetime | None = None,
        thread: str = "",
        about: str = "",
        is_owed: bool = False,
        only: frozenset[str] | None = None,
        told: tuple[str, ...] = (),
    ) -> Changes:
        """An alert that has gone through the stages, with its deliveries if it has passed them.

        :param channels: who is called, where it is not the routes that say so.
        :param due_at: None sends it now.
        :param thread: the conversation; "" is the incident's, or the alert's own.
        :param about: what may be told only once; "" is the incident and the kind of alert, or the alert itself.
        :param is_owed: it was held back before.
        :param only: whom it is owed to, then; None: everybody.
        :param told: who knows, of what is about no monitor.
        """
        text = composing.compose(self.roster.texts, facts)
        alert = Alert(
            id=AlertId(new_id("alert", now)), kind=text.kind, severity=text.severity, title=text.title,
            description=text.description, evidence=text.evidence, recommendations=text.recommendations, at=now,
            monitor=facts.monitor or None, incident=incident.id if incident else None, facts=facts,
        )  # fmt: skip
        notice = notice_of(alert, watched, incident)
        scene = Scene(now=now, told=told)
        if self.scenes is not None and watched is not None:
            scene = self.scenes.of(notice, self.roster, health, incident, now, since=facts.since)
            scene = replace(scene, is_owed=is_owed, only=only)
        settings = self.roster.settings
        outcome = decide(notice, scene, settings.routes, settings.inhibit, channels)
        if self.scenes is not None:
            self.scenes.note(notice, incident.opened_at if incident else facts.since)
        is_quiet = loudness.is_quiet(
            notice, is_recovering=watched is not None and will_act(self.roster, watched, health, incident)
        )
        about = about or (f"{incident.id}|{text.kind}" if incident else alert.id)
        thread = thread or (incident.story if incident else alert.id)
        return Changes(
            alerts=(replace(alert, verdicts=outcome.verdicts),),
            new_deliveries=tuple(
                replace(
                    _delivery(channel, alert.id, "alert", f"{about}|{facts.attempts}|{channel}", now, thread, due_at),
                    purpose=outcome.purpose, is_quiet=is_quiet,
                )
                for channel in outcome.channels
            ),
        )  # fmt: skip

    def _facts(
        self, event: AlertKind, watched: Watched, health: Health, now: datetime, **more: Any
    ) -> AlertFacts:
        """See :func:`defib.engine.alerting.facts.facts_about`, which says what ``more`` may be."""
        return facts_about(self.roster, event, watched, health, now, self.recent(watched.spec.id), **more)

    def _plan(self, watched: Watched, health: Health, incident: Incident) -> str:
        return plan(self.roster, watched, health, incident)


def _acked(let_go: Incident | None) -> dict[str, Any]:
    return {} if let_go is None else {"actor": let_go.acked_by, "acked_at": let_go.acked_at}


def _thread_of_observer(trouble: Trouble) -> str:
    return f"observer-{trouble.since.astimezone(UTC):%Y%m%dT%H%M%S.%f}"


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _delivery(
    channel: str, notice: str, notice_type: str, key: str, now: datetime, thread: str,
    due_at: datetime | None = None,
) -> Delivery:  # fmt: skip
    return Delivery(
        id=DeliveryId(new_id("send", now)), channel=channel, notice=notice, notice_type=notice_type, key=key,
        created_at=now, due_at=due_at or now, thread=thread,
    )  # fmt: skip
