"""Puts a message into words at the moment it leaves: in its channel's language, at its channel's local time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from defib.engine.alerting import composing
from defib.engine.roster import Roster
from defib.logs import get_logger
from defib.model.alert import Alert, AlertKind, Delivery
from defib.model.ids import AlertId, ReportId
from defib.model.monitor import RecoveryMode
from defib.model.report import ReportDocument
from defib.model.settings import ChannelSpec
from defib.ports import Button
from defib.rules.alerting.notice import HANDS
from defib.rules.delivering.buttons import buttons_for, to_be_seen_to
from defib.rules.delivering.local_time import in_zone
from defib.rules.delivering.messages import LATE, Message
from defib.rules.delivering.shaping import Fall, Opening, Shape, silent_host, worst
from defib.store import Reader

log = get_logger("defib.delivery")

NOTED_LATE = timedelta(minutes=1)  #: what is told so much after its time says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a channel is given."""

    notice: Alert | ReportDocument
    buttons: tuple[Button, ...] = ()


class Composer:
    """Reads what a message needs and writes it; called in a thread."""

    def __init__(self, roster: Roster, reader: Reader) -> None:
        self._roster = roster
        self._reader = reader

    def opening(self, channel: str, thread: str) -> Opening | None:
        """How the conversation began in a channel; None: it has not."""
        said = self._reader.conversation(channel, thread)
        first = next((row for row in said if row.receipt), None)
        if first is None or first.accepted_at is None:
            return None
        within = self._reader.with_receipt(channel, first.receipt)
        alerts = self._alerts(within)
        return Opening(
            receipt=first.receipt,
            accepted_at=first.accepted_at,
            events=frozenset(alert.facts.event for alert in alerts),
            monitors=frozenset(alert.monitor for alert in alerts),
            severity=worst([alert.severity for alert in alerts]),
            is_of_one_story=all(row.thread == thread for row in within),
            silent_host=silent_host(
                self._alerts(row for row in within if row.accepted_at == first.accepted_at)
            ),
        )

    def falls(self, message: Message) -> list[Fall]:
        """Where the falls of a message were, and since when; what is no fall of something watched is left out."""
        found = []
        for alert in self._alerts(row.delivery for row in message.told):
            incident = None if alert.incident is None else self._reader.incident(alert.incident)
            watched = None if alert.monitor is None else self._roster.monitors.get(alert.monitor)
            if incident is not None and watched is not None:
                found.append(Fall(host=watched.host, well_at=incident.fault_lo))
        return found

    def letter(
        self, message: Message, shape: Shape, opening: Opening | None, spec: ChannelSpec, now: datetime
    ) -> Letter | None:
        """What to send; None when it is no longer in the store."""
        if message.first.notice_type != "alert":
            document = self._reader.report(ReportId(message.first.notice))
            return None if document is None else Letter(notice=document)
        told = self._alerts(row.delivery for row in message.told)
        if not told:
            return None
        alerts = self._put_into(message, told, shape, opening, spec)
        texts = self._roster.texts
        if message.is_digest:
            alert = composing.digest(texts, alerts, over=self._over(alerts))
        else:
            alert = composing.together(texts, alerts)
        late_since = message.ready_at if _is_late(message, now) else None
        alert = self._in_words(alert, spec, late_since)
        if told[0].facts.event in HANDS and shape is Shape.EDIT:
            note = self._in_words(composing.together(texts, told), spec, None)
            alert = replace(alert, description=f"{alert.description}\n\n{note.title}\n{note.description}")
        return Letter(
            notice=alert, buttons=() if message.is_digest else self._buttons(alert, alerts, spec.language)
        )

    def _put_into(
        self,
        message: Message,
        told: Sequence[Alert],
        shape: Shape,
        opening: Opening | None,
        spec: ChannelSpec,
    ) -> Sequence[Alert]:
        """All that the message is to say."""
        is_edit = shape is Shape.EDIT and opening is not None and not message.is_digest
        if not is_edit or opening is None or told[0].facts.event is AlertKind.RECOVERED:
            return told
        seen = self._alerts(self._reader.with_receipt(spec.name, opening.receipt))
        falls = [alert for alert in (*seen, *told) if alert.facts.event is AlertKind.DOWN] or seen[:1]
        return falls or told

    def _over(self, alerts: Sequence[Alert]) -> list[AlertId]:
        """Those of these whose incident has ended."""
        incidents = {alert.incident for alert in alerts if alert.incident is not None}
        found = (self._reader.incident(incident) for incident in incidents)
        ended = {one.id for one in found if one is not None and one.closed_at is not None}
        return [alert.id for alert in alerts if alert.incident in ended]

    def _in_words(self, alert: Alert, spec: ChannelSpec, late_since: datetime | None) -> Alert:
        """``alert`` as this channel's readers want it; as it is stored, where that is the same."""
        zone = spec.timezone or self._roster.settings.timezone
        if spec.language == "en" and zone == alert.facts.timezone and late_since is None:
            return alert
        facts = in_zone(replace(alert.facts, late_since=late_since), zone)
        try:
            text = self._roster.texts.compose(facts, spec.language)
        except Exception as error:  # texts are a plugin: what the store has is better than nothing
            log.error("alert text failed; sending it as stored", alert=alert.id, language=spec.language,
                      error=repr(error), exc_info=error)  # fmt: skip
            return replace(alert, facts=facts)
        return replace(
            alert, title=text.title, description=text.description, evidence=text.evidence,
            recommendations=text.recommendations, facts=facts,
        )  # fmt: skip

    def _buttons(self, alert: Alert, alerts: Sequence[Alert], language: str) -> tuple[Button, ...]:
        """Those below ``alert``, which says what ``alerts`` do."""
        names = dict.fromkeys(one.incident for one in alerts if one.incident is not None)
        found = (self._reader.incident(name) for name in names)
        incident = to_be_seen_to(one for one in found if one is not None)
        if incident is None:
            return ()
        watched = self._roster.monitors.get(incident.monitor)
        can_recover = (
            watched is not None
            and bool(watched.actions)
            and self._roster.recovery_mode(watched.spec) is not RecoveryMode.OFF
        )
        alert = replace(alert, incident=incident.id)
        return buttons_for(alert, language, acked_at=incident.acked_at, can_recover=can_recover)

    def _alerts(self, rows: Iterable[Delivery]) -> list[Alert]:
        found = (self._reader.alert(AlertId(row.notice)) for row in rows if row.notice_type == "alert")
        return [alert for alert in found if alert is not None]


def _is_late(message: Message, now: datetime) -> bool:
    """Whether people should have heard of it long ago, had the channel worked."""
    age = now - message.ready_at
    was_tried = any(row.delivery.tries for row in message.rows)
    return age >= LATE or (was_tried and age >= NOTED_LATE)
