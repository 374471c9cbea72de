"""Evidence before the first action: from real containers, units and this machine, within two seconds."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from defib.engine.clock import SystemClock
from defib.engine.recovery.snapshots import Snapshots
from defib.engine.roster import Watched
from defib.model.changes import Changes
from defib.model.evidence import Evidence, Observation, Source
from defib.model.ids import IncidentId, MonitorId
from defib.model.monitor import Family, MonitorSpec, RecoveryPolicy, Rung
from defib.model.settings import Settings
from defib.plugin import (
    Action,
    ActionContext,
    ActionResult,
    BuildContext,
    Options,
    ProbeContext,
    SnapshotContext,
)
from defib.store import Reader, Writer, open_database
from defib_strategies import docker_action, process_action, systemd_action
from defib_testkit import processes
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.systemctl_double import SystemctlDouble
from defib_testkit.waiting import async_wait_until

INCIDENT = IncidentId("inc-1")
ID = MonitorId("gateway")


class Telling(Options):
    password: SecretStr = SecretStr("hunter2")


class Silent:
    """A monitor that is no witness."""

    target, host = "x", ""

    async def probe(self, context: ProbeContext) -> Evidence:
        return Evidence.ok()

    async def close(self) -> None: ...


class Told:
    """An action that tells what it is given, or does what it is told."""

    description, changes_identity = "x", False

    def __init__(self, told: Mapping[str, str] | None = None, error: Exception | None = None) -> None:
        self._told, self._error = told, error

    def check(self) -> None: ...

    async def identity(self) -> str | None:
        return None

    async def run(self, context: ActionContext) -> ActionResult:
        return ActionResult()

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        if self._error is not None:
            raise self._error
        if self._told is None:
            await asyncio.sleep(3600)
        assert self._told is not None
        return self._told


class Stubborn(Told):
    """Does not let itself be cancelled, for a while."""

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        ends = time.monotonic() + 2.5
        while (left := ends - time.monotonic()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                continue
        return {"late": "too late"}


class Shell(Told):
    """Has a command run that hangs."""

    async def snapshot(self, context: SnapshotContext) -> Mapping[str, str]:
        execution = await context.execute(
            ("/bin/sh", "-c", "trap '' TERM; sleep 600 & wait"), timeout=timedelta(minutes=5), env={}
        )
        return {"shell": execution.output}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[Reader, Writer]]:
    with (
        closing(open_database(f"sqlite:///{tmp_path}/defib.db")) as database,
        closing(Writer(database)) as writer,
    ):
        yield Reader(database), writer


def watched(*actions: Action, kind: str = "docker") -> Watched:
    spec = MonitorSpec(
        id=ID, name="Gateway", kind=kind, family=Family.DOCKER, options=Telling(),
        recovery=RecoveryPolicy(ladder=tuple(Rung(kind="x", options=Options()) for _ in actions)),
    )  # fmt: skip
    return Watched(spec, Silent(), actions)


def snapshots(store: tuple[Reader, Writer], subject: Watched) -> Snapshots:
    settings = Settings(base=Path("/"), files=(), monitors=(subject.spec,))
    return Snapshots(SystemClock(), store[0], lambda: settings)


# --- the target's own ----------------------------------------------------------------------------------


async def test_a_container_shows_its_log_and_its_settings_without_its_secrets(
    docker_engine: DockerEngine, store: tuple[Reader, Writer]
) -> None:
    (kind,) = docker_action.defib_actions()
    script = (
        "for n in $(seq 60); do echo line $n; done; echo login with hunter2; echo token=abc123; "
        "trap 'exit 3' TERM; while :; do sleep 0.1; done"
    )
    container = docker_engine.run(
        "sh", "-c", script, name="gateway", environment={"DB_PASSWORD": "swordfish", "MODE": "live"}
    )
    options = {"container": "gateway", "docker_host": docker_engine.base_url}
    subject = watched(
        *(
            kind.create(
                kind.options.model_validate({**options, "action": step}), None, BuildContext(base=Path("/"))
            )
            for step in ("restart", "kill-start")
        )
    )
    await async_wait_until(lambda: b"abc123" in container.logs(), what="its log")

    found = await snapshots(store, subject).take(subject, INCIDENT)

    log, inspect = found.parts["docker logs gateway"], found.parts["docker inspect gateway"]
    assert len(log.splitlines()) == 50
    assert "line 13\n" in log
    assert "line 12\n" not in log
    assert log.splitlines()[-2].endswith("login with ***")
    assert log.splitlines()[-1].endswith("token=***")
    assert '"Status": "running"' in inspect
    assert ' "Env, names only": [' in inspect
    assert '"DB_PASSWORD"' in inspect
    assert '"MODE"' in inspect
    assert "live" not in inspect
    told = "\n".join(found.parts.values())
    for secret in ("hunter2", "abc123", "swordfish"):
        assert secret not in told
    assert found.took < timedelta(seconds=2)
    assert found.missing == {}


async def test_a_unit_shows_its_log_and_its_status(
    systemctl: SystemctlDouble, store: tuple[Reader, Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(systemctl.folder), prepend=":")
    journal = systemctl.folder / "journalctl"
    journal.write_text('#!/bin/sh\necho "asked: $*"\necho "api_key=abc123 rejected" >&2\n')
    journal.chmod(0o755)
    systemctl.failed("openclaw-main.service")
    (kind,) = systemd_action.defib_actions()
    rung = kind.create(
        kind.options.model_validate({"unit": "openclaw-main"}), None, BuildContext(base=Path("/"))
    )
    subject = watched(rung, kind="systemd")

    found = await snapshots(store, subject).take(subject, INCIDENT)

    assert found.parts["journalctl --unit=openclaw-main.service"] == (
        "asked: --no-pager --quiet --output=short-iso --lines=50 --unit=openclaw-main.service\napi_key=*** rejected"
    )
    assert "Active: failed (Result: exit-code)" in found.parts["systemctl status openclaw-main.service"]


async def test_a_process_shows_its_state_and_its_command_line_without_secrets(
    store: tuple[Reader, Writer], tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec("/bin/sleep", "600")
    (tmp_path / "app.pid").write_text(str(process.pid))
    (kind,) = process_action.defib_actions()
    options = kind.options.model_validate({"argv": ["/bin/true"], "pidfile": "app.pid"})
    subject = watched(kind.create(options, None, BuildContext(base=tmp_path)), kind="process")
    try:
        found = await snapshots(store, subject).take(subject, INCIDENT)
    finally:
        process.kill()
        await process.wait()

    assert found.parts["processes"].startswith(f"pid {process.pid}  sleeping  1 threads")
    assert found.parts["processes"].endswith("/bin/sleep 600")


# --- around it -----------------------------------------------------------------------------------------


async def test_the_machine_and_the_newest_twenty_results_are_in_it(store: tuple[Reader, Writer]) -> None:
    _, writer = store
    now = SystemClock().now()
    await writer.commit(
        Changes(
            observations=tuple(
                Observation(
                    monitor=ID,
                    source=Source.PROBE,
                    started_at=now - timedelta(seconds=60 - n),
                    ended_at=now - timedelta(seconds=60 - n),
                    evidence=Evidence.fail("refused", "connection refused")
                    if n > 25
                    else Evidence.ok("well", latency=timedelta(milliseconds=n)),
                )
                for n in range(30)
            )
        )
    )
    subject = watched()

    found = await snapshots(store, subject).take(subject, INCIDENT)

    results = found.parts["results"].splitlines()
    assert len(results) == 20
    assert [line.split("  ", 1)[1] for line in (results[0], results[-1])] == [
        "healthy  ok  10.0 ms",
        "error  refused",
    ]
    assert found.parts["load"].startswith("load ")
    assert " full, " in found.parts["disks"].splitlines()[0]
    assert set(found.parts) == {"results", "load", "disks", "sockets listening", "sockets"}


# --- when witnesses misbehave --------------------------------------------------------------------------


async def test_a_witness_that_hangs_holds_nothing_up(store: tuple[Reader, Writer]) -> None:
    subject = watched(Told({"log": "here"}), Told(None))
    began = time.monotonic()

    found = await snapshots(store, subject).take(subject, INCIDENT)

    assert time.monotonic() - began < 2.5
    assert found.parts["log"] == "here"
    assert found.missing == {"rung 2": "not there within 1.7 s"}


async def test_one_that_ignores_being_cancelled_holds_nothing_up(store: tuple[Reader, Writer]) -> None:
    subject = watched(Stubborn(), Told({"log": "here"}))
    began = time.monotonic()

    found = await snapshots(store, subject).take(subject, INCIDENT)
    took = time.monotonic() - began
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))

    assert took < 2.3
    assert found.parts["log"] == "here"
    assert "late" not in found.parts


async def test_what_it_started_is_killed_with_it(store: tuple[Reader, Writer]) -> None:
    before = processes.children()
    subject = watched(Shell())

    found = await snapshots(store, subject).take(subject, INCIDENT)

    assert found.missing == {"rung 1": "not there within 1.7 s"}
    await async_wait_until(
        lambda: not any(map(processes.is_running, processes.children() - before)), what="the shell to be gone"
    )


async def test_one_that_raises_is_left_out_and_its_text_is_not_told(store: tuple[Reader, Writer]) -> None:
    subject = watched(Told(error=RuntimeError("the secret is hunter2")), Told({"log": "here"}))

    found = await snapshots(store, subject).take(subject, INCIDENT)

    assert found.missing == {"rung 1": "RuntimeError"}
    assert found.parts["log"] == "here"


async def test_a_flood_is_cut_to_64_kib(store: tuple[Reader, Writer]) -> None:
    subject = watched(Told({"log": "x" * 50_000_000}))
    began = time.monotonic()

    found = await snapshots(store, subject).take(subject, INCIDENT)

    assert sum(len(name.encode()) + len(text.encode()) for name, text in found.parts.items()) <= 65_536
    assert time.monotonic() - began < 3


# --- kept ----------------------------------------------------------------------------------------------


async def test_the_first_one_of_an_incident_is_kept(store: tuple[Reader, Writer]) -> None:
    reader, writer = store
    subject = watched(Told({"log": "first", "a": "1"}))
    taking = snapshots(store, subject)
    first = await taking.take(subject, INCIDENT)
    await writer.commit(Changes(snapshots=(first,)))
    await writer.commit(Changes(snapshots=(await taking.take(watched(Told({"log": "second"})), INCIDENT),)))

    kept = reader.snapshot(INCIDENT)

    assert kept is not None
    assert (kept.incident, kept.monitor, dict(kept.parts)) == (INCIDENT, ID, dict(first.parts))
    assert list(kept.parts) == list(first.parts)
    assert reader.snapshot(IncidentId("inc-2")) is None
