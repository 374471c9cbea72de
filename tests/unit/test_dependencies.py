"""Requirements: all of some, any of a group, time to follow, and the root of it all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from defib.model.health import Health, State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.options import Options
from defib.rules.dependencies import parents_of, root_cause, waiting_for

T = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG_AGO = T - timedelta(hours=1)
APP = MonitorSpec(id=MonitorId("app"), name="App", kind="http", family=Family.AGENT, options=Options())
DB, A, B = MonitorId("db"), MonitorId("a"), MonitorId("b")


def world(**states: State) -> dict[MonitorId, Health]:
    return {
        MonitorId(name): Health(monitor=MonitorId(name), state=state, since=LONG_AGO)
        for name, state in states.items()
    }


@pytest.mark.parametrize(
    ("state", "bad", "suspect"),
    [
        (State.UP, (), ()), (State.DEGRADED, (), ()), (State.NEW, (), ()), (State.SUSPECT, (), ("db",)),
        (State.FAULT, ("db",), ()), (State.UNREACHABLE, ("db",), ()),
    ],
)  # fmt: skip
def test_all_of_what_is_required_must_be_well(
    state: State, bad: tuple[str, ...], suspect: tuple[str, ...]
) -> None:
    found = parents_of(replace(APP, requires=(DB,)), world(db=state).get, T)
    assert (found.bad, found.suspect) == (bad, suspect)


@pytest.mark.parametrize(
    ("a", "b", "bad", "suspect"),
    [
        (State.UP, State.FAULT, (), ()), (State.FAULT, State.DEGRADED, (), ()),
        (State.FAULT, State.FAULT, ("a", "b"), ()),
        (State.FAULT, State.SUSPECT, (), ("b",)), (State.UP, State.SUSPECT, (), ()),
    ],
)  # fmt: skip
def test_any_of_a_redundant_group_is_enough(
    a: State, b: State, bad: tuple[str, ...], suspect: tuple[str, ...]
) -> None:
    found = parents_of(replace(APP, requires_any=(A, B)), world(a=a, b=b).get, T)
    assert (found.bad, found.suspect) == (bad, suspect)


def test_an_unreachable_monitor_gets_time_to_follow_what_came_back() -> None:
    known = world(db=State.UP, app=State.UNREACHABLE)
    app = replace(APP, requires=(DB,))
    known[DB] = replace(known[DB], since=T - timedelta(seconds=29))
    assert "db has just come back" in parents_of(app, known.get, T).hold
    assert parents_of(app, known.get, T + timedelta(seconds=1)).hold == ""


def test_a_monitor_that_was_well_beside_its_parent_gets_no_such_grace() -> None:
    known = world(db=State.UP, app=State.SUSPECT)
    known[DB] = replace(known[DB], since=T)
    assert parents_of(replace(APP, requires=(DB,)), known.get, T).hold == ""


def test_recovery_waits_until_what_is_required_has_been_well_for_a_while() -> None:
    app = replace(APP, requires=(DB,), requires_any=(A, B))
    known = world(db=State.UP, a=State.FAULT, b=State.UP)
    assert waiting_for(app, known.get, T) == ()
    known[DB] = replace(known[DB], since=T - timedelta(seconds=14))
    assert waiting_for(app, known.get, T) == ("db",)
    known[B] = replace(known[B], state=State.FAULT)
    assert waiting_for(app, known.get, T) == ("db", "a", "b")


def test_the_root_cause_is_the_deepest_fault() -> None:
    requires = {"shop": ("app",), "app": ("db", "cache"), "db": ("host",), "cache": (), "host": ()}
    states = {
        "shop": State.UNREACHABLE,
        "app": State.UNREACHABLE,
        "db": State.UNREACHABLE,
        "host": State.FAULT,
    }

    def root() -> MonitorId | None:
        return root_cause(
            MonitorId("shop"),
            lambda name: tuple(map(MonitorId, requires[name])),
            states.get,
        )

    assert root() == "host"
    states["host"] = State.UP
    assert root() is None
    states["db"] = State.FAULT
    assert root() == "db"
