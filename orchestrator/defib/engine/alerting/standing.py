"""Tells what only the passing of time brings to light.

    stopped for long · still flapping, flapping no more · held back until now · nobody has taken it on · good morning

Each monitor is reviewed when something about it has changed, and when its next instant has come; everything follows
from stored rows, so that a restart changes nothing. A single pass reviews once, at its end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from defib.engine.alerting.calling import Calling
from defib.engine.alerting.morning import Morning
from defib.engine.alerting.owing import Owing, Step
from defib.engine.alerting.telling import FLAPPING, Telling
from defib.engine.events import Event, EventBus
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.errors import StoreError
from defib.logs import get_logger
from defib.model.changes import Changes
from defib.model.evidence import Observation
from defib.model.health import Flaps, Health, Incident, State
from defib.model.ids import MonitorId
from defib.ports import Clock
from defib.rules.flapping import DIGEST_EVERY, is_digest_due
from defib.rules.lasting import STOP_PATIENCE, is_lasting, is_stop_to_tell
from defib.store import Writer

log = get_logger("defib.standing")

STORE_RETRY = timedelta(seconds=1)
CRASH_RETRY = timedelta(minutes=1)
LONGEST_WAIT_S = 30.0
"""In case the wall clock, by which everything is due, goes another way than the one we sleep by."""
PASS_LOOKS_TAKE_S = 10.0


class Standing:
    """Reviews."""

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, writer: Writer, telling: Telling, bus: EventBus
    ) -> None:
        self._clock = clock
        self.roster = roster
        self._table = table
        self._writer = writer
        self._telling = telling
        self._bus = bus
        telling.on_closed = self._take_closed
        self._owing, self._calling, self._morning = Owing(telling), Calling(telling), Morning(telling)
        self._wake = asyncio.Event()
        self._is_all_changed = True
        self._changed: set[MonitorId] = set()
        self._due: dict[MonitorId, datetime] = {}
        self._open_ended: set[MonitorId] = set()  # what holds these may end at any time
        self._wanted: set[MonitorId] = set()  # to be looked at
        self._looks: set[asyncio.Task[None]] = set()
        self.look: Callable[[MonitorId], Awaitable[Observation | None]] = _no_look
        self.on_deliveries: Callable[[Changes], None] = lambda changes: None  #: told of each commit with some

    def take_change(self, monitor: MonitorId | None = None) -> None:
        """Something changed that may be worth telling, now or later: about one monitor, or about all."""
        if monitor is None:
            self._is_all_changed = True
        else:
            self._changed.add(monitor)
            self._changed |= self._open_ended
        self._wake.set()

    def _take_closed(self, incident: Incident) -> None:
        """One that stood for its story is over: another one may have to."""
        if (heir := self._calling.heir(incident)) is not None:
            self.take_change(heir)

    async def run(self) -> None:
        """Review until cancelled."""
        try:
            while True:
                self._wake.clear()
                await self.review()
                for monitor in self._wanted:
                    look = asyncio.create_task(self._look(monitor), name=f"defib-fresh-look-{monitor}")
                    self._looks.add(look)
                    look.add_done_callback(self._looks.discard)
                self._wanted.clear()
                try:
                    async with asyncio.timeout(self._wait_s()):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for look in self._looks:
                look.cancel()
            await asyncio.gather(*self._looks, return_exceptions=True)

    async def run_once(self) -> None:
        """Review, take the looks that this asks for, and review again: what a single pass has time for."""
        await self.review()
        wanted, self._wanted = self._wanted, set()
        if wanted:
            looks = [asyncio.ensure_future(self._look(monitor)) for monitor in wanted]
            await asyncio.wait(looks, timeout=PASS_LOOKS_TAKE_S)
            for look in looks:
                look.cancel()
            await self.review()

    async def review(self) -> None:
        """Look at all whose time has come, or about whom something has changed."""
        now = self._clock.now()
        names = set(self.roster.monitors) if self._is_all_changed else set(self._changed)
        names |= {monitor for monitor, due in self._due.items() if due <= now}
        self._is_all_changed, self._changed = False, set()
        for monitor in sorted(names):
            self._due.pop(monitor, None)
            self._open_ended.discard(monitor)
            if (watched := self.roster.monitors.get(monitor)) is None or not is_lasting(self._table[monitor]):
                continue
            try:
                async with watched.lock:
                    await self._review(watched)
            except StoreError as error:
                self._due[monitor] = self._clock.now() + STORE_RETRY
                log.error("not told yet; trying again", monitor=monitor, error=str(error))
            except Exception as error:  # the boundary of one monitor: the others are told all the same
                self._due[monitor] = self._clock.now() + CRASH_RETRY
                log.error("review crashed", monitor=monitor, error=repr(error), exc_info=error)
        await self._review_morning()
        if self._changed:  # the turn of others has come
            self._wake.set()

    def _wait_s(self) -> float:
        now = self._clock.now()
        instants = [*self._due.values(), self._morning.due_at(now)]
        soonest = min((at for at in instants if at is not None), default=None)
        if soonest is None:
            return LONGEST_WAIT_S
        return min(max((soonest - now).total_seconds(), 0.0), LONGEST_WAIT_S)

    async def _look(self, monitor: MonitorId) -> None:
        try:
            await self.look(monitor)
        except StoreError as error:
            log.error("fresh look not judged", monitor=monitor, error=str(error))
        self.take_change(monitor)

    # --- one monitor -------------------------------------------------------------------------------

    async def _review(self, watched: Watched) -> None:
        monitor = watched.spec.id
        before = self._table[monitor]
        after, told, due = await self._of_state(watched, before, self._clock.now())
        steps = [Step(told=told, due_at=due)]
        if not told:
            for part in (self._owing, self._calling):
                steps.append(await part.review(watched, after, self._clock.now()))
                if steps[-1].told:
                    break
        changes = sum((step.told for step in steps), Changes())
        instants = [step.due_at for step in steps if step.due_at is not None]
        if instants:
            self._due[monitor] = min(instants)
        if any(step.is_open_ended for step in steps):
            self._open_ended.add(monitor)
        self._changed |= {step.follow for step in steps if step.follow is not None}
        if any(step.wants_look for step in steps):
            self._wanted.add(monitor)
        if after is not before:
            await self._commit(changes + Changes(health=(after,)), monitor)
            now = self._table[monitor]
            self._table.put(after)
            if now.beats != before.beats:  # it was heard meanwhile
                self._table.amend(replace(after, beats=now.beats, deadline=now.deadline))
        elif changes:
            await self._commit(changes, monitor)

    async def _commit(self, changes: Changes, monitor: MonitorId | None) -> None:
        await self._writer.commit(changes)
        if changes.new_deliveries:
            self.on_deliveries(changes)
        self._bus.publish(Event(type="alert" if monitor is None else "monitor", monitor=monitor))

    async def _of_state(
        self, watched: Watched, health: Health, now: datetime
    ) -> tuple[Health, Changes, datetime | None]:
        """What a state that lasts gives to tell, and when next."""
        notifier = self._telling.notifier
        if is_stop_to_tell(health, now):
            return replace(health, stop_told=True), notifier.stopped(watched, health, now), now
        if health.state is State.STOPPED and not health.stop_told:
            return health, Changes(), health.since + STOP_PATIENCE
        if not health.is_flapping or health.state.is_aside or health.state is State.NEW:
            return health, Changes(), None  # while nothing is judged, calm says nothing
        flaps = health.flaps
        incident = self._telling.incident(health.incident) if health.incident else None
        is_quiet = FLAPPING.has_settled(flaps, now)  # gaps can only show that less time was watched
        if is_quiet and FLAPPING.has_settled(flaps, now, await self._telling.gaps(flaps.swings[-1], now)):
            after = replace(health, flaps=Flaps())
            return after, notifier.settled(watched, after, flaps, incident, now), now
        if is_digest_due(flaps, now):
            after = replace(health, flaps=replace(flaps, told_at=now))
            return after, notifier.still_flapping(watched, after, incident, now), now
        return health, Changes(), _next_of_flapping(flaps, now)

    async def _review_morning(self) -> None:
        due = self._morning.due_at(now := self._clock.now())
        if due is None or due > now:
            return
        try:
            if told := await asyncio.to_thread(self._morning.review, now):
                await self._commit(told, None)
        except StoreError as error:
            log.error("what happened in quiet hours is told later", error=str(error))


def _next_of_flapping(flaps: Flaps, now: datetime) -> datetime:
    settles = flaps.swings[-1] + FLAPPING.quiet if flaps.swings else now
    instants = [settles]
    if flaps.told_at is not None:
        instants.append(flaps.told_at + DIGEST_EVERY)
    to_come = [at for at in instants if at > now]
    return min(to_come, default=now + timedelta(seconds=1))  # only gaps keep it from settling


async def _no_look(monitor: MonitorId) -> Observation | None:
    return None
