"""What supervisors and scrapers are told."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from defib.engine.alerting.notifier import Notifier
from defib.model.ids import MonitorId
from defib.model.monitor import RecoveryMode
from defib.registry import Fault, Origin
from defib_testkit.waiting import async_wait_until
from web_world import Site, World

BROKEN = {"ok": False, "says": "HTTP 500 in 3 ms", "latency_ms": 3}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, watches=False)
    world.watch("main", mode=RecoveryMode.AUTO, works=False)
    world.watch("db")
    world.expect_beats("nightly")
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


async def scrape(site: Site) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    text = (await site.client.get("/metrics")).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(monitor: str, **labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"monitor": monitor, "type": "staged", **labels}.items()))


# --- health --------------------------------------------------------------------------------------------


async def test_all_well_is_a_pass(site: Site) -> None:
    health = await site.client.get("/health")

    assert (health.status_code, health.headers["content-type"]) == (200, "application/health+json")
    document = health.json()
    assert (document["status"], document["version"]) == ("pass", "0.1.0")
    assert {name: [check["status"] for check in found] for name, found in document["checks"].items()} == {
        "store:writable": ["pass"], "scheduler:lateness": ["pass"], "observer:sickness": ["pass"],
        "observer:dead-man": ["pass"], "plugins:faults": ["pass"], "channels:delivery": ["pass"],
        "reports:faults": ["pass"],
    }  # fmt: skip
    assert (await site.client.get("/readyz")).text == "ready\n"


async def test_a_fault_of_what_is_watched_is_no_fault_of_defib(site: Site) -> None:
    site.world.play("main", **BROKEN)
    await site.look("main", 3)

    assert (await site.client.get("/health")).json()["status"] == "pass"


async def test_a_plugin_that_does_not_load_is_a_warning(world: World) -> None:
    origin = Origin(plugin="ldap", module="ldap", distribution="defib-ldap", version="2.0")
    fault = Fault(origin=origin, message="ImportError: no module named ldap3")
    world.plugins = replace(world.plugins, faults=(fault,))
    async with world.running() as site:
        health = await site.client.get("/health")
        overview = await site.get("/overview")
        ready = await site.client.get("/readyz")
        found = await scrape(site)

    assert (health.status_code, health.json()["status"], ready.status_code) == (200, "warn", 200)
    [check] = health.json()["checks"]["plugins:faults"]
    assert check["output"] == (
        "plugin ldap (defib-ldap 2.0) does not load: ImportError: no module named ldap3"
    )
    assert [problem["what"] for problem in overview["problems"]] == ["plugin"]
    assert found["defib_plugin_faults", ()] == 1


async def test_a_store_that_cannot_be_written_is_a_failure(world: World) -> None:
    world.watches = True
    async with world.running() as site:
        await site.wait_for("db", "up")
        with sqlite3.connect(world.folder / "defib.db") as connection:
            connection.execute("ALTER TABLE watch RENAME TO gone")
        connection.close()
        await async_wait_until(lambda: site.engine.housekeeping.store_error)
        health = await site.client.get("/health")
        ready = await site.client.get("/readyz")
        alive = await site.client.get("/livez")
        found = await scrape(site)
        with sqlite3.connect(world.folder / "defib.db") as connection:
            connection.execute("ALTER TABLE gone RENAME TO watch")
        connection.close()
        await async_wait_until(lambda: not site.engine.housekeeping.store_error)
        healed = await site.client.get("/health")

    assert (health.status_code, health.json()["status"]) == (503, "fail")
    assert health.json()["output"].startswith("the store cannot be written: ")
    assert ready.status_code == 503
    assert ready.text.startswith("not ready: the store cannot be written: ")
    assert (alive.status_code, alive.text) == (200, "ok\n")
    assert found["defib_store_error", ()] == 1
    assert (healed.status_code, healed.json()["status"]) == (200, "pass")


async def test_a_schedule_that_stands_still_is_a_failure(site: Site) -> None:
    site.engine.scheduler.add(
        MonitorId("main"), timedelta(seconds=1), "", first_in=-31.0
    )  # and nobody runs it

    health = await site.client.get("/health")

    assert (health.status_code, health.json()["output"]) == (
        503, "the schedule stands still: a look is 31 s overdue",
    )  # fmt: skip


# --- metrics -------------------------------------------------------------------------------------------


async def test_metrics_tell_the_state_of_every_monitor(site: Site) -> None:
    await site.look("main")
    await site.look("db")
    site.world.play("main", **BROKEN)
    await site.look("main", 3)

    found = await scrape(site)

    assert found["defib_monitor_state", of("main", state="fault")] == 1
    assert found["defib_monitor_state", of("main", state="up")] == 0
    assert found["defib_monitor_state", of("db", state="up")] == 1
    assert (found["defib_monitor_up", of("main")], found["defib_monitor_up", of("db")]) == (0, 1)
    assert [key for key in found if key[0] == "defib_monitor_up" and "nightly" in str(key)] == []
    assert found["defib_probe_latency_seconds", of("main")] == 0.003
    assert found["defib_incidents_open", ()] == 1


async def test_metrics_count_what_the_engine_does(site: Site) -> None:
    await site.look("db", 2)
    site.world.play("main", **BROKEN)
    await site.look("main", 3)
    site.world.play("db", crash="oops")
    await site.look("db")
    await site.client.get("/ping/nightly")

    found = await scrape(site)

    assert {
        outcome: found["defib_probes_total", (("outcome", outcome),)]
        for outcome in ("ok", "fail", "inconclusive")
    } == {"ok": 2, "fail": 3, "inconclusive": 1}
    assert found["defib_beats_total", ()] == 1
    assert found["defib_info", (("version", "0.1.0"),)] == 1
    assert (found["defib_store_error", ()], found["defib_deliveries_pending", ()]) == (0, 0)
    assert 0 < found["defib_decision_latency_seconds", (("quantile", "0.5"),)] < 2
    assert found["process_resident_memory_bytes", ()] > 1_000_000


async def test_metrics_tell_what_recovery_is_at(world: World) -> None:
    async with world.running() as site:
        await site.look("main")
        world.play("main", **BROKEN)
        await site.look("main", 3)

        async def is_verifying() -> bool:
            return (await scrape(site))["defib_recovery_cases", (("state", "verifying"),)] == 1

        await async_wait_until(is_verifying, 10)


async def test_metrics_come_as_openmetrics_to_those_who_ask(site: Site) -> None:
    accept = "application/openmetrics-text;version=1.0.0"
    await site.look("db")

    response = await site.client.get("/metrics", headers={"Accept": accept})

    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in openmetrics.text_string_to_metric_families(response.text)}
    assert {"defib_monitor_state", "defib_probes", "defib_scheduler_lateness_seconds", "defib"} <= names


async def test_a_dead_letter_is_counted_and_a_warning(world: World) -> None:
    world.tell("ops")
    async with world.running() as site:
        engine = site.engine
        changes = Notifier(engine.roster).test("ops", engine.clock.now())
        engine.roster.channels.pop("ops")  # as by a reload
        await engine.writer.commit(changes)
        engine.courier.added(changes)
        await async_wait_until(lambda: engine.courier.health()[0].dead == 1, 10)

        found = await scrape(site)
        assert found["defib_dead_letters", (("channel", "ops"),)] == 1
        assert found["defib_channel_failing", (("channel", "ops"),)] == 0
        document = (await site.client.get("/health")).json()
        assert [(check["status"], check["output"]) for check in document["checks"]["channels:delivery"]] == [
            ("warn", "channel ops refused 1 notice for good: see the dead letters among the deliveries")
        ]
