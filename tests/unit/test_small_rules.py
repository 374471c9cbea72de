"""Back-off, routing, effective strategy and exit status."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.engine.exit_status import ExitStatus, exit_status
from defib.model.alert import Alert, AlertFacts, AlertKind, Severity
from defib.model.health import Health, State
from defib.model.ids import AlertId, MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib.model.options import Options
from defib.model.settings import Route, RouteMatch
from defib.model.strategy import Strategy
from defib.rules.backoff import next_delay
from defib.rules.effective import strategy_for
from defib.rules.routing import channels_for

T = datetime(2026, 11, 20, 12, tzinfo=UTC)


@given(st.integers(min_value=0, max_value=10_000))
def test_a_delay_never_exceeds_its_cap(failures: int) -> None:
    assert next_delay(failures, base=timedelta(seconds=1), cap=timedelta(minutes=5)) <= timedelta(minutes=5)


def test_a_negative_number_of_failures_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        next_delay(-1, base=timedelta(seconds=1), cap=timedelta(minutes=5))


def alert(severity: Severity = Severity.HIGH, kind: str = "agent_down", tags: tuple[str, ...] = ()) -> Alert:
    facts = AlertFacts(
        event=AlertKind.DOWN, monitor=MonitorId("main"), monitor_name="Main", monitor_kind="http", family="agent",
        target="", at=T, since=T, cause="refused", summary="", tags=tags,
    )  # fmt: skip
    return Alert(
        id=AlertId("a"), kind=kind, severity=severity, title="", description="", evidence=(), recommendations=(),
        at=T, monitor=MonitorId("main"), incident=None, facts=facts,
    )  # fmt: skip


def test_the_first_route_that_matches_wins() -> None:
    routes = (
        Route(match=RouteMatch(severity=frozenset({Severity.SEVERE})), channels=("phone",)),
        Route(match=RouteMatch(tags=frozenset({"agents"})), channels=("chat",)),
        Route(channels=("mail",)),
    )
    assert channels_for(alert(), routes) == ("mail",)
    assert channels_for(alert(Severity.SEVERE), routes) == ("phone",)
    assert channels_for(alert(tags=("agents", "prod")), routes) == ("chat",)


def test_a_route_that_continues_adds_channels_each_once() -> None:
    routes = (Route(channels=("chat", "mail"), resume=True), Route(channels=("mail", "hook")))
    assert channels_for(alert(), routes) == ("chat", "mail", "hook")


def test_no_route_tells_nobody() -> None:
    assert (
        channels_for(alert(), (Route(match=RouteMatch(kind=frozenset({"docker_down"})), channels=("mail",)),))
        == ()
    )


def strategy(name: str, interval: int) -> Strategy:
    return Strategy(name=name, interval=timedelta(seconds=interval), timeout=timedelta(seconds=5))


KNOWN = {
    "normal": strategy("normal", 30),
    "aggressive": strategy("aggressive", 15),
    "mine": strategy("mine", 99),
}
MAIN = MonitorSpec(id=MonitorId("main"), name="Main", kind="http", family=Family.AGENT, options=Options())


@pytest.mark.parametrize(
    ("configured", "global_name", "switched", "expected"),
    [
        (None, "normal", {}, 30),
        (None, "aggressive", {}, 15),
        ("mine", "aggressive", {}, 99),
        ("mine", "aggressive", {"main": "normal"}, 30),
        ("mine", "normal", {"other": "aggressive"}, 99),
        (None, "normal", {"main": "gone"}, 30),
    ],
)
def test_a_switch_beats_the_configuration_and_the_configuration_beats_the_global_one(
    configured: str | None, global_name: str, switched: dict[str, str], expected: int
) -> None:
    found = strategy_for(replace(MAIN, strategy=configured), KNOWN, global_name, switched)
    assert found.interval == timedelta(seconds=expected)


def test_overrides_hold_on_top_of_a_configured_strategy() -> None:
    monitor = replace(MAIN, overrides={"timeout": timedelta(seconds=1)})
    found = strategy_for(monitor, KNOWN, "normal", {})
    assert (found.interval, found.timeout) == (timedelta(seconds=30), timedelta(seconds=1))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], ExitStatus.OK),
        ([State.UP, State.UP], ExitStatus.OK),
        ([State.UP, State.DEGRADED], ExitStatus.WARNING),
        ([State.SUSPECT], ExitStatus.WARNING),
        ([State.UNREACHABLE], ExitStatus.WARNING),
        ([State.UP, State.NEW], ExitStatus.UNKNOWN),
        ([State.NEW, State.DEGRADED, State.FAULT], ExitStatus.CRITICAL),
    ],
)
def test_a_pass_ends_with_the_worst_it_found(states: list[State], expected: ExitStatus) -> None:
    healths = [Health(monitor=MonitorId(str(n)), state=state, since=T) for n, state in enumerate(states)]
    assert exit_status(healths) is expected
