"""The front desk: what people may do about alerts, whichever way they come in. Each act is audited with who did it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from defib.engine.alerting.telling import Telling
from defib.engine.alerting.windows import Windows, advice
from defib.engine.delivery import Courier
from defib.engine.events import Event, EventBus
from defib.engine.recovery.cases import Recovery
from defib.engine.roster import Watched
from defib.engine.table import StateTable
from defib.errors import ActionRefusedError, UsageError
from defib.logs import get_logger
from defib.model.alert import Delivery
from defib.model.changes import Changes
from defib.model.health import Incident, State
from defib.model.ids import DeliveryId, IncidentId, MonitorId
from defib.model.options import format_duration
from defib.model.recovery import AuditEntry
from defib.model.window import Matcher, Window, WindowKind
from defib.ports import Clock, Subject
from defib.rules.alerting.escalate import has_lapsed
from defib.store import Reader, Writer

log = get_logger("defib.desk")

LONGEST_NOTE = 500
MOST_LISTED = 20  #: incidents in one answer
LONGEST_SILENCE = timedelta(days=366)


class FrontDesk:
    """Implements :class:`defib.ports.Desk`, and what only operators may do besides.

    :ivar tell: what people are told of an acknowledgement or of its end, by whom, to be committed with it.
    :ivar on_marked: called with each monitor whose acknowledgement has changed: other calls are due now.
    :ivar sentences: an incident from its beginning to its end, or why a monitor is as it is; None when there is none.
    """

    def __init__(
        self, clock: Clock, writer: Writer, reader: Reader, bus: EventBus, table: StateTable, telling: Telling,
        windows: Windows, recovery: Recovery, courier: Courier,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._writer = writer
        self._reader = reader
        self._bus = bus
        self._table = table
        self._telling = telling
        self._windows = windows
        self._recovery = recovery
        self._courier = courier
        self.tell: Callable[[Watched, Incident, str, datetime], Changes] = (
            lambda watched, incident, who, now: Changes()
        )
        self.on_marked: Callable[[MonitorId], None] = lambda monitor: None
        self.sentences: Callable[[str], list[str] | None] = lambda subject: None

    # --- who sees to it ----------------------------------------------------------------------------

    def find(self, name: str) -> IncidentId:
        """The incident of that id, or the open one of the monitor of that id.

        :raises UsageError: there is none.
        """
        health = self._table.get(MonitorId(name))
        if health is not None and MonitorId(name) in self._recovery.roster.monitors:
            if health.incident is None:
                raise UsageError(f"{name} is {health.state}: it has no open incident")
            return health.incident
        return self._open(IncidentId(name)).id

    async def acknowledge(self, incident: IncidentId, who: str, note: str = "") -> str:
        """See :class:`defib.ports.Desk`. All that began together is acknowledged together.

        Whoever sees to it already, and says nothing new, changes nothing. Somebody else takes it over.
        """
        found, note = self._open(self.find(incident)), " ".join(note.split())[:LONGEST_NOTE]
        count = await self._mark(found, self._clock.now(), who, note)
        if not count:
            return f"{who} sees to {found.monitor} already: nothing has changed"
        log.info("incident acknowledged", incident=found.id, monitor=found.monitor, actor=who)
        others = f" and {count - 1} that fell with it" if count > 1 else ""
        return f"{who} sees to {found.monitor}{others}: no more reminders"

    async def withdraw(self, incident: IncidentId, who: str) -> str:
        """Take an acknowledgement back: nobody sees to it any more.

        :raises UsageError: it was not acknowledged, or is over.
        """
        found = self._open(incident)
        if found.acked_at is None:
            raise UsageError(f"nobody has acknowledged {incident}")
        await self._mark(found, None, who, "")
        log.info("acknowledgement withdrawn", incident=found.id, monitor=found.monitor, actor=who)
        return f"nobody sees to {found.monitor} any more: reminders go on"

    async def _mark(self, found: Incident, at: datetime | None, who: str, note: str) -> int:
        """Acknowledge a whole story, or take that back: one commit, which no verdict overwrites; how many they are.

        0: all of it is already so, and nothing is told.
        """
        now, monitors = self._clock.now(), self._recovery.roster.monitors
        story = sorted(self._story(found), key=lambda item: item.monitor)
        async with AsyncExitStack() as stack:
            for item in story:
                if (watched := monitors.get(item.monitor)) is not None:
                    await stack.enter_async_context(watched.lock)
            known = self._telling.incidents
            story = [known.get(item.id, item) for item in story]
            if at is not None and all(self._is_seen_to(item, who, note) for item in story):
                return 0
            marked = [_acknowledged(item, at, who, note) for item in story]
            audit = AuditEntry(
                at=now, actor=who, event="incident.unacknowledged" if at is None else "incident.acknowledged",
                subject=found.monitor, facts={"incident": found.id, "note": note},
            )  # fmt: skip
            told = Changes()
            if (watched := monitors.get(found.monitor)) is not None:
                told = self.tell(watched, next(item for item in marked if item.id == found.id), who, now)
            await self._writer.commit(Changes(incidents=tuple(marked), audit=(audit,)) + told)
            known.update({item.id: item for item in marked if item.id in known})
        if told.new_deliveries:
            self._courier.added(told)
        for item in marked:
            self.on_marked(item.monitor)
            self._bus.publish(Event(type="incident", monitor=item.monitor))
        return len(marked)

    def _is_seen_to(self, incident: Incident, who: str, note: str) -> bool:
        """Whether ``who`` has taken it on, that has not run out, and ``note`` says nothing new."""
        is_theirs = incident.acked_by == who and note in ("", incident.ack_note)
        return is_theirs and not has_lapsed(
            incident, self._recovery.roster.settings.ack_timeout, self._clock.now()
        )

    def _story(self, incident: Incident) -> list[Incident]:
        """Those that began together and are open still."""
        return self._telling.open_story(incident) or [incident]

    def _open(self, incident: IncidentId) -> Incident:
        found = self._telling.incidents.get(incident) or self._reader.incident(incident)
        if found is None:
            raise UsageError(self._no_such(incident))
        if found.closed_at is not None:
            raise UsageError(f"{incident} is over since {self._local(found.closed_at)}: {found.resolution}")
        return found

    # --- windows -----------------------------------------------------------------------------------

    async def silence(self, matcher: Matcher, lasting: timedelta, who: str, reason: str = "") -> str:
        """See :class:`defib.ports.Desk`."""
        until = self._clock.now() + self._bounded(lasting)
        await self.begin(WindowKind.SILENCE, matcher, until=until, who=who, reason=reason)
        return f"{describe(matcher)}: silenced for {format_duration(lasting)}, until {self._local(until)}"

    async def begin(
        self, kind: WindowKind, matcher: Matcher, *, until: datetime | None, who: str, reason: str = "",
        starts_at: datetime | None = None, everything: bool = False,
    ) -> Window:  # fmt: skip
        """Begin a silence, maintenance or pause, or plan it.

        :param until: None, for a pause alone, until somebody ends it.
        :param everything: an empty matcher is meant.
        :raises UsageError: it is about everything and nobody said so, or about nothing, or has no end.
        """
        if matcher.is_everything and not everything:
            raise UsageError(
                "name the monitors, tags or incidents that it is about; or say --all for everything"
            )
        if everything and (matcher.monitors or matcher.tags or matcher.incidents):
            raise UsageError(
                "it cannot be about everything and about something at once; leave out --all, or what it names"
            )
        if until is None and kind is not WindowKind.PAUSE:
            raise UsageError(f"a {kind} needs an end: nobody remembers to end it")
        if until is not None:
            now = self._clock.now()
            if until <= now:
                raise UsageError(
                    f"that is over since {self._local(until)}; give it an end that is still to come"
                )
            if starts_at is not None and until <= starts_at:
                raise UsageError("it would be over before it begins; give it an end that is later")
            self._bounded(until - (starts_at or now))
        for incident in sorted(matcher.incidents):
            self._open(incident)
        reason = " ".join(reason.split())[:LONGEST_NOTE]
        window = self._windows.new(kind, matcher, until=until, reason=reason, actor=who, starts_at=starts_at)
        return await self._windows.begin(window, who)

    def _bounded(self, lasting: timedelta) -> timedelta:
        if not timedelta(0) < lasting <= LONGEST_SILENCE:
            raise UsageError(f"it must last longer than nothing and at most {LONGEST_SILENCE.days} days")
        return lasting

    # --- the rest ----------------------------------------------------------------------------------

    async def status(self) -> str:
        """See :class:`defib.ports.Desk`."""
        healths = [self._table.get(monitor) for monitor in self._recovery.roster.monitors]
        timeout = self._recovery.roster.settings.ack_timeout
        counts = Counter(health.state for health in healths if health is not None)
        lines = [
            ", ".join(f"{counts[state]} {state}" for state in State if counts[state]) or "nothing is watched"
        ]
        for item in sorted(self._telling.incidents.values(), key=lambda item: item.opened_at)[:MOST_LISTED]:
            is_seen_to = item.acked_by and not has_lapsed(item, timeout, self._clock.now())
            seen = f"; {item.acked_by} sees to it" if is_seen_to else ""
            lines.append(
                f"{item.monitor} since {self._local(item.opened_at)}: {item.summary} ({item.id}){seen}"
            )
        return "\n".join(lines)

    async def explain(self, subject: IncidentId | MonitorId) -> str:
        """See :class:`defib.ports.Desk`."""
        sentences = await asyncio.to_thread(self.sentences, subject)
        if sentences is None:
            raise UsageError(self._no_such(subject))
        return "\n".join(sentences)

    async def meant(self, text: str = "") -> Sequence[Subject]:
        """See :class:`defib.ports.Desk`."""
        subjects = [self._subject(watched) for watched in self._recovery.roster.monitors.values()]
        found = [item for item in subjects if _fits(item, text)]
        exact = [item for item in found if text in (item.monitor, item.incident)]
        by_name = sorted(exact or found, key=lambda item: item.name)
        return sorted(by_name, key=lambda item: item.incident or "", reverse=True)

    def _subject(self, watched: Watched) -> Subject:
        health = self._table[watched.spec.id]
        return Subject(
            monitor=health.monitor, name=watched.spec.name, state=health.state, incident=health.incident
        )

    async def recover(self, incident: IncidentId, who: str) -> str:
        """See :class:`defib.ports.Desk`."""
        monitor = self._open(incident).monitor
        if monitor not in self._recovery.roster.monitors:
            raise UsageError(f"{monitor} is not watched any more")
        try:
            case = await self._recovery.by_hand(monitor, who, dry_run=False, rung=None)
        except ActionRefusedError as error:
            raise UsageError(str(error)) from error
        return (
            f"recovery of {monitor} has begun ({case.id}); the same checks hold as for one that Defib begins"
        )

    async def retry(self, delivery: DeliveryId, who: str) -> Delivery:
        """Send a dead letter once more.

        :raises UsageError: there is no such delivery, or it is not dead.
        """
        found = await self._courier.retry(delivery)
        audit = AuditEntry(
            at=self._clock.now(), actor=who, event="delivery.retried", subject=found.channel,
            facts={"delivery": delivery},
        )  # fmt: skip
        await self._writer.commit(Changes(audit=(audit,)))
        self._bus.publish(Event(type="delivery"))
        return found

    def _no_such(self, name: str) -> str:
        hint = advice(name, self._recovery.roster.monitors) or "'defib status' lists what is wrong"
        return f"there is no incident or monitor {name!r}; {hint}"

    def _local(self, at: datetime) -> str:
        zone = ZoneInfo(self._recovery.roster.settings.timezone)
        return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _acknowledged(incident: Incident, at: datetime | None, who: str, note: str) -> Incident:
    """``incident`` as seen to by ``who`` since ``at``; by nobody, when that is None. A note of theirs stays."""
    if at is None:
        return replace(incident, acked_at=None, acked_by="", ack_note="")
    kept = incident.ack_note if incident.acked_by == who else ""
    return replace(incident, acked_at=at, acked_by=who, ack_note=note or kept)


def _fits(subject: Subject, text: str) -> bool:
    """Whether ``text`` may mean it; "" means whatever is wrong."""
    if not text or text == subject.incident:
        return subject.incident is not None
    wanted = text.casefold()
    return wanted in subject.monitor.casefold() or wanted in subject.name.casefold()


def describe(matcher: Matcher) -> str:
    """What a window is about, in words."""
    if matcher.is_everything:
        return "everything"
    parts = [
        ", ".join(sorted(matcher.monitors)),
        "tag " + " or ".join(sorted(matcher.tags)) if matcher.tags else "",
        "incident " + ", ".join(sorted(matcher.incidents)) if matcher.incidents else "",
        "severity " + " or ".join(sorted(matcher.severity)) if matcher.severity else "",
    ]
    return ", ".join(part for part in parts if part)
