"""The state of every monitor in memory, and what of it still has to be written."""

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime

from defib.model.changes import Changes, Heard
from defib.model.evidence import Observation
from defib.model.health import BeatMemory, Health, State
from defib.model.ids import MonitorId

_RECENT = 5  #: observations of each monitor at hand for texts
_BUFFER = 50_000  #: observations kept while the store cannot be written; beyond that the oldest are dropped


@dataclass(frozen=True, slots=True)
class _Committing:
    """See :meth:`StateTable.committing`. A class, because a generator costs thrice as much, and each beat has one."""

    held: set[MonitorId]
    monitor: MonitorId

    def __enter__(self) -> None:
        self.held.add(self.monitor)

    def __exit__(self, *_: object) -> None:
        self.held.discard(self.monitor)


class StateTable:
    """Health by monitor. Decisions are committed before they are put here; mere observations are written in groups.

    What a beat teaches of a monitor that is well is kept beside its row, which is made anew when somebody asks for it:
    thousands of beats a second come between two who do.
    """

    def __init__(self, stored: Mapping[MonitorId, Health]) -> None:
        self._health = dict(stored)
        self._heard: dict[MonitorId, Heard] = {}  # newer than its row
        self._dirty: set[MonitorId] = set()
        self._observations: list[Observation] = []
        self._recent: dict[MonitorId, deque[Observation]] = {}
        self._stored = set(stored)
        self._held: set[MonitorId] = set()  # a commit of theirs is on its way

    def __getitem__(self, monitor: MonitorId) -> Health:
        heard = self._heard.pop(monitor, None)
        if heard is not None:
            self._health[monitor] = self.after(heard)
        return self._health[monitor]

    def get(self, monitor: MonitorId) -> Health | None:
        return self[monitor] if monitor in self._health else None

    def standing(self, monitor: MonitorId) -> Health:
        """The row as it was before the newest beats: right but for their memory and deadline, and for nothing."""
        return self._health[monitor]

    def beats(self, monitor: MonitorId) -> BeatMemory:
        """What its beats have taught so far."""
        heard = self._heard.get(monitor)
        return self._health[monitor].beats if heard is None else heard.beats

    def after(self, heard: Heard) -> Health:
        """The row with what a beat taught."""
        return replace(self._health[heard.monitor], beats=heard.beats, deadline=heard.deadline)

    def ensure(self, monitors: Iterable[MonitorId], now: datetime) -> None:
        """Make a NEW row for monitors that have none."""
        for monitor in monitors:
            self._health.setdefault(
                monitor, Health(monitor=monitor, state=State.NEW, since=now, reason="not looked at yet")
            )

    def recent(self, monitor: MonitorId) -> list[Observation]:
        """The newest observations since the start of this process, oldest first."""
        return list(self._recent.get(monitor, ()))

    def remember(self, observation: Observation) -> None:
        """Keep an observation among the recent ones."""
        self._recent.setdefault(observation.monitor, deque(maxlen=_RECENT)).append(observation)

    def committing(self, monitor: MonitorId) -> AbstractContextManager[None]:
        """While a row of ``monitor`` is on its way to the store, no older one follows it there."""
        return _Committing(self._held, monitor)

    def is_stored(self, monitor: MonitorId) -> bool:
        """Whether the store has a row of it."""
        return monitor in self._stored

    def put(self, health: Health) -> None:
        """A committed decision."""
        self._replace(health)
        self._dirty.discard(health.monitor)
        self._stored.add(health.monitor)

    def put_heard(self, heard: Heard) -> None:
        """What a beat taught was committed; what else is known may have changed meanwhile."""
        self._heard[heard.monitor] = heard
        self._stored.add(heard.monitor)

    def amend(self, health: Health) -> None:
        """Something beside the state changed: written with the next decision or group."""
        self._replace(health)
        self._dirty.add(health.monitor)

    def note(self, health: Health, observation: Observation) -> None:
        """An observation that changed nothing: written with the next group."""
        self._replace(health)
        self._dirty.add(health.monitor)
        self._observations.append(observation)

    def _replace(self, health: Health) -> None:
        self._heard.pop(health.monitor, None)
        self._health[health.monitor] = health

    def forget_evidence(self, monitor: MonitorId) -> None:
        """What was counted for and against a monitor before a gap counts no more; a declared fault stays one."""
        health = self[monitor]
        if health.state is not State.FAULT:
            self._health[monitor] = replace(health, memory={}, first_fail_at=None)
            self._dirty.add(monitor)

    def drain(self, *, looks: bool = True) -> Changes:
        """Everything noted since the last call, but for rows that are on their way already.

        :param looks: False leaves the observations for a later call.
        """
        changes = Changes(
            health=tuple(self[monitor] for monitor in self._dirty - self._held),
            observations=tuple(self._observations) if looks else (),
        )
        self._dirty = self._dirty & self._held
        if looks:
            self._observations = []
        return changes

    def drain_looks(self, monitor: MonitorId) -> tuple[Observation, ...]:
        """What was noted of one monitor: written with the decision that it led to."""
        found = tuple(look for look in self._observations if look.monitor == monitor)
        if found:
            self._observations = [look for look in self._observations if look.monitor != monitor]
        return found

    def give_back(self, changes: Changes) -> None:
        """What could not be written is kept for the next group."""
        self._dirty.update(health.monitor for health in changes.health)
        self._observations = [*changes.observations, *self._observations][-_BUFFER:]
