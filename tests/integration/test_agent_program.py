"""The standalone agent against our own receivers, over every way it has, with the real engine behind them."""

import asyncio
import contextlib
import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import defib_agent
from defib.model.agent import AgentStatus, Scope
from defib.model.health import State
from defib.model.settings import IngestSettings, ServerSettings
from defib_agent.agent import Agent
from defib_agent.errors import RejectedError, UnauthorizedError, UnavailableError
from defib_agent.settings import Settings, load
from defib_testkit.ports import free_port
from defib_testkit.waiting import async_wait_until
from receiver_world import KEY, bearer, broken_store, make_world, new_token, plugins, status, view
from web_world import Site, World

RECEIVERS = (
    "defib_plugins.agent_heartbeat_receiver",
    "defib_plugins.daemon_receiver",
    "defib_plugins.host_agent_receiver",
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path, *RECEIVERS)
    made.server = replace(made.server, unix_socket=tmp_path / "defib.sock")
    return made


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@pytest.fixture
async def token(site: Site) -> str:
    return await new_token(site)


def settings(site: Site | str, tmp_path: Path, **given: Any) -> Settings:
    """Of an agent that is in a hurry."""
    url = site if isinstance(site, str) else site.url
    quick: dict[str, Any] = {"server_url": url, "interval": 0.2, "timeout": 2, "state_folder": str(tmp_path / "state")}
    return load(None, {}, **{**quick, **given})


@contextlib.asynccontextmanager
async def running(agent: Agent) -> AsyncIterator[Agent]:
    """It beats meanwhile, and says goodbye at the end."""
    work = asyncio.create_task(agent.run())
    try:
        yield agent
    finally:
        agent.stop()
        await work


async def until(condition: Callable[[], object], what: str, timeout: float = 15.0) -> None:
    await async_wait_until(lambda: bool(condition()), timeout, what)


# --- every way -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["http", "websocket", "both"])
async def test_an_agent_is_seen_with_all_it_tells_and_stops_on_purpose(
    site: Site, token: str, tmp_path: Path, transport: str
) -> None:
    agent = Agent(settings(site, tmp_path, agent_id="web-1", api_token=token, transport=transport, tags="web,london"))

    async with running(agent):
        with defib_agent.task("import", workspace="orders"):
            await until(lambda: agent.status.delivered >= 3, "three beats")
            await until(lambda: view(site, "web-1").live is not None, "its report")
            seen = view(site, "web-1")
        assert seen.status is AgentStatus.ONLINE
        assert seen.is_connected is (transport != "http")
        assert seen.live is not None
        assert {"cpu_percent", "memory_percent", "processes", "uptime_s", "net_in_bytes_per_s", "load1"} <= set(
            seen.live.report.metrics
        )
        assert "/" in seen.live.report.disks
        assert [(task.kind, task.workspace) for task in seen.live.report.tasks] == [("import", "orders")]
        assert seen.live.report.epoch
        assert (seen.agent.tags, seen.agent.every.total_seconds()) == (("web", "london"), 0.2)  # type: ignore[union-attr]
        assert {"cpu_cores", "kernel", "mem_total_bytes"} <= set(seen.agent.facts)

    await until(lambda: status(site, "web-1") is AgentStatus.STOPPED, "a planned stop")
    assert site.engine.table[view(site, "web-1").agent.monitor].state is State.STOPPED


async def test_an_agent_of_the_host_protocol_registers_by_key_and_tells_what_its_host_is(
    site: Site, tmp_path: Path
) -> None:
    given = {"protocol": "host-agent", "api_token": KEY, "agent_name": "db-1"}
    async with running(Agent(settings(site, tmp_path, **given))) as agent:
        await until(lambda: agent.status.delivered >= 2 and agent.status.agent_id, "two beats")

        seen = view(site, agent.status.agent_id)
        assert (seen.agent.name, seen.agent.protocol, seen.status) == ("db-1", "host-agent", AgentStatus.ONLINE)
        assert {"cpu_cores", "kernel", "mem_total_bytes"} <= set(seen.agent.facts)
        assert seen.live is not None
        assert seen.live.report.metrics["memory_total_bytes"] > 0

    async with running(Agent(settings(site, tmp_path, **given))) as again:
        await until(lambda: again.status.delivered >= 1 and again.status.agent_id, "a beat")

    assert again.status.agent_id == agent.status.agent_id


async def test_an_agent_of_the_host_protocol_streams_its_reports(site: Site, tmp_path: Path) -> None:
    given = {"protocol": "host-agent", "transport": "websocket", "api_token": KEY, "agent_name": "db-1"}
    async with running(Agent(settings(site, tmp_path, **given))) as agent:
        await until(lambda: agent.status.delivered >= 3 and agent.status.agent_id, "three beats")
        await until(lambda: view(site, agent.status.agent_id).live is not None, "its report")

        assert view(site, agent.status.agent_id).is_connected


async def test_an_agent_on_this_machine_beats_into_the_socket(site: Site, tmp_path: Path) -> None:
    given = {"protocol": "daemon", "agent_id": "importer", "socket_path": str(tmp_path / "defib.sock")}
    async with running(Agent(settings(site, tmp_path, **given))) as agent:
        await until(lambda: agent.status.delivered >= 3, "three beats")
        await until(lambda: site.engine.fleet.find("importer"), "it to be known")
        await until(lambda: view(site, "importer").live is not None, "its report")

        seen = view(site, "importer")
        assert (seen.status, seen.is_connected) == (AgentStatus.ONLINE, True)
        assert seen.live is not None
        assert seen.live.report.metrics["process_memory_bytes"] > 1_000_000

    await until(lambda: status(site, "importer") is AgentStatus.STOPPED, "a planned stop")


async def test_the_daemon_protocol_travels_over_http_too(site: Site, tmp_path: Path, token: str) -> None:
    given = {"protocol": "daemon", "transport": "http", "agent_id": "importer", "api_token": token}
    async with running(Agent(settings(site, tmp_path, **given))) as agent:
        await until(lambda: agent.status.delivered >= 2, "two beats")
        await until(lambda: status(site, "importer") is AgentStatus.ONLINE, "it to be online")

    await until(lambda: status(site, "importer") is AgentStatus.STOPPED, "a planned stop")
