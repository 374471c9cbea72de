"""Makes alerts: facts to words, words to rows of the outbox. Sends nothing itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from defib.engine.ids import new_id
from defib.engine.roster import Roster, Watched
from defib.model.alert import Alert, AlertFacts, AlertKind, AlertText, Delivery, Severity, Together
from defib.model.changes import Changes
from defib.model.evidence import Fact, Grade, Observation
from defib.model.health import FaultLabel, Flaps, Health, Incident
from defib.model.ids import AlertId, DeliveryId, IncidentId, MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.report import ReportDocument
from defib.rules.observer import Trouble
from defib.rules.routing import channels_for

log = structlog.get_logger("defib.notifier")


@dataclass(frozen=True, slots=True)
class Notifier:
    """Turns decisions into alerts with their deliveries, ready to be committed with the decision."""

    roster: Roster
    recent: Callable[[MonitorId], Sequence[Observation]] = lambda monitor: ()
    """The newest observations of a monitor, oldest first: the evidence that people are shown."""
    called: dict[MonitorId, datetime] = field(default_factory=dict)
    """When a person was last called for a monitor that flaps; outlives the notifier."""
    digest_of: Callable[[IncidentId], tuple[str, ...]] = lambda incident: ()
    """What was seen before the first action of an incident, in a few lines."""

    def down(
        self, watched: Watched, health: Health, incident: Incident, now: datetime, *, due_at: datetime
    ) -> Changes:
        """A fault was declared; people hear of it at ``due_at``, with all that fails together with it."""
        facts = self._facts(
            AlertKind.DOWN, watched, health, now, since=incident.fault_hi,
            recovery=self._plan(watched, health, incident), label=incident.label,
        )  # fmt: skip
        return self._alert(facts, incident, now, due_at=due_at)

    def degraded(self, watched: Watched, health: Health, now: datetime) -> Changes:
        """It works, but not as it should."""
        facts = self._facts(AlertKind.DEGRADED, watched, health, now, since=health.since)
        return self._alert(facts, None, now)

    def recovered(
        self, watched: Watched, health: Health, incident: Incident, now: datetime, *, attempts: int,
        due_at: datetime,
    ) -> Changes:  # fmt: skip
        """A fault ended; ``incident`` is closed already and says who healed it."""
        facts = self._facts(
            AlertKind.RECOVERED, watched, health, now, since=incident.fault_hi, recovery=incident.resolution,
            healed_by=incident.healed_by, duration=now - incident.fault_hi, attempts=attempts, cause=incident.cause,
        )  # fmt: skip
        return self._alert(facts, incident, now, due_at=due_at)

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
        return self._alert(facts, incident, now, thread=thread, about=new_id("flap", now))

    def stopped(self, watched: Watched, health: Health, now: datetime) -> Changes:
        """It was stopped on purpose, and nobody has started it again."""
        facts = self._facts(AlertKind.STOPPED, watched, health, now, since=health.since)
        return self._alert(facts, None, now)

    def started(self, watched: Watched, health: Health, now: datetime) -> Changes:
        """What people know to be stopped is not stopped any more."""
        facts = self._facts(AlertKind.STARTED, watched, health, now, since=health.since)
        return self._alert(facts, None, now)

    def together(self, alerts: Sequence[Alert]) -> Alert:
        """One alert that tells of several of the same kind; the first of them, when it is the only one."""
        first, *more = alerts
        if not more:
            return first
        facts = replace(
            first.facts,
            at=max(alert.facts.at for alert in alerts),
            since=min(alert.facts.since for alert in alerts),
            tags=tuple(sorted({tag for alert in alerts for tag in alert.facts.tags})),
            facts={},
            together=tuple(
                Together(
                    monitor=alert.facts.monitor, name=alert.facts.monitor_name, family=alert.facts.family,
                    summary=alert.facts.summary, since=alert.facts.since, recovery=alert.facts.recovery,
                    duration_s=alert.facts.duration_s,
                )
                for alert in alerts
            ),
        )  # fmt: skip
        text = self._compose(facts)
        severity = max((text.severity, *(alert.severity for alert in alerts)), key=lambda item: item.rank)
        return replace(
            first, kind=text.kind, severity=severity, title=text.title, description=text.description,
            evidence=text.evidence, recommendations=text.recommendations, at=facts.at, facts=facts,
        )  # fmt: skip

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
        return self._alert(replace(facts, snapshot=self.digest_of(incident.id)), incident, now)

    def relapsed(
        self, watched: Watched, health: Health, incident: Incident, now: datetime, *, attempts: int
    ) -> Changes:
        """It fell again while it was watched after its recovery: the same story goes on."""
        facts = self._facts(
            AlertKind.RELAPSED, watched, health, now, since=incident.fault_hi, attempts=attempts, cause=incident.cause,
            duration=now - incident.fault_hi, recovery="Defib tries again after a short wait",
        )  # fmt: skip
        return self._alert(facts, incident, now)

    def test(self, channel: str, now: datetime) -> Changes:
        """A test message through one channel."""
        facts = AlertFacts(
            event=AlertKind.TEST, monitor=_NO_MONITOR, monitor_name="Defib", monitor_kind="test", family="check",
            target="", at=now, since=now, cause="test", summary=f"a test of the channel {channel}",
            timezone=self.roster.settings.timezone, url=self.roster.settings.server.public_url,
        )  # fmt: skip
        return self._alert(facts, None, now, channels=(channel,))

    def observer_sick(self, trouble: Trouble, now: datetime) -> Changes:
        """Defib itself is not well, and has not been for a while."""
        facts = self._facts_of_observer(AlertKind.OBSERVER_SICK, trouble, now, recovery=trouble.effect)
        return self._alert(facts, None, now, thread=_thread_of_observer(trouble))

    def observer_well(self, trouble: Trouble, now: datetime) -> Changes:
        """It is again.

        :param trouble: as it was told of; its beginning makes the two a conversation.
        """
        over = "Whatever was seen meanwhile is looked at afresh"
        facts = self._facts_of_observer(
            AlertKind.OBSERVER_WELL,
            trouble,
            now,
            recovery=over,
            duration_s=(now - trouble.since).total_seconds(),
        )
        return self._alert(facts, None, now, thread=_thread_of_observer(trouble))

    def _facts_of_observer(
        self,
        event: AlertKind,
        trouble: Trouble,
        now: datetime,
        *,
        recovery: str,
        duration_s: float | None = None,
    ) -> AlertFacts:
        return AlertFacts(
            event=event, monitor=_NO_MONITOR, monitor_name="Defib", monitor_kind="observer", family="observer",
            target="", at=now, since=min(trouble.since, now), cause=f"observer-{trouble.ailment}",
            summary=trouble.reason, recovery=recovery, duration_s=duration_s,
            timezone=self.roster.settings.timezone, url=self.roster.settings.server.public_url,
        )  # fmt: skip

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
        due_at: datetime | None = None,
        thread: str = "",
        about: str = "",
    ) -> Changes:
        """An alert with its deliveries.

        :param due_at: None sends it now.
        :param thread: the conversation; "" is the incident's, or the alert's own.
        :param about: what may be told only once; "" is the incident and the kind of alert, or the alert itself.
        """
        text = self._compose(facts)
        alert = Alert(
            id=AlertId(new_id("alert", now)), kind=text.kind, severity=text.severity, title=text.title,
            description=text.description, evidence=text.evidence, recommendations=text.recommendations, at=now,
            monitor=facts.monitor or None, incident=incident.id if incident else None, facts=facts,
        )  # fmt: skip
        if channels is None:
            channels = channels_for(alert, self.roster.settings.routes)
        about = about or (f"{incident.id}|{text.kind}" if incident else alert.id)
        thread = thread or (incident.story if incident else alert.id)
        return Changes(
            alerts=(alert,),
            new_deliveries=tuple(
                _delivery(
                    channel, alert.id, "alert", f"{about}|{facts.attempts}|{channel}", now, thread, due_at
                )
                for channel in channels
            ),
        )

    def _compose(self, facts: AlertFacts) -> AlertText:
        try:
            return self.roster.texts.compose(facts)
        except Exception as error:  # texts are a plugin: an alert without fine words is still an alert
            log.error(
                "alert text failed; sending the plain one",
                alert=facts.event,
                error=repr(error),
                exc_info=error,
            )
            return AlertText(
                kind=f"{facts.family}_{facts.event}",
                severity=Severity.HIGH if facts.event is AlertKind.DOWN else Severity.INFO,
                title=f"{facts.monitor_name}: {facts.event}",
                description=f"{facts.summary}. {facts.recovery}".strip(),
            )

    def _facts(
        self, event: AlertKind, watched: Watched, health: Health, now: datetime, *, since: datetime,
        recovery: str = "", healed_by: str | None = None, duration: timedelta | None = None, attempts: int = 0,
        cause: str = "", label: str = "", falls: int = 0,
    ) -> AlertFacts:  # fmt: skip
        spec, settings = watched.spec, self.roster.settings
        evidence = health.last.evidence if health.last else None
        facts: Mapping[str, Fact] = evidence.facts if evidence else {}
        base = settings.server.public_url
        zone = ZoneInfo(settings.timezone)
        seen = tuple(
            f"{item.ended_at.astimezone(zone):%H:%M:%S}  {item.evidence.summary}"
            for item in self.recent(spec.id)
        )
        return AlertFacts(
            event=event,
            monitor=spec.id,
            monitor_name=spec.name,
            monitor_kind=spec.kind,
            family=spec.family,
            target=watched.plugin.target,
            at=now,
            since=since,
            cause=cause or (evidence.cause if evidence else "unknown"),
            summary=evidence.summary if evidence else "",
            evidence=seen or ((evidence.summary,) if evidence else ()),
            facts=facts,
            recovery=recovery,
            healed_by=healed_by,
            duration_s=None if duration is None else duration.total_seconds(),
            attempts=attempts,
            tags=tuple(sorted(spec.tags)),
            timezone=settings.timezone,
            url=f"{base}/monitors/{spec.id}" if base else "",
            label=str(label),
            state=str(health.state),
            falls=falls,
        )

    def _plan(self, watched: Watched, health: Health, incident: Incident) -> str:
        """What Defib is going to do about a fault."""
        mode = self.roster.recovery_mode(watched.spec)
        if incident.label is FaultLabel.UNVERIFIED:
            return (
                "Defib will not act before it has seen it afresh: it was not well itself when it decided this"
            )
        if incident.grade == Grade.INTENT:
            return "Defib will not act: it was stopped on purpose"
        if not health.was_up:
            return "Defib will not act: it has never been seen well"
        if not watched.actions or mode is RecoveryMode.OFF:
            return "Defib will not act: no recovery is configured"
        first = watched.actions[0].description
        if mode is RecoveryMode.DRY_RUN:
            return f"Defib would run: {first} (recovery is in dry-run mode)"
        return f"Defib will run: {first}"


_NO_MONITOR = MonitorId("")


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
