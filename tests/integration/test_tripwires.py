"""Tripwires on real parts: a crash is a fault within a second, although looks are half a minute apart."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.models.containers import Container

from config_kit import real_registry
from defib import config
from defib.engine.clock import SystemClock
from defib.engine.detection.tripwires import Tripwires
from defib.engine.roster import Roster
from defib.plugin import Grade, Outcome
from defib.ports import Monitor
from defib_plugins.postgres import WiredPostgresMonitor
from defib_testkit.company import CONTAINER, Company
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.logged import hearing_logs
from defib_testkit.postgres_cluster import PostgresCluster
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import async_wait_until, wait_until
from monitor_kit import frame

SOON_S = 2.0  #: the goal is one second; this leaves as much for a busy machine
FROZEN_S = 20.0  #: where the guard found the machine too busy to judge anything, only the outcome is tested
HELD = """
SELECT count(*) FROM pg_stat_activity WHERE application_name = 'defib-tripwire' AND state = 'idle' AND query <> ''
"""
TRANSITIONS = "SELECT monitor, to_state FROM transition ORDER BY id"


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Looks each 30 s, confirms after 1 and 2 s, and repairs nothing."""
    with closing(Company(tmp_path)) as company:
        company.set(defaults={"strategy": "normal"})
        yield company


@pytest.fixture
def quiet(company: Company) -> Company:
    """Looks so seldom that every look but the first is a tripwire's."""
    company.set(
        strategies={"seldom": {"interval": "1h", "timeout": "5s", "confirm": ["1s", "2s"]}},
        defaults={"strategy": "seldom"},
    )
    return company


@pytest.fixture
def container(docker_engine: DockerEngine) -> Container:
    return docker_engine.run("sleep", "600", name=CONTAINER)


def watch_process(company: Company, victim: Victim) -> None:
    company.watch({"id": "main", "type": "process", "pidfile": str(victim.pidfile)})


def trips(company: Company) -> list[tuple[str, str]]:
    """Monitor and reason of each trip so far."""
    entries = [json.loads(line) for line in company.log.read_text().splitlines() if line.startswith("{")]
    return [(entry["monitor"], entry["reason"]) for entry in entries if entry["event"] == "tripwire"]


def is_fault_soon_after(company: Company, monitor: str, kill: Callable[[], object]) -> bool:
    """Whether the fault is in the store soon after the kill began."""
    began = time.monotonic()
    kill()
    company.wait_for(monitor, "fault", FROZEN_S)
    took = time.monotonic() - began
    return took < (FROZEN_S if "judgement is frozen" in company.log.read_text() else SOON_S)


# --- a crash is found at once --------------------------------------------------------------------------


def test_a_killed_process_is_a_fault_at_once(company: Company, victim: Victim) -> None:
    watch_process(company, victim)
    company.serve()
    company.wait_for("main", "up")

    assert is_fault_soon_after(company, "main", victim.kill)
    assert company.stop() == 0


@pytest.mark.xdist_group("docker")
@pytest.mark.parametrize("is_killed_by_docker", [True, False], ids=["docker kill", "crash"])
def test_a_container_that_ends_is_a_fault_at_once(
    company: Company, docker_engine: DockerEngine, container: Container, is_killed_by_docker: bool
) -> None:
    company.set(
        monitors=[
            {"id": "gateway", "type": "docker", "container": CONTAINER, "docker_host": docker_engine.base_url}
        ]
    )
    company.serve()
    company.wait_for("gateway", "up")

    kill = container.kill if is_killed_by_docker else lambda: docker_engine.crash(container)
    assert is_fault_soon_after(company, "gateway", kill)
    assert company.stop() == 0


@pytest.mark.parametrize("is_killed", [True, False], ids=["kill -9", "immediate stop"])
def test_a_server_that_ends_without_farewell_is_a_fault_at_once(
    company: Company, postgres: PostgresCluster, is_killed: bool
) -> None:
    company.watch({"id": "db", "type": "postgres", "dsn": postgres.dsn})
    company.serve()
    wait_until(lambda: postgres.execute(HELD) == [(1,)], 20, "the held connection")

    assert is_fault_soon_after(company, "db", postgres.kill if is_killed else postgres.stop)
    assert company.stop() == 0


# --- a tripwire decides nothing ------------------------------------------------------------------------


@pytest.mark.xdist_group("docker")
def test_while_nothing_happens_nobody_looks(
    quiet: Company,
    victim: Victim,
    postgres: PostgresCluster,
    docker_engine: DockerEngine,
    container: Container,
) -> None:
    watch_process(quiet, victim)
    quiet.watch({"id": "db", "type": "postgres", "dsn": postgres.dsn})
    quiet.watch(
        {"id": "gateway", "type": "docker", "container": CONTAINER, "docker_host": docker_engine.base_url}
    )
    quiet.serve()
    wait_until(lambda: postgres.execute(HELD) == [(1,)], 20, "the held connection")
    for monitor in ("main", "gateway"):
        quiet.wait_for(monitor, "up")
    time.sleep(3)  # nothing is what must happen

    assert quiet.stop() == 0
    assert trips(quiet) == []
    assert sorted(look["monitor"] for look in quiet.looks()) == ["db", "gateway", "main"]
    assert postgres.execute(HELD) == [(0,)]


def test_a_process_that_was_replaced_stays_up(quiet: Company, make_victim: Callable[..., Victim]) -> None:
    old, new = make_victim(), make_victim()
    old.start()
    new.start()
    pid = old.pid
    watch_process(quiet, old)
    quiet.serve()
    quiet.wait_for("main", "up")

    old.pidfile.write_text(f"{new.pid}\n")
    old.kill()
    wait_until(lambda: trips(quiet), 5, "the trip")
    new.kill()
    quiet.wait_for("main", "fault")

    assert trips(quiet)[0] == ("main", f"process {pid} ended")
    assert quiet.rows(TRANSITIONS) == [("main", "up"), ("main", "suspect"), ("main", "fault")]


def test_a_server_that_ends_only_our_connection_stays_up_and_is_held_again(
    quiet: Company, postgres: PostgresCluster
) -> None:
    quiet.watch({"id": "db", "type": "postgres", "dsn": postgres.dsn})
    quiet.serve()
    wait_until(lambda: postgres.execute(HELD) == [(1,)], 20, "the held connection")

    ended = HELD.replace("count(*)", "pg_terminate_backend(pid)")
    assert postgres.execute(ended) == [(True,)]
    wait_until(lambda: postgres.execute(HELD) == [(1,)], 10, "the next held connection")

    assert trips(quiet) == [("db", "the server ended the held connection (57P01)")]
    assert quiet.rows(TRANSITIONS) == [("db", "up")]


# --- what a server's farewell is worth -----------------------------------------------------------------


@asynccontextmanager
async def holding(
    postgres: PostgresCluster, tmp_path: Path
) -> AsyncIterator[tuple[Monitor, asyncio.Task[str]]]:
    """A monitor that holds a connection, and its next trip."""
    roster = roster_of(tmp_path, {"id": "db", "type": "postgres", "dsn": postgres.dsn})
    (watched,) = roster.monitors.values()
    assert isinstance(watched.plugin, WiredPostgresMonitor)
    trips = watched.plugin.trips()
    trip = asyncio.ensure_future(anext(trips))
    assert (await watched.plugin.probe(frame())).is_ok
    await async_wait_until(lambda: postgres.execute(HELD) == [(1,)], 5, "the held connection")
    try:
        yield watched.plugin, trip
    finally:
        trip.cancel()
        await asyncio.gather(trip, return_exceptions=True)
        await trips.aclose()
        await roster.close()


@pytest.mark.parametrize(("mode", "grade"), [("immediate", Grade.AUTHORITATIVE), ("fast", Grade.STRONG)])
async def test_only_a_server_that_ends_without_farewell_needs_no_further_evidence(
    postgres: PostgresCluster, tmp_path: Path, mode: str, grade: Grade
) -> None:
    async with holding(postgres, tmp_path) as (monitor, trip):
        postgres.stop(mode)
        await asyncio.wait_for(trip, 5)
        evidence = await monitor.probe(frame())

    assert (evidence.outcome, evidence.cause, evidence.grade) == (Outcome.FAIL, "refused", grade)


async def test_after_a_good_look_a_refusal_is_what_it_was(postgres: PostgresCluster, tmp_path: Path) -> None:
    async with holding(postgres, tmp_path) as (monitor, trip):
        postgres.kill()
        await asyncio.wait_for(trip, 5)
        assert (await monitor.probe(frame())).grade is Grade.AUTHORITATIVE
        postgres.start()
        assert (await monitor.probe(frame())).is_ok
        postgres.stop("fast")
        assert (await monitor.probe(frame())).grade is Grade.STRONG


async def test_a_smart_shutdown_is_not_held_up(postgres: PostgresCluster, tmp_path: Path) -> None:
    async with holding(postgres, tmp_path) as (monitor, trip):
        pid = postgres.pid
        assert pid is not None
        os.kill(pid, 15)
        while (await monitor.probe(frame())).cause != "shutting-down":
            pass
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(trip, 5)
        await async_wait_until(lambda: postgres.pid is None, 5, "the server to end")


def test_no_connection_is_held_when_none_is_wanted(postgres: PostgresCluster, tmp_path: Path) -> None:
    roster = roster_of(tmp_path, {"id": "db", "type": "postgres", "dsn": postgres.dsn, "tripwire": False})

    assert [hasattr(watched.plugin, "trips") for watched in roster.monitors.values()] == [False]


# --- coming and going ----------------------------------------------------------------------------------


def roster_of(folder: Path, *monitors: dict[str, Any]) -> Roster:
    path = folder / "defib.yaml"
    path.write_text(yaml.safe_dump({"monitors": list(monitors)}))
    return Roster(real_registry(), config.load(path, real_registry(), {}), {})


@asynccontextmanager
async def watching(roster: Roster) -> AsyncIterator[list[str]]:
    """The engine's tripwires at work; the reasons of their trips."""
    reasons: list[str] = []

    def note(entry: Mapping[str, Any]) -> None:
        if entry["event"] == "tripwire":
            reasons.append(str(entry["reason"]))

    tripwires = Tripwires(SystemClock(), roster, lambda monitor: None)
    with hearing_logs(note):
        await tripwires.start()
        try:
            yield reasons
        finally:
            await tripwires.close()
            await roster.close()


@pytest.mark.xdist_group("docker")
async def test_a_daemon_that_is_killed_is_listened_to_again(
    docker_engine: DockerEngine, container: Container, tmp_path: Path
) -> None:
    gateway = {
        "id": "gateway",
        "type": "docker",
        "container": CONTAINER,
        "docker_host": docker_engine.base_url,
    }
    async with watching(roster_of(tmp_path, gateway)) as reasons:
        await asyncio.sleep(0.2)  # to be listening
        await asyncio.to_thread(docker_engine.kill)
        await async_wait_until(lambda: reasons == ["the Docker daemon hung up"], 5, "the end to be noticed")
        docker_engine.start()  # not in a thread: the daemon ends with the thread that started it
        await async_wait_until(lambda: len(reasons) == 2, 15, "the return to be noticed")
        again = await asyncio.to_thread(docker_engine.client.containers.get, CONTAINER)
        await asyncio.to_thread(again.start)
        await asyncio.to_thread(docker_engine.crash, again)
        await async_wait_until(lambda: len(reasons) == 3, 5, "the crash to be noticed")

    assert reasons[1:] == ["the Docker daemon tells events again", "container die"]


@pytest.mark.xdist_group("docker")
async def test_events_of_other_containers_are_nobodys_business(
    docker_engine: DockerEngine, container: Container, tmp_path: Path
) -> None:
    gateway = {
        "id": "gateway",
        "type": "docker",
        "container": CONTAINER,
        "docker_host": docker_engine.base_url,
    }
    other = await asyncio.to_thread(docker_engine.run, "sleep", "600", name="other")
    async with watching(roster_of(tmp_path, gateway)) as reasons:
        await asyncio.sleep(0.2)  # to be listening
        await asyncio.to_thread(other.kill)
        await asyncio.to_thread(container.pause)
        await async_wait_until(lambda: reasons, 5, "the pause to be noticed")

    assert reasons == ["container pause"]


async def test_without_a_daemon_there_is_nothing_to_listen_to(tmp_path: Path) -> None:
    nobody = {
        "id": "gateway",
        "type": "docker",
        "container": CONTAINER,
        "docker_host": f"unix://{tmp_path}/none",
    }
    roster = roster_of(tmp_path, nobody)
    (watched,) = roster.monitors.values()

    assert [trip async for trip in watched.plugin.trips()] == []  # type: ignore[union-attr]
    await roster.close()


async def test_of_several_processes_only_the_loss_of_too_many_is_a_trip(
    make_victim: Callable[..., Victim], tmp_path: Path
) -> None:
    victims = [make_victim() for _ in range(3)]
    for victim in victims:
        victim.start()
    workers = {"id": "workers", "type": "process", "cmdline": str(tmp_path / "victim"), "count": {"min": 2}}
    roster = roster_of(tmp_path, workers)
    (watched,) = roster.monitors.values()
    async with watching(roster) as reasons:
        evidence = await watched.plugin.probe(frame())  # type: ignore[union-attr]
        assert evidence.facts["count"] == 3
        victims[0].kill()
        await asyncio.sleep(0.3)  # nothing is what must happen
        assert reasons == []
        pid = victims[1].pid
        victims[1].kill()
        await async_wait_until(lambda: reasons, 5, "the trip")

    assert reasons == [f"process {pid} ended"]


@pytest.mark.xdist_group("docker")
async def test_what_is_taken_down_leaves_nothing_open(
    victim: Victim,
    postgres: PostgresCluster,
    docker_engine: DockerEngine,
    container: Container,
    tmp_path: Path,
) -> None:
    roster = roster_of(
        tmp_path,
        {"id": "main", "type": "process", "pidfile": str(victim.pidfile)},
        {"id": "db", "type": "postgres", "dsn": postgres.dsn},
        {"id": "gateway", "type": "docker", "container": CONTAINER, "docker_host": docker_engine.base_url},
    )
    for watched in roster.monitors.values():  # what is loaded and opened once
        await watched.plugin.probe(frame())  # type: ignore[union-attr]
    before = open_files()
    async with watching(roster):
        await async_wait_until(lambda: postgres.execute(HELD) == [(1,)], 10, "the held connection")
        await async_wait_until(lambda: len(open_files() - before) == 3, 5, "pidfd, connection and stream")

    await async_wait_until(lambda: not open_files() - before, 5, "all of it to be closed")


def open_files() -> set[str]:
    """What this process has open, each with its own number."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{link.name} {os.readlink(link)}")
        except FileNotFoundError:  # the listing's own
            continue
    return found
