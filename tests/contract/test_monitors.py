"""What every polled monitor must do, whatever it watches: one suite over all of them, with real targets."""

import asyncio
import math
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from defib.plugin import Evidence, Grade, Monitor, Outcome, ProbeStatus
from defib_plugins import (
    command,
    docker_container,
    host,
    http_endpoint,
    postgres,
    process,
    systemd_unit,
    tcp_port,
)
from defib_testkit.ports import free_port
from defib_testkit.systemctl_double import SystemctlDouble
from monitor_kit import build, frame, serving, silence

SECRET = "hunter2"
LATE_S = 0.5
"""How much later than its timeout a monitor may answer: what the engine grants before it gives a probe up."""


class Watched(NamedTuple):
    """A plugin and what a configuration says to it."""

    module: ModuleType
    options: dict[str, Any]

    def build(self) -> Monitor:
        return build(self.module, **self.options)


class World:
    """Where targets are made: in any of them, something is wrong."""

    def __init__(self, folder: Path, systemctl: SystemctlDouble, servers: AsyncExitStack) -> None:
        self.folder = folder
        self.systemctl = systemctl
        self._servers = servers

    async def silent_port(self) -> int:
        return await self._servers.enter_async_context(serving(silence))

    async def silent_socket(self) -> Path:
        await self._servers.enter_async_context(serving(silence, socket=self.folder / "docker.sock"))
        return self.folder / "docker.sock"


@pytest.fixture
async def world(
    kit_tmp: Path, systemctl: SystemctlDouble, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("PATH", f"{systemctl.folder}:{os.environ['PATH']}")
    async with AsyncExitStack() as servers:
        yield World(kit_tmp, systemctl, servers)


Maker = Callable[[World], Awaitable[Watched]]


# --- targets that are down --------------------------------------------------------------------------


async def http_down(world: World, **options: Any) -> Watched:
    url = f"http://user:{SECRET}@127.0.0.1:{free_port()}/health?token={SECRET}"
    return Watched(http_endpoint, {"url": url, "headers": {"X-Key": SECRET}, **options})


async def http_down_following_redirects(world: World) -> Watched:
    return await http_down(world, follow_redirects=True)


async def tcp_down(world: World) -> Watched:
    return Watched(tcp_port, {"host": "127.0.0.1", "port": free_port()})


async def postgres_down(world: World) -> Watched:
    return Watched(postgres, {"dsn": f"postgresql://defib:{SECRET}@127.0.0.1:{free_port()}/app"})


async def docker_down(world: World) -> Watched:
    return Watched(docker_container, {"container": "gateway", "docker_host": str(world.folder / "none.sock")})


async def process_down(world: World) -> Watched:
    return Watched(process, {"cmdline": str(world.folder)})


async def systemd_down(world: World) -> Watched:
    world.systemctl.failed("web.service")
    return Watched(systemd_unit, {"unit": "web"})


async def command_down(world: World) -> Watched:
    argv = ["/bin/sh", "-c", "echo CRITICAL; exit 2", "check", SECRET]
    return Watched(command, {"argv": argv, "env": {"PASSWORD": SECRET}})


async def host_in_trouble(world: World) -> Watched:
    return Watched(host, {"limits": {"memory": 0}})


# --- targets that never answer ----------------------------------------------------------------------


async def http_silent(world: World, **options: Any) -> Watched:
    url = f"http://user:{SECRET}@127.0.0.1:{await world.silent_port()}/?token={SECRET}"
    return Watched(http_endpoint, {"url": url, **options})


async def http_silent_following_redirects(world: World) -> Watched:
    return await http_silent(world, follow_redirects=True)


async def https_silent(world: World) -> Watched:
    return Watched(http_endpoint, {"url": f"https://127.0.0.1:{await world.silent_port()}/"})


async def tcp_silent(world: World) -> Watched:
    options = {"host": "127.0.0.1", "port": await world.silent_port(), "send": SECRET, "expect": "220"}
    return Watched(tcp_port, options)


async def postgres_silent(world: World) -> Watched:
    dsn = f"postgresql://defib:{SECRET}@127.0.0.1:{await world.silent_port()}/app"
    return Watched(postgres, {"dsn": dsn})


async def docker_silent(world: World) -> Watched:
    return Watched(
        docker_container, {"container": "gateway", "docker_host": str(await world.silent_socket())}
    )


async def systemd_silent(world: World) -> Watched:
    world.systemctl.fault("hang")
    return Watched(systemd_unit, {"unit": "web"})


async def command_silent(world: World) -> Watched:
    return Watched(command, {"argv": ["/bin/sh", "-c", "sleep 1000 & sleep 1000", SECRET]})


DOWN: tuple[Maker, ...] = (
    http_down,
    http_down_following_redirects,
    tcp_down,
    postgres_down,
    docker_down,
    process_down,
    systemd_down,
    command_down,
    host_in_trouble,
)
SILENT: tuple[Maker, ...] = (
    http_silent,
    http_silent_following_redirects,
    https_silent,
    tcp_silent,
    postgres_silent,
    docker_silent,
    systemd_silent,
    command_silent,
)

down = pytest.mark.parametrize("make", DOWN, ids=lambda make: make.__name__)
silent = pytest.mark.parametrize("make", SILENT, ids=lambda make: make.__name__)
every = pytest.mark.parametrize("make", DOWN + SILENT, ids=lambda make: make.__name__)


async def probe(monitor: Monitor, timeout_s: float = 5.0) -> Evidence:
    """One probe in a task of its own, as the engine makes it."""
    return await asyncio.ensure_future(monitor.probe(frame(timeout_s)))


def is_free_of_secrets(monitor: Monitor, evidence: Evidence) -> bool:
    return SECRET not in f"{monitor.target} {monitor.host} {evidence!r}"


@down
async def test_a_target_that_is_down_is_evidence_and_no_exception(make: Maker, world: World) -> None:
    monitor = (await make(world)).build()

    evidence = await probe(monitor)
    await monitor.close()

    assert evidence.outcome is Outcome.FAIL or evidence.is_degraded
    assert evidence.grade not in (Grade.NONE, Grade.OWN)
    assert evidence.status is not ProbeStatus.HEALTHY or evidence.is_degraded
    assert evidence.cause != "ok"


@every
async def test_evidence_is_told_in_one_short_line_without_secrets(make: Maker, world: World) -> None:
    monitor = (await make(world)).build()

    evidence = await probe(monitor, 0.3)
    await monitor.close()

    assert is_free_of_secrets(monitor, evidence)
    assert evidence.summary.isprintable()
    assert 0 < len(evidence.summary) <= 300
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", evidence.cause)


@every
async def test_evidence_holds_flat_facts_and_finite_numbers(make: Maker, world: World) -> None:
    monitor = (await make(world)).build()

    evidence = await probe(monitor, 0.3)
    await monitor.close()

    assert all(isinstance(fact, str | int | float | bool | None) for fact in evidence.facts.values())
    assert all(math.isfinite(number) for number in evidence.metrics.values())


@silent
async def test_a_silent_target_is_reported_in_time(make: Maker, world: World) -> None:
    monitor = (await make(world)).build()
    await probe(monitor, 0.1)  # loads what it needs

    started = time.monotonic()
    evidence = await probe(monitor, 0.4)
    took = time.monotonic() - started
    await monitor.close()

    assert not evidence.is_ok
    assert evidence.cause in ("timeout", "systemd-unreachable")
    assert "no answer within 400ms, while " in evidence.summary
    assert 0.3 < took < 0.4 + LATE_S


@silent
async def test_a_probe_can_be_cancelled(make: Maker, world: World) -> None:
    monitor = (await make(world)).build()
    await probe(monitor, 0.1)  # loads what it needs
    probing = asyncio.ensure_future(monitor.probe(frame(2)))
    await asyncio.sleep(0.1)

    started = time.monotonic()
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    took = time.monotonic() - started
    await monitor.close()

    assert took < LATE_S


@silent
async def test_a_probe_after_a_timeout_is_a_look_of_its_own(make: Maker, world: World) -> None:
    monitor = (await make(world)).build()

    causes = [(await probe(monitor, 0.2)).cause for _ in range(3)]
    await monitor.close()

    assert len(set(causes)) == 1


@every
async def test_probes_may_overlap(make: Maker, world: World) -> None:
    monitor = (await make(world)).build()

    looks = await asyncio.gather(*(probe(monitor, 1.0) for _ in range(3)))
    await monitor.close()

    assert len({evidence.cause for evidence in looks}) == 1


@every
async def test_closing_is_idempotent_and_needs_no_probe_before(make: Maker, world: World) -> None:
    watched = await make(world)
    unused, used = watched.build(), watched.build()
    await probe(used, 0.2)

    for monitor in (unused, used):
        await monitor.close()
        await monitor.close()


@every
async def test_the_target_and_the_host_are_text(make: Maker, world: World) -> None:
    monitor = (await make(world)).build()

    assert isinstance(monitor.target, str)
    assert monitor.target
    assert isinstance(monitor.host, str)
