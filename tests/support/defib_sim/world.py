"""One company on virtual time: the real engine over targets that live by a script, and what people are told of it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

from defib.engine.engine import Engine
from defib.engine.one_pass import run_pass
from defib.engine.roster import Roster
from defib.model.alert import Alert, AlertKind
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec, RecoveryMode, RecoveryPolicy, Rung
from defib.model.route import InhibitRule, Route
from defib.model.settings import ChannelSpec, Settings
from defib.model.strategy import Strategy
from defib.model.window import Matcher, Window, WindowKind
from defib_sim.memory_store import MemoryStore
from defib_sim.modes import DOWN, WELL, Mode
from defib_sim.plugin import Notebook, NotebookOptions, RestartOptions, SimulatedOptions, load_plugins
from defib_sim.targets import Remedy, Target
from defib_sim.virtual_loop import VirtualClock, run

PLAIN = Strategy(
    name="plain", interval=timedelta(seconds=10), timeout=timedelta(seconds=2), confirm=(timedelta(seconds=1),) * 2,
    recover_confirm=timedelta(seconds=1), fail_threshold=3, recovery_threshold=2, detector="consecutive",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A monitored target and its script."""

    name: str
    script: tuple[tuple[float, Mode], ...] = ()
    host: str = ""
    tags: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    has_ladder: bool = False
    cures: bool = True  #: a restart helps


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """What is configured beside the monitors."""

    routes: tuple[Route, ...] = (Route(channels=("notebook",)),)
    inhibit: tuple[InhibitRule, ...] = ()
    ack_timeout: timedelta | None = timedelta(hours=1)
    strategy: Strategy = PLAIN

    @property
    def channels(self) -> tuple[str, ...]:
        """All that the routes name, in order."""
        steps = [step.channels for route in self.routes for step in route.escalate]
        return tuple(
            dict.fromkeys(c for group in (*(r.channels for r in self.routes), *steps) for c in group)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message: when, through which channel, what sort of alert, and its title."""

    at: float
    channel: str
    kind: str
    title: str


class World:
    """One engine; it may die and come back over the same store."""

    def __init__(self, clock: VirtualClock, actors: tuple[Actor, ...], company: Company) -> None:
        self.clock, self.store = clock, MemoryStore()
        self.notebooks = {name: Notebook() for name in company.channels}
        self.plugins = load_plugins()
        self.targets = {
            actor.name: Target(
                clock, Random(actor.name), [(0.0, WELL), *actor.script], remedy=Remedy(helps=actor.cures)
            )
            for actor in actors
        }
        self.settings = self._settings(actors, company)
        self._running: list[asyncio.Task[Any]] = []
        self.come_back()

    def _settings(self, actors: tuple[Actor, ...], company: Company) -> Settings:
        monitors = tuple(
            MonitorSpec(
                id=MonitorId(actor.name), name=actor.name.title(), kind="simulated", family=Family.SERVICE,
                options=SimulatedOptions(target=self.targets[actor.name], host=actor.host),
                tags=frozenset(actor.tags), requires=tuple(map(MonitorId, actor.requires)),
                recovery=RecoveryPolicy(
                    mode=RecoveryMode.AUTO,
                    ladder=(Rung(kind="simulated-restart",
                                 options=RestartOptions(target=self.targets[actor.name])),) if actor.has_ladder else (),
                ),
            )
            for actor in actors
        )  # fmt: skip
        return Settings(
            base=Path("/"), files=(), strategy="plain", strategies={"plain": company.strategy}, monitors=monitors,
            channels=tuple(
                ChannelSpec(name=name, kind="notebook", options=NotebookOptions(notebook=notebook))
                for name, notebook in self.notebooks.items()
            ),
            routes=company.routes, inhibit=company.inhibit, ack_timeout=company.ack_timeout,
        )  # fmt: skip

    def _engine(self) -> Engine:
        store = cast(Any, self.store)
        return Engine(self.clock, Roster(self.plugins, self.settings, {}), store, store)

    def come_back(self) -> None:
        self.engine = self._engine()
        for monitor, watched in self.engine.roster.monitors.items():
            self.engine.scheduler.add(monitor, PLAIN.interval, cast(Any, watched.plugin).host, first_in=0.0)
        self.engine.courier.start()
        self.engine.recovery.resume()
        chores = (self.engine.scheduler.run, self.engine.standing.run, self.engine.duty.run)
        self._running = [asyncio.create_task(chore()) for chore in chores]

    async def die(self) -> None:
        """As by kill -9: nothing is written any more."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.engine.recovery.drain()
        await self.engine.courier.close()
        await self.engine.prober.close()

    async def reload(self, *, without: Iterable[str] = ()) -> None:
        """Put the configuration in force once more, but for these monitors."""
        left = tuple(spec for spec in self.settings.monitors if spec.id not in set(without))
        await self.engine.reload(Roster(self.plugins, replace(self.settings, monitors=left), {}))

    async def until(self, at: float) -> None:
        await self.clock.sleep(at - self.clock.monotonic())

    def state(self, name: str) -> State:
        return self.engine.table[MonitorId(name)].state

    async def silence(self, lasting: float, *, reason: str = "deploy", **matcher: Iterable[str]) -> Window:
        """Somebody silences what ``matcher`` fits, from now on."""
        return await self._begin(WindowKind.SILENCE, lasting, reason, matcher)

    async def maintain(self, lasting: float, *, reason: str = "upgrade", **matcher: Iterable[str]) -> Window:
        return await self._begin(WindowKind.MAINTENANCE, lasting, reason, matcher)

    async def _begin(
        self, kind: WindowKind, lasting: float, reason: str, matcher: dict[str, Iterable[str]]
    ) -> Window:
        windows, until = self.engine.windows, self.clock.now() + timedelta(seconds=lasting)
        fields = {name: frozenset(values) for name, values in matcher.items()}
        made = windows.new(kind, Matcher(**cast(Any, fields)), until=until, reason=reason, actor="ana")
        return await windows.begin(made, "ana")

    async def acknowledge(self, name: str, who: str = "ana") -> None:
        incident = self.engine.table[MonitorId(name)].incident
        assert incident is not None
        await self.engine.desk.acknowledge(incident, who, "on it")

    async def withdraw(self, name: str, who: str) -> None:
        incident = self.engine.table[MonitorId(name)].incident
        assert incident is not None
        await self.engine.desk.withdraw(incident, who)

    @property
    def notebook(self) -> Notebook:
        """The only channel's."""
        [notebook] = self.notebooks.values()
        return notebook

    @property
    def timeline(self) -> list[Line]:
        """Every message, in the order of their time; the second is rounded to a tenth."""
        lines = [
            Line(at=round(at, 1), channel=channel, kind=str(alert.facts.event), title=alert.title)
            for channel, notebook in self.notebooks.items()
            for at, alert in notebook.notes
        ]
        return sorted(lines, key=lambda line: (line.at, line.channel, line.kind, line.title))

    def table(self) -> str:
        """The timeline as people read it."""
        return "\n".join(f"{x.at:>8.1f}  {x.channel:<8}  {x.kind:<13}  {x.title}" for x in self.timeline)

    def why(self, name: str) -> list[str]:
        """What the stages said of each alert about a monitor, the last verdict of each."""
        alerts = self.store.alerts(monitor=name)
        return [f"{a.facts.event}: {a.verdicts[-1].ruling}: {a.verdicts[-1].reason}" for a in alerts]

    @property
    def told(self) -> list[tuple[str, AlertKind]]:
        """Each message: who it is about (``+n`` others), and what it says."""
        return [(_who(alert), alert.facts.event) for _, alert in self.notebook.notes]

    @property
    def alerts(self) -> list[Alert]:
        return [alert for _, alert in self.notebook.notes]


class Cron(World):
    """The same without a daemon: one pass a minute, each of them a process of its own over the same store.

    Between passes nobody is there; what people do meanwhile they do as on the command line.
    """

    def come_back(self) -> None:
        self.engine = self._engine()

    async def until(self, at: float) -> None:
        """Run the passes that come by then, on the minute."""
        while (next_at := (self.clock.monotonic() // 60 + 1) * 60) <= at:
            await self.rest_until(next_at)
            await run_pass(self.engine)
        await self.rest_until(at)

    async def rest_until(self, at: float) -> None:
        """No pass runs until then."""
        await self.die()
        await super().until(at)
        self.come_back()


def _who(alert: Alert) -> str:
    more = len(alert.facts.together) - 1
    return alert.facts.monitor if more < 1 else f"{alert.facts.monitor} +{more}"


Story = Callable[[World], Coroutine[Any, Any, None]]


def play(
    story: Story, *actors: Actor, strategy: Strategy = PLAIN, company: Company | None = None,
    kind: type[World] = World,
) -> World:  # fmt: skip
    """Let the engine watch ``actors`` while ``story`` goes on."""

    async def main(clock: VirtualClock) -> World:
        world = kind(clock, actors, company or Company(strategy=strategy))
        try:
            await story(world)
        finally:
            await world.die()
        return world

    return run(main)


def swings(first: float, *, down: float, up: float, times: int) -> tuple[tuple[float, Mode], ...]:
    script: list[tuple[float, Mode]] = []
    for n in range(times):
        began = first + n * (down + up)
        script += [(began, DOWN), (began + down, WELL)]
    return tuple(script)
