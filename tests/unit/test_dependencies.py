"""Requirements: all of some, any of a group, time to follow, and the root of it all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from defib.model.evidence import Evidence, Observation, Source
from defib.model.health import Health, State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.options import Options
from defib.rules.dependencies import Footing, implied, parents_of, root_cause, waiting_for

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


@pytest.mark.parametrize(("is_well", "bad"), [(True, ()), (False, ("db",)), (None, ())])
def test_what_does_not_answer_in_maintenance_explains_what_requires_it(
    is_well: bool | None, bad: tuple[str, ...]
) -> None:
    known = world(db=State.MAINTENANCE)
    if is_well is not None:
        evidence = Evidence.ok("fine") if is_well else Evidence.fail("refused", "connection refused")
        look = Observation(monitor=DB, source=Source.PROBE, evidence=evidence, started_at=T, ended_at=T)
        known[DB] = replace(known[DB], last=look)
    assert parents_of(replace(APP, requires=(DB,)), known.get, T).bad == bad


def test_after_a_maintenance_its_first_verdict_is_waited_for_but_not_for_long() -> None:
    known = world(db=State.NEW)
    known[DB] = replace(known[DB], since=T, was_up=True)
    app = replace(APP, requires=(DB,))
    assert parents_of(app, known.get, T + timedelta(seconds=11)).suspect == (DB,)
    assert parents_of(app, known.get, T + timedelta(seconds=12)).suspect == ()


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


def footing(
    requires: tuple[str, ...] = (), stands_on: tuple[str, ...] = (), carries: tuple[str, ...] = ()
) -> Footing:
    return Footing(
        requires=tuple(map(MonitorId, requires)), stands_on=frozenset(stands_on), carries=frozenset(carries)
    )


def test_who_stands_on_something_requires_who_carries_it() -> None:
    known = {
        MonitorId("ping"): footing(stands_on=("host 10.0.0.1",), carries=("host 10.0.0.1",)),
        MonitorId("dockerd"): footing(stands_on=("host 10.0.0.1",), carries=("docker",)),
        MonitorId("shop"): footing(stands_on=("host 10.0.0.1", "docker")),
        MonitorId("elsewhere"): footing(stands_on=("host 10.0.0.2",)),
    }

    assert implied(known) == {"ping": (), "dockerd": ("ping",), "shop": ("ping", "dockerd"), "elsewhere": ()}


def test_what_is_configured_is_not_implied_again() -> None:
    known = {
        MonitorId("ping"): footing(carries=("host h",)),
        MonitorId("app"): footing(requires=("ping",), stands_on=("host h",)),
    }

    assert implied(known)[MonitorId("app")] == ()


def test_nothing_is_implied_that_would_close_a_circle() -> None:
    known = {
        MonitorId("ping"): footing(requires=("vpn",), carries=("host h",)),
        MonitorId("vpn"): footing(requires=("tunnel",)),
        MonitorId("tunnel"): footing(stands_on=("host h",)),
        MonitorId("twin"): footing(stands_on=("host h",), carries=("host h",)),
    }

    found = implied(known)

    assert found[MonitorId("tunnel")] == ("twin",)
    assert found[MonitorId("ping")] == ()
    assert found[MonitorId("twin")] == ()  # which the ping requires by now, through all the others
