"""What an action would hit: exactly one object, none that Defib stands on, and not while somebody else is at it."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from defib.engine.clock import SystemClock
from defib.engine.recovery.executor import ProcessExecutor
from defib.engine.recovery.own import own_parts
from defib.model.settings import ServerSettings, Settings
from defib.plugin import (
    Action,
    ActionContext,
    ActionHeldBackError,
    ActionRefusedError,
    Aimed,
    Attended,
    BuildContext,
    Dated,
    Family,
    MonitorId,
    MonitorSpec,
    Options,
    OwnParts,
)
from defib_strategies import docker_action, http_action, postgres_action, process_action, systemd_action
from defib_strategies.docker_target import parse_instant
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.postgres_cluster import PostgresCluster
from defib_testkit.systemctl_double import SystemctlDouble
from defib_testkit.waiting import async_wait_until

PATIENT = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
UNIT = "openclaw-main.service"
MONITOR = MonitorSpec(id=MonitorId("m"), name="M", kind="http", family=Family.SERVICE, options=Options())


def make(
    module: ModuleType, options: dict[str, Any], own: OwnParts | None = None, base: Path = Path("/")
) -> Action:
    (kind,) = module.defib_actions()
    created: Action = kind.create(
        kind.options.model_validate(options), MONITOR, BuildContext(base=base, own=own or OwnParts())
    )
    return created


def context(timeout_s: float = 20.0) -> ActionContext:
    return ActionContext(
        timeout=timedelta(seconds=timeout_s), env={}, execute=ProcessExecutor(), clock=SystemClock()
    )


async def aim(action: Action) -> str:
    assert isinstance(action, Aimed)
    return await action.aim()


async def acted_at(action: Action) -> datetime | None:
    assert isinstance(action, Dated)
    return await action.acted_at()


async def on_purpose(action: Action) -> str:
    assert isinstance(action, Attended)
    return await action.stopped_on_purpose()


async def refused(action: Action) -> str:
    """Why; and running it is refused for the same reason."""
    with pytest.raises(ActionRefusedError) as caught:
        await aim(action)
    with pytest.raises(ActionRefusedError) as again:
        await action.run(context())
    assert str(again.value) == str(caught.value)
    assert not isinstance(caught.value, ActionHeldBackError)
    return str(caught.value)


async def held_back(action: Action) -> str:
    with pytest.raises(ActionHeldBackError) as caught:
        await aim(action)
    with pytest.raises(ActionHeldBackError):
        await action.run(context())
    return str(caught.value)


# --- systemd -------------------------------------------------------------------------------------------


@pytest.fixture
def units(systemctl: SystemctlDouble, monkeypatch: pytest.MonkeyPatch) -> SystemctlDouble:
    monkeypatch.setenv("PATH", str(systemctl.folder), prepend=":")
    return systemctl


def changed(units: SystemctlDouble) -> list[list[str]]:
    return [call for call in units.calls if "show" not in call]


def unit(own: OwnParts | None = None, name: str = UNIT, step: str = "restart") -> Action:
    return make(systemd_action, {"unit": name, "action": step}, own)


async def test_a_unit_is_aimed_at_by_its_full_name_and_nothing_is_changed(units: SystemctlDouble) -> None:
    units.running(UNIT)

    assert await aim(unit()) == UNIT
    assert changed(units) == []


async def test_a_unit_that_systemd_does_not_know_is_refused(units: SystemctlDouble) -> None:
    assert await refused(unit()) == (
        f"systemd has no unit {UNIT}; correct 'unit', 'systemctl list-units --all' shows the names"
    )
    assert changed(units) == []


async def test_a_masked_unit_is_refused(units: SystemctlDouble) -> None:
    units.masked(UNIT)

    assert await refused(unit()) == (
        f"{UNIT} is masked, so somebody forbids it; to allow it: systemctl unmask {UNIT}"
    )


async def test_the_unit_that_defib_runs_in_is_refused(units: SystemctlDouble) -> None:
    units.running("defib.service")
    own = OwnParts(units=frozenset({"system.slice", "defib.service"}))

    ready = unit(own, "defib")
    assert await refused(ready) == "defib.service is the unit that Defib itself runs in; name another unit"
    with pytest.raises(ActionRefusedError):
        ready.check()


@pytest.mark.parametrize(
    "through", ["RequiredBy", "BoundBy", "ConsistsOf", "PropagatesStopTo", "RequisiteOf"]
)
async def test_a_unit_that_takes_defib_along_is_refused(units: SystemctlDouble, through: str) -> None:
    units.running(UNIT, **{through: "other.service defib.service"})

    assert await refused(unit(OwnParts(units=frozenset({"defib.service"})))) == (
        f"{UNIT} takes defib.service along, which Defib itself runs in; name another"
    )
    assert changed(units) == []


async def test_another_name_of_defibs_own_unit_is_refused(units: SystemctlDouble) -> None:
    units.running("monitoring.service", Names="defib.service monitoring.service")

    why = await refused(unit(OwnParts(units=frozenset({"defib.service"})), "monitoring"))

    assert "which Defib itself runs in" in why


async def test_a_unit_that_carries_the_host_is_refused(units: SystemctlDouble) -> None:
    units.running("dbus.service")

    assert (
        await refused(unit(name="dbus")) == "dbus.service carries the whole host; a person has to restart it"
    )


@pytest.mark.parametrize(
    ("state", "sub"),
    [("activating", "auto-restart"), ("deactivating", "stop-sigterm"), ("reloading", "reload")],
)
async def test_a_unit_that_systemd_is_at_work_on_is_left_to_it(
    units: SystemctlDouble, state: str, sub: str
) -> None:
    units.running(UNIT, ActiveState=state, SubState=sub)

    assert await held_back(unit()) == f"{UNIT} is {state} ({sub}): systemd is at work on it"
    assert changed(units) == []


async def test_where_systemd_does_not_answer_the_name_is_all_there_is(units: SystemctlDouble) -> None:
    units.fault("no-systemd")

    assert await aim(unit()) == UNIT
    assert await acted_at(unit()) is None


async def test_systemd_tells_when_a_unit_was_last_started(units: SystemctlDouble) -> None:
    units.stopped("idle.service", ActiveEnterTimestampMonotonic=0)
    units.running(UNIT, ActiveEnterTimestampMonotonic=(time.monotonic_ns() // 1000) - 25_000_000)
    found = await acted_at(unit())

    assert found is not None
    assert abs((datetime.now(UTC) - found).total_seconds() - 25) < 2
    assert await acted_at(unit(name="idle")) is None

    await unit().run(context())
    again = await acted_at(unit())
    assert again is not None
    assert (datetime.now(UTC) - again).total_seconds() < 5


async def test_the_restarts_that_systemd_has_given_up_are_not_waited_for(units: SystemctlDouble) -> None:
    units.failed(UNIT, NRestarts=5)
    assert await acted_at(unit()) is None

    units.failed(UNIT, NRestarts=0)
    assert await acted_at(unit()) is not None


async def test_a_unit_that_ended_well_was_stopped_on_purpose(units: SystemctlDouble) -> None:
    units.stopped(UNIT)
    assert await on_purpose(unit()) == f"{UNIT} is inactive (dead), and its end was a success"

    units.failed(UNIT)
    assert await on_purpose(unit()) == ""
    units.running(UNIT)
    assert await on_purpose(unit()) == ""


async def test_an_enabled_unit_that_was_never_started_was_not_stopped(units: SystemctlDouble) -> None:
    never = {"InactiveExitTimestampMonotonic": 0, "ActiveEnterTimestampMonotonic": 0}

    units.stopped(UNIT, **never)
    assert await on_purpose(unit()) == ""
    units.stopped(UNIT, **never, WantedBy="")
    assert await on_purpose(unit()) == f"{UNIT} is inactive (dead), and its end was a success"


# --- Docker --------------------------------------------------------------------------------------------


def container(engine: DockerEngine, own: OwnParts | None = None, step: str = "restart") -> Action:
    options = {"container": "gateway", "docker_host": engine.base_url, "action": step}
    return make(docker_action, options, own)


async def test_a_container_is_aimed_at_by_its_name(docker_engine: DockerEngine) -> None:
    docker_engine.run(*PATIENT, name="gateway")

    assert await aim(container(docker_engine)) == "gateway"


@pytest.mark.parametrize("step", ["restart", "start", "kill-start", "recreate"])
async def test_the_container_that_defib_runs_in_is_refused(docker_engine: DockerEngine, step: str) -> None:
    running = docker_engine.run(*PATIENT, name="gateway")
    own = OwnParts(container=running.id or "")

    assert await refused(container(docker_engine, own, step)) == (
        "container gateway is the one that Defib itself runs in; name another one"
    )


STORE = (
    "container gateway holds Defib's own store, which no action may touch; keep Defib's store elsewhere, or let a "
    "person recover it"
)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
async def test_the_container_that_publishes_defibs_store_is_refused(
    docker_engine: DockerEngine, host: str
) -> None:
    running = docker_engine.run(*PATIENT, name="gateway", publish=5432)
    port = int(docker_engine.address_of(running, 5432).rpartition(":")[2])
    own = OwnParts(store=(host, port))

    assert await refused(container(docker_engine, own)) == STORE
    running.kill()
    running.wait()
    assert await refused(container(docker_engine, own, "start")) == STORE  # also while it is down
    assert await aim(container(docker_engine, OwnParts(store=(host, port + 1)))) == "gateway"


async def test_the_container_at_the_address_of_defibs_store_is_refused(docker_engine: DockerEngine) -> None:
    running = docker_engine.run(*PATIENT, name="gateway")
    running.reload()
    address = running.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]

    assert await refused(container(docker_engine, OwnParts(store=(address, 5432)))) == STORE


async def test_beside_defib_in_a_container_its_store_is_known_by_its_name(
    docker_engine: DockerEngine,
) -> None:
    docker_engine.run(*PATIENT, name="gateway")
    own = OwnParts(store=("gateway", 5432), container="f" * 64)

    assert await refused(container(docker_engine, own)) == STORE


async def test_a_container_that_docker_restarts_itself_is_left_to_docker(docker_engine: DockerEngine) -> None:
    running = docker_engine.run("false", name="gateway", restart_policy={"Name": "always"})

    def is_backing_off() -> bool:
        running.reload()
        return running.status == "restarting" and int(running.attrs["RestartCount"]) >= 4

    await async_wait_until(is_backing_off, what="Docker to back off")
    count = running.attrs["RestartCount"]

    assert "Docker's own restart policy is at work on container gateway (" in await held_back(
        container(docker_engine)
    )
    running.reload()
    assert running.attrs["RestartCount"] - count <= 1


async def test_docker_tells_when_a_container_was_last_started(docker_engine: DockerEngine) -> None:
    docker_engine.client.containers.create("defib-test-kit/busybox:1", list(PATIENT), name="gateway")
    assert await acted_at(container(docker_engine)) is None

    await container(docker_engine, step="start").run(context())
    found = await acted_at(container(docker_engine))

    assert found is not None
    assert found.tzinfo is not None
    assert abs((datetime.now(UTC) - found).total_seconds()) < 10


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-05T10:11:12.123456789Z", datetime(2026, 1, 5, 10, 11, 12, 123456, tzinfo=UTC)),
        ("2026-01-05T10:11:12Z", datetime(2026, 1, 5, 10, 11, 12, tzinfo=UTC)),
        ("2026-01-05T10:11:12.5Z", datetime(2026, 1, 5, 10, 11, 12, 500000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_dockers_instants_are_read(text: str, instant: datetime | None) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", "container gateway exited with 0"),
        ("exit 143", "container gateway exited with 143"),
        ("exit 3", ""),
    ],
)
async def test_a_container_that_ended_well_was_stopped_on_purpose(
    docker_engine: DockerEngine, script: str, words: str
) -> None:
    docker_engine.run("sh", "-c", script, name="gateway").wait()

    assert await on_purpose(container(docker_engine)) == words


async def test_where_docker_does_not_answer_the_name_is_all_there_is(tmp_path: Path) -> None:
    lost = make(docker_action, {"container": "gateway", "docker_host": f"unix://{tmp_path}/docker.sock"})

    assert await aim(lost) == "gateway"
    assert await acted_at(lost) is None
    assert await on_purpose(lost) == ""


# --- PostgreSQL, processes, HTTP -----------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"action": "reload"}, {"action": "start", "unit": "postgresql@15-main"}])
async def test_the_server_of_defibs_own_store_is_refused(
    postgres: PostgresCluster, options: dict[str, str]
) -> None:
    action = make(
        postgres_action, {"dsn": postgres.dsn, **options}, OwnParts(store=("localhost", postgres.port))
    )

    assert await refused(action) == (
        f"PostgreSQL at 127.0.0.1:{postgres.port} holds Defib's own store, which no action may touch; keep Defib's "
        "store elsewhere, or let a person recover it"
    )


async def test_a_dsn_of_several_servers_is_refused() -> None:
    action = make(postgres_action, {"dsn": "postgresql://a.example.com,b.example.com/app"})

    assert "names several servers" in await refused(action)


async def test_defibs_own_process_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app.pid").write_text(str(os.getpid()))
    options = {"argv": ["/bin/true"], "pidfile": "app.pid"}

    why = await refused(make(process_action, options, OwnParts(pid=os.getpid()), tmp_path))

    assert why == f"process {os.getpid()} is Defib itself; watch it from outside, such as by 'heartbeat'"


async def test_the_process_that_holds_defibs_store_is_refused(
    postgres: PostgresCluster, tmp_path: Path
) -> None:
    (tmp_path / "app.pid").write_text(str(postgres.pid))
    options = {"argv": ["/bin/true"], "pidfile": "app.pid"}

    why = await refused(make(process_action, options, OwnParts(store=("127.0.0.1", postgres.port)), tmp_path))

    assert why.startswith("this process holds Defib's own store")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_call_to_defib_itself_is_refused(host: str) -> None:
    action = make(
        http_action,
        {"url": f"http://{host}:8420/api/v1/monitors/m/recover"},
        OwnParts(server=("127.0.0.1", 8420)),
    )

    assert await refused(action) == f"POST http://{host}:8420/… would call Defib itself; name another address"


# --- what Defib stands on ------------------------------------------------------------------------------


def proc(folder: Path, cgroup: str, mountinfo: str = "") -> Path:
    (folder / "cgroup").write_text(cgroup)
    (folder / "mountinfo").write_text(mountinfo)
    return folder


def settings(store: str = "sqlite:///x.db", **server: Any) -> Settings:
    return Settings(base=Path("/"), files=(), store=store, server=ServerSettings(**server))


def test_its_units_are_those_of_its_control_group(tmp_path: Path) -> None:
    own = own_parts(settings(), proc(tmp_path, "0::/system.slice/defib.service\n"))

    assert own.units == {"system.slice", "defib.service"}
    assert (own.pid, own.container, own.store) == (os.getpid(), "", None)


def test_in_a_users_manager_both_units_are_its_own(tmp_path: Path) -> None:
    path = "/user.slice/user-1000.slice/user@1000.service/app.slice/defib.service"

    assert {"user@1000.service", "defib.service"} <= own_parts(
        settings(), proc(tmp_path, f"0::{path}\n")
    ).units


@pytest.mark.parametrize(
    ("cgroup", "mountinfo"),
    [
        (f"12:pids:/docker/{'a' * 64}\n", ""),
        (f"0::/system.slice/docker-{'a' * 64}.scope\n", ""),
        (
            "0::/\n",
            f"1 2 8:1 /var/lib/docker/containers/{'a' * 64}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n",
        ),
    ],
)
def test_its_container_is_known_by_either_version_of_control_groups(
    tmp_path: Path, cgroup: str, mountinfo: str
) -> None:
    assert own_parts(settings(), proc(tmp_path, cgroup, mountinfo)).container == "a" * 64


@pytest.mark.parametrize(
    ("url", "store"),
    [
        ("sqlite:////var/lib/defib/defib.db", None),
        ("postgresql://defib:hunter2@db.example.com/defib", ("db.example.com", 5432)),
        ("postgresql+psycopg://defib@127.0.0.1:5433/defib", ("127.0.0.1", 5433)),
        ("postgresql:///defib", ("", 5432)),
        ("postgresql:///defib?host=/run/postgresql&port=5434", ("", 5434)),
        ("nonsense", None),
    ],
)
def test_its_store_is_found_in_the_settings(tmp_path: Path, url: str, store: tuple[str, int] | None) -> None:
    assert own_parts(settings(url), tmp_path).store == store


def test_its_server_is_found_in_the_settings(tmp_path: Path) -> None:
    assert own_parts(settings(host="0.0.0.0", port=8420), tmp_path).server == ("0.0.0.0", 8420)
    assert own_parts(settings(port=0), tmp_path).server is None


def test_this_very_process_is_found() -> None:
    assert psutil.pid_exists(own_parts(settings()).pid)


# --- a process that is another one afterwards ----------------------------------------------------------


async def test_the_identity_of_a_process_is_its_id_and_its_start(tmp_path: Path) -> None:
    script = tmp_path / "restart.sh"
    script.write_text(f"#!/bin/sh\nsleep 600 & echo $! > {tmp_path}/app.pid\n")
    script.chmod(0o755)
    (tmp_path / "app.pid").write_text("999999999")
    restart = make(process_action, {"argv": [str(script)], "pidfile": "app.pid"}, base=tmp_path)
    assert (restart.changes_identity, await restart.identity(), await acted_at(restart)) == (True, None, None)
    assert await aim(restart) == "no process, it is gone"

    assert (await restart.run(context())).exit_status == 0
    first = int((tmp_path / "app.pid").read_text())
    identity = await restart.identity()
    started = await acted_at(restart)
    await restart.run(context())
    second = int((tmp_path / "app.pid").read_text())
    other = await restart.identity()
    for pid in (first, second):
        os.kill(pid, 9)
    await asyncio.sleep(0)

    assert identity is not None
    assert identity.startswith(f"{first}@")
    assert other is not None
    assert other.startswith(f"{second}@")
    assert started is not None
    assert (datetime.now(UTC) - started).total_seconds() < 10
