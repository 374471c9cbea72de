"""The ``docker`` monitor against a real daemon."""

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from defib.plugin import Evidence, Grade, Monitor, Outcome, ProbeStatus
from defib_plugins import docker_container
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.waiting import async_wait_until
from monitor_kit import build, frame, look, serving, silence

SECOND_NS = 1_000_000_000


def watch(engine: DockerEngine, container: str = "gateway") -> Monitor:
    return build(docker_container, container=container, docker_host=engine.base_url)


async def asked(engine: DockerEngine, container: str = "gateway", timeout_s: float = 5.0) -> Evidence:
    return await look(
        docker_container, container=container, docker_host=str(engine.socket), timeout_s=timeout_s
    )


async def wait_for_status(container: Any, status: str) -> None:
    def has_it() -> bool:
        container.reload()
        return bool(container.status == status)

    await async_wait_until(has_it, 10, f"the container to be {status}")


async def wait_for_cause(watched: DockerEngine | Monitor, cause: str) -> Evidence:
    """Probe until this is what is found, and return it; of an engine, the container ``gateway``."""
    monitor = watch(watched) if isinstance(watched, DockerEngine) else watched
    seen: list[Evidence] = []

    async def is_found() -> bool:
        seen.append(await monitor.probe(frame()))
        return seen[-1].cause == cause

    await async_wait_until(is_found, 15, f"the monitor to find {cause}")
    if monitor is not watched:
        await monitor.close()
    return seen[-1]


async def test_a_running_container_is_ok(docker_engine: DockerEngine) -> None:
    container = docker_engine.run("sleep", "60", name="gateway")

    evidence = await asked(docker_engine)
    container.reload()

    assert (evidence.grade, evidence.summary) == (Grade.NONE, "gateway is running")
    assert evidence.metrics == {"restart_count": 0.0}
    assert evidence.facts == {
        "state": "running",
        "restart_count": 0,
        "exit_code": None,
        "started_at": container.attrs["State"]["StartedAt"],
        "image": "defib-test-kit/busybox:1",
    }
    assert evidence.latency is not None


async def test_a_container_is_found_by_its_id_too(docker_engine: DockerEngine) -> None:
    container = docker_engine.run("sleep", "60")

    assert (await asked(docker_engine, str(container.id)[:12])).is_ok


async def test_a_missing_container_is_unknown(docker_engine: DockerEngine) -> None:
    evidence = await asked(docker_engine, "nonesuch")

    assert (evidence.outcome, evidence.cause, evidence.status) == (
        Outcome.FAIL,
        "container-missing",
        ProbeStatus.UNKNOWN,
    )
    assert evidence.summary == "the container nonesuch does not exist"


@pytest.mark.parametrize(
    ("script", "cause", "grade"),
    [
        ("exit 3", "exited-3", Grade.AUTHORITATIVE),
        ("exit 0", "exited-0", Grade.INTENT),
    ],
)
async def test_a_container_that_ended_tells_how(
    docker_engine: DockerEngine, script: str, cause: str, grade: Grade
) -> None:
    container = docker_engine.run("sh", "-c", script, name="gateway")
    await wait_for_status(container, "exited")

    evidence = await asked(docker_engine)

    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, cause, grade)


async def test_a_container_that_was_stopped_is_intent(docker_engine: DockerEngine) -> None:
    container = docker_engine.run("sh", "-c", "trap 'exit 143' TERM; sleep 60 & wait", name="gateway")
    container.stop(timeout=5)

    evidence = await asked(docker_engine)

    assert (evidence.cause, evidence.grade) == ("exited-143", Grade.INTENT)


async def test_a_container_that_was_killed_is_authoritative(docker_engine: DockerEngine) -> None:
    container = docker_engine.run("sleep", "60", name="gateway")
    docker_engine.crash(container)
    await wait_for_status(container, "exited")

    evidence = await asked(docker_engine)

    assert (evidence.cause, evidence.grade) == ("exited-137", Grade.AUTHORITATIVE)
    assert evidence.facts["exit_code"] == 137


async def test_a_paused_container_is_intent(docker_engine: DockerEngine) -> None:
    container = docker_engine.run("sleep", "60", name="gateway")
    container.pause()

    evidence = await asked(docker_engine)
    container.unpause()

    assert (evidence.cause, evidence.grade) == ("paused", Grade.INTENT)


async def test_a_container_that_crashes_again_and_again_is_restarting(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(
        "sh", "-c", "exit 7", name="gateway", restart_policy={"Name": "always"}
    )  # fmt: skip
    await wait_for_status(container, "restarting")

    await wait_for_cause(docker_engine, "restarting")


async def test_an_unhealthy_container_tells_what_its_check_said(docker_engine: DockerEngine) -> None:
    docker_engine.run(
        "sleep",
        "60",
        name="gateway",
        healthcheck={
            "test": ["CMD-SHELL", "echo checking; echo no database; exit 1"],
            "interval": SECOND_NS // 5,
            "retries": 1,
        },
    )

    evidence = await wait_for_cause(docker_engine, "unhealthy")

    assert (evidence.grade, evidence.status) == (Grade.NORMAL, ProbeStatus.UNHEALTHY)
    assert evidence.summary == "gateway runs, but its health check fails: no database"
    assert evidence.facts["health_log"] == "no database"


# --- the daemon ------------------------------------------------------------------------------------


async def test_a_daemon_that_dies_is_a_failure_and_its_return_is_noticed(docker_engine: DockerEngine) -> None:
    docker_engine.run("sleep", "600", name="gateway", restart_policy={"Name": "always"})
    monitor = watch(docker_engine)
    before = await monitor.probe(frame())
    docker_engine.kill()
    down = await monitor.probe(frame())
    docker_engine.start()

    await wait_for_cause(monitor, "ok")
    await monitor.close()

    assert before.is_ok
    assert (down.outcome, down.cause, down.grade) == (Outcome.FAIL, "docker-daemon-down", Grade.STRONG)
    assert (
        down.summary == f"the Docker daemon does not run: connection refused by unix://{docker_engine.socket}"
    )


async def test_a_daemon_without_a_socket_is_down(tmp_path: Path) -> None:
    evidence = await look(docker_container, container="gateway", docker_host=str(tmp_path / "docker.sock"))

    assert (evidence.cause, evidence.grade) == ("docker-daemon-down", Grade.STRONG)


async def test_a_frozen_daemon_times_out_and_no_threads_pile_up(docker_engine: DockerEngine) -> None:
    docker_engine.run("sleep", "60", name="gateway")
    monitor = watch(docker_engine)
    await monitor.probe(frame())
    docker_engine.freeze()
    try:
        looks, durations = [], []
        for _ in range(5):
            started = time.monotonic()
            looks.append(await monitor.probe(frame(0.3)))
            durations.append(time.monotonic() - started)
        waiting = [thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")]
    finally:
        docker_engine.thaw()
    after = await monitor.probe(frame())
    await monitor.close()

    assert [evidence.cause for evidence in looks] == ["timeout"] * 5
    assert max(durations) < 1
    assert len(waiting) <= 2
    assert after.is_ok


async def test_a_daemon_that_takes_connections_and_says_nothing_times_out(kit_tmp: Path) -> None:
    path = kit_tmp / "docker.sock"
    async with serving(silence, socket=path):
        evidence = await look(docker_container, container="gateway", docker_host=str(path), timeout_s=0.3)

    assert (evidence.cause, evidence.summary) == (
        "timeout",
        "no answer within 300ms, while asking the Docker daemon",
    )


async def test_a_daemon_with_an_error_of_its_own_is_unhealthy() -> None:
    async def failing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\r\n\r\n"):
            if b"/version" in request:
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"ApiVersion":"1.44"}')
            else:
                writer.write(
                    b"HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\n"
                    b'Content-Length: 23\r\n\r\n{"message":"disk full"}'
                )
            await writer.drain()

    async with serving(failing) as port:
        evidence = await look(docker_container, container="gateway", docker_host=f"tcp://127.0.0.1:{port}")

    assert (evidence.outcome, evidence.cause, evidence.status) == (
        Outcome.FAIL,
        "docker-error",
        ProbeStatus.UNHEALTHY,
    )
    assert evidence.summary == "the Docker daemon failed: disk full"


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user, which only root may")
async def test_a_socket_that_is_not_ours_to_use_says_nothing(docker_engine: DockerEngine) -> None:
    docker_engine.run("sleep", "60", name="gateway")
    os.chmod(docker_engine.folder, 0o755)
    os.chmod(docker_engine.socket, 0o600)
    monitor = watch(docker_engine)
    await monitor.probe(frame())
    os.seteuid(65534)  # of every thread: glibc sees to that
    try:
        evidence = await monitor.probe(frame())
    finally:
        os.seteuid(0)
    await monitor.close()

    assert (evidence.outcome, evidence.cause) == (Outcome.INCONCLUSIVE, "docker-unreachable")
    assert evidence.summary.endswith("join the group of its socket")


async def test_the_environment_names_the_daemon_by_default(
    docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.base_url)
    docker_engine.run("sleep", "60", name="gateway")

    assert (await look(docker_container, container="gateway")).is_ok


def test_it_works_on_uvloop(docker_engine: DockerEngine) -> None:
    docker_engine.run("sleep", "60", name="gateway")

    assert uvloop.run(asked(docker_engine)).is_ok
