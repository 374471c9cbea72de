"""Monitors that are made through an API: stored, and watched beside those of the configuration.

A monitor of the configuration takes the place of a made one of the same id. Only types that are told can be made:
what looks at targets, or acts on them, is written down by whoever runs this machine.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from defib.engine.beats import Beats
from defib.engine.events import Event, EventBus
from defib.engine.judge import Judge
from defib.engine.roster import Roster
from defib.engine.table import StateTable
from defib.errors import RegistrationRefusedError
from defib.model.beat import Beat
from defib.model.changes import Changes
from defib.model.health import Transition
from defib.model.ids import MonitorId
from defib.model.monitor import MadeMonitor, MonitorSpec
from defib.model.recovery import AuditEntry
from defib.ports import Clock, JobView
from defib.rules.slugs import as_slug
from defib.store import Reader, Writer

log = structlog.get_logger("defib.made")

KIND = "heartbeat"
MOST = 1000  #: a leaked key fills no disk


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
    ) -> None:
        self._clock = clock
        self._table = table
        self._writer = writer
        self._reader = reader
        self._beats = beats
        self._judge = judge
        self._bus = bus
        self._made = {made.id: made for made in reader.made_monitors()}
        self._making = asyncio.Lock()
        self.most = MOST
        self.roster = roster
        self.enlist(roster)

    def __iter__(self) -> Iterator[MadeMonitor]:
        return iter(self._made.values())

    def get(self, monitor: MonitorId) -> MadeMonitor | None:
        """A monitor that was made and is in force; None also for one whose place the configuration took."""
        return None if self._is_configured(monitor, self.roster) else self._made.get(monitor)

    def enlist(self, roster: Roster) -> None:
        """Watch every made monitor in ``roster``, which is about to be put in force."""
        for made in self._made.values():
            if self._is_configured(made.id, roster):
                continue
            try:
                roster.enlist(_spec(made, roster))
            except ValueError as error:  # a version before this one took it
                log.error("made monitor is not watched", monitor=made.id, error=str(error))

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
        if len(self._made) >= self.most:
            raise RegistrationRefusedError(f"{self.most} monitors were made already; remove some first")
        now = self._clock.now()
        made = MadeMonitor(
            id=self._free_id(slug or name), kind=KIND, name=name, options=options, tags=tuple(tags),
            description=description, made_at=now, made_by=actor,
        )  # fmt: skip
        return await self._put(made, "monitor.made", actor)

    async def change(self, made: MadeMonitor, *, actor: str) -> MadeMonitor:
        """See :class:`defib.ports.Jobs`."""
        async with self._making:
            return await self._put(made, "monitor.changed", actor)

    async def _put(self, made: MadeMonitor, event: str, actor: str) -> MadeMonitor:
        spec = _spec(made, self.roster)
        made = replace(made, options=spec.options.model_dump(mode="json", exclude_unset=True))
        self.roster.registry.monitors[made.kind].create(spec.options, self.roster.context)
        await self._writer.commit(Changes(made=(made,), audit=(self._audit(event, made, actor),)))
        self._made[made.id] = made
        self.roster.enlist(spec)
        self._table.ensure((made.id,), self._clock.now())
        self._beats.follow(made.id)
        self._bus.publish(Event(type="reload", monitor=made.id))
        return made

    async def remove(self, monitor: MonitorId, *, actor: str) -> None:
        """See :class:`defib.ports.Jobs`."""
        async with self._making:
            gone = replace(self._made[monitor], removed_at=self._clock.now())
            await self._judge.withdraw(monitor, "the monitor was removed")
            await self._writer.commit(
                Changes(made=(gone,), audit=(self._audit("monitor.removed", gone, actor),))
            )
            del self._made[monitor]
            self.roster.dismiss(monitor)
            self._beats.forget(monitor)
            self._bus.publish(Event(type="reload", monitor=monitor))

    def _free_id(self, name: str) -> MonitorId:
        """An id that resembles the name, and that nothing was ever watched under: it would inherit its history."""
        wanted = as_slug(name) or KIND
        found, number = wanted, 1
        while MonitorId(found) in self.roster.monitors or self._table.get(MonitorId(found)) is not None:
            number += 1
            found = f"{wanted}-{number}"
        return MonitorId(found)

    def _is_configured(self, monitor: MonitorId, roster: Roster) -> bool:
        return any(spec.id == monitor for spec in roster.settings.monitors)

    def _audit(self, event: str, made: MadeMonitor, actor: str) -> AuditEntry:
        facts = {"name": made.name, "type": made.kind}
        return AuditEntry(at=self._clock.now(), actor=actor, event=event, subject=made.id, facts=facts)


def _spec(made: MadeMonitor, roster: Roster) -> MonitorSpec:
    """:raises ValueError: its options are not what its type takes; one line with each mistake."""
    kind = roster.registry.monitors[made.kind]
    try:
        options = kind.options.model_validate(made.options)
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_input=False, include_context=False)
        said = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'options'}: {item['msg']}" for item in mistakes
        )
        raise ValueError(said) from None
    return MonitorSpec(
        id=made.id, name=made.name, kind=made.kind, family=kind.family, options=options, tags=frozenset(made.tags),
    )  # fmt: skip
