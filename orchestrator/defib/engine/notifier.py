"""Makes alerts: facts to words, words to rows of the outbox. Sends nothing itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from defib.engine.ids import new_id
from defib.engine.roster import Roster, Watched
from defib.model.alert import Alert, AlertFacts, AlertKind, AlertText, Delivery, Severity
from defib.model.changes import Changes
from defib.model.evidence import Fact, Grade, Observation
from defib.model.health import Health, Incident
from defib.model.ids import AlertId, DeliveryId, MonitorId
from defib.model.monitor import RecoveryMode
from defib.model.report import ReportDocument
from defib.rules.routing import channels_for

log = structlog.get_logger("defib.notifier")


@dataclass(frozen=True, slots=True)
class Notifier:
    """Turns decisions into alerts with their deliveries, ready to be committed with the decision."""

    roster: Roster
    recent: Callable[[MonitorId], Sequence[Observation]] = lambda monitor: ()
    """The newest observations of a monitor, oldest first: the evidence that people are shown."""

    def down(self, watched: Watched, health: Health, incident: Incident, now: datetime) -> Changes:
        """A fault was declared."""
        facts = self._facts(
            AlertKind.DOWN,
            watched,
            health,
            now,
            since=incident.fault_hi,
            recovery=self._plan(watched, health, incident),
        )
        return self._alert(facts, incident, now)

    def degraded(self, watched: Watched, health: Health, now: datetime) -> Changes:
        """It works, but not as it should."""
        facts = self._facts(AlertKind.DEGRADED, watched, health, now, since=health.since)
        return self._alert(facts, None, now)

    def recovered(
        self, watched: Watched, health: Health, incident: Incident, now: datetime, *, attempts: int
    ) -> Changes:
        """A fault ended; ``incident`` is closed already and says who healed it."""
        facts = self._facts(
            AlertKind.RECOVERED, watched, health, now, since=incident.fault_hi, recovery=incident.resolution,
            healed_by=incident.healed_by, duration=now - incident.fault_hi, attempts=attempts, cause=incident.cause,
        )  # fmt: skip
        return self._alert(facts, incident, now)

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
        """Defib has done what it may: a person is needed."""
        facts = self._facts(
            AlertKind.RECOVERY_FAILED, watched, health, now, since=incident.fault_hi, recovery=reason,
            duration=now - incident.fault_hi, attempts=attempts, cause=incident.cause,
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

    def report(
        self, document: ReportDocument, channels: tuple[str, ...], now: datetime, *, again: str = ""
    ) -> Changes:
        """A finished report, on its way to its readers.

        :param again: makes the deliveries different from earlier ones of the same report.
        """
        return Changes(
            reports=(document,),
            new_deliveries=tuple(
                _delivery(channel, document.id, "report", f"{document.id}|{channel}|{again}", now)
                for channel in channels
            ),
        )

    def _alert(
        self,
        facts: AlertFacts,
        incident: Incident | None,
        now: datetime,
        channels: tuple[str, ...] | None = None,
    ) -> Changes:
        text = self._compose(facts)
        alert = Alert(
            id=AlertId(new_id("alert", now)), kind=text.kind, severity=text.severity, title=text.title,
            description=text.description, evidence=text.evidence, recommendations=text.recommendations, at=now,
            monitor=facts.monitor or None, incident=incident.id if incident else None, facts=facts,
        )  # fmt: skip
        if channels is None:
            channels = channels_for(alert, self.roster.settings.routes)
        about = f"{incident.id}|{text.kind}" if incident else alert.id
        return Changes(
            alerts=(alert,),
            new_deliveries=tuple(
                _delivery(channel, alert.id, "alert", f"{about}|{facts.attempts}|{channel}", now)
                for channel in channels
            ),
        )

    def _compose(self, facts: AlertFacts) -> AlertText:
        try:
            return self.roster.texts.compose(facts)
        except Exception as error:  # texts are a plugin: an alert without fine words is still an alert
            log.error(
                "alert text failed; sending the plain one",
                event=facts.event,
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
        cause: str = "",
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
        )

    @staticmethod
    def _plan(watched: Watched, health: Health, incident: Incident) -> str:
        """What Defib is going to do about a fault."""
        policy = watched.spec.recovery
        if incident.grade == Grade.INTENT:
            return "Defib will not act: it was stopped on purpose"
        if not health.was_up:
            return "Defib will not act: it has never been seen well"
        if not policy.ladder or policy.mode is RecoveryMode.OFF:
            return "Defib will not act: no recovery is configured for this monitor"
        first = watched.actions[0].description
        if policy.mode is RecoveryMode.DRY_RUN:
            return f"Defib would run: {first} (recovery is in dry-run mode)"
        return f"Defib will run: {first}"


_NO_MONITOR = MonitorId("")


def _delivery(channel: str, notice: str, notice_type: str, key: str, now: datetime) -> Delivery:
    return Delivery(
        id=DeliveryId(new_id("send", now)), channel=channel, notice=notice, notice_type=notice_type, key=key,
        created_at=now, due_at=now,
    )  # fmt: skip
