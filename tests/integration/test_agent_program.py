"""The standalone agent against our own receivers, over every way it has, with the real engine behind them."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import defib_agent
from defib.model.agent import AgentStatus
from defib.model.health import State
from defib.model.ids import AgentId
from defib_agent import courier
from defib_agent.agent import Agent
from defib_agent.errors import SettingsError, UnauthorizedError
from defib_agent.settings import Settings, load
from defib_testkit.certificate import Certificate, make_certificate
from defib_testkit.ports import free_port
from defib_testkit.waiting import async_wait_until
from receiver_world import KEY, broken_store, make_world, new_token, status, view
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
    quick: dict[str, Any] = {
        "server_url": url,
        "interval": 0.2,
        "timeout": 2,
        "state_folder": str(tmp_path / "state"),
    }
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
    agent = Agent(
        settings(site, tmp_path, agent_id="web-1", api_token=token, transport=transport, tags="web,london")
    )

    async with running(agent):
        with defib_agent.task("import", workspace="orders"):
            await until(lambda: agent.status.delivered >= 3, "three beats")
            await until(lambda: view(site, "web-1").live is not None, "its report")
            seen = view(site, "web-1")
        assert seen.status is AgentStatus.ONLINE
        assert seen.is_connected is (transport != "http")
        assert seen.live is not None
        assert {
            "cpu_percent",
            "memory_percent",
            "processes",
            "uptime_s",
            "net_in_bytes_per_s",
            "load1",
        } <= set(seen.live.report.metrics)
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
        assert (seen.agent.name, seen.agent.protocol, seen.status) == (
            "db-1",
            "host-agent",
            AgentStatus.ONLINE,
        )
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


# --- trouble -------------------------------------------------------------------------------------------


async def test_beats_wait_while_the_server_is_away_and_come_with_their_age(
    world: World, tmp_path: Path
) -> None:
    port = free_port()
    world.server = replace(world.server, port=port)
    heard: list[tuple[int, float]] = []
    agent = Agent(
        settings(
            f"http://127.0.0.1:{port}",
            tmp_path,
            agent_id="web-1",
            api_token=KEY,
            buffer_size=6,
            run_as_service=True,
        ),
        on_success=lambda beat: heard.append((beat.seq, asyncio.get_running_loop().time() - beat.made_at)),
    )

    async with running(agent):
        await until(lambda: agent.status.lost >= 4, "the buffer to run over")
        assert agent.status.is_well is False
        assert agent.status.error == f"http://127.0.0.1:{port}: nobody listens there"
        async with world.running() as site:
            await until(lambda: len(heard) >= 12, "the beats that waited")
            await until(lambda: agent.status.is_well and agent.status.waiting <= 1, "the present")
            assert status(site, "web-1") is AgentStatus.ONLINE
            assert view(site, "web-1").live is not None
            assert view(site, "web-1").live.report.facts["beats_lost"] == agent.status.lost  # type: ignore[union-attr]
            agent.stop()
            await until(lambda: status(site, "web-1") is AgentStatus.STOPPED, "a planned stop")

    numbers = [seq for seq, _ in heard]
    assert numbers == sorted(numbers)
    assert numbers[0] > 4
    assert heard[0][1] > 0.5


async def test_a_beat_that_cannot_be_stored_is_sent_again(site: Site, token: str, tmp_path: Path) -> None:
    agent = Agent(
        settings(site, tmp_path, agent_id="web-1", api_token=token, transport="websocket", interval=1)
    )
    async with running(agent):
        await until(lambda: agent.status.delivered >= 1, "a beat")
        with broken_store(site.world):
            await until(lambda: agent.status.is_well is False, "a refusal")
            assert agent.status.error == "the server answered: it cannot be stored now; try again"
        await until(lambda: agent.status.is_well, "it to be taken")

    assert agent.status.lost == 0


@pytest.mark.parametrize("transport", ["http", "websocket"])
async def test_an_agent_that_was_removed_registers_again(site: Site, tmp_path: Path, transport: str) -> None:
    async with running(
        Agent(settings(site, tmp_path, agent_id="web-1", api_token=KEY, transport=transport))
    ) as agent:
        await until(lambda: agent.status.delivered >= 2, "two beats")
        await site.engine.fleet.remove(view(site, "web-1").agent.id, "a test")

        await until(lambda: site.engine.fleet.find("web-1"), "it to register again")
        await until(lambda: status(site, "web-1") is AgentStatus.ONLINE, "it to be online")


@pytest.mark.parametrize("protocol", ["agent", "host-agent"])
async def test_an_agent_that_is_kept_out_says_so_and_goes_on_when_it_is_let_in(
    site: Site, tmp_path: Path, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "UNAUTHORIZED_PATIENCE_S", 0.5)
    agent = Agent(settings(site, tmp_path, api_token=KEY, protocol=protocol, interval=1))
    async with running(agent):
        await until(lambda: agent.status.delivered >= 1, "a beat")
        name = agent.status.agent_id
        await site.engine.fleet.access.revoke_token(f"agent {name}", "a test")

        await until(
            lambda: "this agent is kept out until an operator lets it in" in agent.status.error, "a word"
        )
        assert "the server answered 403" in agent.status.error
        delivered = agent.status.delivered
        assert len(site.engine.fleet.agents()) == 1
        await site.engine.fleet.access.let_in(AgentId(name), "a test")
        await until(lambda: agent.status.delivered > delivered, "it to be taken again")

    assert agent.status.agent_id == name
    assert len(site.engine.fleet.agents()) == 1


async def test_a_token_that_never_counted_ends_the_agent_unless_it_is_a_service(
    site: Site, tmp_path: Path
) -> None:
    wrong = settings(site, tmp_path, agent_id="web-1", api_token="no such token")

    with pytest.raises(UnauthorizedError, match=r"^the server does not accept the token$"):
        await Agent(wrong).run()

    async with running(Agent(replace(wrong, run_as_service=True))) as service:
        await until(lambda: service.status.is_well is False, "a refusal")
        assert service.status.error == "the server does not accept the token"


async def test_the_token_it_is_given_is_kept_for_its_own_user_alone(site: Site, tmp_path: Path) -> None:
    async with running(Agent(settings(site, tmp_path, api_token=KEY))) as agent:
        await until(lambda: agent.status.delivered, "a beat")

    kept = tmp_path / "state" / "identity.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    said = json.loads(kept.read_text())
    assert said["agent_id"] == agent.status.agent_id
    assert said["token"].startswith("vmoi_")

    async with running(Agent(settings(site, tmp_path))) as again:  # the key is needed no more
        await until(lambda: again.status.delivered, "a beat")
    assert again.status.agent_id == agent.status.agent_id


async def test_a_disk_that_is_full_costs_only_the_memory_of_the_token(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / f".identity.json.{os.getpid()}").symlink_to("/dev/full")

    async with running(Agent(settings(site, tmp_path, agent_id="web-1", api_token=KEY))) as agent:
        await until(lambda: agent.status.delivered >= 2, "two beats")

    assert "cannot be kept in" in caplog.text
    assert "No space left on device" in caplog.text
    assert not (tmp_path / "state" / "identity.json").exists()


@contextlib.asynccontextmanager
async def deaf() -> AsyncIterator[str]:
    """A server that takes connections and answers nothing."""
    connections: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in connections:
            writer.close()


async def test_a_stop_in_the_middle_of_a_delivery_waits_for_nobody_longer_than_its_goodbye(
    tmp_path: Path,
) -> None:
    async with deaf() as url:
        agent = Agent(settings(url, tmp_path, agent_id="web-1", api_token="t", timeout=60))
        work = asyncio.create_task(agent.run())
        await until(lambda: agent.status.sample.metrics, "it to look")
        began = asyncio.get_running_loop().time()
        agent.stop()
        await work

    assert asyncio.get_running_loop().time() - began < 7


# --- as a program --------------------------------------------------------------------------------------


async def program(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "defib_agent", *arguments, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environ},
    )  # fmt: skip


async def test_the_program_reads_its_file_and_says_goodbye_when_it_is_terminated(
    site: Site, token: str, tmp_path: Path
) -> None:
    config = tmp_path / "agent.yaml"
    config.write_text(
        f"server_url: {site.url}\nagent_id: web-1\ntags: [web]\ninterval: 5s\nprotocol: A\ntransport: both\n"
    )
    process = await program(
        "--config", str(config), DEFIB_AGENT_API_TOKEN=token, STATE_DIRECTORY=str(tmp_path / "state")
    )
    await until(
        lambda: site.engine.fleet.find("web-1") and status(site, "web-1") is AgentStatus.ONLINE, "a beat"
    )
    process.send_signal(signal.SIGTERM)
    _, said = await asyncio.wait_for(process.communicate(), 15)

    assert (process.returncode, token in said.decode()) == (0, False)
    assert status(site, "web-1") is AgentStatus.STOPPED


async def test_once_sends_one_beat_for_cron(site: Site, token: str, tmp_path: Path) -> None:
    process = await program(
        "--once", "--server-url", site.url, "--agent-id", "web-1", "--state-folder", str(tmp_path / "state"),
        DEFIB_AGENT_API_TOKEN=token,
    )  # fmt: skip
    await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 0
    seen = view(site, "web-1")
    assert seen.status is AgentStatus.ONLINE
    assert seen.live is not None
    assert (seen.live.report.seq, seen.live.report.epoch) == (None, None)
    assert "cpu_percent" in seen.live.report.metrics


async def test_once_tries_three_times_and_tells_why_it_failed(tmp_path: Path) -> None:
    port = free_port()
    process = await program(
        "--once", "--server-url", f"http://127.0.0.1:{port}", "--interval", "5s", "--agent-id", "web-1",
        "--state-folder", str(tmp_path),
    )  # fmt: skip
    _, said = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 1
    assert said.decode().splitlines()[-1] == f"defib-agent: http://127.0.0.1:{port}: nobody listens there"


async def test_a_wrong_setting_ends_it_with_2(tmp_path: Path) -> None:
    process = await program("--protocol", "daemon")
    _, said = await process.communicate()

    assert process.returncode == 2
    assert said.decode() == (
        "defib-agent: socket_path: the transport unix needs it: what 'server.unix_socket' of Defib says\n"
    )


async def test_systemd_is_told_when_it_runs_and_that_it_still_does(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        process = await program(
            "--server-url", f"http://127.0.0.1:{free_port()}", "--agent-id", "web-1", "--state-folder", str(tmp_path),
            NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000",
        )  # fmt: skip
        said: list[str] = []
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(15):
            while said.count("WATCHDOG=1") < 3 or "READY=1" not in said:
                said.append((await loop.sock_recv(manager, 4096)).decode())
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 15)

    assert process.returncode == 0


async def test_defib_agent_is_the_same_program_with_all_its_options(tmp_path: Path) -> None:
    config = tmp_path / "agent.yaml"
    config.write_text("protocol: smoke\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "defib.cli.main", "agent", "--config", str(config), "--once",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 2
    assert said.decode() == "defib-agent: protocol: 'smoke' must be one of agent, daemon, host-agent\n"


# --- in a program of one's own -------------------------------------------------------------------------


async def test_a_program_beats_from_a_thread_and_its_crash_is_no_planned_stop(
    site: Site, token: str, tmp_path: Path
) -> None:
    given = {
        "server_url": site.url,
        "api_token": token,
        "interval": 0.2,
        "state_folder": str(tmp_path / "state"),
    }

    def works() -> None:
        with defib_agent.beating(**given, agent_id="importer") as beats:
            beats.wait_until_delivered(10)

    def crashes() -> None:
        with defib_agent.beating(**{**given, "interval": 30}, agent_id="exporter") as beats:
            beats.wait_until_delivered(10)
            raise LookupError("the password is hunter2")

    await asyncio.to_thread(works)
    with pytest.raises(LookupError):
        await asyncio.to_thread(crashes)

    assert status(site, "importer") is AgentStatus.STOPPED
    found = site.engine.table[view(site, "exporter").agent.monitor]
    assert (found.state, found.reason) == (State.FAULT, "ended by LookupError")


async def test_callbacks_are_told_of_each_delivery_and_each_failure(tmp_path: Path) -> None:
    failures: list[tuple[int, str]] = []
    port = free_port()
    agent = Agent(
        settings(f"http://127.0.0.1:{port}", tmp_path, agent_id="web-1"),
        on_failure=lambda beat, error: failures.append((beat.seq, str(error))),
    )
    async with running(agent):
        await until(lambda: len(failures) >= 2, "two tries")

    assert failures[:2] == [(1, f"http://127.0.0.1:{port}: nobody listens there")] * 2


# --- encrypted -----------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def behind_tls(site: Site, certificate: Certificate) -> AsyncIterator[str]:
    """The server as a reverse proxy shows it."""
    port = int(site.url.rpartition(":")[2])

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, behind[1]), pipe(behind[0], writer))

    async with await asyncio.start_server(proxy, "127.0.0.1", 0, ssl=certificate.server_context()) as server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


async def test_it_trusts_the_certificate_that_it_is_given_and_no_other(
    site: Site, token: str, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path / "tls")
    given = {"agent_id": "web-1", "api_token": token, "transport": "both"}
    async with behind_tls(site, certificate) as url:
        async with running(Agent(settings(url, tmp_path, **given))) as stranger:
            await until(lambda: stranger.status.error, "a refusal")
            assert stranger.status.error.startswith(f"{url}: no trusted connection: ")
        async with running(Agent(settings(url, tmp_path, **given, ca_file=str(certificate.cert)))) as agent:
            await until(lambda: agent.status.delivered >= 2, "two beats")
            await until(lambda: view(site, "web-1").is_connected, "its WebSocket")


async def test_certificates_that_cannot_be_read_are_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"^ca_file: /nowhere/ca\.pem cannot be used: No such file or directory$"
    ):
        Agent(settings("https://localhost:1", tmp_path, ca_file="/nowhere/ca.pem"))
