"""``docker: {action: recreate}`` against a real Docker daemon: what goes over, and what is put back."""

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container
from docker.types import EndpointConfig, Mount

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
from defib_strategies import docker_action
from defib_testkit.docker_engine import IMAGE, DockerEngine
from defib_testkit.ports import free_port

PATIENT = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
(KIND,) = docker_action.defib_actions()
MONITOR = MonitorSpec(
    id=MonitorId("gateway"), name="Gateway", kind="docker", family=Family.DOCKER, options=Options()
)


def action(engine: DockerEngine, container: str = "gateway") -> Action:
    options = {"action": "recreate", "container": container, "docker_host": engine.base_url}
    made: Action = KIND.create(KIND.options.model_validate(options), MONITOR, BuildContext(base=Path("/")))
    return made


def context(timeout_s: float = 40.0) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env={}, execute=ProcessExecutor(), clock=SystemClock()
    )


def names(engine: DockerEngine) -> list[str]:
    return sorted(str(container.name) for container in engine.client.containers.list(all=True))


def kept(container: Container) -> dict[str, Any]:
    """What must be the same afterwards; the engine's own bookkeeping left out."""
    attrs = container.attrs
    config = {key: value for key, value in attrs["Config"].items() if key != "Hostname"}
    host = {key: value for key, value in attrs["HostConfig"].items() if key not in ("Binds", "Mounts")}
    networks = {
        network: (endpoint["IPAMConfig"], [a for a in endpoint["Aliases"] or [] if a != container.short_id])
        for network, endpoint in attrs["NetworkSettings"]["Networks"].items()
    }
    mounts = sorted(
        (m["Type"], m.get("Name", ""), m["Source"], m["Destination"], m["RW"]) for m in attrs["Mounts"]
    )
    return {"Config": config, "Host": host, "Networks": networks, "Mounts": mounts, "Image": attrs["Image"]}


async def test_everything_that_was_configured_goes_over(docker_engine: DockerEngine, tmp_path: Path) -> None:
    client, port = docker_engine.client, free_port()
    networks = [client.networks.create(name) for name in ("front", "back")]
    (tmp_path / "settings").write_text("from the host")
    container = client.containers.create(
        IMAGE,
        list(PATIENT),
        name="gateway",
        environment={"MODE": "production", "DB_PASSWORD": "hunter2"},
        labels={"com.example.team": "ops", "com.docker.compose.project": "shop"},
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 7},
        ports={"80/tcp": ("127.0.0.1", port)},
        volumes={
            str(tmp_path / "settings"): {"bind": "/settings", "mode": "ro"},
            "named": {"bind": "/named"},
        },
        mounts=[
            Mount("/anonymous", None, type="volume"),
            Mount("/cache", None, type="tmpfs", tmpfs_size=65536),
        ],
        network="front",
        networking_config={"front": EndpointConfig("1.41", aliases=["shop-gateway"])},
        working_dir="/named",
        user="0:0",
        stop_signal="SIGTERM",
        extra_hosts={"db.internal": "10.1.2.3"},
        tty=True,
    )
    networks[1].connect(container, aliases=["inner-gateway"])
    container.start()
    assert container.exec_run(["sh", "-c", "echo kept > /anonymous/a; echo lost > /b"]).exit_code == 0
    container.reload()
    before, old_id = kept(container), container.id
    recreate = action(docker_engine)
    first = await recreate.identity()

    result = await recreate.run(context())

    new = client.containers.get("gateway")
    assert (result.exit_status, result.output) == (0, f"gateway: replaced by {new.short_id}")
    assert new.status == "running"
    assert new.id != old_id
    assert kept(new) == before
    assert new.exec_run(["cat", "/anonymous/a", "/settings"]).output == b"kept\r\nfrom the host" or (
        new.exec_run(["cat", "/anonymous/a", "/settings"]).output == b"kept\nfrom the host"
    )
    assert new.exec_run(["test", "-e", "/b"]).exit_code == 1
    assert new.attrs["Config"]["Hostname"] == new.short_id
    assert names(docker_engine) == ["gateway"]
    assert await recreate.identity() != first


async def test_a_container_that_has_ended_is_replaced_by_a_running_one(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    container.kill()
    container.wait()

    assert (await action(docker_engine).run(context())).exit_status == 0

    assert docker_engine.client.containers.get("gateway").status == "running"
    assert names(docker_engine) == ["gateway"]


async def test_the_version_of_the_image_stays_when_its_name_means_another_by_now(
    docker_engine: DockerEngine,
) -> None:
    client = docker_engine.client
    client.images.get(IMAGE).tag("shop", "live")
    container = client.containers.run("shop:live", list(PATIENT), name="gateway", detach=True)
    container.commit("shop", "live", message="another version")
    assert client.images.get("shop:live").id != container.attrs["Image"]

    await action(docker_engine).run(context())

    assert client.containers.get("gateway").attrs["Image"] == container.attrs["Image"]
    client.containers.get("gateway").remove(force=True)
    client.images.remove("shop:live")


async def test_when_the_new_one_does_not_start_the_old_one_is_put_back(docker_engine: DockerEngine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        old = docker_engine.client.containers.create(
            IMAGE, list(PATIENT), name="gateway", ports={"80/tcp": ("127.0.0.1", port)}
        )

        result = await action(docker_engine).run(context())

    old.reload()
    assert result.exit_status == 1
    assert result.output.startswith("Docker refused: ")
    assert (old.name, old.status) == ("gateway", "created")
    assert names(docker_engine) == ["gateway"]


async def test_a_running_one_whose_replacement_cannot_even_be_created_is_not_stopped(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    old = docker_engine.run(*PATIENT, name="gateway", mounts=[Mount("/data", str(folder), type="bind")])
    folder.rmdir()
    old.reload()
    started = old.attrs["State"]["StartedAt"]

    result = await action(docker_engine).run(context())

    old.reload()
    assert result.exit_status == 1
    assert (old.name, old.status, old.attrs["State"]["StartedAt"]) == ("gateway", "running", started)
    assert names(docker_engine) == ["gateway"]


async def test_given_up_in_the_middle_the_old_one_is_put_back_and_runs(docker_engine: DockerEngine) -> None:
    stubborn = ("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    old = docker_engine.run(*stubborn, name="gateway")

    result = await action(docker_engine).run(context(timeout_s=2.0))  # it takes 10 s to stop

    assert result.timed_out
    await docker_engine_settles(old)
    assert names(docker_engine) == ["gateway"]


async def docker_engine_settles(old: Container) -> None:
    """The thread that puts things back is waited for, then the stop that Docker had begun."""
    import asyncio

    await asyncio.get_running_loop().shutdown_default_executor()
    old.reload()
    assert old.name == "gateway"


async def test_what_an_interrupted_replacement_left_is_tidied_up(docker_engine: DockerEngine) -> None:
    old = docker_engine.run(*PATIENT, name="gateway.defib-old")
    docker_engine.client.containers.create(IMAGE, list(PATIENT), name="gateway.defib-new")
    assert old.id is not None

    result = await action(docker_engine).run(context())

    assert result.exit_status == 0
    assert names(docker_engine) == ["gateway"]
    assert docker_engine.client.containers.get("gateway").status == "running"


# --- what is refused -----------------------------------------------------------------------------------


async def refused(engine: DockerEngine, container: str = "gateway") -> str:
    with pytest.raises(ActionRefusedError) as caught:
        await action(engine, container).run(context())
    return str(caught.value)


async def test_an_id_is_refused_because_the_new_one_has_another(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    short = container.short_id

    assert await refused(docker_engine, short) == (
        f"{short} is the id of container gateway, and the new one will have another; write its name"
    )


async def test_one_that_vanishes_when_it_stops_is_refused(docker_engine: DockerEngine) -> None:
    docker_engine.run(*PATIENT, name="gateway", remove=True)

    assert "was started with --rm and is gone once it stops" in await refused(docker_engine)
    assert names(docker_engine) == ["gateway"]


async def test_one_whose_network_another_uses_is_refused(docker_engine: DockerEngine) -> None:
    container = docker_engine.run(*PATIENT, name="gateway")
    docker_engine.run(*PATIENT, name="sidecar", network_mode=f"container:{container.id}")

    assert await refused(docker_engine) == (
        "container sidecar uses the network of gateway and would lose it; use restart"
    )
