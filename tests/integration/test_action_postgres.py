"""The ``postgres`` action against a real server, and against a container whose main process is called postgres."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from docker.models.containers import Container
from pydantic import SecretStr, ValidationError

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.plugin import (
    Action,
    ActionContext,
    ActionRefusedError,
    BuildContext,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
)
from defib_strategies import postgres_action
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.postgres_cluster import PASSWORD, PostgresCluster
from defib_testkit.waiting import async_wait_until

(KIND,) = postgres_action.defib_actions()

# A script named postgres: what the kernel and `docker top` call the process.
POSTMASTER = """
printf '#!/bin/sh\\ntrap "echo reloaded" HUP\\necho ready\\nwhile :; do sleep 0.1; done\\n' > /bin/postgres
chmod +x /bin/postgres
exec /bin/postgres
"""


class OwnServer(Options):
    """Options of a monitor that watches a server."""

    dsn: SecretStr


def monitor(options: Options | None = None) -> MonitorSpec:
    return MonitorSpec(
        id=MonitorId("db"),
        name="Database",
        kind="postgres",
        family=Family.DATABASE,
        options=options or Options(),
    )


def action(spec: MonitorSpec | None = None, **options: str) -> Action:
    created: Action = KIND.create(
        KIND.options.model_validate(options), spec or monitor(), BuildContext(base=Path("/"))
    )
    return created


def context(timeout_s: float = 10.0) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env={}, execute=ProcessExecutor(), clock=SystemClock()
    )


# --- through a connection ------------------------------------------------------------------------------


async def test_the_server_reads_its_configuration_again(private_postgres: PostgresCluster) -> None:
    with (private_postgres.data / "postgresql.conf").open("a") as settings:
        settings.write("log_min_duration_statement = 4711\n")
    reload = action(monitor(OwnServer(dsn=SecretStr(private_postgres.dsn))))

    result = await reload.run(context())

    assert (result.exit_status, result.output) == (0, "PostgreSQL reads its configuration again")
    await async_wait_until(
        lambda: private_postgres.execute("SHOW log_min_duration_statement") == [("4711ms",)],
        what="the new setting",
    )


async def test_a_dsn_of_its_own_wins_over_the_monitors(postgres: PostgresCluster) -> None:
    reload = action(monitor(OwnServer(dsn=SecretStr("postgresql://nobody@127.0.0.1:1/x"))), dsn=postgres.dsn)

    assert (await reload.run(context())).exit_status == 0


async def test_a_server_that_is_down_is_a_failure(private_postgres: PostgresCluster) -> None:
    private_postgres.stop()

    result = await action(dsn=private_postgres.dsn).run(context())

    assert (result.exit_status, result.timed_out) == (1, False)
    assert result.output.startswith("PostgreSQL did not reload: ")
    assert "refused" in result.output
    assert PASSWORD not in result.output


async def test_a_wrong_password_is_a_failure_that_does_not_tell_it(postgres: PostgresCluster) -> None:
    result = await action(dsn=postgres.dsn_of("postgres", password="hunter2")).run(context())

    assert result.exit_status == 1
    assert "password authentication failed" in result.output
    assert "hunter2" not in result.output


async def test_a_user_without_the_right_is_a_failure(private_postgres: PostgresCluster) -> None:
    private_postgres.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")

    result = await action(dsn=private_postgres.dsn_of("postgres", user="guest", password="guest")).run(
        context()
    )

    assert result.exit_status == 1
    assert "permission denied for function pg_reload_conf" in result.output


async def test_a_server_that_hangs_is_given_up_in_time(private_postgres: PostgresCluster) -> None:
    private_postgres.freeze()

    result = await action(dsn=private_postgres.dsn).run(context(timeout_s=0.5))

    assert (result.exit_status, result.timed_out) == (None, True)
    assert result.output == "PostgreSQL did not answer in time"


async def test_an_action_that_is_cancelled_ends_at_once() -> None:
    connected = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        running = asyncio.create_task(action(dsn=f"postgresql://u@127.0.0.1:{port}/x").run(context()))
        await connected.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


@pytest.mark.parametrize(
    ("dsn", "description"),
    [
        (
            "postgresql://app:hunter2@db:5432/app",
            "SELECT pg_reload_conf() at postgresql://app:***@db:5432/app",
        ),
        ("postgresql://app@db/app", "SELECT pg_reload_conf() at postgresql://app@db/app"),
        (
            "postgresql://app@db/app?password=hunter2",
            "SELECT pg_reload_conf() at postgresql://app@db/app?password=***",
        ),
        (
            "host=db user=app password='hunter2 \\' x' dbname=app",
            "SELECT pg_reload_conf() at host=db user=app password=*** dbname=app",
        ),
        ("postgresql://app:a@b:hunter2@db/app", "SELECT pg_reload_conf() at postgresql://app:***@db/app"),
    ],
)
def test_the_description_tells_no_password(dsn: str, description: str) -> None:
    assert action(monitor(OwnServer(dsn=SecretStr(dsn)))).description == description


def test_a_dsn_that_cannot_be_read_is_a_mistake_that_does_not_tell_it() -> None:
    with pytest.raises(ValueError, match="dsn is no connection string; write it as postgresql://") as caught:
        action(dsn="host=db password='hunter2")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_reload_promises_no_other_process(postgres: PostgresCluster) -> None:
    reload = action(dsn=postgres.dsn)
    reload.check()

    assert reload.changes_identity is False
    assert await reload.identity() is None


# --- inside a container --------------------------------------------------------------------------------


async def logs(container: Container, text: str) -> None:
    await async_wait_until(lambda: text in container.logs().decode(), what=f"the container to print {text!r}")


async def test_a_server_in_a_container_gets_a_sighup(docker_engine: DockerEngine) -> None:
    container = docker_engine.run("sh", "-c", POSTMASTER, name="db")
    await logs(container, "ready")

    result = await action(container="db", docker_host=docker_engine.base_url).run(context())

    assert (result.exit_status, result.output) == (0, "db: SIGHUP sent to postgres")
    await logs(container, "reloaded")


async def test_a_container_whose_main_process_is_another_is_left_alone(docker_engine: DockerEngine) -> None:
    container = docker_engine.run("sh", "-c", "trap 'echo hit' HUP; while :; do sleep 0.1; done", name="db")

    with pytest.raises(ActionRefusedError, match=r"main process of container db is sh, not postgres"):
        await action(container="db", docker_host=docker_engine.base_url).run(context())

    container.reload()
    assert (container.status, container.logs()) == ("running", b"")


async def test_a_container_that_has_ended_has_nothing_to_reload(docker_engine: DockerEngine) -> None:
    docker_engine.run("true", name="db").wait()

    with pytest.raises(ActionRefusedError, match="container db is exited and has nothing to reload"):
        await action(container="db", docker_host=docker_engine.base_url).run(context())


async def test_a_container_that_does_not_exist_is_refused(docker_engine: DockerEngine) -> None:
    with pytest.raises(ActionRefusedError, match="Docker has no container db"):
        await action(container="db", docker_host=docker_engine.base_url).run(context())


async def test_a_docker_that_hangs_is_given_up_in_time(docker_engine: DockerEngine) -> None:
    reload = action(container="db", docker_host=docker_engine.base_url)
    docker_engine.freeze()
    try:
        result = await reload.run(context(timeout_s=0.5))
    finally:
        docker_engine.thaw()

    assert (result.exit_status, result.timed_out) == (None, True)


async def test_a_docker_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    result = await action(container="db", docker_host=f"{tmp_path}/docker.sock").run(context())

    assert result.exit_status == 1
    assert "No such file or directory" in result.output


async def test_in_a_container_it_promises_no_other_process() -> None:
    reload = action(container="db")
    reload.check()

    assert reload.description == "docker kill --signal HUP db"
    assert reload.changes_identity is False
    assert await reload.identity() is None


# --- configuration -------------------------------------------------------------------------------------


def test_without_a_server_anywhere_it_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="monitor db has no dsn of its own; write 'dsn' or 'container' here"):
        action()


def test_a_connection_and_a_container_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="'container' and 'dsn' exclude each other; remove one"):
        action(dsn="postgresql://db/app", container="db")


def test_a_daemon_without_a_container_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="'docker_host' is for 'container'"):
        action(dsn="postgresql://db/app", docker_host="tcp://10.0.0.5:2375")


@pytest.mark.parametrize(
    "options", [{"action": "restart"}, {"container": "--all"}, {"unit": "a b"}, {"cluster": "15"}]
)
def test_wrong_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        KIND.options.model_validate(options)


def test_a_mistake_beside_a_password_does_not_tell_it() -> None:
    with pytest.raises(ValidationError) as caught:
        KIND.options.model_validate({"dsn": ["hunter2"], "action": "restart"})
    assert "hunter2" not in str(caught.value)
