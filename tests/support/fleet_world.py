"""The fleet on virtual time: a real engine over a store in memory, which listens for beats and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, cast

from defib import registry
from defib.engine.agents.fleet import Fleet
from defib.engine.engine import Engine
from defib.engine.roster import Roster
from defib.model.agent import AgentReport, AgentStatus
from defib.model.ids import AgentId, MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.settings import IngestSettings, ServerSettings, Settings
from defib_sim.memory_store import MemoryStore
from defib_sim.plugin import REAL_PARTS
from defib_sim.virtual_loop import VirtualClock, run

KEY = "let-me-in-please"


def roster(ingest: IngestSettings, **monitors: dict[str, Any]) -> Roster:
    parts = {**REAL_PARTS, "agent": "defib_plugins.agent"}
    found = registry.load([EntryPoint(name, module, registry.PROJECT) for name, module in parts.items()])
    kind = found.monitors["agent"]
    specs = tuple(
        MonitorSpec(
            id=MonitorId(name),
            name=name,
            kind="agent",
            family=Family.AGENT,
            options=kind.options.model_validate(keys),
        )
        for name, keys in monitors.items()
    )
    strategies = {item.name: item for item in found.strategies.items.values()}
    return Roster(
        found,
        Settings(
            base=Path("/"),
            files=(),
            strategies=strategies,
            monitors=specs,
            server=ServerSettings(ingest=ingest),
        ),
        {},
    )


class World:
    """An engine that listens."""

    def __init__(
        self, clock: VirtualClock, store: MemoryStore, ingest: IngestSettings, **monitors: Any
    ) -> None:
        self.clock = clock
        self.engine = Engine(clock, roster(ingest, **monitors), cast(Any, store), cast(Any, store))
        self.fleet: Fleet = self.engine.fleet
        self._running: list[asyncio.Task[None]] = []

    def listen(self) -> None:
        self.engine.silences.start()
        self._running = [asyncio.create_task(self.engine.silences.run())]

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.engine.wind_down()

    async def beat(self, agent: AgentId, **report: Any) -> None:
        await self.fleet.report(agent, AgentReport(**report))

    def status(self, agent: AgentId) -> AgentStatus:
        view = self.fleet.find(agent)
        assert view is not None
        return view.status


def in_world(
    play: Callable[[World], Awaitable[None]],
    ingest: IngestSettings | None = None,
    store: MemoryStore | None = None,
    **monitors: Any,
) -> None:
    async def scene(clock: VirtualClock) -> None:
        world = World(
            clock, store or MemoryStore(), ingest or IngestSettings(registration_key=KEY), **monitors
        )
        world.listen()
        try:
            await play(world)
        finally:
            await world.close()

    run(scene)
