"""What happens, and what is looked at because of it: sooner than at its turn, or not at all for a while."""

from datetime import timedelta

from defib.engine.alerting.telling import Telling
from defib.engine.detection.scheduler import Scheduler
from defib.engine.detection.tripwires import Tripwires
from defib.engine.heartbeats.silences import Silences
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.model.evidence import Outcome
from defib.model.health import State
from defib.ports import Clock
from defib.rules.gaps import Response, decide_response, spread
from defib.rules.phase import phase


class Attention:
    """Keeps the schedule in step with the roster and with what becomes of its monitors."""

    def __init__(
        self, clock: Clock, roster: Roster, table: StateTable, scheduler: Scheduler, tripwires: Tripwires,
        silences: Silences, telling: Telling,
    ) -> None:  # fmt: skip
        self._clock = clock
        self.roster = roster
        self._table = table
        self._scheduler = scheduler
        self._tripwires = tripwires
        self._silences = silences
        self._telling = telling

    # --- the schedule ------------------------------------------------------------------------------

    def schedule_all(self) -> None:
        """Look at every monitor of the roster that is looked at, and at no other."""
        for monitor in self._scheduler.monitors:
            if monitor not in self.roster.monitors or self.roster.monitors[monitor].is_pushed:
                self._scheduler.remove(monitor)
        for watched in self.roster.monitors.values():
            self._schedule(watched)

    def _schedule(self, watched: Watched) -> None:
        monitor, state = watched.spec.id, self._table[watched.spec.id].state
        if watched.polled is not None and state is not State.PAUSED:
            self._scheduler.add(
                monitor,
                self.roster.strategy(monitor).interval,
                watched.polled.host,
                first_in=0.0 if state in (State.FAULT, State.SUSPECT) else None,
            )

    # --- what happens to a monitor -----------------------------------------------------------------

    def look_around(self, watched: Watched) -> None:
        """It is under suspicion: what of the things that it requires, and that share its fate?"""
        for parent in (*watched.spec.requires, *watched.spec.requires_any):
            health = self._table.get(parent)
            if health is not None and not health.state.is_bad:
                self._scheduler.look_soon(parent)
        for sibling in self._telling.siblings_to_look_at(watched.spec.id):
            self._scheduler.look_soon(sibling)

    def look_at_children(self, watched: Watched) -> None:
        """It is back: so may be what requires it."""
        for child in self.roster.ties.children(watched.spec.id):
            self._scheduler.look_soon(child)
            if self.roster.monitors[child].is_pushed:
                self._silences.judge_again(child)

    async def take_made(self, watched: Watched) -> None:
        """It was made, or changed, through an API."""
        if watched.polled is None:
            return
        self._schedule(watched)
        self._scheduler.look_soon(watched.spec.id)
        await self._tripwires.start()

    def set_aside(self, watched: Watched, state: State) -> None:
        """Nothing about it is judged for a while; while it is paused, nobody looks at it either."""
        if state is State.PAUSED:
            self._scheduler.remove(watched.spec.id)
        else:
            self._schedule(watched)

    async def take_back(self, watched: Watched) -> None:
        """It is judged again: look at once, or take what it said last."""
        self._schedule(watched)
        self._scheduler.look_soon(watched.spec.id)
        await self._silences.come_back(watched.spec.id)

    # --- what happens to Defib ---------------------------------------------------------------------

    def look_afresh(self) -> None:
        """We trust ourselves again: look at suspects now, and soon at whatever was put down to us."""
        self._silences.take_gap()
        for monitor in self.roster.monitors:
            health = self._table[monitor]
            is_void = health.last is not None and health.last.evidence.outcome is Outcome.INCONCLUSIVE
            if health.state is State.SUSPECT:
                self._scheduler.look_soon(monitor)
            elif is_void or health.state is State.UNREACHABLE:
                self._scheduler.look_soon(
                    monitor, phase(monitor, spread(self.roster.strategy(monitor).interval))
                )

    def take_gap(self, gap: timedelta) -> None:
        """Nobody watched for so long: where that is many intervals, what was counted before it counts no more."""
        self._silences.take_gap()
        for monitor, watched in self.roster.monitors.items():
            interval = self.roster.strategy(monitor).interval
            if not watched.is_pushed and decide_response(gap.total_seconds(), interval) is Response.RESET:
                self._table.forget_evidence(monitor)
                self._scheduler.look_soon(monitor, phase(monitor, spread(interval)))
