"""The ``docker`` action against a real Docker daemon."""

import asyncio
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from docker.models.containers import Container
from pydantic import ValidationError

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
from defib_strategies import docker_action, docker_target
from defib_testkit.docker_engine import DockerEngine

STUBBORN = ("sh", "-c", "trap '' TERM; while :; do sleep 1; done")
PATIENT = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
(KIND,) = docker_action.defib_actions()


class OwnContainer(Options):
    """Options of a monitor that watches a container."""

    container: str
    docker_host: str | None = None


def monitor(options: Options | None = None) -> MonitorSpec:
    return MonitorSpec(
        id=MonitorId("gateway"),
        name="Gateway",
        kind="docker",
        family=Family.DOCKER,
        options=options or Options(),
    )


def action(host: str | None, container: str | None = "gateway", step: str = "restart") -> Action:
    given = {"action": step, "container": container, "docker_host": host}
    created: Action = KIND.create(KIND.options.model_validate(given), monitor(), BuildContext(base=Path("/")))
    return created


def context(timeout_s: float = 30.0) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env={}, execute=ProcessExecutor(), clock=SystemClock()
    )


def started_at(container: Container) -> str:
    container.reload()
    started: str = container.attrs["State"]["StartedAt"]
    return started


# --- what it does --------------------------------------------------------------------------------------


async def test_a_restart_starts_the_container_anew(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    before = started_at(container)
    restart = action(docker_engine.base_url)
    first = await restart.identity()

    result = await restart.run(context())

    assert (result.exit_status, result.output, result.timed_out) == (0, "gateway: restart done", False)
    assert started_at(container) != before
    assert container.status == "running"
    assert first == f"{container.id} {before}"
    assert await restart.identity() == f"{container.id} {started_at(container)}"


@pytest.mark.parametrize("step", ["restart", "start", "kill-start"])
async def test_a_container_that_has_ended_runs_again(docker_engine: DockerEngine, step: str) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    container.kill()
    container.wait()

    result = await action(docker_engine.base_url, step=step).run(context())

    container.reload()
    assert (result.exit_status, container.status) == (0, "running")


async def test_kill_and_start_does_not_wait_for_a_container_that_ignores_the_request_to_stop(
    docker_engine: DockerEngine,
) -> None:
    container = docker_engine.run(*STUBBORN, name="gateway")
    before, began = started_at(container), time.monotonic()

    result = await action(docker_engine.base_url, step="kill-start").run(context())

    assert result.exit_status == 0
    assert time.monotonic() - began < 8
    assert started_at(container) != before


async def test_starting_a_running_container_changes_nothing(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    before = started_at(container)

    assert (await action(docker_engine.base_url, step="start").run(context())).exit_status == 0
    assert started_at(container) == before


@pytest.mark.parametrize("length", [64, 12])
async def test_a_container_can_be_named_by_its_id(docker_engine: DockerEngine, length: int) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    assert container.id is not None

    result = await action(docker_engine.base_url, container.id[:length], "start").run(context())

    assert result.output == "gateway: start done"


async def test_what_docker_refuses_is_a_failure_with_its_words(docker_engine: DockerEngine) -> None:
    docker_engine.client.containers.create("defib-test-kit/busybox:1", ["/no/such/program"], name="gateway")

    result = await action(docker_engine.base_url).run(context())

    assert (result.exit_status, result.timed_out) == (1, False)
    assert result.output.startswith("Docker refused: ")
    assert "/no/such/program" in result.output


# --- which container -----------------------------------------------------------------------------------


async def refused(engine: DockerEngine, container: str) -> str:
    ready = action(engine.base_url, container)
    with pytest.raises(ActionRefusedError) as caught:
        await ready.run(context())
    assert await ready.identity() is None
    return str(caught.value)


async def test_a_name_that_no_container_has_is_refused(docker_engine: DockerEngine) -> None:
    docker_engine.run(*PATIENT, name="gateway-2")

    assert await refused(docker_engine, "gateway") == (
        "Docker has no container gateway; correct 'container'; 'docker ps --all' shows the names"
    )


async def test_the_beginning_of_an_id_is_refused(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    assert container.id is not None
    before = started_at(container)

    assert "only gateway has such an id" in await refused(docker_engine, container.id[:6])
    assert started_at(container) == before


async def test_the_beginning_of_several_ids_is_refused(docker_engine: DockerEngine) -> None:
    made = [docker_engine.client.containers.create("defib-test-kit/busybox:1", ["true"]) for _ in range(17)]
    ids = [container.id or "" for container in made]
    common = next(first for first in "0123456789abcdef" if sum(id_.startswith(first) for id_ in ids) > 1)

    assert f"{common} does not name one container: " in await refused(docker_engine, common)


async def test_a_name_wins_over_the_id_of_another_container(docker_engine: DockerEngine) -> None:
    other = docker_engine.run(*PATIENT, name="other")
    assert other.id is not None
    named = docker_engine.run(*PATIENT, name=other.id[:12])

    await action(docker_engine.base_url, other.id[:12], "kill-start").run(context())

    assert started_at(named) > started_at(other)


async def test_a_paused_container_is_left_alone(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    container.pause()

    with pytest.raises(ActionRefusedError, match="paused on purpose; to go on: docker unpause gateway"):
        await action(docker_engine.base_url).run(context())
    container.reload()
    assert container.status == "paused"
    container.unpause()


# --- when Docker is not well ---------------------------------------------------------------------------


async def test_a_daemon_that_hangs_is_given_up_in_time(docker_engine: DockerEngine) -> None:
    docker_engine.run(*PATIENT, name="gateway")
    restart = action(docker_engine.base_url)
    docker_engine.freeze()
    try:
        began = time.monotonic()
        result = await restart.run(context(timeout_s=1.0))
        took = time.monotonic() - began
    finally:
        docker_engine.thaw()

    assert (result.exit_status, result.timed_out) == (None, True)
    assert result.output == "Docker did not answer in time; it may still carry the action out"
    assert took < 1.5


async def test_a_container_that_does_not_stop_in_time_is_given_up(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*STUBBORN, name="gateway")

    result = await action(docker_engine.base_url).run(context(timeout_s=1.0))
    container.kill()  # so that Docker need not wait any longer

    assert result.timed_out


async def test_a_daemon_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    result = await action(f"unix://{tmp_path}/docker.sock").run(context())

    assert (result.exit_status, result.timed_out) == (1, False)
    assert (
        result.output == f"cannot talk to Docker at unix://{tmp_path}/docker.sock: No such file or directory"
    )
    assert await action(f"unix://{tmp_path}/docker.sock").identity() is None


async def test_the_socket_of_nobody_is_a_failure(kit_tmp: Path) -> None:
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(kit_tmp / "docker.sock"))

    result = await action(str(kit_tmp / "docker.sock")).run(context())

    assert result.output == f"cannot talk to Docker at unix://{kit_tmp}/docker.sock: Connection refused"


@pytest.fixture
def silent(kit_tmp: Path) -> Iterator[Path]:
    """A socket that takes connections and never answers."""
    path = kit_tmp / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path


async def test_asking_for_the_identity_is_bounded(silent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_target, "ANSWER_TIMEOUT", timedelta(seconds=0.3))

    assert await action(str(silent)).identity() is None


async def test_an_action_that_is_cancelled_ends_at_once(silent: Path) -> None:
    running = asyncio.create_task(action(str(silent)).run(context(timeout_s=0.5)))
    await asyncio.sleep(0)

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_nothing_more_is_done_once_the_action_was_given_up(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    before = started_at(container)
    docker_engine.freeze()
    try:
        result = await action(docker_engine.base_url, step="kill-start").run(context(timeout_s=0.4))
    finally:
        docker_engine.thaw()
    loop = asyncio.get_running_loop()
    await loop.shutdown_default_executor()  # the thread has come to its end

    assert result.timed_out
    assert (started_at(container), container.status) == (before, "running")


# --- configuration -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "description"),
    [
        ("restart", "docker restart -t 10 gateway"),
        ("start", "docker start gateway"),
        ("kill-start", "docker kill gateway; docker start gateway"),
    ],
)
def test_the_description_is_the_command_line_that_does_the_same(step: str, description: str) -> None:
    assert action(None, step=step).description == description


def test_the_description_names_the_daemon() -> None:
    assert action("tcp://10.0.0.5:2375").description == (
        "docker --host tcp://10.0.0.5:2375 restart -t 10 gateway"
    )


def test_container_and_daemon_are_by_default_the_monitors_own() -> None:
    own = monitor(OwnContainer(container="gateway", docker_host="unix:///run/other.sock"))

    created = KIND.create(KIND.options(), own, BuildContext(base=Path("/")))

    assert created.description == "docker --host unix:///run/other.sock restart -t 10 gateway"


def test_without_a_container_anywhere_it_is_a_mistake() -> None:
    with pytest.raises(
        ValueError, match="monitor gateway has no container of its own; write 'container: NAME'"
    ):
        action(None, container=None)


async def test_the_daemon_is_by_default_that_of_the_environment(
    docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.base_url)
    docker_engine.run(*PATIENT, name="gateway")

    assert (await action(None, step="start").run(context())).output == "gateway: start done"


@pytest.mark.parametrize("name", ["--all", "", "a b", "a/b", "a;b", "$(id)", "*", "x" * 256, "gateway\n"])
def test_what_is_no_container_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        KIND.options.model_validate({"container": name})


@pytest.mark.parametrize("address", ["docker.sock", "tcp://", "tcp://user:password@host:2375", "ftp://x"])
def test_what_is_no_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(
        ValidationError, match=r"is no address of Docker; write for example unix:///"
    ) as caught:
        KIND.options.model_validate({"docker_host": address})
    assert "password" not in str(caught.value)


def test_every_step_promises_another_process() -> None:
    assert [action(None, step=step).changes_identity for step in ("restart", "start", "kill-start")] == [
        True
    ] * 3
