"""For tests of receivers: the world of :mod:`web_world` with agents and the receivers that a test names."""

import importlib.metadata
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import web_world
from defib import registry
from defib.model.agent import AgentStatus, AgentView, Scope
from defib.model.ids import AgentId
from defib.model.settings import IngestSettings, ServerSettings
from defib.registry import Registry
from web_world import REAL_PARTS, Site, World

KEY = "let-me-in-please"


def plugins(*receivers: str) -> Registry:
    """What :func:`web_world.load_plugins` loads, agents, and these modules."""
    parts = {"world": web_world.__name__, **REAL_PARTS, "agent": "defib_plugins.agent"}
    parts |= {f"receiver-{number}": module for number, module in enumerate(receivers)}
    return registry.load(
        [importlib.metadata.EntryPoint(name, module, registry.PROJECT) for name, module in parts.items()]
    )


def make_world(folder: Path, *receivers: str, **ingest: Any) -> World:
    """A world that lets agents in by :data:`KEY`."""
    settings = IngestSettings(**{"registration_key": KEY, **ingest})
    return World(folder, plugins=plugins(*receivers), server=ServerSettings(port=0, ingest=settings))


async def new_token(site: Site, name: str = "agents", scope: Scope = Scope.INGEST) -> str:
    """The text of a fresh token."""
    _, text = await site.engine.fleet.access.make_token(name, scope, "a test")
    return text


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def view(site: Site, agent: str) -> AgentView:
    """An agent as it stands now."""
    found = site.engine.fleet.find(AgentId(agent))
    assert found is not None, f"{agent} is not registered"
    return found


def status(site: Site, agent: str) -> AgentStatus:
    return view(site, agent).status


@contextmanager
def broken_store(world: World) -> Iterator[None]:
    """No beat can be stored meanwhile."""
    _change(world, "ALTER TABLE health RENAME TO gone")
    try:
        yield
    finally:
        _change(world, "ALTER TABLE gone RENAME TO health")


def _change(world: World, statement: str) -> None:
    with closing(sqlite3.connect(world.folder / "defib.db")) as connection, connection:
        connection.execute(statement)
