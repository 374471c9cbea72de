"""Recovery through agents: a rung of Defib, the stream of a real agent, and what that allows."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from defib.model.health import State
from defib.model.monitor import Family, MonitorSpec, RecoveryMode, Rung
from defib.model.options import Options
from defib.plugin import ActionRefusedError, AgentId, BuildContext, MonitorId
from defib_agent.agent import Agent
from defib_agent.commands import TAIL_BYTES, Commands
from defib_agent.settings import load
from defib_strategies import agent_action
from defib_strategies.agent_action import AgentActionOptions
from defib_testkit.ports import free_port
from defib_testkit.waiting import async_wait_until
from monitor_kit import serving
from receiver_world import make_world, new_token, view
from web_world import Site, World

WEB = AgentId("web-1")
LONG = timedelta(seconds=20)
SH = "/bin/sh"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, "defib_plugins.agent_heartbeat_receiver", "defib_strategies.agent_action")


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


@asynccontextmanager
async def agent(site: Site, folder: Path, **given: Any) -> AsyncIterator[Agent]:
    """One that is connected, and allows what is given."""
    settings = load(
        None, {}, server_url=site.url, api_token=await new_token(site), agent_id="web-1", transport="both", interval=1,
        state_folder=str(folder / "state"), **given,
    )  # fmt: skip
    made = Agent(settings)
    work = asyncio.create_task(made.run())
    try:
        await async_wait_until(
            lambda: site.engine.fleet.find("web-1") is not None and view(site, "web-1").is_connected,
            15,
            "the agent",
        )
        yield made
    finally:
        made.stop()
        await work


async def run(site: Site, action: str, key: str = "attempt-1", timeout: timedelta = LONG) -> Any:
    return await site.engine.fleet.remote.run(WEB, action, key=key, timeout=timeout)


# --- through the ladder --------------------------------------------------------------------------------


async def test_a_target_is_mended_by_the_agent_on_its_host(world: World, tmp_path: Path) -> None:
    world.watch("shop", mode=RecoveryMode.AUTO)
    rung = Rung(
        kind="agent", options=AgentActionOptions(action="mend-shop", agent_id="web-1"), timeout=timedelta(seconds=10)
    )  # fmt: skip
    shop = world.monitors[0]
    world.monitors[0] = replace(shop, recovery=replace(shop.recovery, ladder=(rung,)))
    mend = {"mend-shop": ["/bin/rm", str(world.stage("shop"))]}

    async with world.running() as site, agent(site, tmp_path, actions=mend):
        shop_id = MonitorId("shop")
        await async_wait_until(
            lambda: site.engine.table[shop_id].state is State.UP, 20, "the shop to be well"
        )
        world.play("shop", ok=False)
        await async_wait_until(lambda: site.engine.table[shop_id].state is State.FAULT, 20, "the fault")
        await async_wait_until(lambda: site.engine.table[shop_id].state is State.UP, 30, "the repair")

    assert not world.stage("shop").exists()


async def test_an_agent_is_asked_whether_it_reaches_what_we_do_not(world: World, tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as shop:
        target = f"http://127.0.0.1:{shop.sockets[0].getsockname()[1]}/health"
        world.watch("shop", target=target, second_opinion=True)
        async with world.running() as site, agent(site, tmp_path, second_opinion=True):
            site.engine.second_opinions._hostname = "another host"  # as if the agent were on another one
            world.play("shop", ok=False, cause="timeout", says="no answer within 2s")
            await site.look("shop", times=6)

            assert site.health("shop").state is State.SUSPECT
            assert site.health("shop").reason.endswith("not reachable from here: it answers web-1 (HTTP 200)")


# --- what the agent allows -----------------------------------------------------------------------------


async def test_its_exit_status_and_the_end_of_its_output_come_back(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "defib_agent")
    script = "seq 1 5000; echo $DEFIB_AGENT_API_TOKEN; echo bad >&2; exit 3"
    async with agent(site, tmp_path, actions={"restart-web": [SH, "-c", script]}):
        result = await run(site, "restart-web")

    assert (result.exit_status, result.timed_out, len(result.output)) == (3, False, TAIL_BYTES)
    assert result.output.endswith("4999\n5000\n\nbad\n")
    assert "action 'restart-web' started for the server" in caplog.text
    assert "action 'restart-web' ended with 3" in caplog.text


async def test_nothing_runs_twice_under_one_id(site: Site, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    async with agent(site, tmp_path, actions={"mark": [SH, "-c", f"echo x >> {marks}"]}):
        await run(site, "mark")
        with pytest.raises(ActionRefusedError, match=r"^agent web-1 refuses mark: it was asked for before$"):
            await run(site, "mark")

    assert marks.read_text() == "x\n"


async def test_an_action_that_the_agent_does_not_allow_is_refused(site: Site, tmp_path: Path) -> None:
    async with agent(site, tmp_path):
        with pytest.raises(ActionRefusedError, match=r"^agent web-1 refuses reboot: the agent's settings"):
            await run(site, "reboot")


async def test_an_action_is_ended_at_its_deadline_with_its_children(site: Site, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    async with agent(site, tmp_path, actions={"hang": [SH, "-c", f"sleep 60 & echo $! > {pid}; wait"]}):
        result = await run(site, "hang", timeout=timedelta(seconds=1))

        assert (result.exit_status, result.timed_out) == (None, True)
        child = Path("/proc") / pid.read_text().strip()
        await async_wait_until(
            lambda: not child.exists() or ") Z " in (child / "stat").read_text(), 10, "its end"
        )


async def test_an_agent_that_is_not_connected_refuses(site: Site) -> None:
    with pytest.raises(ActionRefusedError, match=r"^agent web-1 is not connected; actions need one"):
        await run(site, "restart-web")


async def test_a_connection_that_ends_meanwhile_leaves_the_outcome_open(site: Site, tmp_path: Path) -> None:
    async with agent(site, tmp_path, actions={"hang": [SH, "-c", "sleep 60"]}) as running:
        asking = asyncio.create_task(run(site, "hang"))
        await asyncio.sleep(0)
        await async_wait_until(lambda: running.acting == "hang", 10, "the action to start")
    result = await asking

    assert (result.exit_status, result.timed_out) == (None, False)
    assert (
        result.output == "the connection of agent web-1 ended before hang did; its own log tells how it went"
    )


async def test_answers_that_nobody_asked_for_change_nothing(site: Site, tmp_path: Path) -> None:
    async with agent(site, tmp_path):
        site.engine.fleet.hear(WEB, "action_ended", {"id": "attempt-9", "status": "0"})
        with pytest.raises(ActionRefusedError):
            await run(site, "restart-web", key="attempt-9")


# --- the rung ------------------------------------------------------------------------------------------


def test_a_rung_names_an_action_and_never_a_command() -> None:
    with pytest.raises(ValidationError):
        AgentActionOptions(action="rm -rf /")


def test_a_rung_needs_an_agent_unless_its_monitor_watches_one(tmp_path: Path) -> None:
    [kind] = agent_action.defib_actions()
    monitor = MonitorSpec(
        id=MonitorId("shop"), name="Shop", kind="http", family=Family.AGENT, options=Options()
    )
    options = AgentActionOptions(action="restart-web")

    with pytest.raises(
        ValueError, match=r"^agent_id: which agent runs it\? This monitor watches none itself$"
    ):
        kind.create(options, monitor, BuildContext(base=tmp_path))
    made = kind.create(
        options, replace(monitor, kind="agent", id=MonitorId("web-1")), BuildContext(base=tmp_path)
    )
    assert made.description == "restart-web on agent web-1"


# --- second opinions -----------------------------------------------------------------------------------


async def opinion(target: str, kind: str = "tcp", *, allowed: bool = True) -> tuple[str, Mapping[str, Any]]:
    """What an agent says of a target."""
    said: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
    commands = Commands(load(None, {}, transport="both", second_opinion=allowed))
    commands.hear("probe_request", {"id": "q-1", "kind": kind, "target": target}, said.put)
    message = json.loads(json.dumps(await asyncio.wait_for(said.get(), 15)))
    await commands.close()
    return message["type"], {name: value for name, value in message["data"].items() if name != "took_s"}


async def test_an_agent_tells_whether_a_target_answers_from_where_it_stands() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\nsecret")

    async with serving(web) as port:
        assert await opinion(f"127.0.0.1:{port}") == (
            "probe_ack",
            {"id": "q-1", "why": "it takes connections"},
        )
        assert await opinion(f"http://127.0.0.1:{port}/x", "http") == (
            "probe_nack",
            {"id": "q-1", "why": "HTTP 503"},
        )
    assert (await opinion(f"127.0.0.1:{free_port()}"))[0] == "probe_nack"


@pytest.mark.parametrize(
    ("target", "kind"), [("/etc/passwd", "file"), ("file:///etc/passwd", "http"), ("db", "tcp")]
)
async def test_what_is_no_address_is_not_looked_at(target: str, kind: str) -> None:
    assert (await opinion(target, kind))[0] == "probe_nack"


async def test_an_agent_gives_no_second_opinions_unless_it_may() -> None:
    said = await opinion("127.0.0.1:1", allowed=False)

    assert said == (
        "probe_nack", {"id": "q-1", "is_refused": True, "why": "the agent's settings allow no second opinions"},
    )  # fmt: skip
