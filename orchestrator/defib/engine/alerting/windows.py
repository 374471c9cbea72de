"""Which silences, maintenance windows and pauses there are: those of the store, and those of the configuration.

What a person begins or ends is a row before it holds. A window of the configuration is no row: it follows from the
file, unless somebody ended it before its time; the row that says so has its id, and takes its place.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from itertools import chain

from defib.config.findings import nearest
from defib.engine.events import Event, EventBus
from defib.engine.ids import new_id
from defib.engine.roster import Roster, Watched
from defib.errors import UsageError
from defib.logs import get_logger
from defib.model.alert import Severity
from defib.model.changes import Changes
from defib.model.ids import IncidentId, MonitorId, WindowId
from defib.model.recovery import AuditEntry
from defib.model.window import Matcher, Window, WindowKind
from defib.ports import Clock
from defib.rules import windows as rules
from defib.store import Reader, Writer

log = get_logger("defib.windows")


class Windows:
    """Knows them, begins them, ends them.

    :ivar on_change: called after one was begun or ended, or others are configured.
    """

    def __init__(
        self, clock: Clock, roster: Roster, writer: Writer | None, reader: Reader, bus: EventBus
    ) -> None:
        """:param writer: None where they are only looked at."""
        self._clock = clock
        self._writer = writer
        self._bus = bus
        self._roster = roster
        self._stored = {window.id: window for window in reader.windows(since=clock.now())}
        self._known: tuple[Window, ...] = ()  # until ``_stale_at``
        self._in_force: tuple[Window, ...] = ()
        self._stale_at: datetime | None = None
        self._read_at: datetime | None = None
        self.on_change: Callable[[], None] = lambda: None

    @property
    def roster(self) -> Roster:
        return self._roster

    @roster.setter
    def roster(self, roster: Roster) -> None:
        self._roster = roster
        self._changed()

    # --- questions ---------------------------------------------------------------------------------

    def known(self) -> tuple[Window, ...]:
        """Those in force and those to come; of one that comes back by cron, the next one."""
        self._refresh()
        return self._known

    def in_force(self) -> tuple[Window, ...]:
        """Those in force now, the one that began first leading."""
        self._refresh()
        return self._in_force

    def find(self, name: str, kind: WindowKind | None = None) -> Window | None:
        """The window of an id, the one in force of a configured window's name, or the only one of a monitor alone.

        :param kind: any, where it is None.
        """
        known = [window for window in self.known() if kind in (None, window.kind)]
        by_id = (window for window in known if window.id == name)
        by_name = (
            window for window in self.in_force() if window in known and window.id.startswith(f"{name}@")
        )
        own = [window for window in known if window.matcher == Matcher(monitors=frozenset({MonitorId(name)}))]
        return next(chain(by_id, by_name, own if len(own) == 1 else ()), None)

    def next_change(self) -> datetime | None:
        """When the next one begins or ends by itself."""
        self._refresh()
        return self._stale_at

    def of(
        self, watched: Watched, severity: Severity | None = None, incident: IncidentId | None = None
    ) -> tuple[Window, ...]:
        """Those in force now that are about a monitor.

        :param severity: of an alert about it; None fits windows for any.
        :param incident: of it; None fits no window for single incidents.
        """
        spec = watched.spec
        return tuple(
            window
            for window in self.in_force()
            if rules.covers(window, spec.id, spec.tags, severity, incident)
        )

    def chief_of(self, watched: Watched) -> Window | None:
        """The maintenance or pause that decides what becomes of a monitor now; None while it is on duty."""
        return rules.chief(self.of(watched)) if self.in_force() else None

    # --- acts --------------------------------------------------------------------------------------

    def new(
        self, kind: WindowKind, matcher: Matcher, *, until: datetime | None, reason: str, actor: str,
        starts_at: datetime | None = None,
    ) -> Window:  # fmt: skip
        """A window to :meth:`begin`; from now on, if it is not for later."""
        now = self._clock.now()
        return Window(
            id=WindowId(new_id(kind, now)), kind=kind, matcher=matcher, starts_at=starts_at or now, ends_at=until,
            reason=reason, made_by=actor, made_at=now,
        )  # fmt: skip

    async def begin(self, window: Window, actor: str) -> Window:
        """Put a window in force, now or when it begins.

        :raises UsageError: it would be over before it began, or names nobody that is known.
        """
        now = self._clock.now()
        if window.ends_at is not None and window.ends_at <= max(now, window.starts_at):
            raise UsageError(
                "it would be over before it began; give it an end that is later than its beginning"
            )
        self._check(window.matcher)
        await self._store(window, "begin", actor)
        return window

    def _check(self, matcher: Matcher) -> None:
        """:raises UsageError: it names what is not known, or fits no monitor."""
        monitors = self._roster.monitors
        for monitor in sorted(matcher.monitors - monitors.keys()):
            hint = advice(monitor, monitors) or "'defib status' lists them"
            raise UsageError(f"there is no monitor {monitor!r}; {hint}")
        known = {tag for watched in monitors.values() for tag in watched.spec.tags}
        for tag in sorted(matcher.tags - known):
            hint = advice(tag, known) or f"there are: {', '.join(sorted(known)) or 'none'}"
            raise UsageError(f"no monitor has the tag {tag!r}; {hint}")
        both = (name for name in matcher.monitors if not matcher.tags.isdisjoint(monitors[name].spec.tags))
        if matcher.monitors and matcher.tags and next(both, None) is None:
            names, tags = ", ".join(sorted(matcher.monitors)), " or ".join(sorted(matcher.tags))
            raise UsageError(
                f"it would be about no monitor: {names} without the tag {tags}; what is named has to fit together, "
                "so make two of it"
            )

    async def end(self, name: str, actor: str, kind: WindowKind | None = None) -> Window:
        """End a window before its time; one that has not begun never does.

        :param name: see :meth:`find`, and ``kind``.
        :raises UsageError: there is none, or it is over.
        """
        window = self.find(name, kind)
        if window is None:
            own = sum(MonitorId(name) in item.matcher.monitors for item in self.known())
            hint = f"; {own} name it among others: say which, by its id" if own else ""
            raise UsageError(
                f"no {kind or 'silence, maintenance or pause'} {name!r} is in force or to come{hint}; "
                "'defib silence list' and 'defib maintenance list' show those that are"
            )
        ended = replace(window, ended_at=self._clock.now(), ended_by=actor)
        await self._store(ended, "end", actor)
        return ended

    async def pause(
        self,
        monitor: MonitorId,
        actor: str,
        *,
        until: datetime | None = None,
        reason: str = "",
        ends_with_beat: bool = False,
    ) -> Window:
        """Do nothing at all about one monitor, until somebody resumes it.

        :raises UsageError: there is no such monitor, or it is paused.
        """
        if self.pauses_of(monitor):
            raise UsageError(f"{monitor} is paused already; 'defib resume {monitor}' ends it")
        matcher = Matcher(monitors=frozenset({monitor}))
        pause = self.new(WindowKind.PAUSE, matcher, until=until, reason=reason, actor=actor)
        return await self.begin(replace(pause, ends_with_beat=ends_with_beat), actor)

    async def resume(self, monitor: MonitorId, actor: str) -> tuple[Window, ...]:
        """End every pause of one monitor.

        :raises UsageError: it is not paused, or together with others.
        """
        pauses = self.pauses_of(monitor)
        if not pauses:
            raise UsageError(f"{monitor} is not paused")
        for pause in pauses:
            if pause.matcher.monitors != {monitor}:
                raise UsageError(
                    f"{monitor} is paused together with others; end {pause.id} to resume them all"
                )
        return tuple([await self.end(pause.id, actor) for pause in pauses])

    def pauses_of(self, monitor: MonitorId) -> tuple[Window, ...]:
        """The pauses of a monitor that are in force."""
        watched = self._roster.monitors.get(monitor)
        found = () if watched is None else self.of(watched)
        return tuple(window for window in found if window.kind is WindowKind.PAUSE)

    async def _store(self, window: Window, act: str, actor: str) -> None:
        until = None if window.ends_at is None else window.ends_at.isoformat()
        matcher = window.matcher
        about = {
            "monitors": ", ".join(sorted(matcher.monitors)), "tags": ", ".join(sorted(matcher.tags)),
            "incidents": ", ".join(sorted(matcher.incidents)), "severity": ", ".join(sorted(matcher.severity)),
        }  # fmt: skip
        audit = AuditEntry(
            at=self._clock.now(), actor=actor, event=f"{window.kind}.{act}", subject=window.id,
            facts={"from": window.starts_at.isoformat(), "until": until, "reason": window.reason}
            | {name: text for name, text in about.items() if text},
        )  # fmt: skip
        assert self._writer is not None
        await self._writer.commit(Changes(windows=(window,), audit=(audit,)))
        self._stored[window.id] = window
        log.info(
            "window", act=act, kind=window.kind, id=window.id, until=until, actor=actor, reason=window.reason
        )
        self._changed()

    # --- what follows from the time ----------------------------------------------------------------

    def _changed(self) -> None:
        self._read_at = None
        self._bus.publish(Event(type="windows"))
        self.on_change()

    def _refresh(self) -> None:
        """Work out afresh what holds, once something has begun or ended, or the clock was set back."""
        now = self._clock.now()
        is_fresh = self._read_at is not None and self._read_at <= now
        if is_fresh and (self._stale_at is None or now < self._stale_at):
            return
        found = {w.id: w for plan in self._roster.settings.maintenance for w in rules.scheduled(plan, now)}
        found |= self._stored
        self._stored = {id_: w for id_, w in self._stored.items() if not _is_past(w, now)}
        self._known = tuple(
            sorted(
                (w for w in found.values() if not rules.is_over(w, now)), key=lambda w: (w.starts_at, w.id)
            )
        )
        self._in_force = rules.active(self._known, now)
        self._stale_at = rules.next_change(self._known, now)
        self._read_at = now


def advice(name: str, known: Iterable[str]) -> str:
    """``did you mean 'web'?``; "" where nothing is like it."""
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else ""


def _is_past(window: Window, now: datetime) -> bool:
    """Nothing follows from its row any more: not even that a window of the configuration was ended early."""
    return rules.is_over(window, now) and (window.ends_at is None or window.ends_at <= now)
