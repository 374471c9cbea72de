"""A configuration that is put in force while the engine runs reaches every part of it."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, cast

from defib.engine.engine import Engine
from defib.engine.roster import Roster
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.route import Route
from defib.model.settings import ChannelSpec, Settings
from defib_sim.memory_store import MemoryStore
from defib_sim.modes import WELL
from defib_sim.plugin import Notebook, NotebookOptions, SimulatedOptions, load_plugins
from defib_sim.targets import Remedy, Target
from defib_sim.virtual_loop import VirtualClock, run
from defib_sim.world import PLAIN


def fields(part: object) -> Iterator[object]:
    """What an object holds, and what is in its collections."""
    names = {
        *getattr(part, "__dict__", ()),
        *(n for c in type(part).__mro__ for n in getattr(c, "__slots__", ())),
    }
    for name in names:
        held = getattr(part, name, None)
        yield held
        if isinstance(held, dict):
            yield from held.values()
        elif isinstance(held, list | tuple | set):
            yield from held
        elif hasattr(held, "__self__"):
            yield held.__self__


def rosters(engine: Engine) -> list[tuple[str, Roster]]:
    """The configuration that each object of the engine works by."""
    found: list[tuple[str, Roster]] = []
    seen: set[int] = set()
    waiting: list[object] = [engine]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or not type(part).__module__.startswith("defib.engine."):
            continue
        seen.add(id(part))
        for held in fields(part):
            if isinstance(held, Roster):
                found.append((type(part).__name__, held))
            else:
                waiting.append(held)
    return found


def test_no_part_goes_on_by_the_old_configuration() -> None:
    plugins = load_plugins()

    async def play(clock: VirtualClock) -> None:
        def roster() -> Roster:
            target = Target(clock, Random(1), [(0.0, WELL)], remedy=Remedy())
            shop = MonitorSpec(
                id=MonitorId("shop"), name="Shop", kind="simulated", family=Family.SERVICE,
                options=SimulatedOptions(target=target),
            )  # fmt: skip
            notebook = ChannelSpec(
                name="notebook", kind="notebook", options=NotebookOptions(notebook=Notebook())
            )
            settings = Settings(
                base=Path("/"), files=(), strategy="plain", strategies={"plain": PLAIN}, monitors=(shop,),
                channels=(notebook,), routes=(Route(channels=("notebook",)),),
            )  # fmt: skip
            return Roster(plugins, settings, {})

        store = cast(Any, MemoryStore())
        engine = Engine(clock, roster(), store, store)
        engine.courier.start()
        assert len(rosters(engine)) > 20
        new = roster()

        await engine.reload(new)

        assert [part for part, held in rosters(engine) if held is not new] == []
        await engine.wind_down()

    run(play)
