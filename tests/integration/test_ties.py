"""Which monitors belong together: looked up, and never out of date."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from defib import assembly, config, registry
from defib.engine.roster import Roster
from defib.model.ids import MonitorId
from defib.store import open_database

SHOP, MAIL, FRONT, CRON = map(MonitorId, ("shop", "mail", "front", "cron"))


@pytest.fixture
def roster(tmp_path: Path) -> Iterator[Roster]:
    (tmp_path / "defib.yaml").write_text(
        f"store: sqlite:///{tmp_path}/defib.db\n"
        "monitors:\n"
        "  - {id: shop, type: tcp, host: 192.0.2.7, port: 9}\n"
        "  - {id: mail, type: tcp, host: 192.0.2.7, port: 10}\n"
        "  - {id: front, type: tcp, host: 192.0.2.8, port: 9, requires: [shop], tags: [web]}\n"
        "  - {id: cron, type: heartbeat, every: 1h, tags: [web]}\n"
    )
    plugins = registry.load()
    settings = config.load(tmp_path / "defib.yaml", plugins, {})
    open_database(settings.store).close()
    with assembly.stored(plugins, settings) as (roster, _):
        yield roster


def test_children_neighbours_and_siblings(roster: Roster) -> None:
    assert roster.ties.children(SHOP) == [FRONT]
    assert roster.ties.children(FRONT) == ()
    assert roster.ties.on_host("192.0.2.7") == {SHOP, MAIL}
    assert roster.ties.on_host("192.0.2.9") == set()
    assert roster.ties.siblings(SHOP) == [MAIL]
    assert roster.ties.siblings(FRONT) == []  # what tells by itself is not looked at
    assert roster.ties.siblings(CRON) == []


def test_who_comes_and_who_goes_is_known_at_once(roster: Roster) -> None:
    assert roster.ties.siblings(SHOP) == [MAIL]
    spec = roster.monitors[MAIL].spec
    new = replace(spec, id=MonitorId("mail2"), requires=(FRONT,))

    roster.enlist(new)
    roster.settle()
    assert roster.ties.siblings(SHOP) == [MAIL, new.id]
    assert roster.ties.children(FRONT) == [new.id]

    roster.dismiss(MAIL)
    assert roster.ties.siblings(SHOP) == [new.id]
    assert roster.ties.on_host("192.0.2.7") == {SHOP, new.id}
