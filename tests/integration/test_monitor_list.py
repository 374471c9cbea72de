"""The overview's list of monitors: what has not changed since the last time is not made again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from defib import assembly, config, registry
from defib.engine.views.monitor_views import MonitorList
from defib.engine.views.recent import Recent
from defib.engine.views.sources import Sources
from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import FaultLabel, Health, State
from defib.model.ids import IncidentId, MonitorId
from defib.store import open_database

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHOP, MAIL, CRON = map(MonitorId, ("shop", "mail", "cron"))


class World:
    """Three monitors, whose health a test sets, and the list of them."""

    def __init__(self, sources: Sources) -> None:
        self.health: dict[MonitorId, Health] = {}
        self._sources = replace(sources, health=self.health.get)
        self._list, self._recent = MonitorList(), Recent()

    def set(self, monitor: MonitorId, state: State, **more: Any) -> None:
        self.health[monitor] = Health(monitor=monitor, state=state, since=NOON, reason="so it is", **more)

    def views(self, labels: dict[IncidentId, FaultLabel] | None = None) -> dict[str, dict[str, Any]]:
        return {view["id"]: view for view in self._list.views(self._sources, self._recent, labels or {})}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    folder: Path = tmp_path_factory.mktemp("list")
    (folder / "defib.yaml").write_text(
        f"store: sqlite:///{folder}/defib.db\n"
        "monitors:\n"
        "  - {id: shop, type: tcp, host: 127.0.0.1, port: 9}\n"
        "  - {id: mail, name: Éclair, type: tcp, host: 127.0.0.1, port: 9}\n"
        "  - {id: cron, type: heartbeat, every: 1h}\n"
    )
    plugins = registry.load()
    settings = config.load(folder / "defib.yaml", plugins, {})
    open_database(settings.store).close()
    with assembly.stored_views(plugins, settings) as (views, _, _):
        yield views._sources()


@pytest.fixture
def world(sources: Sources) -> World:
    world = World(sources)
    for monitor in (SHOP, MAIL, CRON):
        world.set(monitor, State.UP)
    return world


def test_those_that_need_attention_come_first_and_then_names_decide(world: World) -> None:
    assert list(world.views()) == ["cron", "shop", "mail"]
    world.set(MAIL, State.FAULT)
    assert list(world.views()) == ["mail", "cron", "shop"]


def test_only_what_has_changed_is_made_again(world: World) -> None:
    before = world.views()
    world.set(SHOP, State.DEGRADED)

    after = world.views()

    assert after["mail"] is before["mail"]
    assert after["cron"] is before["cron"]
    assert (before["shop"]["state"], after["shop"]["state"]) == ("up", "degraded")


def test_a_label_of_an_open_incident_shows_although_the_state_stays(world: World) -> None:
    incident = IncidentId("inc-1")
    world.set(SHOP, State.FAULT, incident=incident)
    assert world.views()["shop"]["label"] == str(FaultLabel.NONE)
    assert world.views({incident: FaultLabel.UNVERIFIED})["shop"]["label"] == str(FaultLabel.UNVERIFIED)


def test_a_suspicion_grows_while_nothing_else_changes(world: World) -> None:
    now = datetime.now(UTC)
    facts = {
        "expected_at": (now - timedelta(minutes=1)).isoformat(),
        "fault_at": (now + timedelta(minutes=1)).isoformat(),
    }
    late = Evidence.inconclusive("late", "nothing came")
    look = Observation(
        monitor=CRON,
        source=Source.DEADLINE,
        started_at=now,
        ended_at=now,
        evidence=replace(late, facts=facts),
    )
    world.set(CRON, State.SUSPECT, last=look)
    first = world.views()["cron"]
    assert 0.0 < first["suspicion"] < 1.0
    assert world.views()["cron"] is not first
