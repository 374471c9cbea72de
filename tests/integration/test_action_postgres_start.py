"""``postgres: {action: diagnose}`` and ``start``: real servers in every state, and whoever could start them."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.plugin import (
    Action,
    ActionContext,
    ActionHeldBackError,
    ActionRefusedError,
    Aimed,
    BuildContext,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
    SnapshotContext,
    Witness,
)
from defib_strategies import postgres_action, postgres_keepers
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.ports import free_port
from defib_testkit.postgres_cluster import PASSWORD, PostgresCluster
from defib_testkit.requirement import require
from defib_testkit.systemctl_double import SystemctlDouble

PATIENT = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
UNIT = "postgresql@15-main.service"
MONITOR = MonitorSpec(id=MonitorId("db"), name="DB", kind="http", family=Family.DATABASE, options=Options())
(KIND,) = postgres_action.defib_actions()


def action(step: str, dsn: str, **options: str) -> Action:
    values = {"action": step, "dsn": dsn, **options}
    made: Action = KIND.create(KIND.options.model_validate(values), MONITOR, BuildContext(base=Path("/")))
    return made


def context(timeout_s: float = 20.0, env: Mapping[str, str] | None = None) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env=env or {}, execute=ProcessExecutor(), clock=SystemClock()
    )


def nobody() -> str:
    return f"postgresql://app:{PASSWORD}@127.0.0.1:{free_port()}/app"


# --- diagnosis -----------------------------------------------------------------------------------------


async def diagnosis(dsn: str) -> tuple[int | None, str]:
    result = await action("diagnose", dsn).run(context())
    assert PASSWORD not in result.output
    return result.exit_status, result.output


async def test_a_server_that_runs_accepts_connections_whatever_the_password(
    postgres: PostgresCluster,
) -> None:
    place, pid = f"127.0.0.1:{postgres.port}", postgres.pid
    expected = (0, f"{place} - accepting connections\nlistening on port {postgres.port}: process {pid}")

    assert await diagnosis(postgres.dsn) == expected
    assert await diagnosis(postgres.dsn_of("no-such", user="nobody", password="wrong")) == expected


async def test_the_local_socket_is_asked_too(postgres: PostgresCluster) -> None:
    status, told = await diagnosis(postgres.socket_dsn)

    assert status == 0
    assert told.startswith(f"local socket:{postgres.port} - accepting connections\n")


async def test_a_server_that_is_gone_does_not_respond(private_postgres: PostgresCluster) -> None:
    private_postgres.kill()

    assert await diagnosis(private_postgres.dsn) == (
        2, f"127.0.0.1:{private_postgres.port} - no response\nlistening on port {private_postgres.port}: nobody"
    )  # fmt: skip


async def test_a_server_that_hangs_does_not_respond_and_holds_nothing_up(
    private_postgres: PostgresCluster,
) -> None:
    private_postgres.freeze()
    try:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.05)
                ticks += 1

        ticking = asyncio.create_task(tick())
        status, told = await diagnosis(private_postgres.dsn)
        ticking.cancel()
    finally:
        private_postgres.thaw()

    assert status == 2
    assert "no response" in told
    assert f"listening on port {private_postgres.port}: process {private_postgres.pid}" in told
    assert ticks > 20  # in the 2 s that it waited


async def test_a_server_that_shuts_down_rejects_connections(private_postgres: PostgresCluster) -> None:
    async with await psycopg.AsyncConnection.connect(private_postgres.dsn):
        assert private_postgres.pid is not None
        import os
        import signal

        os.kill(private_postgres.pid, signal.SIGTERM)  # smart: waits for the connection to end
        told = ""

        async def is_rejecting() -> bool:
            nonlocal told
            status, told = await diagnosis(private_postgres.dsn)
            return status == 1

        for _ in range(50):
            if await is_rejecting():
                break
        assert "rejecting connections: it is starting up, recovering or shutting down" in told

        start = action("start", private_postgres.dsn, unit="postgresql@15-main")
        with pytest.raises(ActionHeldBackError, match="the server is there and is rejecting connections"):
            await start.run(context())


async def test_something_else_that_answers_is_told(private_postgres: PostgresCluster) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        status, told = await diagnosis(f"postgresql://127.0.0.1:{port}/x")

    assert (status, told.splitlines()[0]) == (
        3, f"127.0.0.1:{port} - something that is not PostgreSQL answers there"
    )  # fmt: skip


async def test_the_diagnosis_is_evidence_too(postgres: PostgresCluster) -> None:
    for step in ("diagnose", "start"):
        witness = action(step, postgres.dsn)
        assert isinstance(witness, Witness)
        frame = SnapshotContext(timeout=timedelta(seconds=2), execute=ProcessExecutor(), clock=SystemClock())
        parts = await witness.snapshot(frame)
        assert "accepting connections" in parts["pg_isready"]


# --- start, by a unit ----------------------------------------------------------------------------------


@pytest.fixture
def units(systemctl: SystemctlDouble, monkeypatch: pytest.MonkeyPatch) -> SystemctlDouble:
    monkeypatch.setenv("PATH", str(systemctl.folder), prepend=":")
    return systemctl


def done(units: SystemctlDouble) -> list[str]:
    return [call[1] for call in units.calls if "show" not in call]


async def test_a_server_that_is_gone_is_started_by_its_unit(units: SystemctlDouble) -> None:
    units.failed(UNIT, result="start-limit-hit")
    start = action("start", nobody(), unit="postgresql@15-main")

    result = await start.run(context())

    assert result.exit_status == 0
    assert done(units) == ["reset-failed", "start"]
    assert units.unit(UNIT)["ActiveState"] == "active"
    assert start.description == f"systemctl --no-ask-password start -- {UNIT}; only if its process is gone"
    assert start.changes_identity


async def test_one_that_works_is_not_started(postgres: PostgresCluster, units: SystemctlDouble) -> None:
    units.failed(UNIT)

    with pytest.raises(ActionHeldBackError, match="accepts connections, so there is nothing to start"):
        await action("start", postgres.dsn, unit="postgresql@15-main").run(context())
    assert done(units) == []


async def test_one_that_hangs_is_left_to_a_person(
    private_postgres: PostgresCluster, units: SystemctlDouble
) -> None:
    units.running(UNIT)
    private_postgres.freeze()
    try:
        with pytest.raises(ActionRefusedError) as caught:
            await action("start", private_postgres.dsn, unit="postgresql@15-main").run(context())
    finally:
        private_postgres.thaw()

    assert str(caught.value) == (
        f"the server's process is there but does not answer ({UNIT} is active (running)); Defib never stops a "
        "database: a person has to look"
    )
    assert done(units) == []


async def test_where_another_process_listens_nothing_is_started(
    private_postgres: PostgresCluster, units: SystemctlDouble
) -> None:
    units.stopped(UNIT)
    private_postgres.freeze()
    try:
        with pytest.raises(
            ActionRefusedError, match=f"another process listens on port {private_postgres.port}, though"
        ):
            await action("start", private_postgres.dsn, unit="postgresql@15-main").run(context())
    finally:
        private_postgres.thaw()
    assert done(units) == []


# --- start, by a container -----------------------------------------------------------------------------


async def test_a_container_that_has_ended_is_started(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="db")
    container.kill()
    container.wait()
    start = action("start", nobody(), container="db", docker_host=docker_engine.base_url)
    before = await start.identity()

    result = await start.run(context())

    container.reload()
    assert (result.exit_status, result.output, container.status) == (0, "db: start done", "running")
    assert await start.identity() != before


async def test_a_container_that_runs_is_never_stopped(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="db")
    started = container.attrs["State"]["StartedAt"]

    with pytest.raises(
        ActionRefusedError, match=r"does not answer \(db is running\); Defib never stops a database"
    ):
        await action("start", nobody(), container="db", docker_host=docker_engine.base_url).run(context())
    container.reload()
    assert container.status == "running"
    assert started in ("0001-01-01T00:00:00Z", container.attrs["State"]["StartedAt"])


# --- start, by a cluster of Debian's -------------------------------------------------------------------


@pytest.fixture
def cluster(kit_tmp: Path) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Version, port and environment of a real cluster with settings of its own, stopped."""
    if shutil.which("pg_createcluster") is None or not Path("/usr/lib/postgresql").is_dir():
        require("pg_createcluster", "apt install postgresql-common and a PostgreSQL server")
    version = max(path.name for path in Path("/usr/lib/postgresql").iterdir())
    root = kit_tmp
    root.chmod(0o755)  # the server's user looks there
    port = free_port()
    env = {"PG_CLUSTER_CONF_ROOT": str(root / "conf"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    for folder in ("conf", "run", "log"):
        (root / folder).mkdir()
        (root / folder).chmod(0o777)
    made = subprocess.run(
        ["pg_createcluster", version, "kit", "--datadir", f"{root}/data", "--port", str(port), "--socketdir",
         f"{root}/run", "--logfile", f"{root}/log/pg.log", "--start-conf", "manual", "--", "-A", "trust"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        require("a cluster of postgresql-common", f"pg_createcluster said: {made.stderr.strip()[-300:]}")
    yield version, port, env
    subprocess.run(["pg_dropcluster", "--stop", version, "kit"], env=env, capture_output=True, check=False)


async def test_a_cluster_is_started_and_one_that_runs_is_left_alone(
    cluster: tuple[str, int, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    version, port, env = cluster
    dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    start = action("start", dsn, cluster=f"{version}/kit")
    assert await diagnosis(dsn) == (2, f"127.0.0.1:{port} - no response\nlistening on port {port}: nobody")

    result = await start.run(context(env=env))

    assert result.exit_status == 0, result.output
    assert (await diagnosis(dsn))[0] == 0
    with pytest.raises(ActionHeldBackError, match="accepts connections"):
        await start.run(context(env=env))


async def test_the_cluster_on_the_servers_port_is_found_by_itself(
    cluster: tuple[str, int, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    version, port, env = cluster
    monkeypatch.setattr(postgres_keepers, "CLUSTER_FOLDER", Path(env["PG_CLUSTER_CONF_ROOT"]))
    monkeypatch.setattr(postgres_keepers, "SYSTEMD_FOLDER", tmp_path / "none")
    start = action("start", f"postgresql://postgres@localhost:{port}/postgres")
    assert isinstance(start, Aimed)
    assert await start.aim() == f"cluster {version}/kit"

    assert (await start.run(context(env=env))).exit_status == 0


# --- finding out what starts it ------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of clusters' settings, and no Docker."""
    monkeypatch.setattr(postgres_keepers, "CLUSTER_FOLDER", tmp_path / "etc")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    return tmp_path / "etc"


def write_cluster(settings: Path, name: str, port: int) -> None:
    folder = settings / "15" / name
    folder.mkdir(parents=True)
    (folder / "postgresql.conf").write_text(f"# port = 1\nport = {port}\t# (change requires restart)\n")


async def aimed(step: Action) -> str:
    assert isinstance(step, Aimed)
    return await step.aim()


async def test_under_systemd_it_is_the_clusters_unit(
    settings: Path, units: SystemctlDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres_keepers, "SYSTEMD_FOLDER", tmp_path)
    write_cluster(settings, "main", 54321)
    units.failed(UNIT)

    assert await aimed(action("start", "postgresql://127.0.0.1:54321/app")) == UNIT


async def test_a_container_that_publishes_the_port_is_found(
    docker_engine: DockerEngine, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.base_url)
    docker_engine.run(*PATIENT, name="other")
    container = docker_engine.run(*PATIENT, name="db", publish=5432)
    port = docker_engine.address_of(container, 5432).rpartition(":")[2]
    container.kill()
    container.wait()
    start = action("start", f"postgresql://127.0.0.1:{port}/app")

    assert await aimed(start) == "db"
    assert (await start.run(context())).output == "db: start done"


@pytest.mark.parametrize(
    ("clusters", "dsn", "message"),
    [
        (
            {},
            "postgresql://127.0.0.1:54321/app",
            "is not clear (neither a cluster nor a container is set to it)",
        ),
        (
            {"main": 5432},
            "postgresql://127.0.0.1:54321/app",
            "is not clear (neither a cluster nor a container",
        ),
        (
            {"main": 54321, "other": 54321},
            "postgresql://127.0.0.1:54321/app",
            "is not clear (pg_ctlcluster 15 main start, pg_ctlcluster 15 other start is set to it)",
        ),
        ({"main": 54321}, "postgresql://192.0.2.7:54321/app", "is not on this machine"),
    ],
)
async def test_what_is_not_exactly_one_is_refused_with_a_way_out(
    settings: Path,
    clusters: dict[str, int],
    dsn: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(postgres_keepers, "SYSTEMD_FOLDER", tmp_path / "none")
    for name, port in clusters.items():
        write_cluster(settings, name, port)
    start = action("start", dsn)

    for question in (aimed(start), start.run(context())):
        with pytest.raises(ActionRefusedError) as caught:
            await question
        assert message in str(caught.value)
        assert str(caught.value).endswith(
            "; write 'unit: NAME', 'cluster: 15/main' or 'container: NAME' at the postgres rung"
        )


# --- configuration -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"action": "start", "unit": "a", "cluster": "15/main"}, "'unit' and 'cluster' exclude each other"),
        ({"action": "start", "unit": "a", "container": "b"}, "'container' and 'unit' exclude each other"),
        ({"action": "reload", "unit": "a"}, "'unit' is for 'action: start'; remove it"),
        ({"action": "diagnose", "cluster": "15/main"}, "'cluster' is for 'action: start'; remove it"),
        ({"action": "start", "docker_host": "/x"}, "'docker_host' is for 'container'"),
    ],
)
def test_options_that_do_not_go_together_are_mistakes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        action(dsn="postgresql://127.0.0.1/x", step=options.pop("action"), **options)


@pytest.mark.parametrize(
    "cluster", ["15", "15/", "/main", "15/../x", "15/a b", "-15/main", "15/-main", "15/main\n"]
)
def test_what_names_no_cluster_is_refused(cluster: str) -> None:
    with pytest.raises(ValueError, match="cluster"):
        action("start", "postgresql://127.0.0.1/x", cluster=cluster)
