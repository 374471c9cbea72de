"""Monitors that are made through an API: stored, and watched beside those of the configuration.

A monitor of the configuration takes the place of a made one of the same id. What acts (recovery), and types that do on
this machine what their options say (``command``), are written down by whoever runs it, and never made.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from defib.config.made import COMMON_KEYS, read_made
from defib.engine.detection.judge import Judge
from defib.engine.events import Event, EventBus
from defib.engine.heartbeats.beats import Beats
from defib.engine.heartbeats.enlisting import enlist_made, is_configured, made_spec
from defib.engine.heartbeats.pauses import Pauses
from defib.engine.roster import Roster, Watched
from defib.engine.table import StateTable
from defib.errors import ConfigError, RegistrationRefusedError, UsageError
from defib.logs import get_logger
from defib.model.beat import Beat
from defib.model.changes import Changes
from defib.model.health import Health, State, Transition
from defib.model.ids import MonitorId
from defib.model.monitor import MadeMonitor, MonitorSpec
from defib.model.recovery import AuditEntry
from defib.ports import Clock, JobView
from defib.rules.slugs import as_slug
from defib.store import Reader, Writer

log = get_logger("defib.made")

KIND = "heartbeat"
MOST = 1000  #: a leaked key fills no disk
FAREWELL_S = 5.0  #: for a plugin to let go


class MadeMonitors:
    """See :class:`defib.ports.Jobs`.

    :ivar most: monitors that may be made.
    """

    def __init__(
        self,
        clock: Clock,
        roster: Roster,
        table: StateTable,
        writer: Writer,
        reader: Reader,
        beats: Beats,
        judge: Judge,
        bus: EventBus,
        pauses: Pauses,
    ) -> None:
        self._clock = clock
        self._table = table
        self._writer = writer
        self._reader = reader
        self._beats = beats
        self._judge = judge
        self._bus = bus
        self._pauses = pauses
        self._made = {made.id: made for made in reader.made_monitors()}
        self._making = asyncio.Lock()
        self.most = MOST
        self.on_put: Callable[[Watched], Awaitable[None]] = (
            _ignore  #: is watched from now on, or in another way
        )
        self.on_removed: Callable[[MonitorId], None] = lambda monitor: None
        self.roster = roster
        self.enlist(roster)

    def __iter__(self) -> Iterator[MadeMonitor]:
        return iter(self._made.values())

    def get(self, monitor: MonitorId) -> MadeMonitor | None:
        """A monitor that was made and is in force; None also for one whose place the configuration took."""
        return None if is_configured(monitor, self.roster) else self._made.get(monitor)

    def enlist(self, roster: Roster) -> None:
        """Watch every made monitor in ``roster``, which is about to be put in force."""
        enlist_made(roster, self._made.values())

    # --- showing -----------------------------------------------------------------------------------

    async def views(self) -> list[JobView]:
        """See :class:`defib.ports.Jobs`."""
        totals = await asyncio.to_thread(self._reader.beat_totals)
        found = []
        for monitor, watched in self.roster.monitors.items():
            if watched.spec.kind != KIND:
                continue
            count, heard_at = totals.get(monitor, (0, None))
            found.append(
                JobView(
                    spec=watched.spec, health=self._table[monitor], uuid=self.roster.beat_uuid(monitor),
                    made=self.get(monitor), beats=count, heard_at=heard_at,
                )
            )  # fmt: skip
        return found

    async def beats(self, monitor: MonitorId, newest: int) -> list[Beat]:
        """See :class:`defib.ports.Jobs`."""
        return await asyncio.to_thread(self._reader.beats, monitor, newest)

    async def changes(self, monitor: MonitorId, since: datetime, until: datetime) -> list[Transition]:
        """See :class:`defib.ports.Jobs`."""
        return await asyncio.to_thread(self._reader.transitions, monitor=monitor, since=since, until=until)

    async def pause(self, monitor: MonitorId, *, actor: str) -> None:
        """See :class:`defib.ports.Jobs`."""
        await self._pauses.begin(monitor, actor)

    async def resume(self, monitor: MonitorId, *, actor: str) -> bool:
        """See :class:`defib.ports.Jobs`."""
        return await self._pauses.end(monitor, actor)

    def channels(self) -> list[tuple[str, str]]:
        """See :class:`defib.ports.Jobs`."""
        return [(spec.name, spec.kind) for spec in self.roster.settings.channels]

    # --- making ------------------------------------------------------------------------------------

    def named(self, name: str) -> list[MonitorId]:
        """See :class:`defib.ports.Jobs`."""
        told = {monitor: watched for monitor, watched in self.roster.monitors.items() if watched.is_pushed}
        if MonitorId(name) in told:
            return [MonitorId(name)]
        return [monitor for monitor, watched in told.items() if as_slug(watched.spec.name) == name]

    async def ensure(
        self, name: str, options: Mapping[str, Any], *, actor: str
    ) -> tuple[Sequence[MonitorId], bool]:
        """See :class:`defib.ports.Jobs`."""
        async with self._making:
            if known := self.named(name):
                return known, False
            return [(await self._make(name, options, actor)).id], True

    async def make(
        self, name: str, options: Mapping[str, Any], *, slug: str = "", tags: Sequence[str] = (), description: str = "",
        actor: str,
    ) -> MadeMonitor:  # fmt: skip
        """See :class:`defib.ports.Jobs`."""
        async with self._making:
            return await self._make(name, options, actor, slug=slug, tags=tags, description=description)

    async def _make(
        self, name: str, options: Mapping[str, Any], actor: str, *, slug: str = "", tags: Sequence[str] = (),
        description: str = "",
    ) -> MadeMonitor:  # fmt: skip
        self._check_room()
        now = self._clock.now()
        made = MadeMonitor(
            id=self._free_id(slug or name), kind=KIND, name=name, options=options, tags=tuple(tags),
            description=description, made_at=now, made_by=actor,
        )  # fmt: skip
        return await self._put_told(made, "monitor.made", actor)

    async def change(self, made: MadeMonitor, *, actor: str) -> MadeMonitor:
        """See :class:`defib.ports.Jobs`."""
        async with self._making:
            return await self._put_told(made, "monitor.changed", actor)

    async def create(self, definition: Mapping[str, Any], *, actor: str) -> MadeMonitor:
        """A new monitor of any type that can be made.

        :param definition: as a configuration would have it; without an ``id`` it is given one that resembles its name.
        :raises ConfigError: with every mistake.
        :raises UsageError: it requires what is not there.
        :raises RegistrationRefusedError: there is one of this id, or too many were made already.
        :raises StoreError: it was not stored.
        """
        async with self._making:
            self._check_room()
            named = definition.get("name") or definition.get("type")
            monitor = definition.get("id") or self._free_id(named if isinstance(named, str) else KIND)
            if monitor in self.roster.monitors or is_configured(monitor, self.roster):
                raise RegistrationRefusedError(f"there is a monitor {monitor!r} already; PATCH changes one")
            made = self._defined({**definition, "id": monitor}, self._clock.now(), actor)
            return await self._put(made, "monitor.made", actor)

    async def amend(self, monitor: MonitorId, changes: Mapping[str, Any], *, actor: str) -> MadeMonitor:
        """Change some keys of a made monitor; None takes one away. Raises like :meth:`create`.

        :raises KeyError: it was not made through an API.
        """
        async with self._making:
            before = self._made[monitor]
            kept = {key: value for key, value in definition_of(before).items() if key not in changes}
            after = kept | {key: value for key, value in changes.items() if value is not None}
            made = replace(
                self._defined(after, before.made_at, before.made_by), description=before.description
            )
            return await self._put(made, "monitor.changed", actor)

    def _defined(self, definition: Mapping[str, Any], made_at: datetime, made_by: str) -> MadeMonitor:
        """:raises ConfigError: with every mistake."""
        roster = self.roster
        spec = read_made(definition, roster.settings, roster.registry, roster.context)
        own = ("id", "type", "name", "tags")
        return MadeMonitor(
            id=spec.id, kind=spec.kind, name=spec.name, tags=tuple(sorted(spec.tags)), made_at=made_at, made_by=made_by,
            settings={key: value for key, value in definition.items() if key in COMMON_KEYS and key != "tags"},
            options={
                key: value for key, value in definition.items() if key not in COMMON_KEYS and key not in own
            },
        )  # fmt: skip

    async def _put_told(self, made: MadeMonitor, event: str, actor: str) -> MadeMonitor:
        """:raises ValueError: its options are not what its type takes; one line with each mistake."""
        try:
            return await self._put(made, event, actor)
        except ConfigError as error:
            raise ValueError("; ".join(map(str, error.mistakes))) from None

    async def _put(self, made: MadeMonitor, event: str, actor: str) -> MadeMonitor:
        """:raises ConfigError: its definition is not what its type takes."""
        spec = made_spec(made, self.roster)
        self._check_requirements(spec)
        now, health = self._clock.now(), self._table.get(made.id)
        before = self.roster.monitors.get(made.id)
        fresh = _as_new(health, now) if before is None and health is not None else Changes()
        await self._writer.commit(fresh + Changes(made=(made,), audit=(self._audit(event, made, actor),)))
        self._made[made.id] = made
        self.roster.enlist(spec)
        self.roster.settle()
        for item in fresh.health:
            self._table.put(item)
        self._table.ensure((made.id,), now)
        self._beats.silences.follow(made.id)
        await self.on_put(self.roster.monitors[made.id])
        await _release(before)
        self._bus.publish(Event(type="reload", monitor=made.id))
        return made

    def _check_room(self) -> None:
        """:raises RegistrationRefusedError: too many were made already."""
        if len(self._made) >= self.most:
            raise RegistrationRefusedError(f"{self.most} monitors were made already; remove some first")

    def _check_requirements(self, spec: MonitorSpec) -> None:
        """:raises UsageError: it requires what is not there, or what requires it."""
        waiting, seen = [*spec.requires, *spec.requires_any], set[MonitorId]()
        for name in waiting:
            if name not in self.roster.monitors:
                raise UsageError(f"requires: there is no monitor {name!r}; 'defib status' lists them")
        while waiting:
            name = waiting.pop()
            if name == spec.id:
                raise UsageError(f"requires: {spec.id} would require itself, directly or through others")
            if name not in seen and name in self.roster.monitors:
                seen.add(name)
                below = self.roster.monitors[name].spec
                waiting += (*below.requires, *below.requires_any)

    async def remove(self, monitor: MonitorId, *, actor: str) -> None:
        """See :class:`defib.ports.Jobs`."""
        async with self._making:
            gone = replace(self._made[monitor], removed_at=self._clock.now())
            if needed_by := self.roster.ties.children(monitor):
                raise RegistrationRefusedError(
                    f"{needed_by[0]} requires {monitor}; change or remove that first"
                )
            await self._judge.withdraw(monitor, "the monitor was removed")
            await self._writer.commit(
                Changes(made=(gone,), audit=(self._audit("monitor.removed", gone, actor),))
            )
            del self._made[monitor]
            before = self.roster.monitors.get(monitor)
            self.roster.dismiss(monitor)
            self._beats.silences.forget(monitor)
            self.on_removed(monitor)
            await _release(before)
            self._bus.publish(Event(type="reload", monitor=monitor))

    def _free_id(self, name: str) -> MonitorId:
        """An id that resembles the name, and that nothing was ever watched under: it would inherit its history."""
        wanted = as_slug(name) or KIND
        found, number = wanted, 1
        while MonitorId(found) in self.roster.monitors or self._table.get(MonitorId(found)) is not None:
            number += 1
            found = f"{wanted}-{number}"
        return MonitorId(found)

    def _audit(self, event: str, made: MadeMonitor, actor: str) -> AuditEntry:
        facts = {"name": made.name, "type": made.kind}
        return AuditEntry(at=self._clock.now(), actor=actor, event=event, subject=made.id, facts=facts)


def definition_of(made: MadeMonitor) -> dict[str, Any]:
    """As a configuration would have it, secrets and all."""
    own = {"id": made.id, "type": made.kind, "name": made.name}
    return own | ({"tags": list(made.tags)} if made.tags else {}) | {**made.settings, **made.options}


def _as_new(health: Health, now: datetime) -> Changes:
    """What was watched under this id before is history: it begins anew."""
    fresh = Health(monitor=health.monitor, since=now, reason="not looked at yet")
    begun = Transition(
        monitor=health.monitor, from_state=health.state, to_state=State.NEW, t_lo=now, t_hi=now, decided_at=now,
        reason="made anew",
    )  # fmt: skip
    return Changes(health=(fresh,), transitions=(begun,) if health.state is not State.NEW else ())


async def _release(watched: Watched | None) -> None:
    """Close what looked until now; a plugin that fails at this is logged."""
    if watched is None or watched.asked is None:
        return
    try:
        await asyncio.wait_for(watched.asked.close(), FAREWELL_S)
    except Exception as error:  # a plugin may raise anything
        log.warning("plugin did not close cleanly", monitor=watched.spec.id, exc_info=error)


async def _ignore(watched: Watched) -> None:
    """Nobody is waiting for it."""
